"""The ports of the engine, as protocols. `gateway.app` chooses their implementations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from gateway.domain.approvals import Approval, ApprovalChange, ApprovalQuery
from gateway.domain.leases import Lease
from gateway.domain.model import HttpReply, HttpRequest, Page
from gateway.domain.record import Concluded, HeldKey, Holder, JobActionRecord, Read, Selection, Sent, Tally


class Clock(Protocol):
    """Time and new ids, behind a protocol so that tests can control them."""

    def now(self) -> datetime:
        """The current time, in UTC."""

    def monotonic(self) -> float:
        """Seconds of a clock that never goes backwards; for deadlines."""

    async def sleep(self, seconds: float) -> None:
        """Wait for so many seconds."""

    def new_id(self, at: datetime) -> str:
        """A new UUID, version 7 (RFC 9562), for this time; such UUIDs sort by time."""


class Transport(Protocol):
    """Sends requests to vendors; nothing else does."""

    async def send(self, request: HttpRequest, deadline: float) -> HttpReply:
        """Send the request once and read the whole reply before `deadline` (on the monotonic clock).

        Raises VendorUnreachable if nothing was sent, VendorTimedOut or VendorReplyNotUnderstood if something may have
        been sent.
        """


class VendorCredentials(Protocol):
    """Authenticates one connection's requests to its vendor."""

    async def headers(self, request: HttpRequest, deadline: float) -> Mapping[str, str]:
        """The headers to add. Raises VendorFailed or VendorDeniedAccess if they cannot be obtained."""

    def redacted(self, request: HttpRequest) -> Mapping[str, str]:
        """The same headers without any secret, made without a network call."""

    def renew(self, refused: Mapping[str, str]) -> bool:
        """Discard the headers that the vendor refused, and only those. False if no newer ones can be obtained."""


class Ledger(Protocol):
    """The record of every job action. Whatever a method has confirmed as stored survives any crash.

    Every method raises LedgerUnavailable if the storage cannot be read or written.
    """

    async def start(self) -> None:
        """Prepare the ledger for use."""

    async def close(self) -> None:
        """Finish pending writes, and release the storage."""

    async def claim(
        self,
        record: JobActionRecord,
        due: datetime,
        key: HeldKey | None,
        signature: HeldKey | None = None,
        lease: Lease | None = None,
    ) -> Holder | None:
        """Store a new record and hold `key` and `signature` for it. If one is held already, return its holder instead.

        The record is then not stored. `due`: when reconciliation should read the job. `signature` is checked first and
        is never released. If `key` is held by another record, `signature` identifies that record from then on. Without
        a key and a signature, and under a `lease`, the record is on the storage no later than the event that is added
        next. Under a lease, the holder of the key is found only then, and Overtaken has its record.
        """

    async def sent(self, record: JobActionRecord, event: Sent, lease: Lease | None = None) -> JobActionRecord:
        """Add the event that the action is about to be sent; return the longer record once it is on the storage.

        The same commit renews the `lease`. Raises LeaseLost if it is lost, and nothing is written then; Overtaken if
        another process has added an event since the record was read.
        """

    async def append(self, record: JobActionRecord, event: Read | Concluded, due: datetime | None) -> JobActionRecord:
        """Add a reading or a conclusion; return the longer record once it is on the storage.

        `due`: when reconciliation should read the job, None for never. The key is released if the same request can be
        sent again. Raises Overtaken if another process has added an event since the record was read.

        If the storage fails, a conclusion that must not be lost is written as soon as possible; LedgerUnavailable says
        that it is not stored yet.
        """

    async def get(self, record_id: str, caller: str | None) -> JobActionRecord | None:
        """The record with this id, if `caller` requested it. With `caller` None, whoever requested it."""

    async def page(self, selection: Selection, limit: int, before: str | None) -> Page[JobActionRecord]:
        """At most `limit` selected records with ids before `before`, newest first. A page can be shorter than `limit`.

        `next_cursor` is the `before` of the next page, None on the last one.
        """

    async def take_due(
        self, now: datetime, until: datetime, limit: int, beyond: datetime | None = None
    ) -> tuple[JobActionRecord, ...]:
        """At most `limit` records whose `due` has passed. No other process gets them before `until`.

        A `due` after `beyond` was written by a clock that was ahead, and has passed as well.
        """

    async def wait_until_due(self) -> None:
        """Wait until the `due` of a record may have passed, at most some seconds."""

    async def tally(self, caller: str | None) -> Tally:
        """Count what has not ended, of one caller or of all. Raises LedgerUnavailable."""

    async def tidy(self, now: datetime) -> None:
        """Delete expired keys, and records past their retention."""

    async def check(self) -> None:
        """Check that an action could be recorded now. Raises LedgerUnavailable if not."""


class Tasks(Protocol):
    """Durable work of one kind, which any process can take. Every method raises LedgerUnavailable."""

    async def wait_until_due(self) -> None:
        """Wait until a task is due, at most some seconds."""

    async def take(self, limit: int) -> list[Lease]:
        """Take at most `limit` tasks that are due."""

    async def postpone(self, lease: Lease, until: datetime) -> bool:
        """Look after a task again at a time. False if the lease is lost."""

    async def end(self, lease: Lease) -> None:
        """Look after a task no more."""


class ApprovalStore(Protocol):
    """The store of approvals. Every method raises LedgerUnavailable if the storage cannot be read or written."""

    async def write(self, approval: Approval, change: ApprovalChange) -> bool:
        """Store a new approval with tasks for its notices, or its next version, and the event of the change.

        Returns False if another process has stored that version.
        """

    async def get(self, approval_id: str) -> Approval | None:
        """The approval with this id."""

    async def selected(self, query: ApprovalQuery, before: str | None, limit: int) -> tuple[Approval, ...]:
        """At most `limit` approvals that meet the conditions, with ids before `before`, newest first."""
