"""Programs are stopped, whatever happens, and looked at with all that they started."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.processes import BenchError, Program, halted, program, surroundings
from tests.support.patience import PATIENCE, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the benchmark reads /proc")

FAMILY = (
    "import subprocess, sys, time\n"
    "held = bytearray(30_000_000)\n"
    "if len(sys.argv) == 1:\n"
    "    child = subprocess.Popen([sys.executable, __file__, 'child'])\n"
    "print('ready', flush=True)\n"
    "time.sleep(60)\n"
)
STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + FAMILY
BUSY = "import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass\n" + FAMILY


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """Where a program is written."""
    return tmp_path / "program.py"


def started(script: Path, text: str, meanwhile: Callable[[Program], None] = lambda _: None) -> Program:
    """Start a program with a child, do something when both are ready, and stop it. Gives what is left of it."""
    script.write_text(text, encoding="utf-8")
    with program((sys.executable, str(script)), script.with_name("log"), {}) as running:
        wait_until_ready(running)
        assert len(list(running.members())) == 2
        assert running.peak_memory() > 60
        meanwhile(running)
    return running


def wait_until_ready(running: Program) -> None:
    """Wait until the program and its child say so."""
    wait_until(lambda: running.log.read_text("utf-8").count("ready") >= 2)


def gone(running: Program) -> bool:
    """Whether nothing of it is left. What was killed may need a moment."""
    end = time.monotonic() + PATIENCE
    while list(running.members()) and time.monotonic() < end:
        time.sleep(0.02)
    return not list(running.members())


def test_it_is_stopped_with_its_children(script: Path) -> None:
    """A program is asked to stop, and its child is ended too."""
    assert gone(started(script, FAMILY))


def test_who_does_not_stop_is_ended(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that ignores the request to stop is killed."""
    monkeypatch.setattr("bench.processes.STOP_SECONDS", 0.2)
    assert gone(started(script, STUBBORN))


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, BenchError])
def test_it_is_stopped_after_an_error(script: Path, error: type[BaseException]) -> None:
    """Ctrl+C, an end from outside and an error leave nothing behind."""
    seen: list[Program] = []
    with pytest.raises(error):
        started(script, FAMILY, lambda running: fail_with(error, seen, running))
    assert gone(seen[0])


def fail_with(error: type[BaseException], seen: list[Program], running: Program) -> None:
    """Remember a program, and fail."""
    seen.append(running)
    raise error


def test_how_busy_it_is(script: Path) -> None:
    """The time of all its processes is counted, and it is idle when no more is added."""
    script.write_text(BUSY, encoding="utf-8")
    with program((sys.executable, str(script)), script.with_name("log"), {}) as running:
        wait_until_ready(running)
        running.wait_until_idle()
        assert 0.9 < running.busy_seconds() < 5


def test_cores(script: Path) -> None:
    """A program runs on the cores that it is given."""
    core = min(os.sched_getaffinity(0))
    script.write_text(FAMILY, encoding="utf-8")
    with program((sys.executable, str(script)), script.with_name("log"), {}, (core,)) as running:
        wait_until_ready(running)
        assert all(os.sched_getaffinity(int(folder.name)) == {core} for folder, _ in running.members())


def test_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither settings of Jobgate nor proxies reach a contender."""
    for name in ("JOBGATE_API_KEY", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "x")
    assert not {"JOBGATE_API_KEY", "HTTP_PROXY", "http_proxy"} & surroundings().keys()
    assert "PATH" in surroundings()


def test_halted_programs_take_no_cpu(tmp_path: Path) -> None:
    """A halted program computes nothing within the block, and goes on after it."""
    with program((sys.executable, "-c", "while True: pass"), tmp_path / "log", {}) as running:
        wait_until(lambda: running.busy_seconds() > 0.1)
        with halted([running]):
            wait_until(lambda: all(fields[0] == "T" for _, fields in running.members()))
            before = running.busy_seconds()
            time.sleep(0.2)
            assert running.busy_seconds() == before
        wait_until(lambda: running.busy_seconds() > before + 0.1)
