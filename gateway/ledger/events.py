"""Events as they are stored: the kind in a column, the rest as JSON in which only what is said stands.

A request that is sent before anything of it was written is one row, not two: most are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from msgspec import DecodeError, Struct
from msgspec.json import Decoder, Encoder

from gateway.domain.record import Concluded, Event, HeldKey, JobActionRecord, Read, Requested, Sent


class Dispatched(Struct, frozen=True, omit_defaults=True):
    """A job action was asked for, and is now sent."""

    requested: Requested
    sent: Sent

    @property
    def at(self) -> datetime:
        """When it was sent."""
        return self.sent.at


class KeyTerms(Struct, frozen=True):
    """What an idempotency key, or a signature, stands for, and until when."""

    fingerprint: bytes
    expires_at: datetime


class Claimed(Struct, frozen=True, omit_defaults=True):
    """A job action was asked for, and its idempotency key and its signature are held for it, where it has them."""

    requested: Requested
    key: KeyTerms | None = None
    signature: KeyTerms | None = None

    @property
    def at(self) -> datetime:
        """When it was asked for."""
        return self.requested.at


class KeyChanged(Struct, frozen=True, omit_defaults=True):
    """An API key was made or changed; it is so now. `proof` is a hash of what is kept of its secrets."""

    at: datetime
    id: str
    caller: str
    scopes: str
    proof: str
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None


class Restored(Struct, frozen=True):
    """Somebody accepted that the ledger is not the one of its newest checkpoint, for this reason."""

    at: datetime
    reason: str


Stored: TypeAlias = Event | Dispatched | Claimed | KeyChanged | Restored
"""What a row of the table `events` holds."""

UNREADABLE = (DecodeError, KeyError)
"""What `read` raises where a row is none that was written."""

_KINDS = {
    Requested: "requested",
    Claimed: "claimed",
    Dispatched: "dispatched",
    Sent: "sent",
    Read: "read",
    Concluded: "concluded",
    KeyChanged: "api-key",
    Restored: "restored",
}
_ENCODER = Encoder()
_DECODERS: Mapping[str, Decoder[Any]] = {name: Decoder(kind) for kind, name in _KINDS.items()}
BEGINNINGS = (_KINDS[Requested], _KINDS[Claimed], _KINDS[Dispatched])
"""The kinds of the first row of every record. Those with a key were `requested` before version 0004."""
KEPT = (_KINDS[KeyChanged], _KINDS[Restored])
"""The kinds that are of no job action; retention leaves them."""


def beginning(
    record: JobActionRecord, key: HeldKey | None, signature: HeldKey | None = None
) -> Requested | Claimed | Dispatched:
    """What the first row of a new record holds, which has been sent at most."""
    match record.later:
        case (Sent() as sent,):
            return Dispatched(record.requested, sent)
    if key is None and signature is None:
        return record.requested
    return Claimed(record.requested, terms_of(key), terms_of(signature))


def terms_of(held: HeldKey | None) -> KeyTerms | None:
    """What is held, as an event says it."""
    return None if held is None else KeyTerms(held.fingerprint, held.expires_at)


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
    """The events of a job action that a row holds."""
    match stored:
        case Dispatched():
            return stored.requested, stored.sent
        case Claimed():
            return (stored.requested,)
        case KeyChanged() | Restored():
            return ()
    return (stored,)
