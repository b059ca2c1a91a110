"""`jobgate serve` as a process of its own, for tests that tell it to stop."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from gateway.serving.supervisor import WORKER
from gateway.serving.writing import NAME
from tests.support.mortal import mortal
from tests.support.patience import PATIENCE
from tests.support.served import url_of

KEY = "key-of-the-tests-of-serving"
SECONDS = 3 * PATIENCE
"""How long the whole program may take to start, to stop, or to answer."""
AT_LENGTH = "CHAOS_ROUNDS" in os.environ
"""Whether there is time, as `make chaos` has it: to start and to stop several workers takes long."""


@contextmanager
def served(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`jobgate serve` on a free port: the process and its URL."""
    command = mortal(str(Path(sys.executable).with_name("jobgate")), "serve", "--port", "0", *options)
    folder = TemporaryDirectory(prefix="jobgate-tests-")
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "JOBGATE_API_KEY": KEY, "JOBGATE_STATE_FOLDER": folder.name},
        start_new_session=True,
    )
    try:
        yield process, url_of(process)
    finally:
        # Whether or not it has ended: workers may be left of it, which are of its group.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=SECONDS)
        folder.cleanup()


def children(process: subprocess.Popen[str]) -> list[int]:
    """The workers of a server: the processes of its group that serve."""
    return [pid for pid, name in processes(process) if name == WORKER]


def writers(process: subprocess.Popen[str]) -> list[int]:
    """The processes of a server that write the ledger for its workers: one, or none."""
    return [pid for pid, name in processes(process) if name == NAME]


def origins(process: subprocess.Popen[str]) -> list[int]:
    """The process from which the workers of a server are forked: one, or none."""
    return [pid for pid, name, started in group(process) if "forkserver" in started and name not in {NAME, WORKER}]


def processes(process: subprocess.Popen[str]) -> list[tuple[int, str]]:
    """The other processes of a server, with their names, without those that only start and watch others."""
    return [
        (pid, name)
        for pid, name, started in group(process)
        if name in {NAME, WORKER} or "multiprocessing." not in started
    ]


def group(process: subprocess.Popen[str]) -> list[tuple[int, str, str]]:
    """All other processes of a server, with their names and the commands that they began with."""
    command = [shutil.which("ps") or "ps", "-A", "-ww", "-o", "pid=,pgid=,comm=,args="]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 3) for line in listed.splitlines()]
    return [
        (int(pid), name, "".join(started))
        for pid, leader, name, *started in rows
        if int(leader) == process.pid != int(pid)
    ]
