"""The hash chain: each event's hash covers the event and the hash before it, so that no event changes unnoticed.

A chain has segments, and each writer one of its own, so that writers need not wait for each other.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

LONGEST_SEGMENT = 10_000
OLDEST_SEGMENT = timedelta(hours=12)
"""After so many events, or so long, a segment is complete. It is what retention deletes at once."""


def genesis(number: int) -> bytes:
    """The hash before the first event of a segment."""
    return hashlib.sha256(b"jobgate segment %d" % number).digest()


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment so far: how many events it has, and the hash of the last."""

    number: int
    opened_at: datetime
    length: int
    head: bytes

    @classmethod
    def new(cls, number: int, now: datetime) -> Segment:
        """A segment without events."""
        return cls(number, now, 0, genesis(number))

    def is_complete(self, now: datetime) -> bool:
        """Whether it is time for another one."""
        return self.length >= LONGEST_SEGMENT or now - self.opened_at >= OLDEST_SEGMENT


def hash_after(head: bytes, job_action_id: str, sequence: int, kind: str, content: str) -> bytes:
    """The hash of an event, after the one before it.

    None of the parts before the content can hold a space, so no two events read the same.
    """
    return hashlib.sha256(b"%b%b" % (head, f"{job_action_id} {sequence} {kind} {content}".encode())).digest()
