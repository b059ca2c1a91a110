"""Load: wrk sends the work's request repeatedly, on a number of connections at the same time."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from bench.processes import BenchError, pinned
from bench.work import WORK

SCRIPT = Path(__file__).with_name("load.lua")
TIMEOUT_SECONDS = 2
"""An answer that takes longer counts as an error. It is also wrk's default."""
_LATE_SECONDS = 0.5


@dataclass(frozen=True)
class Load:
    """The results of wrk. Latencies are in milliseconds, errors are numbers of requests or connections."""

    requests: int
    seconds: float
    p50: float
    p90: float
    p99: float
    status: int
    connect: int
    read: int
    write: int
    timeout: int

    @property
    def good(self) -> float:
        """Requests per second that were answered successfully and in time."""
        return (self.requests - self.status - self.timeout) / self.seconds

    def held_up(self, planned: float) -> bool:
        """True if the run took longer than planned, because wrk did not get enough CPU."""
        return self.seconds > planned + _LATE_SECONDS

    @property
    def errors(self) -> int:
        """The number of all errors."""
        return self.status + self.connect + self.read + self.write + self.timeout


def run(url: str, connections: int, seconds: int, cores: Iterable[int] = (), *, with_keys: bool = False) -> Load:
    """Put load on a URL. `with_keys`: each request has its own idempotency key. Raises BenchError if wrk fails."""
    prefix = f"{uuid4()}-" if with_keys else ""
    command = [
        *pinned(cores),
        "wrk",
        *f"--threads 1 --connections {connections} --duration {seconds}s --timeout {TIMEOUT_SECONDS}s".split(),
        *("--script", str(SCRIPT), url, "--", WORK.body, prefix),
        *(part for header in WORK.headers.items() for part in header),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise BenchError(f"wrk failed: {result.stdout}{result.stderr}")
    return parse(result.stdout)


def parse(output: str) -> Load:
    """Parse the report at the end of wrk's output. Raises BenchError if there is none."""
    try:
        said = json.loads(output.splitlines()[-1])
        milliseconds = {name: said.pop(name) / 1_000 for name in ("p50", "p90", "p99")}
        return Load(seconds=said.pop("microseconds") / 1e6, **milliseconds, **said)
    except (IndexError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise BenchError(f"wrk printed no report: {output}") from error
