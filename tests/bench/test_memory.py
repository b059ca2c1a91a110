"""The benchmark of memory: what it reads of workers, and how it is judged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench.memory import LIMITS, Memory, part, sizes
from bench.processes import Program
from gateway.serving.supervisor import WORKER
from tests.support.mortal import mortal
from tests.support.patience import wait_until

NAMED = f"from gateway.serving.supervisor import show_as; show_as({WORKER!r}); kept = b'x' * 50_000_000; input()"


def test_the_memory_of_workers_is_read() -> None:
    """The size of a process with the name of workers counts, and no other's."""
    command = mortal(sys.executable, "-c", NAMED)
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as process:
        program = Program(process, Path())
        wait_until(lambda: any(size > 50 for size in sizes(program)))
        assert len(sizes(program)) == 1
        process.communicate(b"\n")


def test_each_moment_is_judged() -> None:
    """A figure above its limit is shown as missed, and one below it as met."""
    made = part(Memory(idle=101, after=120, later=126, more=7_000, in_flight=121))
    assert "| Idle | 101 MB | at most 100 MB | **missed** |" in made
    assert "| After 10,000 requests | 120 MB | at most 120 MB | met |" in made
    assert "| With 1,000 requests in flight | 121 MB | at most 120 MB | **missed** |" in made
    assert "| Growth by the requests after the first 10,000 | 6 MB | at most 5 MB | **missed** |" in made
    assert "by 7,000 requests" in made
    assert len(LIMITS) == 4
