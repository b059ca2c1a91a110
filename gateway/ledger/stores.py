"""The places where a writer commits a batch: the database itself, or the process that writes for all workers.

A worker sends one batch at a time over a Unix socket and waits for its results. A message is its length, 4 bytes, and
MessagePack.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from struct import Struct as Layout
from typing import Any, Protocol, TypeAlias

from msgspec import Struct
from msgspec.msgpack import Decoder, Encoder
from sqlalchemy.exc import IntegrityError

from gateway.domain.leases import LeaseLost
from gateway.domain.ports import Clock
from gateway.ledger.approvals import WriteApproval
from gateway.ledger.batches import (
    AddItems,
    CloseItems,
    CreateBatch,
    DeleteOldBatches,
    PutItems,
    RenumberItems,
    SaveBatch,
    SettleItems,
)
from gateway.ledger.chain import Segment
from gateway.ledger.database import Database, is_storage_failure
from gateway.ledger.diagnosis import reason
from gateway.ledger.keys import NoteUsed
from gateway.ledger.operations import Probe, Stored, StoredAppend, StoredClaim, TakeDue, write
from gateway.ledger.retention import DeleteExpiredKeys, DeleteSegment, GiveBackSpace
from gateway.ledger.schedules import CreateSchedule, DeleteOldSchedules, SaveSchedule
from gateway.ledger.tasks import EndTask, PostponeTask, PutTask, TakeTasks
from gateway.ledger.write_ahead_log import WriteAheadLog

REPLY_SECONDS = 10.0
"""Longest wait for the writer process, in seconds. It includes the start of a new one."""
LENGTH = Layout("!I")
"""The length of a message, before it."""


class Store(Protocol):
    """A place where batches are committed. Used by one thread at a time."""

    def open(self) -> None:
        """Get ready to commit. Raises OSError."""

    def commit(self, batch: Sequence[Stored]) -> Sequence[Any]:
        """Commit a batch, all or nothing, and return the result of each operation, which can be LeaseLost.

        Raises IntegrityError if a row with the same identity exists, and what `is_storage_failure` knows.
        """

    def close(self) -> None:
        """Let go of it. The next commit opens it again."""


class DatabaseStore:
    """The database itself."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Commit to `database`."""
        self._database = database
        self._clock = clock
        self._segment: Segment | None = None
        self._place: tuple[int, int] | None = None
        self._log = None if database.file is None else WriteAheadLog(database.file)

    def open(self) -> None:
        """Do nothing: the first commit connects."""

    def commit(self, batch: Sequence[Stored]) -> Sequence[Any]:
        """Commit a batch."""
        place = self._database.place
        if self._place not in {None, place}:
            raise OSError("the file was replaced since the start; restore it, or restart the gateway")
        self._place = place
        # It is not known whether a failed commit took effect, so the next one opens a new segment.
        segment, self._segment = self._segment, None
        with self._database.writing.begin() as connection:
            segment, results = write(connection, segment, batch, self._clock.now())
        self._segment = segment
        if self._log is not None:
            self._log.note_written(len(batch))
        return results

    def close(self) -> None:
        """Leave the write-ahead log alone. Whoever made the database disposes of it."""
        if self._log is not None:
            self._log.close()


class Written(Struct, frozen=True, array_like=True, tag="written"):
    """The reply to a batch that was committed: the result of each operation.

    `lost` holds the positions of the operations that were not written, since their lease is lost.
    """

    results: list[Any]
    lost: list[int] = []

    @classmethod
    def of(cls, results: Sequence[Any]) -> Written:
        """The reply with these results."""
        lost = [position for position, each in enumerate(results) if isinstance(each, LeaseLost)]
        return cls([None if position in lost else each for position, each in enumerate(results)], lost)

    def with_errors(self) -> list[Any]:
        """The results, with LeaseLost at the places of those that were not written."""
        return [LeaseLost() if position in self.lost else each for position, each in enumerate(self.results)]


class Conflict(Struct, frozen=True, array_like=True, tag="conflict"):
    """The reply to a batch with a row whose identity exists."""

    reason: str


class StorageFailed(Struct, frozen=True, array_like=True, tag="storage-failed"):
    """The reply to a batch that the storage failed to take."""

    reason: str


class Unfit(Struct, frozen=True, array_like=True, tag="unfit"):
    """The reply to a batch that cannot be written, whatever the storage does."""

    reason: str


Reply: TypeAlias = Written | Conflict | StorageFailed | Unfit
Sendable: TypeAlias = (
    StoredClaim
    | StoredAppend
    | Probe
    | TakeDue
    | DeleteExpiredKeys
    | DeleteSegment
    | GiveBackSpace
    | NoteUsed
    | PutTask
    | TakeTasks
    | PostponeTask
    | EndTask
    | CreateBatch
    | SaveBatch
    | AddItems
    | RenumberItems
    | PutItems
    | SettleItems
    | CloseItems
    | DeleteOldBatches
    | CreateSchedule
    | SaveSchedule
    | DeleteOldSchedules
    | WriteApproval
)
"""The messages of a worker."""

ENCODER = Encoder()
BATCHES = Decoder(list[Sendable])
_REPLIES: Decoder[Reply] = Decoder(Reply)


class WriterFailed(OSError):
    """The writer process could not write to the storage. The message says why."""


class UnfitForWriter(Exception):
    """The writer process cannot write an operation. The message says why."""


def framed(message: object) -> bytes:
    """A message with its length before it."""
    content = ENCODER.encode(message)
    return LENGTH.pack(len(content)) + content


def refusal(error: Exception) -> Reply:
    """The reply for an error of a commit."""
    if isinstance(error, IntegrityError):
        return Conflict(reason(error))
    return StorageFailed(reason(error)) if is_storage_failure(error) else Unfit(reason(error))


class ProcessStore:
    """The process that writes for all workers, at a Unix socket.

    If the connection is lost, the batch is sent once more to the process that takes its place. It may have been
    committed before: then a conflict says so, or a key that the same record holds.
    """

    def __init__(self, path: Path) -> None:
        """Connect to the socket at `path`."""
        self._path = path
        self._line: socket.socket | None = None

    def open(self) -> None:
        """Connect. Raises OSError if nobody listens."""
        self._connected()

    def commit(self, batch: Sequence[Stored]) -> Sequence[Any]:
        """Have a batch committed."""
        message = framed(batch)
        try:
            reply = self._exchange(message)
        except TimeoutError:
            raise
        except OSError:
            reply = self._exchange(message)
        match reply:
            case Written():
                return reply.with_errors() if reply.lost else reply.results
            case Conflict(why):
                raise IntegrityError(None, None, ValueError(why))
            case StorageFailed(why):
                raise WriterFailed(why)
            case Unfit(why):
                raise UnfitForWriter(why)

    def close(self) -> None:
        """Disconnect."""
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def _connected(self) -> socket.socket:
        if self._line is None:
            self._line = line = socket.socket(socket.AF_UNIX)
            line.settimeout(REPLY_SECONDS)
            line.connect(str(self._path))
        return self._line

    def _exchange(self, message: bytes) -> Reply:
        """Send a message, and receive its reply. Raises OSError, after which the next message has a new connection."""
        try:
            line = self._connected()
            line.sendall(message)
            (length,) = LENGTH.unpack(received(line, LENGTH.size))
            return _REPLIES.decode(received(line, length))
        except BaseException:
            # A late reply must not be taken for that of the next message.
            with suppress(OSError):
                self.close()
            raise


def received(line: socket.socket, length: int) -> bytes:
    """So many bytes from a connection. Raises ConnectionError if it ends before."""
    content = bytearray()
    while len(content) < length:
        part = line.recv(length - len(content))
        if not part:
            raise ConnectionResetError("the writer process has ended")
        content += part
    return bytes(content)
