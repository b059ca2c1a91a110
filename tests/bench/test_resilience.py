"""The figures of resilience: the page is made of the results, targets are honest, and the vendor counts right."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

import pytest

from bench.resilience import page
from bench.resilience.clients import after, clients, in_turn, read, steadily
from bench.resilience.results import read as results_of
from bench.resilience.vendor import FAILING, HUNG, RESETTING, Behaviour, Vendor

DOCS = Path(__file__).parents[2] / "docs"
RESULTS = results_of(DOCS / page.FOLDER / page.RESULTS)


def test_the_page_is_made_of_the_results(tmp_path: Path) -> None:
    """The page that is published says what was measured, and nothing else."""
    assert (DOCS / page.PAGE).read_text("utf-8") == page.page(RESULTS)
    page.publish(tmp_path, RESULTS)
    for file in (page.PAGE, f"{page.FOLDER}/{page.RESULTS}", f"{page.FOLDER}/{page.PLOT}"):
        assert (tmp_path / file).read_bytes() == (DOCS / file).read_bytes()


def test_nothing_is_left_out() -> None:
    """There is a verdict on each figure that is promised."""
    names = " ".join(each.name for each in page.judged_figures(RESULTS))
    for promised in ("calls per request", "errors", "percentile of the other", "health", "recovery", "probes"):
        assert promised in names
    for promised in ("peak", "refusals", "memory", "lost", "until the end"):
        assert promised in names


def test_what_is_missed_is_called_missed() -> None:
    """A figure beyond its target is marked on the page, and told by the command."""
    (stop, *others) = RESULTS.stopping
    worse = replace(RESULTS, stopping=(replace(stop, lost=1), *others))
    assert [each.name for each in page.missed(worse) if "lost" in each.name] == ["answers lost at SIGTERM"]
    assert "| answers lost at SIGTERM | at most 0 | 1 | **missed** |" in page.page(worse)


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (Behaviour(), "200"),
        (FAILING, "500"),
        (Behaviour(status=HTTPStatus.SERVICE_UNAVAILABLE), "503"),
        (RESETTING, "lost"),
    ],
)
async def test_the_vendor_does_as_it_is_told(behaviour: Behaviour, said: str) -> None:
    """It answers, fails or breaks off, and counts every request."""
    vendor = Vendor(behaviour)
    async with vendor.serving(), clients(vendor.port) as those:
        answers = [await those.ask(read("any")) for _ in range(5)]
    assert [each.what for each in answers] == [said] * 5
    assert len(vendor.calls) == 5


async def test_a_vendor_that_hangs_says_nothing() -> None:
    """A vendor that hangs never answers, however long a client waits."""
    vendor = Vendor(HUNG)
    async with vendor.serving(), clients(vendor.port) as those:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(those.ask(read("any")), 0.1)
    assert len(vendor.calls) == 1


async def test_a_vendor_does_so_many_at_once() -> None:
    """The vendor serves a limited number of requests at once, and the others wait."""
    vendor = Vendor(Behaviour(seconds=0.02), at_once=3)
    async with vendor.serving(), clients(vendor.port) as those:
        answers = await in_turn(those, [read("any")], 10, after(0.3))
    assert vendor.most_at_once == 3
    assert answers
    assert all(each.is_good for each in answers)


async def test_a_stream_is_steady() -> None:
    """A stream of requests keeps its rate even if answers are slow."""
    vendor = Vendor(Behaviour(seconds=0.2))
    async with vendor.serving(), clients(vendor.port) as those:
        answers = await steadily(those, [read("any")], 100, after(0.5))
    assert 40 <= len(answers) <= 51
    assert all(each.is_good for each in answers)
