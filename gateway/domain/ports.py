"""What the engine needs of the world, as protocols. `gateway.app` chooses who keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from gateway.domain.model import HttpReply, HttpRequest, Page
from gateway.domain.record import Concluded, HeldKey, Holder, JobActionRecord, Read, Selection, Sent


class Clock(Protocol):
    """Time and identity, so that tests can hold them still."""

    def now(self) -> datetime:
        """The time, in UTC."""

    def monotonic(self) -> float:
        """Seconds that only ever grow; for deadlines."""

    async def sleep(self, seconds: float) -> None:
        """Let so many seconds pass."""

    def new_id(self, at: datetime) -> str:
        """A new UUID, version 7 (RFC 9562), of this time, by which it sorts."""


class Transport(Protocol):
    """The only way to a vendor."""

    async def send(self, request: HttpRequest, deadline: float) -> HttpReply:
        """Send the request once and read the whole reply before `deadline` (on the monotonic clock).

        Raises VendorUnreachable where nothing was sent, VendorTimedOut and VendorReplyNotUnderstood where
        something may have been.
        """


class VendorCredentials(Protocol):
    """Proves to a vendor who calls it, for one connection."""

    async def headers(self, request: HttpRequest, deadline: float) -> Mapping[str, str]:
        """The headers to add. Raises VendorFailed or VendorDeniedAccess where they cannot be had."""

    def redacted(self, request: HttpRequest) -> Mapping[str, str]:
        """The same headers without any secret, and without asking anybody."""

    def renew(self, refused: Mapping[str, str]) -> bool:
        """Forget the headers that the vendor refused, and only those. False where nothing newer can be had."""


class Ledger(Protocol):
    """The record of every job action. What it has said is kept, it keeps through any crash.

    Every method raises LedgerUnavailable where the storage cannot be read or written.
    """

    async def start(self) -> None:
        """Make ready to be used."""

    async def close(self) -> None:
        """Finish what is under way, and let go of the storage."""

    async def claim(
        self, record: JobActionRecord, due: datetime, key: HeldKey | None, signature: HeldKey | None = None
    ) -> Holder | None:
        """Keep a new record, and hold its names for it. Gives who holds one already; the record is then not kept.

        `due`: when somebody should look after it. The name by its signature comes first: it is never let go of, and
        where the key is held, it stands for the same record from then on. Without names, the record is on the storage
        no later than the event that is added next.
        """

    async def sent(self, record: JobActionRecord, event: Sent) -> JobActionRecord:
        """Add that it is now sent; gives the record with it, once it is on the storage. Raises Overtaken."""

    async def append(self, record: JobActionRecord, event: Read | Concluded, due: datetime | None) -> JobActionRecord:
        """Add what is known now; gives the record with it, once it is on the storage.

        `due`: when somebody should look after it, None where nobody needs to. A key is let go of where the same request
        may be sent again. Raises Overtaken where somebody else has added an event since the record was read.

        Where the storage fails, it is written as soon as that is possible; LedgerUnavailable says that it is not yet.
        """

    async def get(self, record_id: str, caller: str | None) -> JobActionRecord | None:
        """The record of this id, if it is the caller's. None: whoever's it is."""

    async def page(self, selection: Selection, limit: int, before: str | None) -> Page[JobActionRecord]:
        """Records, newest first, from those before the id `before` on: at most `limit`, and perhaps fewer.

        `next_cursor` is the id before which the next page goes on, None where there is none.
        """

    async def take_due(self, now: datetime, until: datetime, limit: int) -> tuple[JobActionRecord, ...]:
        """Records that somebody should look after by now. Nobody else is given them before `until`."""

    async def tidy(self, now: datetime) -> None:
        """Forget keys that have expired, and records beyond their retention."""

    async def check(self) -> None:
        """See that an action could be recorded now."""
