"""The benchmark of starting: what is measured, and how it is judged."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from bench.memory import Memory
from bench.processes import BenchError, surroundings
from bench.startup import JOBGATE, STARTS, Spent, Start, Started, page, prepared, sandbox, spent

USED = Memory(50, 60, 61, 1_000, 70)
PAGE = Path(__file__).parents[2] / "docs" / "startup.md"


def taken(*cpu: float) -> tuple[Spent, ...]:
    """So much CPU time in each round, for which somebody waits half as long."""
    return tuple(Spent(each, each / 2) for each in cpu)


def test_a_ratio_is_judged_within_its_round() -> None:
    """The median of the ratios counts, so that a round on a busy machine is compared with itself."""
    quick = Started(Start("quick", ("a",), 1.5), taken(2.0, 20.0, 3.0), taken(1.0, 10.0, 1.0))
    slow = Started(Start("slow", ("a",), 1.5), taken(4.0, 40.0, 3.0), taken(1.0, 10.0, 1.0))
    assert (quick.ratio, slow.ratio) == (2.0, 4.0)
    made = page([quick, slow], USED, {"Processor": "A processor"})
    assert "| `quick` | 1.50 s | at most 1.5 s | met | 3.00 s | 2.0 times |" in made
    assert "| `slow` | 2.00 s | at most 1.5 s | **missed** | 4.00 s | 4.0 times |" in made


def test_the_cpu_of_a_command_is_counted() -> None:
    """A command that works costs more than one that sleeps, which takes its time all the same."""
    work = Start("work", (sys.executable, "-c", "sum(range(10**7))"), 1)
    sleep = Start("sleep", (sys.executable, "-S", "-c", "import time; time.sleep(0.5)"), 1)
    working, sleeping = spent(work, (), os.environ), spent(sleep, (), os.environ)
    assert working.cpu > sleeping.cpu > 0
    assert sleeping.wait > 0.5 > sleeping.cpu


def test_what_does_not_start_is_told() -> None:
    """A server that ends without being ready, and a command with a traceback, end the benchmark."""
    for start in (
        Start("serve", (JOBGATE, "serve", "--port", "70000"), 1, workers=1),
        Start("broken", (sys.executable, "-c", "1/0"), 1),
    ):
        with pytest.raises(BenchError, match="did not start"):
            spent(start, (), surroundings())


def test_a_served_sandbox_is_measured_until_it_is_ready(tmp_path: Path) -> None:
    """The sandbox is stopped once it is ready, and its CPU time is above zero."""
    served = next(each for each in STARTS if each.workers)
    assert spent(served, (), prepared(tmp_path)).cpu > 0.1


def test_the_running_gateway_is_asked(tmp_path: Path) -> None:
    """Commands for a gateway get an answer of the one that is served; without one, they end the benchmark."""
    asking = [each for each in STARTS if each.asks]
    assert [each.name for each in asking] == ["jobgate connections list", "jobgate jobs list"]
    with sandbox(tmp_path, ()) as asked:
        environment = {**prepared(tmp_path), **asked}
        assert all(spent(each, (), environment).cpu > 0 for each in asking)
    with pytest.raises(BenchError, match="connections list did not start"):
        spent(asking[0], (), environment)


def test_the_page_has_every_command() -> None:
    """docs/startup.md was made from what is measured today."""
    text = PAGE.read_text("utf-8")
    assert [each.name for each in STARTS if f"| `{each.name}` |" not in text] == []
    assert [f"{each.wait:g}" for each in STARTS if f"| at most {each.wait:g} s |" not in text] == []
