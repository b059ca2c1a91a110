"""The section about batches: a busy machine judges no target."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.batches import page
from bench.batches.measuring import STORAGES, Measured, Memory, Results

RESULTS = Results(
    "python -m bench batches",
    20_000,
    {"Date": "2026-11-28"},
    tuple(
        Measured(storage, number, 1_000.0, 300.0, 200.0, 1_500.0, 600.0, 900.0, 0.0, others)
        for storage in STORAGES
        for number, others in enumerate((0.0, 0.01, 0.9))
    ),
    (),
)
"""Three rounds, in one of which another program was busy."""


@pytest.mark.parametrize(("rate", "verdicts"), [(600.0, ["met", "met"]), (390.0, ["**missed**", "**missed**"])])
def test_one_disturbed_round_changes_no_verdict(rate: float, verdicts: list[str]) -> None:
    """The ratios are medians over the rounds, and so is what other programs did."""
    made = replace(RESULTS, rounds=tuple(replace(each, batch=rate) for each in RESULTS.rounds))
    assert [target[-1] for target in page.targets(made)] == verdicts


def test_a_busy_machine_judges_nothing() -> None:
    """Where other programs had the cores, a target is neither met nor missed, as in the section about workers."""
    busy = replace(RESULTS, rounds=tuple(replace(each, others=1.9) for each in RESULTS.rounds))
    assert {target[-1] for target in page.targets(busy)} == {"not judged: other programs had the cores"}
    assert "kept 1.90 cores busy in the median" in "\n".join(page.part(busy))


@pytest.mark.parametrize(("after", "verdict"), [(220.0, "met"), (221.0, "**missed**")])
def test_memory_is_to_be_flat(after: float, verdict: str) -> None:
    """The memory after the largest batch is judged by that after the smallest one."""
    sizes = (Memory(1_000, 150.0, 200.0, 1.0, 1.0), Memory(100_000, 200.0, after, 10.0, 20.0))
    *_, flat = page.targets(replace(RESULTS, memory=sizes))
    assert (flat[0], flat[-1]) == ("memory after 100,000 items, to that after 1,000", verdict)
