"""The measuring: who is measured, in which order, and what is done when something holds it up."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest

from bench import measure
from bench.load import Load
from bench.machine import Cores
from bench.plan import AFTER_100_MS, EXTRAS, Plan

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the benchmark reads /proc")

CORES = Cores((), ())
"""Programs run wherever there is room."""
GOOD = Load(100, 1.0, 1.0, 2.0, 3.0, 0, 0, 0, 0, 0)


class Wrk:
    """Stands in for wrk: remembers what it was asked for, and gives what it is told to."""

    def __init__(self, *loads: Load) -> None:
        """Give these one after another, and then for ever a good one."""
        self._loads: Iterator[Load] = iter(loads)
        self.asked: list[tuple[int, int]] = []

    def __call__(self, url: str, connections: int, seconds: int, _: Iterable[int], *, with_keys: bool) -> Load:
        """Put no load on anything."""
        assert not with_keys
        assert url.endswith(("/cancel", ":cancel?api-version=2023-11-01"))
        self.asked.append((connections, seconds))
        return next(self._loads, GOOD)


@pytest.fixture
def plan() -> Plan:
    """A run of two sections with two contenders each."""
    contenders = ("floor", "straight")
    sections = tuple(replace(each, contenders=contenders) for each in (AFTER_100_MS, EXTRAS))
    return Plan(sections, seconds=2, rounds=2, warm_up=1)


def test_whole_plan(monkeypatch: pytest.MonkeyPatch, plan: Plan) -> None:
    """Every contender is verified, warmed up and measured; in each round another one is first."""
    wrk, said = Wrk(), list[str]()
    monkeypatch.setattr("bench.load.run", wrk)
    made = list(measure.measure(plan, CORES, said.append))
    assert len(made) == plan.length == 12
    assert [(each.round, each.connections, each.contender) for each in made[:8]] == [
        (0, 64, "floor"),
        (0, 64, "straight"),
        (0, 1_000, "floor"),
        (0, 1_000, "straight"),
        (1, 64, "straight"),
        (1, 64, "floor"),
        (1, 1_000, "straight"),
        (1, 1_000, "floor"),
    ]
    assert wrk.asked[:3] == [(1_000, 1), (1_000, 1), (64, 2)]
    assert said[:2] == ["checking floor", "checking straight"]
    assert all(each.memory > 10 for each in made)


def test_held_up(monkeypatch: pytest.MonkeyPatch, plan: Plan) -> None:
    """A measurement that takes much longer than planned is repeated a limited number of times."""
    late = replace(GOOD, seconds=30.0)
    warm = (GOOD,) * 2
    monkeypatch.setattr("bench.load.run", Wrk(*warm, late, GOOD, late, late, late))
    section = replace(plan, sections=plan.sections[1:])
    made = list(measure.measure(section, CORES, lambda _: None))
    assert [each.load.seconds for each in made] == [1.0, 30.0, 1.0, 1.0]
