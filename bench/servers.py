"""Running contenders and their vendor."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from bench.contenders import NODE, Contender
from bench.postgresql import postgresql
from bench.processes import HOST, ROOT, BenchError, Program, free_port, program, served_from
from bench.work import CONNECTION, KEY

SETTINGS = """\
api_key = "{key}"
rate_limit = "none"

[connections.{connection}]
vendor = "azure-job-router"
endpoint = "{upstream}"
plain_http = true
quota = "none"

[connections.{connection}.authentication]
"""
GRANTED = """\
kind = "client-credentials"
scheme = "entraId"
client_id = "bench"
client_secret = "bench"
token_url = "{upstream}/token"
"""
SIGNING = """\
kind = "signature"
scheme = "accessKey"
secret = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
"""
"""Jobgate's settings with two kinds of authentication at the vendor. The secrets are made up."""


@dataclass(frozen=True)
class Server:
    """A running contender."""

    contender: Contender
    url: str
    program: Program

    @property
    def target(self) -> str:
        """The URL to which the work's request is sent."""
        return self.url + self.contender.target


@dataclass(frozen=True)
class RunningVendor:
    """A running vendor, with the cores and the folder for its contenders."""

    vendor: Program
    upstream: str
    folder: Path
    cores: tuple[int, ...]

    @contextmanager
    def serving(self, contender: Contender) -> Iterator[Server]:
        """Run a contender within the block."""
        if not contender.command:
            yield Server(contender, self.upstream, self.vendor)
            return
        port = free_port()
        command = [self._filled(each, port) for each in contender.command]
        environment = {
            "BENCH_DOCUMENT": str(self.folder / "gateway.json"),
            "BENCH_PORT": str(port),
            "BENCH_UPSTREAM": self.upstream,
            "NODE_ENV": "production",
            **contender.environment,
        }
        log = self.folder / f"{contender.name}.log"
        with self._ledger(contender) as ledger, program(command, log, {**environment, **ledger}, self.cores) as started:
            try:
                started.wait_until_it_listens(port)
            except BenchError as error:
                raise BenchError(f"{contender.name}: {error}") from error
            yield Server(contender, f"http://{HOST}:{port}", started)

    @contextmanager
    def _ledger(self, contender: Contender) -> Iterator[Mapping[str, str]]:
        """The settings for a ledger of Jobgate that only this contender uses."""
        if not contender.needs_postgresql:
            yield {"JOBGATE_STATE_FOLDER": str(self.folder / f"{contender.name}-state")}
            return
        with postgresql() as address:
            yield {"JOBGATE_DATABASE_URL": address}

    def _filled(self, text: str, port: int) -> str:
        return text.format(
            port=port,
            upstream=self.upstream,
            bin=Path(sys.executable).parent,
            served=served_from(),
            node=NODE,
            folder=self.folder,
        )


@contextmanager
def running_vendor(
    folder: Path, delay: float, *, load: Iterable[int] = (), cores: Iterable[int] = ()
) -> Iterator[RunningVendor]:
    """A vendor that answers after `delay` seconds, on the cores `load`. Its contenders run on `cores`."""
    port = free_port()
    upstream = f"http://{HOST}:{port}"
    write_files(folder, upstream)
    command = (sys.executable, "-m", "bench.upstream", str(port), "--delay", str(delay))
    with program(command, folder / "vendor.log", {}, load) as vendor:
        vendor.wait_until_it_listens(port)
        yield RunningVendor(vendor, upstream, folder, tuple(cores))


def write_files(folder: Path, upstream: str) -> None:
    """Write the files that contenders read when they start."""
    for name, authentication in (("jobgate.toml", GRANTED), ("jobgate-signing.toml", SIGNING)):
        settings = (SETTINGS + authentication).format(key=KEY, connection=CONNECTION, upstream=upstream)
        (folder / name).touch(0o600)
        (folder / name).write_text(settings, encoding="utf-8")
    (folder / "gateway.json").write_text(json.dumps(document_for_node()), encoding="utf-8")


def document_for_node() -> object:
    """The gateway's document in a form that node's libraries can read.

    It is JSON, because they do not support merge keys in YAML. It has no responses, because express-openapi-validator
    mistakes the ids in their links for schema ids, and fastify would validate answers by them, which the other
    contenders do not. It has no scopes, which the libraries do not support.
    """
    document = yaml.safe_load((ROOT / "specs/gateway.yaml").read_text("utf-8"))
    document["security"] = [{"bearer": []}]
    for item in document["paths"].values():
        for operation in item.values():
            operation.pop("security", None)
            operation["responses"] = {"default": {"description": "Anything."}}
    return document
