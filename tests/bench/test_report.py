"""The page and its plots: everything that was measured is on it, and nothing else makes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bench import report
from bench.growth.results import Growth
from bench.measure import BY_NAME
from bench.plots import growth_plot, plots, svg
from bench.results import Measurement, Results, read
from bench.short import Short
from bench.targets import judge

DOCS = Path(__file__).parents[2] / "docs"


def section(page: str, title: str) -> str:
    """A section of a page."""
    return page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_tables(results: Results) -> None:
    """Each place has a table of its own, the fastest first."""
    page = report.page(results, None)
    lines = section(page, "A vendor that answers immediately").splitlines()
    straight, fastify = BY_NAME["straight"].title, BY_NAME["fastify"].title
    *_, last = (number for number, line in enumerate(lines) if line == "64 connections:")
    assert lines[last + 2 : last + 9] == [
        "|  | req/s | to floor | median | 99 % | errors | CPU | core | memory |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        f"| {straight} | 50,001 | 10.00 (10.00 to 10.00) | 1.28 ms | 3.84 ms | none | - | - | - |",
        f"| {fastify} | 8,001 | 1.60 (1.60 to 1.60) | 8.00 ms | 24 ms | none | 125 µs | 100% | 82 MB |",
        "| Floor: bare ASGI + aiohttp | 5,001 | 1.00 | 13 ms | 38 ms | none | 200 µs | 100% | 82 MB |",
        "| Jobgate, without its ledger | 4,001 | 0.80 (0.80 to 0.80) | 16 ms | 48 ms | none | 250 µs | 100% | 82 MB |",
        "| **Jobgate** | 3,001 | 0.60 (0.60 to 0.60) | 21 ms | 64 ms | none | 333 µs | 100% | 82 MB |",
    ]
    with_ledger, _, without_ledger = section(page, "Targets").partition("Jobgate without its ledger,")
    assert "| Throughput, to the floor's | at least 75% | 60% | **missed** |" in with_ledger
    assert "| Throughput, to the floor's | at least 90% | 80% | **missed** |" in without_ledger
    assert "| Processor | A processor |" in section(page, "Where it was measured")


def test_errors_are_shown(edited: Callable[..., Results]) -> None:
    """The page shows the errors of all rounds, and the contenders that answered nothing."""

    def failing(each: Measurement) -> Measurement:
        load = replace(each.load, status=3, timeout=each.round)
        silent = replace(each.load, requests=0, p50=0.0, p99=0.0)
        return replace(each, load={"prism": load, "express": silent}.get(each.contender, each.load))

    page = report.page(edited(failing), None)
    assert "| 1.00 ms | 3.00 ms | 12 of 12,012 | 999 µs | 100% | 82 MB |" in page
    assert "| express-openapi-validator + undici | 0 | 0.00 | - | - | no answer | 0 µs | 100% | 82 MB |" in page


def test_what_is_missing_is_said(edited: Callable[..., Results]) -> None:
    """Contenders that were left out, sections that are empty, and a machine that was not quiet."""
    made = edited(lambda each: None if each.section == "a-thousand" else replace(each, others=1.0))
    page = report.page(replace(made, left_out={"prism": "node is not installed", "a-thousand": "not wanted"}), None)
    assert "Left out: prism: node is not installed; a-thousand: not wanted." in page
    assert "**Not a quiet machine:**" in page
    assert "## A thousand connections" not in page
    assert section(page, "Ledgers of growing size").strip() == "Not measured."


def test_results_from_before_there_was_a_ledger(edited: Callable[..., Results]) -> None:
    """Results in which Jobgate has no ledger make a page; what they do not tell is not measured."""
    made = edited(lambda each: None if each.section == "extras" or each.contender == "jobgate" else each)
    targets = section(report.page(made, None), "Targets")
    assert "| Throughput, to the floor's | at least 75% | not measured | - |" in targets
    assert "| Throughput, to the floor's | at least 90% | 80% | **missed** |" in targets


def test_without_a_floor(edited: Callable[..., Results]) -> None:
    """Where there is no floor, the contenders are compared with Jobgate, and the plots are drawn all the same."""
    made = edited(lambda each: None if each.contender == "floor" else each)
    page = report.page(made, None)
    assert "|  | req/s | to Jobgate |" in page
    assert "| **Jobgate** | 3,001 | 1.00 |" in page
    assert "| Prism proxy | 1,001 | 0.33 (0.33 to 0.33) |" in page
    assert plots()
    assert all(svg(plot, made) for plot in plots().values())


def test_plots(results: Results) -> None:
    """Plots name every contender that forwards, and the same results make the same file, without a date."""
    assert plots()
    for plot in plots().values():
        made = svg(plot, results)
        assert made == svg(plot, results)
        assert b"<!-- Jobgate -->" in made
        assert b"<!-- FastAPI + httpx -->" in made
        assert b"straight to the vendor" not in made
        assert b"<dc:date>" not in made


def test_publish(results: Results, growth: Growth, tmp_path: Path) -> None:
    """Results, page and plots are written, and made again from the results without measuring."""
    written = report.publish(tmp_path, results, growth)
    assert [str(path.relative_to(tmp_path)) for path in written] == [
        "benchmarks/results.json",
        "benchmarks/ledger.json",
        "benchmarks.md",
        "benchmarks/throughput.svg",
        "benchmarks/latency.svg",
        "benchmarks/growth.svg",
    ]
    before = [path.read_bytes() for path in written]
    report.regenerate(tmp_path)
    assert [path.read_bytes() for path in written] == before


def test_publish_one_after_the_other(results: Results, growth: Growth, tmp_path: Path) -> None:
    """What was measured earlier stays on the page when the rest is measured."""
    assert [path.name for path in report.publish(tmp_path, None, growth)] == ["ledger.json"]
    report.publish(tmp_path, results, None)
    assert (tmp_path / "benchmarks.md").read_text("utf-8") == report.page(results, growth)


def test_growth(growth: Growth) -> None:
    """What a page and a job action cost at each size, what that is to the smallest, and by which index it is found."""
    part = report.growth_part(growth)
    assert "| 5,000 | 7 MB | 1,400 | 1,200 | 4,000 | 1.00 | 0.10 ms | 1.00 | 1.00 ms | 3.00 ms | 1.00 |" in part
    assert "| 5,000,000 | 7,000 MB | 1,400 | 1,200 | 2,000 | 0.50 | 0.20 ms | 2.00 | 2.00 ms | 6.00 ms | 2.00 |" in part
    slowest, _, medians = part.partition("The median:")
    assert "| `jobId` | 3.00 ms | 6.00 ms | 2.00 | `job_actions_job_id (job_id=?)` |" in slowest
    assert "| `jobId` | 1.00 ms | 2.00 ms | 2.00 | `job_actions_job_id (job_id=?)` |" in medians
    assert "| `action` | 3.00 ms | 3.00 ms | 1.00 | `no index` |" in slowest
    assert "grew to at most 2.00 times (`jobId`), and to 1.50 times in the median of all kinds." in part
    assert "are read by `sqlite_autoindex_events_1 (job_action_id=?)`." in part


def test_targets_of_growth(growth: Growth) -> None:
    """Each larger ledger is judged by its 99th percentiles, unless they were not measured or others had the cores."""
    growth = replace(growth, others=0.0)
    part = report.growth_part(growth)
    assert "| a write: 5,000,000 to 5,000 | at most 1.5 | 2.00 | **missed** |" in part
    assert "| a page, in the median of all kinds: 5,000,000 to 5,000 | at most 1.5 | 1.50 | met |" in part
    assert "| a page of the worst kind: 5,000,000 to 5,000 | at most 1.5 | 2.00 | **missed** |" in part
    assert "is decided by 1 of its pages" in part
    disturbed = report.growth_part(replace(growth, others=1.2))
    assert "other programs kept 1.20 cores busy" in disturbed
    judged = disturbed.count("| not judged: other programs had the cores |")
    assert (judged, "met |" in disturbed) == (3, False)
    assert report.growth_part(replace(growth, others=None)).count("| not judged |") == 3
    older = replace(growth, writings=tuple(replace(each, p99=0.0) for each in growth.writings))
    assert "| a write: 5,000,000 to 5,000 | at most 1.5 | - | not measured |" in report.growth_part(older)


def test_a_missed_target_has_its_reason() -> None:
    """Where the published results miss a target, the page says why, and what was tried."""
    missed = [each.target for each in judge(read(DOCS / "benchmarks" / "results.json")) if each.is_missed]
    assert [each.what for each in missed if not each.reason] == []
    page = (DOCS / "benchmarks.md").read_text("utf-8")
    assert [each.what for each in missed if each.reason not in page] == []


def test_growth_plot(growth: Growth) -> None:
    """The plot has a line for each kind of page, and the same results make the same file."""
    made = svg(growth_plot, growth)
    assert made == svg(growth_plot, growth)
    assert b"<!-- jobId -->" in made
    assert b"<!-- 5,000,000 -->" in made


def test_the_page_is_fresh() -> None:
    """docs/benchmarks.md is what is made from the results beside it."""
    made = report.kept_page(DOCS)
    assert (DOCS / "benchmarks.md").read_text("utf-8") == made, "Run `.venv/bin/python -m bench report`."


def test_short_run(results: Results, edited: Callable[..., Results], tmp_path: Path) -> None:
    """The ratios of a short run are compared with those of the whole run, as far as both have them, and judged."""

    def slower(each: Measurement) -> Measurement | None:
        if each.contender == "floor":
            return replace(each, load=replace(each.load, requests=each.load.requests // 2))
        return None if each.section == "extras" else each

    report.publish(tmp_path, results, None)
    written = report.publish_short(tmp_path, Short(4.25, edited(slower)))
    assert written[0].name == "short.json"
    part = section((tmp_path / "benchmarks.md").read_text("utf-8"), "The short run")
    assert "took 4.2 minutes (target: at most 5, met)" in part
    assert "| Throughput, to the floor's, with ledger | 60% | 120% | +100% | **missed** |" in part
    assert "| Throughput, to that of Prism, with ledger | 3.0 times | 3.0 times | +0% | met |" in part
    assert "native API" not in part
