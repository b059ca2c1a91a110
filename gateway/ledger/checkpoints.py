"""Checkpoints: signed statements of the chain's state, kept outside the database, so that it cannot change them.

The form is that of a checkpoint of C2SP (https://c2sp.org/tlog-checkpoint): origin, number of events, hash of all
heads, followed by Jobgate's own lines:

    jobgate/ledger
    1234
    <hash over all following lines>
    at 2026-11-28T17:00:00.000000+00:00
    sealed 40 <hash over the lines of segments 1 to 40, to which no event is added any more>
    segment 41 250 <hash of its last event>
    accepted                 (only if an operator accepted a ledger that is older than the previous checkpoint)

Before retention deletes a segment, it states that in a separate note.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import takewhile
from pathlib import Path

from sqlalchemy import Connection, select

from gateway.domain.times import milliseconds
from gateway.ledger.chain import genesis
from gateway.ledger.notes import Note, Signer, Verifier, notes_in
from gateway.ledger.tables import events, segments

ORIGIN = "jobgate/ledger"
DELETION = "jobgate/ledger/deletion"
SEALED_AFTER = timedelta(hours=24)
"""Time after its opening from which a segment gets no more events, even if clocks differ."""

HashAt = Callable[[int, int], bytes | None]
"""`hash_at(number, length)` returns the hash of segment `number` after `length` events, None if there is none."""


class NoCheckpoint(Exception):
    """A text is not a checkpoint, or not a statement of a deletion."""


@dataclass(frozen=True)
class SegmentState:
    """The state of a segment: the number of its events, and the hash of the last one."""

    number: int
    length: int
    head: bytes
    opened_at: int = field(default=0, compare=False)
    is_deleted: bool = field(default=False, compare=False)

    @property
    def line(self) -> str:
        """The state as a line of a note."""
        return f"segment {self.number} {self.length} {_encoded(self.head)}"

    @classmethod
    def parse(cls, line: str) -> SegmentState:
        """Parse a line. Raises ValueError if it is not a line of a segment."""
        word, number, length, head = line.split(" ")
        if word != "segment":
            raise ValueError("the line is not one of a segment")
        return cls(int(number), int(length), base64.b64decode(head, validate=True))


States = Mapping[int, SegmentState]
"""All segments by number, in order."""


@dataclass(frozen=True)
class Checkpoint:
    """The state of the chain at a time: the hash `seal` for segments 1 to `sealed`, and the states of the others."""

    at: datetime
    size: int
    sealed: int
    seal: bytes
    written: tuple[SegmentState, ...]
    is_accepted: bool = False

    @classmethod
    def of(cls, states: States, now: datetime, *, is_accepted: bool = False) -> Checkpoint:
        """The checkpoint of a ledger with these segments."""
        before = milliseconds(now - SEALED_AFTER)
        old = takewhile(
            lambda each: each[0] == each[1].number and each[1].opened_at < before, enumerate(states.values(), 1)
        )
        sealed = sum(1 for _ in old)
        known = list(states.values())
        size = sum(each.length for each in known)
        return cls(now, size, sealed, seal_of(known[:sealed]), tuple(known[sealed:]), is_accepted)

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Parse the text of a checkpoint. Raises NoCheckpoint if it is not one."""
        try:
            origin, size, _, at, sealed, *rest = text.splitlines()
            lines = [line for line in rest if line != "accepted"]
            word, number, seal = sealed.split(" ")
            found = cls(
                datetime.fromisoformat(at.removeprefix("at ")),
                int(size),
                int(number),
                base64.b64decode(seal, validate=True),
                tuple(map(SegmentState.parse, lines)),
                len(lines) < len(rest),
            )
        except ValueError:
            raise NoCheckpoint from None
        if (origin, word) != (ORIGIN, "sealed") or found.text != text:
            raise NoCheckpoint
        return found

    @property
    def text(self) -> str:
        """The text that is signed."""
        lines = [f"at {self.at.isoformat()}", f"sealed {self.sealed} {_encoded(self.seal)}"]
        lines += [each.line for each in self.written]
        lines += ["accepted"] if self.is_accepted else []
        following = "".join(f"{line}\n" for line in lines)
        return f"{ORIGIN}\n{self.size}\n{_encoded(hashlib.sha256(following.encode()).digest())}\n{following}"

    def says_the_same_as(self, other: Checkpoint) -> bool:
        """True if both describe the same state of the ledger."""
        return (self.size, self.sealed, self.seal, self.written) == (
            other.size,
            other.sealed,
            other.seal,
            other.written,
        )

    def difference(self, states: States, hash_at: HashAt, seals: Mapping[int, bytes]) -> str | None:
        """The first difference that shows that a ledger has not grown from this checkpoint, None if there is none.

        The keys of `seals` are the numbers of the last sealed segments.
        """
        for segment in self.written:
            different = _difference(segment, states.get(segment.number), hash_at)
            if different is not None:
                return f"segment {segment.number}: {different}"
        if seals.get(self.sealed) != self.seal:
            return f"segments 1 to {self.sealed}: they are not those that there were"
        return None


def _difference(known: SegmentState, now: SegmentState | None, hash_at: HashAt) -> str | None:
    """The difference of a segment from its state in a checkpoint, None if there is none."""
    if now is None:
        return "it is missing"
    if now.length < known.length:
        return f"{known.length - now.length} of its events are missing at its end"
    if now.is_deleted:
        return None if now.length > known.length or now.head == known.head else "its last event is another one"
    return None if hash_at(known.number, known.length) == known.head else "its events are not those that were written"


def seal_of(states: Iterable[SegmentState]) -> bytes:
    """The hash over the lines of segments."""
    return hashlib.sha256("".join(f"{each.line}\n" for each in states).encode()).digest()


def seals_of(states: States, numbers: Iterable[int]) -> Mapping[int, bytes]:
    """The seals of segments 1 to each of `numbers`, without those for which a segment is missing."""
    wanted, found, so_far = set(numbers), {}, hashlib.sha256()
    if 0 in wanted:
        found[0] = so_far.digest()
    for position, each in enumerate(states.values(), 1):
        if each.number != position:
            break
        so_far.update(f"{each.line}\n".encode())
        if position in wanted:
            found[position] = so_far.digest()
    return found


def deletion_of(segment: SegmentState, now: datetime) -> str:
    """The text of the statement that retention deletes a segment."""
    return f"{DELETION}\nat {now.isoformat()}\n{segment.line}\n"


def deleted_segment(note: Note) -> SegmentState:
    """The segment in a statement of a deletion. Raises NoCheckpoint if the note is not one."""
    try:
        origin, _, line = note.text.splitlines()
        segment = SegmentState.parse(line)
    except ValueError:
        raise NoCheckpoint from None
    if origin != DELETION:
        raise NoCheckpoint
    return segment


def states_in(connection: Connection) -> States:
    """The states of all segments in the table `segments`."""
    columns = segments.c
    rows = select(columns.number, columns.length, columns.head, columns.opened_at, columns.deleted_at)
    return {
        row.number: SegmentState(row.number, row.length, bytes(row.head), row.opened_at, row.deleted_at is not None)
        for row in connection.execute(rows.order_by(columns.number))
    }


def hash_in(connection: Connection, number: int, length: int) -> bytes | None:
    """The stored hash of a segment after `length` events, None if there is none."""
    if length == 0:
        return genesis(number)
    chosen = select(events.c.hash).where(events.c.segment == number).order_by(events.c.id).offset(length - 1).limit(1)
    found = connection.execute(chosen).scalar()
    return None if found is None else bytes(found)


def difference(connection: Connection, checkpoint: Checkpoint) -> str | None:
    """The first difference of a ledger from a checkpoint, None if there is none.

    It reads stored hashes and does not recompute the chain, so it is quick.
    """
    states = states_in(connection)
    seals = seals_of(states, [checkpoint.sealed])
    return checkpoint.difference(states, lambda number, length: hash_in(connection, number, length), seals)


@dataclass(frozen=True)
class History:
    """The checkpoints in files that a known key has signed, in order.

    `accepted` is the number of earlier ones, from before an operator accepted a restored ledger; they are not compared.
    `unsigned` is the number of notes signed by other keys.
    """

    checkpoints: tuple[Checkpoint, ...] = ()
    accepted: int = 0
    unsigned: int = 0

    @classmethod
    def read(cls, content: str, keys: Sequence[Verifier]) -> History:
        """The history in the content of a file."""
        found: list[Checkpoint] = []
        accepted = unsigned = 0
        for note in notes_in(content):
            if not note.is_signed_by(keys):
                unsigned += 1
                continue
            for checkpoint in _parsed(note):
                if checkpoint.is_accepted:
                    accepted += len(found)
                    found.clear()
                found.append(checkpoint)
        return cls(tuple(found), accepted, unsigned)

    def __add__(self, other: History) -> History:
        """Both histories, one after the other."""
        return History(
            (*self.checkpoints, *other.checkpoints), self.accepted + other.accepted, self.unsigned + other.unsigned
        )


def _parsed(note: Note) -> Iterator[Checkpoint]:
    try:
        yield Checkpoint.parse(note.text)
    except NoCheckpoint:
        return


@dataclass(frozen=True)
class CheckpointFile:
    """The file to which checkpoints are appended, and the key that signs them."""

    path: Path
    signer: Signer

    def history(self) -> History:
        """The checkpoints in the file. Raises OSError."""
        return History.read(self._content(), [self.signer.verifier])

    def newest(self) -> Checkpoint | None:
        """The last checkpoint in the file, None if there is none. Verifies as few notes as possible. Raises OSError."""
        signed = (each for each in reversed([*notes_in(self._content())]) if each.is_signed_by([self.signer.verifier]))
        return next((checkpoint for note in signed for checkpoint in _parsed(note)), None)

    def notes_of_others(self) -> int:
        """The number of notes signed by another key only. Raises OSError."""
        own = self.signer.verifier.id
        notes = notes_in(self._content())
        return sum(1 for note in notes if not any(each.startswith(own) for each in note.signatures))

    def _content(self) -> str:
        try:
            return self.path.read_text("utf-8", "replace")
        except FileNotFoundError:
            return ""

    def add(self, text: str) -> str:
        """Sign a text, append it, and return the note once it is on the storage. Raises OSError."""
        note = self.signer.sign(text)
        is_new = not self.path.exists()
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            content = f"{_end_of_what_is_cut_off(descriptor)}{note}\n".encode()
            if os.write(descriptor, content) != len(content):
                raise OSError("the disk is full")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if is_new:
            _sync(self.path.parent)
        return note


def _end_of_what_is_cut_off(descriptor: int) -> str:
    """The separator before a new note: not empty if the file ends with a truncated note."""
    size = os.fstat(descriptor).st_size
    return "" if size == 0 or os.pread(descriptor, 2, max(size - 2, 0)) == b"\n\n" else "\n\n"


def _sync(folder: Path) -> None:
    """Flush a folder, so that a new file in it survives a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()
