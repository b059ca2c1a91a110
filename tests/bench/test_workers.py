"""The figures of workers: ratios are those of a round, targets are honest, and CPU is told by kind of process."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench.load import Load
from bench.plots import svg
from bench.processes import Program, program
from bench.report import publish_workers
from bench.workers import page
from bench.workers.measuring import contender, cpu_of
from bench.workers.results import NUMBERS, PLACES, STORAGES, Measured, Place, Results, read

SPEED = {1: 1_000, 2: 1_600, 4: 1_500}
"""Requests in a second of each number of workers."""


def measured(place: Place, workers: int, number: int) -> Measured:
    """A measurement. Each round is as fast as the last one and a half."""
    requests = round(SPEED[workers] * 1.5**number)
    load = Load(requests, 1.0, 10.0, 15.0, 20.0, 0, 0, 0, 0, 0)
    cpu = {"workers": 250.0} | (
        {"writer": 50.0, "supervisor": 1.0} if workers > 1 and place.storage == "sqlite" else {}
    )
    return Measured(place, workers, number, load, cpu, 0.9, 0.05)


RESULTS = Results(
    "python -m bench workers",
    1,
    2,
    {"Date": "2026-11-28"},
    tuple(measured(place, workers, number) for place in PLACES for workers in NUMBERS for number in range(2)),
)


def test_ratios_are_those_of_a_round() -> None:
    """A ratio compares measurements of the same round, whatever the others were."""
    assert RESULTS.ratios(PLACES[0], 2) == [1.6, 1.6]


@pytest.mark.parametrize(("speed", "verdict"), [(1_600, "met"), (1_499, "**missed**")])
def test_targets_are_judged(speed: int, verdict: str) -> None:
    """A target that is missed is said to be missed."""
    slower = tuple(
        replace(each, load=replace(each.load, requests=speed)) if each.workers == 2 else measured(PLACES[0], 1, 0)
        for each in RESULTS.measurements
        if each.place == PLACES[0] and each.workers < 4 and each.round == 0
    )
    made = replace(
        RESULTS, rounds=1, measurements=(*slower, *(m for m in RESULTS.measurements if m.place != PLACES[0]))
    )
    target, *_ = page.targets(made)
    assert target[-1] == verdict


def test_a_busy_machine_judges_nothing() -> None:
    """Where other programs had the cores, a ratio says nothing of the gateway, good or bad."""
    busy = replace(RESULTS, measurements=tuple(replace(each, others=1.9) for each in RESULTS.measurements))
    assert {target[-1] for target in page.targets(busy)} == {"not judged: other programs had the cores"}


def test_the_section_has_every_process() -> None:
    """The table tells the CPU of workers, writer and supervisor, and the noise of the machine."""
    said = "\n\n".join(page.part(RESULTS, "benchmarks"))
    assert "| SQLite | 64 | 2 | 2,000 | 1.60 (1.60 to 1.60) | 10 ms | 20 ms | 0.90 | 250 µs | 50 µs | 1 µs |" in said
    assert "| PostgreSQL | 256 | 2 | 2,000 | 1.60 (1.60 to 1.60) | 10 ms | 20 ms | 0.90 | 250 µs | - | - |" in said
    assert "other programs kept 0.05 cores busy" in said
    assert svg(page.plot, RESULTS).startswith(b"<?xml")


def test_results_are_kept(tmp_path: Path) -> None:
    """A page that is written can be read again; a folder without a page gets none."""
    (written,) = publish_workers(tmp_path, RESULTS)
    assert read(written) == RESULTS
    assert read(tmp_path / "nothing.json") is None


def test_cpu_is_that_of_the_program(tmp_path: Path) -> None:
    """A program that computes has used CPU; alone, it is the worker."""
    command = (sys.executable, "-c", "while True: pass")
    with program(command, tmp_path / "log", {}) as running:
        deadline = 1_000
        while cpu_of(running)["workers"] < 50e6 and deadline:
            deadline -= 1
        assert set(cpu_of(running)) == {"workers"}
        assert cpu_of(running)["workers"] >= 50e6


def test_a_parent_is_the_supervisor(tmp_path: Path) -> None:
    """A process with others below it is their supervisor."""
    code = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'while True: pass']); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    try:
        made = Program(process, tmp_path / "log")
        while set(cpu_of(made)) != {"supervisor", "workers"}:
            assert process.poll() is None
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def test_contenders_are_served_as_the_product_is() -> None:
    """The number of workers is the product's own option, and each storage has its ledger."""
    assert contender("sqlite", 4).command[-2:] == ("--workers", "4")
    assert [contender(storage, 1).needs_postgresql for storage in STORAGES] == [False, True]
