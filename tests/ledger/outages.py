"""Ways in which a database fails while it is used, and comes back."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from gateway.ledger.database import Database
from tests.support.databases import PostgreSQL, sqlite_address

LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""
"""A program that locks a SQLite file until its input ends."""

NO_LIMIT = 2**30


@dataclass
class Outage:
    """A database that fails between `begin` and `end`. `reads`: what is there can still be read meanwhile."""

    database: Database
    breaks: Callable[[], AbstractContextManager[None]]
    reads: bool = True
    _running: ExitStack = field(default_factory=ExitStack)

    def begin(self) -> None:
        """Let it fail from now on."""
        self._running.enter_context(self.breaks())

    def end(self) -> None:
        """Let it work again."""
        self._running.close()


@contextmanager
def locked(folder: Path) -> Iterator[Outage]:
    """Another process holds the lock of a SQLite file for longer than anybody waits."""
    database = Database.at(sqlite_address(folder))

    @contextmanager
    def breaks() -> Iterator[None]:
        command = [sys.executable, "-c", LOCK, database.name]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "locked\n"
            yield
            process.communicate(timeout=20)

    yield Outage(database, breaks)


@contextmanager
def limited(folder: Path, pragma: str, undo: str) -> Iterator[Outage]:
    """SQLite itself is told what it may not do any more, by a pragma."""
    database = Database.at(sqlite_address(folder))
    told = undo

    def tell(connection: Any, *_: object) -> None:
        connection.execute(f"PRAGMA {told}")

    @contextmanager
    def breaks() -> Iterator[None]:
        nonlocal told
        told = pragma
        yield
        told = undo

    event.listen(database.writing, "checkout", tell)
    yield Outage(database, breaks)


def read_only(folder: Path) -> AbstractContextManager[Outage]:
    """A SQLite file that cannot be written, as on a file system that the system has made read-only."""
    return limited(folder, "query_only = ON", "query_only = OFF")


def full(folder: Path) -> AbstractContextManager[Outage]:
    """A SQLite file that cannot grow, which is how a full disk shows; what fits into its last pages is still taken."""
    return limited(folder, "max_page_count = 1", f"max_page_count = {NO_LIMIT}")


@contextmanager
def disk_full(_folder: Path) -> Iterator[Outage]:
    """A disk that is full to the last byte. Only who may mount one can test this."""
    disk = Path(tempfile.mkdtemp(prefix="jobgate-disk-"))
    mount, umount = shutil.which("mount"), shutil.which("umount")
    command = [str(mount), "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    if mount is None or umount is None or os.getuid() != 0 or subprocess.run(command, check=False).returncode != 0:
        disk.rmdir()
        pytest.skip("no disk can be mounted here")
    filler = disk / "filler"

    @contextmanager
    def breaks() -> Iterator[None]:
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4_096))
        yield
        filler.unlink()

    database = Database.at(sqlite_address(disk))
    try:
        yield Outage(database, breaks)
    finally:
        database.dispose()
        subprocess.run([umount, str(disk)], check=True)
        disk.rmdir()


@contextmanager
def cut_off(server: PostgreSQL) -> Iterator[Outage]:
    """A PostgreSQL server ends every connection to a database, and takes no more."""
    address = server.emptied()

    @contextmanager
    def breaks() -> Iterator[None]:
        server.cut_off(address)
        try:
            yield
        finally:
            server.let_in(address)

    yield Outage(Database.at(address), breaks, reads=False)


@contextmanager
def stopped(server: PostgreSQL) -> Iterator[Outage]:
    """A PostgreSQL server is stopped, and started again."""

    @contextmanager
    def breaks() -> Iterator[None]:
        server.stop()
        try:
            yield
        finally:
            server.start()

    yield Outage(Database.at(server.emptied()), breaks, reads=False)


def outage_of(kind: str, request: pytest.FixtureRequest) -> AbstractContextManager[Outage]:
    """A database that can fail in one of the ways, by its name."""
    if kind in {"cut off", "stopped"}:
        server: PostgreSQL = request.getfixturevalue("postgresql")
        return cut_off(server) if kind == "cut off" else stopped(server)
    ways = {"locked": locked, "read-only": read_only, "full": full, "disk full": disk_full}
    return ways[kind](request.getfixturevalue("tmp_path"))
