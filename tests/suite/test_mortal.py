"""Programs that tests and benchmarks start end with them, even if they are killed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.serving.process import SECONDS

ROOT = Path(__file__).parents[2]
START = """
import pathlib, subprocess, sys, time
from bench.processes import mortal as ours
from tests.support.mortal import mortal
for command in (mortal("sleep", "1000"), [*ours(), "sleep", "1000"]):
    pid = subprocess.Popen(command, stdout=subprocess.DEVNULL).pid
    while pathlib.Path(f"/proc/{pid}/comm").read_text() != "sleep\\n":
        time.sleep(0.01)
    print(pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv comes with util-linux")
def test_helpers_end_with_whoever_started_them() -> None:
    """After `kill -9` of the tests, none of their servers keeps a port."""
    command = [sys.executable, "-c", START]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        helpers = [int(process.stdout.readline()) for _ in range(2)]
        process.kill()
        process.wait(SECONDS)
    end = time.monotonic() + SECONDS
    while any(map(is_there, helpers)):
        assert time.monotonic() < end
        time.sleep(0.05)


def is_there(pid: int) -> bool:
    """Whether a process runs; one that nobody has asked for its end does not."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(") ")[2]
    except OSError:
        return False
    return not state.startswith("Z")
