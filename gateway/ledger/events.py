"""The stored form of events: the kind in a column, the content as JSON without default values.

Most requests are sent before anything of them is written. Such a request and its sending are one row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from msgspec import DecodeError, Struct
from msgspec.json import Decoder, Encoder

from gateway.domain.record import Concluded, Event, HeldKey, JobActionRecord, Read, Requested, Sent


class KeyTerms(Struct, frozen=True):
    """The fingerprint of the request that a key or a signature identifies, and the expiry."""

    fingerprint: bytes
    expires_at: datetime


class Dispatched(Struct, frozen=True, omit_defaults=True):
    """A job action was requested, and is about to be sent; its idempotency key and signature, if any, are held."""

    requested: Requested
    sent: Sent
    key: KeyTerms | None = None
    signature: KeyTerms | None = None

    @property
    def at(self) -> datetime:
        """The time of the sending."""
        return self.sent.at


class Claimed(Struct, frozen=True, omit_defaults=True):
    """A job action was requested, and its idempotency key and signature, if any, are held for it."""

    requested: Requested
    key: KeyTerms | None = None
    signature: KeyTerms | None = None

    @property
    def at(self) -> datetime:
        """The time of the request."""
        return self.requested.at


class KeyChanged(Struct, frozen=True, omit_defaults=True):
    """An API key was created or changed; this is its new state. `proof` is a hash of its stored secrets."""

    at: datetime
    id: str
    caller: str
    scopes: str
    proof: str
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None
    owner: str | None = None


class ApprovalChanged(Struct, frozen=True, omit_defaults=True):
    """An approval was requested or changed; `what` says how. `proof` is a hash of its stored content.

    `digest` is that of the plan. `by` and `owner` are the caller who did it and the person behind it, None if time did.
    `comment` is the comment of a decision, or the reason of an emergency.
    """

    at: datetime
    id: str
    version: int
    batch: str
    what: str
    state: str
    digest: str
    proof: str
    by: str | None = None
    owner: str | None = None
    comment: str | None = None


class Restored(Struct, frozen=True):
    """An operator accepted a ledger that does not match its newest checkpoint; `reason` is the difference."""

    at: datetime
    reason: str


class StateChanged(Struct, frozen=True, omit_defaults=True):
    """Durable work, such as a batch, has got another state.

    `of` is its kind and `id` its own id. `by` is the caller whose doing it was, None if it went on by itself. `facts`
    are what was known or decided then, such as the digest of a manifest. The ledger adds the `version` of the work's
    row, and as `proof` a hash of its content.
    """

    at: datetime
    of: str
    id: str
    state: str
    by: str | None = None
    facts: Mapping[str, Any] = {}
    version: int = 0
    proof: str = ""


Stored: TypeAlias = Event | Dispatched | Claimed | KeyChanged | ApprovalChanged | Restored | StateChanged
"""The content of a row of the table `events`."""

UNREADABLE = (DecodeError, KeyError)
"""The exceptions of `read` for a row that was not written by the ledger."""

_KINDS = {
    Requested: "requested",
    Claimed: "claimed",
    Dispatched: "dispatched",
    Sent: "sent",
    Read: "read",
    Concluded: "concluded",
    KeyChanged: "api-key",
    ApprovalChanged: "approval",
    Restored: "restored",
    StateChanged: "state",
}
_ENCODER = Encoder()
_DECODERS: Mapping[str, Decoder[Any]] = {name: Decoder(kind) for kind, name in _KINDS.items()}
BEGINNINGS = (_KINDS[Requested], _KINDS[Claimed], _KINDS[Dispatched])
"""The kinds of the first row of every record. Those with a key were `requested` before version 0004."""
APPROVAL = _KINDS[ApprovalChanged]
"""The kind of the events of approvals."""
KEPT = (_KINDS[KeyChanged], APPROVAL, _KINDS[Restored])
"""The kinds of events that retention does not delete by their age alone."""
OF_NO_JOB_ACTION = (*KEPT, _KINDS[StateChanged])
"""The kinds of events that belong to no job action."""


def beginning(
    record: JobActionRecord, key: HeldKey | None, signature: HeldKey | None = None
) -> Requested | Claimed | Dispatched:
    """The first row of a new record, which has no event after its request, or only its sending."""
    match record.later:
        case (Sent() as sent,):
            return Dispatched(record.requested, sent, terms_of(key), terms_of(signature))
    if key is None and signature is None:
        return record.requested
    return Claimed(record.requested, terms_of(key), terms_of(signature))


def terms_of(held: HeldKey | None) -> KeyTerms | None:
    """The terms of a held key for its event."""
    return None if held is None else KeyTerms(held.fingerprint, held.expires_at)


def written(event: Stored) -> tuple[str, str]:
    """The kind and content of the row for an event."""
    return _KINDS[type(event)], _ENCODER.encode(event).decode()


def read(kind: str, content: str) -> Stored:
    """Decode a row. Raises one of `UNREADABLE` if it was not written by the ledger."""
    event: Stored = _DECODERS[kind].decode(content)
    return event


def record_of(record_id: str, stored: Iterable[tuple[str, str]]) -> JobActionRecord:
    """A record from its rows (kind and content), in order.

    Raises TypeError if the first one is not a request, and one of `UNREADABLE` as `read` does.
    """
    requested, *later = (event for kind, content in stored for event in events_of(read(kind, content)))
    if not isinstance(requested, Requested):
        raise TypeError(f"the first event of job action {record_id} is not its request")
    return JobActionRecord(record_id, requested, tuple(later))


def events_of(stored: Stored) -> tuple[Event, ...]:
    """The events of a job action in a row; none in a row that belongs to no job action."""
    match stored:
        case Dispatched():
            return stored.requested, stored.sent
        case Claimed():
            return (stored.requested,)
        case KeyChanged() | ApprovalChanged() | Restored() | StateChanged():
            return ()
    return (stored,)
