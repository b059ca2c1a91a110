"""Medians, and ratios within a round."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bench.results import Measurement, NotMeasured, Place, Results, latency, read, slowest, throughput, write

BUSY = Place("at-once", 64)


def test_median(results: Results) -> None:
    """Figures are medians over the rounds."""
    assert results.median(BUSY, "floor", throughput) == 5_001
    assert results.median(BUSY, "floor", latency) == pytest.approx(1_000 * 64 / 5_001)
    assert results.median(BUSY, "floor", slowest) == pytest.approx(3_000 * 64 / 5_001)
    assert results.memory(BUSY, "floor") == 82
    assert results.errors(BUSY, "floor") == 0


def test_ratio_is_made_within_a_round(edited: Callable[..., Results]) -> None:
    """A round in which the machine was slow for all changes no ratio."""

    def slow(each: Measurement) -> Measurement:
        factor = (1, 3, 7)[each.round]
        return replace(each, load=replace(each.load, seconds=each.load.seconds * factor))

    assert edited(slow).ratio(BUSY, "jobgate", "floor", throughput) == pytest.approx(0.6, rel=0.001)


def test_ratio_to_nothing(edited: Callable[..., Results]) -> None:
    """Beside a contender that answered nothing, everything is infinitely much."""
    made = edited(
        lambda each: replace(each, load=replace(each.load, requests=0)) if each.contender == "prism" else each
    )
    assert made.ratio(BUSY, "jobgate", "prism", throughput) == float("inf")


def test_fastest_first(results: Results) -> None:
    """Contenders come in the order of their throughput."""
    assert results.contenders(BUSY)[:4] == ("straight", "fastify", "floor", "jobgate-without-ledger")
    assert results.contenders(Place("at-once", 65)) == ()


def test_not_measured(results: Results) -> None:
    """What was left out has no figure."""
    with pytest.raises(NotMeasured):
        results.median(Place("after-50-ms", 64), "straight", throughput)


def test_disturbed(edited: Callable[..., Results]) -> None:
    """Measurements during which something else was at work are counted."""
    assert edited(lambda each: replace(each, others=0.2 if each.round == 1 else 0.01)).disturbed() == 76
    late = edited(
        lambda each: replace(each, load=replace(each.load, seconds=4.6 if each.contender == "prism" else 4.4))
    )
    assert late.disturbed() == 3 * 7


def test_they_are_kept(results: Results, tmp_path: Path) -> None:
    """What is written is read again unchanged."""
    file = tmp_path / "deep" / "results.json"
    write(file, results)
    assert read(file) == results
