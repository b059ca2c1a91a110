"""`jobgate serve` with a ledger in SQLite and connections to the benchmark's own vendors."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench.machine import Cores
from bench.processes import HOST, BenchError, Program, free_port, program
from bench.resilience.clients import Clients, clients, written
from bench.resilience.vendor import Vendor
from bench.servers import SIGNING
from bench.work import KEY

READY_SECONDS = 30.0
_KIBIBYTE = 1_024
_CONNECTION = """
[connections.{name}]
vendor = "azure-job-router"
endpoint = "{url}"
plain_http = true
quota = "none"

[connections.{name}.authentication]
"""


@dataclass(frozen=True)
class Setting:
    """Settings that differ from the defaults."""

    policy: Mapping[str, float] = field(default_factory=dict)
    vendor_seconds: float | None = None

    def written(self, vendors: Mapping[str, Vendor]) -> str:
        """The settings file, with a connection to each vendor."""
        lines = [f'api_key = "{KEY}"', 'rate_limit = "none"']
        lines += [] if self.vendor_seconds is None else [f"vendor_seconds = {self.vendor_seconds}"]
        lines += ["[policy]", *(f"{name} = {value}" for name, value in self.policy.items())]
        connections = (_CONNECTION.format(name=name, url=each.url) + SIGNING for name, each in vendors.items())
        return "\n".join([*lines, *connections])


NO_BREAKER = Setting({"breaker_failures": 1_000})
"""Settings with a circuit breaker that does not open."""


@dataclass(frozen=True)
class Served:
    """A running gateway."""

    program: Program
    port: int

    def memory(self) -> float:
        """The present resident memory of its only process, in MB."""
        return _resident(Path(f"/proc/{self.program.process.pid}")) / 1e6

    def busy_seconds(self) -> float:
        """CPU seconds used so far."""
        return self.program.busy_seconds()


@dataclass(frozen=True)
class Place:
    """The folder for ledgers and logs, and the cores."""

    folder: Path
    cores: Cores

    @asynccontextmanager
    async def serving(
        self, name: str, vendors: Mapping[str, Vendor], setting: Setting
    ) -> AsyncIterator[tuple[Served, Clients]]:
        """Run a gateway with clients within the block. Raises BenchError if it does not start."""
        port = free_port()
        file = self.folder / f"{name}.toml"
        file.touch(0o600)
        file.write_text(setting.written(vendors), encoding="utf-8")
        command = [str(Path(sys.executable).with_name("jobgate")), "serve", "--no-access-log", "--config", str(file)]
        command += ["--host", HOST, "--port", str(port)]
        state = {"JOBGATE_STATE_FOLDER": str(self.folder / f"{name}-state")}
        # The vendors and the clients are in this event loop, so it must not be blocked.
        running = program(command, self.folder / f"{name}.log", state, self.cores.contender)
        started = await asyncio.to_thread(running.__enter__)
        try:
            async with clients(port) as those:
                await self._wait(started, those)
                yield Served(started, port), those
        finally:
            await asyncio.to_thread(running.__exit__, None, None, None)

    async def _wait(self, started: Program, those: Clients) -> None:
        """Wait until the gateway is ready. Raises BenchError if it does not start."""
        with suppress(TimeoutError):
            async with asyncio.timeout(READY_SECONDS):
                while not (await those.ask(written("GET", "/readyz"))).is_good and started.process.poll() is None:
                    await asyncio.sleep(0.05)
        if started.process.poll() is not None or not (await those.ask(written("GET", "/readyz"))).is_good:
            raise BenchError(f"jobgate did not start:\n{started.last_words()}")


def _resident(folder: Path) -> int:
    with suppress(OSError):
        for line in (folder / "status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * _KIBIBYTE
    return 0
