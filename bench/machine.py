"""The machine: checks of its requirements, assignment of its cores, and its description."""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from sqlite3 import sqlite_version
from tempfile import gettempdir

from bench.contenders import MODULES, node_is_missing
from bench.processes import SERVED, TICKS, BenchError, served_from

FILES = 20_000
"""Largest number of open files of the vendor: a thousand for each contender, and some more."""
LIBRARIES = (
    *("jobgate", "aiohttp", "connexion", "fastapi", "flask", "httptools", "httpx", "psycopg", "requests"),
    *("sqlalchemy", "starlette", "uvicorn", "uvloop"),
)
PACKAGES = (
    *("@stoplight/prism-cli", "express", "express-openapi-validator", "fastify", "fastify-openapi-glue", "undici"),
)
TOOLS = {
    "wrk": "wrk generates the load, and it is not installed: apt-get install wrk",
    "taskset": "taskset assigns programs to cores, and it is not installed: apt-get install util-linux",
}
_SYSTEM = 3
"""Number of the fields in a line of /proc/stat that count program time: user, nice and system."""


@dataclass(frozen=True)
class Cores:
    """One core for the contender, another for vendor and load."""

    contender: tuple[int, ...]
    load: tuple[int, ...]

    @property
    def both(self) -> tuple[int, ...]:
        """All of these cores."""
        return (*self.contender, *self.load)

    def busy_seconds(self) -> float:
        """Seconds for which the contender's core has been busy with any program."""
        lines = (line.split() for line in Path("/proc/stat").read_text("utf-8").splitlines())
        names = {f"cpu{core}" for core in self.contender}
        return sum(int(ticks) for name, *fields in lines if name in names for ticks in fields[:_SYSTEM]) / TICKS


def prepare() -> Cores:
    """Prepare this process for measuring, and return the cores. Raises BenchError if a requirement is missing."""
    if sys.platform != "linux":
        raise BenchError("the benchmark runs on Linux only: it assigns programs to cores and reads /proc.")
    for tool, message in TOOLS.items():
        if shutil.which(tool) is None:
            raise BenchError(message)
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) == 1:
        raise BenchError("the benchmark needs two cores: one for the contender, one for vendor and load.")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, FILES), most))
    # What this process does meanwhile, such as drawing a progress bar, is not to disturb the contender.
    os.sched_setaffinity(0, cores[1:2])
    return Cores((cores[0],), (cores[1],))


def described() -> dict[str, str]:
    """Facts about this machine that a reader needs where everything is measured."""
    return {**with_ledgers(), **dict(_with_contenders())}


def with_ledgers() -> dict[str, str]:
    """The facts that also matter where only ledgers are measured."""
    return dict(_with_ledgers())


def _with_ledgers() -> Iterator[tuple[str, str]]:
    yield "Date", datetime.now(UTC).date().isoformat()
    yield "Processor", _processor()
    yield "Cores", str(os.cpu_count())
    yield "Memory", f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB"
    yield "System", f"{platform.system()} {platform.release().partition('-')[0]}"
    yield "Ledgers on", file_system(Path(gettempdir()), Path("/proc/mounts").read_text("utf-8"))
    yield "Python", f"{platform.python_implementation()} {platform.python_version()}"
    yield "SQLite", sqlite_version
    is_as_in_production = served_from() == SERVED
    yield "Jobgate runs with", "the packages of production" if is_as_in_production else "the packages of development"


def file_system(folder: Path, mounts: str) -> str:
    """The file system of a folder, by a list such as /proc/mounts. On `tmpfs`, commits cost nothing."""
    fields = (line.split() for line in mounts.splitlines())
    kinds = {Path(place): kind for _, place, kind, *_ in fields}
    return next(kinds[each] for each in (folder, *folder.parents) if each in kinds)


def _with_contenders() -> Iterator[tuple[str, str]]:
    yield "Libraries", ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    if node_is_missing() is None:
        yield "Node", _output("node", "--version").strip().removeprefix("v")
        yield "Packages", ", ".join(f"{name} {_package(name)}" for name in PACKAGES)
    yield "Load", " ".join(_output("wrk", "-v").split()[:2])


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())


def _package(name: str) -> str:
    described: dict[str, str] = json.loads((MODULES / name / "package.json").read_text("utf-8"))
    return described["version"]


def _output(*command: str) -> str:
    # wrk prints its version and then exits with an error status.
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
