"""The banner of `jobgate serve`: URLs, settings, connections, and first requests to try."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from urllib.parse import quote

from gateway.domain.access import DEFAULT_CALLER
from gateway.domain.model import JobAction
from gateway.engine.connections import Connection, Directory
from gateway.specs.native import base_path


@dataclass(frozen=True)
class SandboxLines:
    """The sandbox's part of the banner. Its keys are for development, and are meant to be shown."""

    url: str
    key: str
    access_key: str


@dataclass(frozen=True)
class Used:
    """The sources of the settings, the place of the ledger, and the sandbox if it runs."""

    settings: str
    ledger: str
    sandbox: SandboxLines | None = None


@dataclass(frozen=True)
class Banner:
    """The banner. `trust` is the file of a self-signed certificate, which clients need.

    `admin` is the URL of the port for administration. `has_console` is whether the console is served.
    """

    url: str
    used: Used
    directory: Directory
    trust: str | None = None
    admin: str | None = None
    has_console: bool = False

    def text(self) -> str:
        """The whole text."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        sandbox = self.used.sandbox
        yield f"\nJobgate {version('jobgate')} is ready.\n"
        yield f"  API             {self.url}/v1"
        yield f"  Documentation   {self.url}/docs"
        if self.has_console:
            yield f"  Console         {self.url}/console"
        yield f"  Settings        {self.used.settings}"
        yield f"  Ledger          {self.used.ledger}"
        if self.admin is not None:
            yield f"  Metrics         {self.admin}/metrics"
        if self.trust is not None:
            yield f"  Certificate     {self.trust} (deleted at exit)"
        if sandbox is not None:
            yield f"  API key         {sandbox.key}"
            yield f"  Access key      {sandbox.access_key} (client id: {DEFAULT_CALLER})"
            yield f"  Sandbox         {sandbox.url} (control API: /control)"
        yield from self._connections()
        if sandbox is not None:
            yield "\nTry a request of each documented operation:\n"
            for connection in self.directory.connections.values():
                yield from self._curls(connection, sandbox.key)
        yield f"{'' if sandbox else chr(10)}Press Ctrl+C to stop.\n"

    def _connections(self) -> Iterator[str]:
        connections = self.directory.connections.values()
        yield "\n  Connections" if connections else "\n  The settings have no connection to a vendor yet."
        wide = max((len(each.name) for each in connections), default=0) + 2
        for connection in connections:
            yield f"    {connection.name:<{max(20, wide)}}{connection.vendor.name:<26}{connection.endpoint}"
        if connections:
            yield "\n  The vendors' own APIs, each for every connection"
            for vendor in self.directory.vendors:
                yield f"    {self.url}{base_path(vendor)}/{{connection}}"

    def _curls(self, connection: Connection, key: str) -> Iterator[str]:
        specification = connection.specification
        for operation, job_action in specification.samples():
            yield f"  # {specification.api.info['title']}: {operation.summary}"
            yield f"  {curl(self.url, key, connection.name, job_action, self.trust)}\n"


def sandbox_banner(url: str, endpoints: Iterable[str]) -> str:
    """The banner of `jobgate sandbox`."""
    lines = ["", "The Jobgate sandbox is ready.", "", *(f"  {url}{endpoint}" for endpoint in endpoints), ""]
    return "\n".join([*lines, f"  Control API     {url}/control/vendors", "", "Press Ctrl+C to stop.", ""])


def curl(url: str, key: str, connection: str, job_action: JobAction, trust: str | None = None) -> str:
    """A curl command for a job action."""
    trusting = f" --cacert {shlex.quote(trust)}" if trust else ""
    lines = [f"curl -X POST{trusting} -H 'Authorization: Bearer {key}'"]
    if job_action.parameters:
        lines += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(json.dumps(job_action.parameters))}"]
    job = f"{url}/v1/connections/{connection}/jobs/{quote(job_action.job_id, safe='')}"
    return " \\\n    ".join([*lines, f"{job}/{job_action.action}"])
