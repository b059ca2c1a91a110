"""Programs of the benchmark: started on given cores, observed while they run, and always stopped."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SERVED = ROOT / ".venv" / "served" / "bin"
"""The environment with what is served in production, and nothing else."""
HOST = "127.0.0.1"
START_SECONDS = 120.0
STOP_SECONDS = 20.0
IDLE_SECONDS = 120.0

TICKS = os.sysconf("SC_CLK_TCK")
"""Units of time in /proc for one second."""
_KIBIBYTE = 1_024
_SESSION, _USER, _SYSTEM = 3, 11, 12
"""Positions of these fields in /proc/PID/stat, counted from the field after the name."""


class BenchError(Exception):
    """The benchmark cannot continue. The message says why."""


def served_from() -> Path:
    """The folder of the Python that serves Jobgate: with the locked packages of production, if `make bench` made it."""
    return SERVED if (SERVED / "jobgate").exists() else Path(sys.executable).parent


@dataclass(frozen=True)
class Program:
    """A running program with all of its child processes, which form one session of the operating system."""

    process: subprocess.Popen[bytes]
    log: Path

    def members(self) -> Iterator[tuple[Path, list[str]]]:
        """The folder in /proc and the stat fields of each of its processes."""
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                fields = (folder / "stat").read_text().rpartition(") ")[2].split()
                if int(fields[_SESSION]) == self.process.pid:
                    yield folder, fields

    def busy_seconds(self) -> float:
        """CPU seconds used so far."""
        return sum(int(fields[_USER]) + int(fields[_SYSTEM]) for _, fields in self.members()) / TICKS

    def peak_memory(self) -> float:
        """The sum of the peak resident memory of its processes, in MB."""
        return sum(_peak(folder) for folder, _ in self.members()) / 1e6

    def wait_until_it_listens(self, port: int) -> None:
        """Wait until a port accepts connections. Raises BenchError if the program ends first or takes too long."""
        end = time.monotonic() + START_SECONDS
        while not listens(port):
            if self.process.poll() is not None or time.monotonic() > end:
                raise BenchError(f"it did not start listening on port {port}:\n{self.last_words()}")
            time.sleep(0.02)

    def wait_until_idle(self) -> None:
        """Wait until remaining work is done. Raises BenchError if it takes too long."""
        end = time.monotonic() + IDLE_SECONDS
        before = -1.0
        while (now := self.busy_seconds()) > before:
            if time.monotonic() > end:
                raise BenchError(f"it is still at work {IDLE_SECONDS:.0f} seconds after the load ended.")
            before = now
            time.sleep(0.2)

    def last_words(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-15:])


@contextmanager
def program(
    command: Sequence[str], log: Path, environment: Mapping[str, str], cores: Iterable[int] = ()
) -> Iterator[Program]:
    """Run a command within the block, on these cores or, if none are given, on any."""
    with log.open("wb") as writing:
        process = subprocess.Popen(
            [*mortal(), *pinned(cores), *command],
            cwd=ROOT,
            env={**surroundings(), **environment},
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Program(process, log)
    finally:
        stop(process)


@contextmanager
def halted(programs: Iterable[Program]) -> Iterator[None]:
    """Halt programs within the block, so that not even their timers take CPU from another one."""
    kept = list(programs)
    try:
        for each in kept:
            signal_all(each.process, signal.SIGSTOP)
        yield
    finally:
        for each in kept:
            signal_all(each.process, signal.SIGCONT)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a program to stop, then kill its remaining processes."""
    try:
        signal_all(process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    finally:
        signal_all(process, signal.SIGKILL)
        process.wait()


def signal_all(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to a program and its child processes."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def pinned(cores: Iterable[int]) -> tuple[str, ...]:
    """The prefix of a command that makes it run on these cores."""
    listed = ",".join(map(str, cores))
    return ("taskset", "--cpu-list", listed) if listed else ()


def mortal() -> tuple[str, ...]:
    """The prefix of a command that makes the kernel kill it when this process ends."""
    found = shutil.which("setpriv")
    return (found, "--pdeathsig", "KILL") if found else ()


def surroundings() -> dict[str, str]:
    """This process's environment without Jobgate's settings and proxies, so that requests stay on loopback."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("JOBGATE_") and not name.lower().endswith("_proxy")
    }


def free_port() -> int:
    """A free port."""
    with socket.create_server((HOST, 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def listens(port: int) -> bool:
    """True if a port accepts connections."""
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False


def _peak(folder: Path) -> int:
    with suppress(OSError):
        for line in (folder / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * _KIBIBYTE
    return 0
