"""Events as they are stored: the kind in a column, the rest as JSON in which only what is said stands.

A request that is sent before anything of it was written is one row, not two: most are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from msgspec import Struct
from msgspec.json import Decoder, Encoder

from gateway.domain.record import Concluded, Event, JobActionRecord, Read, Requested, Sent


class Dispatched(Struct, frozen=True, omit_defaults=True):
    """A job action was asked for, and is now sent."""

    requested: Requested
    sent: Sent

    @property
    def at(self) -> datetime:
        """When it was sent."""
        return self.sent.at


Stored: TypeAlias = Event | Dispatched
"""What a row of the table `events` holds."""

_KINDS = {Requested: "requested", Dispatched: "dispatched", Sent: "sent", Read: "read", Concluded: "concluded"}
_ENCODER = Encoder()
_DECODERS: Mapping[str, Decoder[Any]] = {name: Decoder(kind) for kind, name in _KINDS.items()}
BEGINNINGS = (_KINDS[Requested], _KINDS[Dispatched])
"""The kinds of the first row of every record."""


def beginning(record: JobActionRecord) -> Requested | Dispatched:
    """What the first row of a new record holds, which has been sent at most."""
    match record.later:
        case (Sent() as sent,):
            return Dispatched(record.requested, sent)
    return record.requested


def written(event: Stored) -> tuple[str, str]:
    """Kind and content of a row."""
    return _KINDS[type(event)], _ENCODER.encode(event).decode()


def read(kind: str, content: str) -> Stored:
    """What the row of this kind and content holds."""
    event: Stored = _DECODERS[kind].decode(content)
    return event


def record_of(record_id: str, stored: Iterable[tuple[str, str]]) -> JobActionRecord:
    """A record of its rows (kind and content), in their order."""
    requested, *later = (event for kind, content in stored for event in events_of(read(kind, content)))
    if not isinstance(requested, Requested):
        raise TypeError(f"the first event of job action {record_id} is not its request")
    return JobActionRecord(record_id, requested, tuple(later))


def events_of(stored: Stored) -> tuple[Event, ...]:
    """The events that a row holds."""
    return (stored.requested, stored.sent) if isinstance(stored, Dispatched) else (stored,)
