"""Writing of checkpoints during operation, and comparison of the ledger with the newest one."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, bindparam, select, update

from gateway.domain.errors import LedgerUnavailable
from gateway.domain.model import Outcome
from gateway.domain.ports import Clock
from gateway.ledger.addresses import UnusableDatabase
from gateway.ledger.checkpoints import Checkpoint, CheckpointFile, SegmentState, deletion_of, difference, states_in
from gateway.ledger.database import Database, storage_failures
from gateway.ledger.events import Restored
from gateway.ledger.notes import Signer, UnusableKey
from gateway.ledger.operations import add_events, event_row
from gateway.ledger.tables import segments

log = logging.getLogger(__name__)

NO_TIME = timedelta(0)
BEFORE_STATEMENTS = "before version 0004\n"
"""The stored value for segments that were deleted before retention made statements."""


class UnusableCheckpoints(UnusableDatabase):
    """Checkpoints cannot be written. The message says how to fix it."""


@dataclass(frozen=True)
class CheckpointLocation:
    """The file of checkpoints and their signer. If it is not `is_wanted`, the gateway can run without checkpoints."""

    path: Path
    signer: Callable[[], Signer]
    key_file: Path | None = None
    is_wanted: bool = True

    @property
    def has_key(self) -> bool:
        """True if the signing key exists, so that asking for the signer does not create one."""
        return self.key_file is None or self.key_file.exists()

    def open(self) -> CheckpointFile:
        """Open the file, and create it if needed. Raises UnusableCheckpoints."""
        try:
            file = CheckpointFile(self.path, self.signer())
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
        except UnusableKey as error:
            raise UnusableCheckpoints(f"checkpoints.key: {error}") from None
        except OSError as error:
            raise UnusableCheckpoints(
                f"checkpoints cannot be kept in {self.path}: {error.strerror}. Name a folder that this user can "
                "write to as `state_folder`, or set `checkpoints.file` and `checkpoints.key`."
            ) from error
        return file


def _outdated_message(ledger: str, lost: str) -> str:
    """The message about a ledger that does not match its newest checkpoint."""
    return (
        f"the ledger {ledger} does not match its newest checkpoint: {lost}. Actions are refused, since "
        "idempotency keys may be lost. Restore the newest ledger, or serve with --accept-restored-ledger."
    )


@dataclass
class Checkpoints:
    """The checkpoints of a ledger. Every method blocks, and raises LedgerUnavailable and OSError.

    `outdated` describes the difference if the ledger is older than its newest checkpoint, or another one. Otherwise it
    is None.
    """

    database: Database
    clock: Clock
    place: CheckpointLocation
    interval: timedelta = timedelta(hours=1)
    outdated: str | None = None
    _file: CheckpointFile | None = None
    _written: list[str] = field(default_factory=list, repr=False)
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def begin(self) -> None:
        """Compare the ledger with its newest checkpoint, and write a new one. Raises UnusableCheckpoints."""
        try:
            self._file = self.place.open()
        except UnusableCheckpoints as error:
            if self.place.is_wanted:
                raise
            log.warning("%s The ledger is kept without checkpoints.", error)
            return
        if self._file.newest() is None:
            self._state_old_deletions(self._file)
        if others := self._file.notes_of_others():
            log.warning("%s has %d notes signed by another key; they are ignored.", self.place.path, others)
        # An error here stops the start, since the ledger could be an older one.
        with self.database.snapshot() as connection:
            self._compare(connection, self._file.newest())
        self.try_to_write()

    def mismatch(self) -> str | None:
        """The message about a ledger that does not match its newest checkpoint, or None. Nothing is written."""
        if not (self.place.has_key and self.place.path.exists()):
            return None
        newest = CheckpointFile(self.place.path, self.place.signer()).newest()
        with self.database.snapshot() as connection:
            lost = None if newest is None else difference(connection, newest)
        return None if lost is None else _outdated_message(self.database.name, lost)

    def write(self, *, is_forced: bool = False, apart: timedelta = NO_TIME) -> str | None:
        """Write a checkpoint and return it. None: the ledger is outdated, or no new checkpoint is needed.

        With `is_forced`, a checkpoint is written even if nothing has changed. Otherwise none is needed if another
        process has written one less than `apart` ago.
        """
        if self._file is None:
            return None
        with self._turn:
            newest = self._file.newest()
            with self.database.snapshot() as connection:
                self._compare(connection, newest)
                now = self.clock.now()
                current = Checkpoint.of(states_in(connection), now)
            if self.outdated is not None:
                return None
            if not is_forced and newest is not None and not self._is_needed(current, newest, apart):
                return None
            return self._add(self._file, current)

    def _is_needed(self, current: Checkpoint, newest: Checkpoint, apart: timedelta) -> bool:
        """True if the newest checkpoint is too old, or if the ledger has changed since it."""
        passed = current.at - newest.at
        return passed >= self.interval or (passed >= apart and not current.says_the_same_as(newest))

    def write_in_turn(self) -> None:
        """Write the periodic checkpoint, unless another process with the same file has just done so."""
        self.try_to_write(self.interval / 2)

    def try_to_write(self, apart: timedelta = NO_TIME) -> None:
        """Write a checkpoint. A failure is logged and not raised."""
        try:
            self.write(apart=apart)
        except LedgerUnavailable as error:
            log.warning("no checkpoint was written: %s", error.__cause__)
        except OSError as error:
            log.warning("no checkpoint was written to %s: %s", self.place.path, error.strerror or error)

    def tell_newest(self) -> None:
        """Queue the newest checkpoint for publishing, whichever process wrote it: another one may have, and ended."""
        if self._file is None or self._written:
            return
        try:
            newest = self._file.newest()
        except OSError as error:
            log.warning("the newest checkpoint in %s cannot be read: %s", self.place.path, error.strerror or error)
            return
        if newest is not None:
            self._written.append(self._file.signer.sign(newest.text))

    def take_written(self) -> list[str]:
        """The checkpoints written since the last call."""
        written, self._written = self._written, []
        return written

    def accept(self) -> str | None:
        """Accept a ledger that differs from its checkpoints, and return the new one. None: it does not differ."""
        file = self._file = self.place.open()
        newest = file.newest()
        with self.database.snapshot() as connection:
            self.outdated = None if newest is None else difference(connection, newest)
        if self.outdated is None:
            return None
        log.warning(
            "the ledger %s is used as it is, although it does not match its newest checkpoint: %s.",
            self.database.name,
            self.outdated,
        )
        now = self.clock.now()
        with storage_failures(Outcome.NOT_SENT), self.database.writing.begin() as connection:
            add_events(connection, [event_row(self.clock.new_id(now), 0, Restored(now, self.outdated))], now)
        with self.database.snapshot() as connection:
            accepted = Checkpoint.of(states_in(connection), now, is_accepted=True)
        self.outdated = None
        return self._add(file, accepted)

    def statement(self, segment: SegmentState, now: datetime) -> str:
        """State that retention will delete a segment. A signed statement is added to the checkpoint file, if any."""
        text = deletion_of(segment, now)
        return text if self._file is None else self._file.add(text)

    def _add(self, file: CheckpointFile, checkpoint: Checkpoint) -> str:
        note = file.add(checkpoint.text)
        self._written.append(note)
        return note

    def _compare(self, connection: Connection, newest: Checkpoint | None) -> None:
        before, self.outdated = self.outdated, None if newest is None else difference(connection, newest)
        if self.outdated is not None and before is None:
            log.error("%s", _outdated_message(self.database.name, self.outdated))

    def _state_old_deletions(self, file: CheckpointFile) -> None:
        """Sign statements for segments that were deleted without one. Only the first checkpoint trusts the database."""
        columns = segments.c
        with storage_failures(Outcome.NOT_SENT), self.database.writing.begin() as connection:
            old = connection.execute(
                select(columns.number, columns.length, columns.head, columns.deleted_at).where(
                    columns.deletion == BEFORE_STATEMENTS
                )
            ).all()
            rows = [{"of": row.number, "said": file.add(deletion_of(state_of(row), self.clock.now()))} for row in old]
            if rows:
                signed = update(segments).where(columns.number == bindparam("of"))
                connection.execute(signed.values(deletion=bindparam("said")), rows)


def state_of(row: object) -> SegmentState:
    """The state in a row of the table `segments`."""
    number, length, head = (getattr(row, name) for name in ("number", "length", "head"))
    return SegmentState(number, length, bytes(head))
