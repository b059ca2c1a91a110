"""Backups of a ledger in SQLite. A backup is verified when it is made, and again before it is put in place."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.ledger.addresses import UnusableDatabase
from gateway.ledger.audit import NOTHING, Advance, AuditResult, Proof, verify
from gateway.ledger.database import FILE_NAME, Database
from gateway.ledger.diagnosis import diagnosis
from gateway.ledger.sqlite_files import Progress, copy, exclusively


class BrokenBackup(Exception):
    """A copy of a ledger is not whole. The message says where it is broken."""


@dataclass(frozen=True)
class Shown:
    """The progress of copying, and of reading the copy."""

    copied: Progress
    read: Advance


def back_up(source: Path, target: Path, shown: Shown, proof: Proof = NOTHING, *, is_replacing: bool) -> AuditResult:
    """Copy a ledger into a new file, verify the copy, and return the result. Others can use the ledger meanwhile.

    Raises BrokenBackup, FileExistsError unless `is_replacing`, OSError, UnusableDatabase and LedgerUnavailable.
    """
    with _copied(source, target.parent, shown.copied) as draft:
        draft.require()
        result = _verified(draft, shown.read, proof)
        put_in_place(draft, target, is_replacing=is_replacing)
    return result


def restore(backup: Path, target: Path, aside: Path, shown: Shown, proof: Proof = NOTHING) -> AuditResult:
    """Verify a copy of a backup, and put it in place of a ledger, brought up to date. The backup itself stays.

    A ledger that is there gets the name `aside`.

    Raises BrokenBackup, OSError, LedgerUnavailable, and UnusableDatabase if it is no ledger or `target` is in use.
    """
    leftover = target.with_name(f"{target.name}-wal")
    if leftover.exists() and not target.exists():
        raise UnusableDatabase(f"{leftover} belongs to a ledger that is not there. Move it away first.")
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _copied(backup, target.parent, shown.copied) as draft:
        if draft.version() is None:
            raise UnusableDatabase(f"{backup} contains no ledger.")
        draft.migrate()
        result = _verified(draft, shown.read, proof)
        if target.exists():
            with exclusively(target):
                os.link(target, aside)
                put_in_place(draft, target, is_replacing=True)
        else:
            put_in_place(draft, target, is_replacing=False)
    return result


def put_in_place(draft: Database, target: Path, *, is_replacing: bool) -> None:
    """Let go of a database, and give its file a name. Raises FileExistsError unless `is_replacing`, and OSError."""
    file = Path(draft.name)
    draft.dispose()
    with file.open("rb+") as opened:
        os.fsync(opened.fileno())
    if is_replacing:
        file.replace(target)
    else:
        # Unlike a rename, a link replaces nothing.
        os.link(file, target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _copied(source: Path, folder: Path, progress: Progress) -> Iterator[Database]:
    """A copy of a SQLite file, in a folder of its own that is deleted after the block. Raises UnusableDatabase."""
    with tempfile.TemporaryDirectory(prefix=".jobgate-", dir=folder) as draft:
        file = Path(draft) / FILE_NAME
        file.touch(mode=0o600)
        try:
            copy(source, file, progress)
        except sqlite3.Error as error:
            raise UnusableDatabase(f"{source} cannot be copied: {diagnosis(error)}") from error
        database = Database.in_folder(Path(draft))
        try:
            yield database
        finally:
            database.dispose()


def _verified(database: Database, advance: Advance, proof: Proof) -> AuditResult:
    result = verify(database, advance, proof)
    if result.finding is not None:
        raise BrokenBackup(str(result.finding))
    return result
