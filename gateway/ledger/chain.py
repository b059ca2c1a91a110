"""The hash chain: each event's hash covers the event and the previous hash, so that every change is detected.

A chain consists of segments. Each writer has its own segment, so that writers do not wait for each other.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

LONGEST_SEGMENT = 10_000
OLDEST_SEGMENT = timedelta(hours=12)
"""A segment is complete after so many events, or after so long. Retention deletes whole segments."""


def genesis(number: int) -> bytes:
    """The hash before the first event of a segment."""
    return hashlib.sha256(b"jobgate segment %d" % number).digest()


@dataclass(frozen=True, slots=True)
class Segment:
    """The state of a segment: `length` is the number of its events, `head` the hash of the last one."""

    number: int
    opened_at: datetime
    length: int
    head: bytes

    @classmethod
    def new(cls, number: int, now: datetime) -> Segment:
        """A segment without events."""
        return cls(number, now, 0, genesis(number))

    def is_complete(self, now: datetime) -> bool:
        """True if the next event belongs in a new segment."""
        return self.length >= LONGEST_SEGMENT or now - self.opened_at >= OLDEST_SEGMENT


def hash_after(head: bytes, job_action_id: str, sequence: int, kind: str, content: str) -> bytes:
    """The hash of an event that follows the one with the hash `head`.

    Only `content` can contain a space, so two different events never give the same text.
    """
    return hashlib.sha256(b"%b%b" % (head, f"{job_action_id} {sequence} {kind} {content}".encode())).digest()
