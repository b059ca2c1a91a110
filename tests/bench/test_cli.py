"""`python -m bench`: what it says, and where it writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from bench import cli, report
from bench.growth.measuring import QUICK, WHOLE, Extent
from bench.growth.results import Growth
from bench.plan import Plan
from bench.processes import BenchError
from bench.results import Measurement, Results

runner = CliRunner()


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch, results: Results, growth: Growth) -> list[Plan]:
    """The plans that would have been carried out; the results are there already, and those of growing ledgers."""
    made: list[Plan] = []

    def run(_: Console, plan: Plan) -> tuple[Measurement, ...]:
        made.append(plan)
        return results.measurements

    monkeypatch.setattr(cli, "run", run)
    monkeypatch.setattr(cli, "grow", lambda *_: growth)
    monkeypatch.setattr(cli, "missing", dict)
    monkeypatch.setattr(cli, "described", lambda: {"Processor": "A processor"})
    return made


@pytest.mark.parametrize("tool", ["wrk", "taskset"])
def test_missing_tool(monkeypatch: pytest.MonkeyPatch, tool: str) -> None:
    """Without one of its tools it ends with one line that says how to install it."""
    monkeypatch.setattr("shutil.which", lambda name: None if name == tool else f"/usr/bin/{name}")
    result = runner.invoke(cli.application, ["--only", "floor"])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"bench: {tool} ")
    assert "apt-get install" in result.stderr
    assert result.stderr.count("\n") == 1


def test_without_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without node its contenders are left out, and that is said."""
    monkeypatch.setattr(cli, "node_is_missing", lambda: "node is not installed")
    monkeypatch.setattr(cli, "prepare", nothing)
    result = runner.invoke(cli.application, ["--quick"])
    assert result.stdout == "Without prism, express, fastify: node is not installed.\n"
    assert result.stderr == "bench: enough\n"


def nothing() -> None:
    """Go no further."""
    raise BenchError("enough")


def test_unknown_name() -> None:
    """An unknown name ends the run with a list of the known names."""
    result = runner.invoke(cli.application, ["--without", "nobody"])
    assert result.exit_code == 1
    assert (
        "unknown name nobody; known: a-thousand, after-100-ms, after-50-ms, at-once, connexion-async" in result.stderr
    )


def test_quick(plans: list[Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quick run is short, prints the page, and writes nothing but its own results, where it is told to."""
    monkeypatch.chdir(tmp_path)
    result = runner.invoke(cli.application, ["--quick"])
    assert result.exit_code == 0, result.output
    assert "Targets" in result.stdout
    assert (plans[0].seconds, plans[0].rounds, list(tmp_path.iterdir())) == (1, 3, [])
    assert runner.invoke(cli.application, ["--quick", "--output", str(tmp_path)]).exit_code == 0
    assert [str(each.relative_to(tmp_path)) for each in tmp_path.glob("**/*.*")] == ["benchmarks/short.json"]


def test_whole_run_is_written_to_docs(plans: list[Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole run is written to docs/, and the page can be made anew."""
    monkeypatch.chdir(tmp_path)
    assert runner.invoke(cli.application, []).exit_code == 0
    page = tmp_path / "docs" / report.PAGE
    assert "4 seconds" in page.read_text("utf-8")
    page.unlink()
    assert "wrote docs/benchmarks.md" in runner.invoke(cli.application, ["report"]).stdout
    assert page.exists()


def test_output(plans: list[Plan], tmp_path: Path) -> None:
    """A partial run is written to the folder that is given."""
    options = ["--without", "a-thousand", "--seconds", "2", "--rounds", "5", "--output", str(tmp_path)]
    assert runner.invoke(cli.application, options).exit_code == 0
    assert "Left out: a-thousand: not wanted." in (tmp_path / report.PAGE).read_text("utf-8")
    assert [section.name for section in plans[0].sections][-2:] == ["after-100-ms", "extras"]
    assert (plans[0].seconds, plans[0].rounds) == (2, 5)


def test_without_growth(plans: list[Plan], tmp_path: Path) -> None:
    """Without growing ledgers, all contenders are measured, and none is said to be left out."""
    assert runner.invoke(cli.application, ["--without", "growth", "--output", str(tmp_path)]).exit_code == 0
    assert "Left out" not in (tmp_path / report.PAGE).read_text("utf-8")
    assert not (tmp_path / "benchmarks" / "ledger.json").exists()
    assert len(plans) == 1


def test_only_growth(plans: list[Plan], tmp_path: Path) -> None:
    """Growing ledgers alone: no contender is measured, and the page keeps what was measured of them before."""
    assert runner.invoke(cli.application, ["--without", "growth", "--output", str(tmp_path)]).exit_code == 0
    result = runner.invoke(cli.application, ["--only", "growth", "--output", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert len(plans) == 1
    assert "Ledgers of growing size" in result.stdout
    page = (tmp_path / report.PAGE).read_text("utf-8")
    assert "| **Jobgate** |" in page
    assert "| 5,000,000 |" in page


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ([], WHOLE.sizes),
        (["--quick"], QUICK.sizes),
        (["--largest", "500000"], WHOLE.sizes[:3]),
        (["--largest", "1"], WHOLE.sizes[:1]),
    ],
)
def test_how_far_ledgers_grow(
    plans: list[Plan], monkeypatch: pytest.MonkeyPatch, growth: Growth, options: list[str], sizes: tuple[int, ...]
) -> None:
    """Ledgers grow to five million job actions by default, to fewer in a quick run, or to a given number."""
    extents: list[Extent] = []

    def grow(_: Console, extent: Extent) -> Growth:
        extents.append(extent)
        return growth

    monkeypatch.setattr(cli, "grow", grow)
    assert runner.invoke(cli.application, ["--only", "growth", *options]).exit_code == 0
    assert [each.sizes for each in extents] == [sizes]


def test_results_are_kept_at_once(
    plans: list[Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, results: Results
) -> None:
    """The results of the contenders are written before the ledgers grow, because that may fail."""

    def grow(*_: object) -> Growth:
        raise OSError("the disk is full")

    monkeypatch.setattr(cli, "grow", grow)
    assert runner.invoke(cli.application, ["--output", str(tmp_path)]).exit_code == 1
    assert (tmp_path / report.PAGE).exists()
