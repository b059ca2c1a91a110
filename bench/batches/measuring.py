"""The measuring: in each round the bare client, single actions, and one batch, one after the other."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import requests
from pydantic import TypeAdapter

from bench import load
from bench.contenders import Contender, jobgate
from bench.machine import Cores
from bench.processes import BenchError, pinned
from bench.servers import RunningVendor, Server, running_vendor
from bench.work import CONNECTION, KEY
from bench.workers.measuring import cpu_of, quiet, spent

STORAGES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
CONNECTIONS = 64
"""Connections of the single actions."""
WAIT_SECONDS = 600
SIZES = (1_000, 10_000, 100_000)
"""Items of the batches whose memory is measured."""
Tell = Callable[[str], None]
"""Called with a description of the present step."""


@dataclass(frozen=True)
class Measured:
    """One round on one storage: actions per second, and the microseconds of CPU for each of them.

    `database` is the CPU of PostgreSQL's processes for each item; `others` the cores that other programs kept busy.
    """

    storage: str
    round: int
    bare: float
    bare_cpu: float
    single: float
    single_cpu: float
    batch: float
    batch_cpu: float
    database: float
    others: float


@dataclass(frozen=True)
class Memory:
    """The resident memory of a gateway after a batch of so many items, in MB, and the seconds to prepare it."""

    items: int
    before: float
    after: float
    prepared: float
    ran: float


@dataclass(frozen=True)
class Results:
    """The results of a run."""

    command: str
    items: int
    machine: Mapping[str, str]
    rounds: tuple[Measured, ...]
    memory: tuple[Memory, ...]

    @property
    def others(self) -> float:
        """The cores that other programs kept busy, in the median of the rounds."""
        return median(each.others for each in self.rounds)

    def ratios(self, storage: str, to: Callable[[Measured], float]) -> list[float]:
        """The ratio of the batch's rate to another one, in each round, sorted."""
        return sorted(each.batch / to(each) for each in self.rounds if each.storage == storage)

    def median(self, storage: str, figure: Callable[[Measured], float]) -> float:
        """The median of a figure over the rounds."""
        return median(figure(each) for each in self.rounds if each.storage == storage)


_RESULTS = TypeAdapter(Results)


def read(file: Path) -> Results | None:
    """Read results from a file, None if there are none."""
    return _RESULTS.validate_json(file.read_bytes()) if file.exists() else None


def write(file: Path, results: Results) -> None:
    """Write results into a file."""
    file.write_bytes(_RESULTS.dump_json(results, indent=1) + b"\n")


def contender(storage: str) -> Contender:
    """Jobgate with wide guard rails."""
    return Contender(
        storage,
        STORAGES[storage],
        "",
        jobgate("--no-access-log"),
        environment={"JOBGATE_BATCHES__MAX_ITEMS": "100000", "JOBGATE_BATCHES__MAX_SHARE": "1"},
        needs_postgresql=storage == "postgresql",
        with_keys=True,
    )


def measure(  # noqa: PLR0913, PLR0917 - the extent of a run
    items: int,
    rounds: int,
    cores: Cores,
    command: str,
    machine: Mapping[str, str],
    tell: Tell,
    *,
    sizes: tuple[int, ...] = SIZES,
) -> Results:
    """Make every measurement. Raises BenchError if a gateway does not start or a batch does not end."""
    made: list[Measured] = []
    memory: list[Memory] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        place = stack.enter_context(running_vendor(folder, 0.0, load=cores.load, cores=cores.contender))
        servers = {name: stack.enter_context(place.serving(contender(name))) for name in STORAGES}
        for number in range(rounds):
            for name, server in servers.items():
                tell(f"round {number + 1}: {STORAGES[name]}")
                made.append(once(place, server, name, number, items, cores))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        place = stack.enter_context(running_vendor(folder, 0.0, load=cores.load, cores=cores.contender))
        server = stack.enter_context(place.serving(contender("sqlite")))
        for size in sizes:
            tell(f"memory: {size:,} items")
            before = resident(server)
            prepared = prepare(server, place, size)
            ran = run(server, prepared)
            memory.append(Memory(size, before, resident(server), prepared["seconds"], ran))
    return Results(command, items, machine, tuple(made), tuple(memory))


def once(  # noqa: PLR0913, PLR0917 - one round
    place: RunningVendor, server: Server, storage: str, number: int, items: int, cores: Cores
) -> Measured:
    """Measure the bare client, single actions and a batch."""
    server.program.wait_until_idle()
    others = quiet(cores)
    bare = bare_client(place.upstream, items, cores)
    server.program.wait_until_idle()
    before = cpu_of(server.program).total()
    single = load.run(server.target, CONNECTIONS, 4, cores.load, with_keys=True)
    server.program.wait_until_idle()
    single_cpu = (cpu_of(server.program).total() - before) / 1e3 / max(single.requests, 1)
    prepared = prepare(server, place, items)
    server.program.wait_until_idle()
    before, database = cpu_of(server.program).total(), database_cpu()
    seconds = run(server, prepared)
    used, database = cpu_of(server.program).total() - before, database_cpu() - database
    return Measured(
        storage,
        number,
        items / bare["seconds"],
        bare["cpu"] * 1e6 / items,
        single.good,
        single_cpu,
        items / seconds,
        used / 1e3 / items,
        database / 1e3 / items if storage == "postgresql" else 0.0,
        others,
    )


def bare_client(upstream: str, items: int, cores: Cores) -> dict[str, float]:
    """The seconds and the CPU of the bare client."""
    command = [*pinned(cores.contender), sys.executable, "-m", "bench.batches.bare", upstream, str(items)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise BenchError(f"the bare client failed: {result.stderr}")
    said: dict[str, float] = json.loads(result.stdout)
    return said


def prepare(server: Server, place: RunningVendor, items: int) -> dict[str, Any]:
    """Prepare a batch of so many items. Returns it, with the seconds that it took."""
    requests.post(f"{place.upstream}/jobs/{items}", timeout=10).raise_for_status()
    body = {"action": "cancel", "reason": "bench", "select": {"filter": {"connections": [CONNECTION]}}}
    began = time.monotonic()
    batch = ask(server, "POST", "", body)
    batch = until(server, batch, {"awaiting_confirmation"})
    if batch["manifest"]["count"] != items:
        raise BenchError(f"the batch has other items: {batch['manifest']}")
    return {**batch, "seconds": time.monotonic() - began}


def run(server: Server, batch: Mapping[str, Any]) -> float:
    """Run a prepared batch. Returns the seconds in which it was running."""
    shown = batch["manifest"]
    ask(server, "POST", f"/{batch['id']}/confirm", {"manifestDigest": shown["digest"], "count": shown["count"]})
    ended = until(server, batch, {"completed"})
    if ended["progress"]["outcomes"] != {"applied": shown["count"]}:
        raise BenchError(f"not everything was applied: {ended['progress']}")
    seconds: float = ended["progress"]["activeSeconds"]
    return seconds


def until(server: Server, batch: Mapping[str, Any], states: set[str]) -> dict[str, Any]:
    """The batch once it is in one of these states."""
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        found = ask(server, "GET", f"/{batch['id']}")
        if found["state"] in states:
            return found
        if found["state"] in {"stopped", "aborted", "expired"}:
            raise BenchError(f"the batch ended otherwise: {found['state']} {found.get('why')}")
        time.sleep(0.5)
    raise BenchError("the batch does not end")


def ask(server: Server, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """One request about batches."""
    headers = {"Authorization": f"Bearer {KEY}"}
    reply = requests.request(method, f"{server.url}/v1/batches{path}", json=body, headers=headers, timeout=30)
    reply.raise_for_status()
    said: dict[str, Any] = reply.json()
    return said


def resident(server: Server) -> float:
    """The resident memory of a gateway, in MB."""
    return sum(int(fields[_RSS]) * 4_096 for _, fields in server.program.members()) / 1e6


_RSS = 21
"""Position of the resident pages in /proc/PID/stat, counted from the field after the name."""


def database_cpu() -> int:
    """The nanoseconds of CPU of all PostgreSQL processes."""
    used = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (folder / "comm").read_text().strip() == "postgres":
                used += sum(spent(each) for each in folder.glob("task/*"))
    return used
