"""What the engine needs of the world, as protocols. `gateway.app` chooses who keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from gateway.domain.model import HttpReply, HttpRequest, JobActionRecord, Page


class Clock(Protocol):
    """Time and identity, so that tests can hold them still."""

    def now(self) -> datetime:
        """The time, in UTC."""

    def monotonic(self) -> float:
        """Seconds that only ever grow; for deadlines."""

    def new_id(self) -> str:
        """A new UUID that sorts by time."""


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

    def renew(self) -> bool:
        """Drop what the vendor no longer takes. False where there is nothing newer to be had."""


class Ledger(Protocol):
    """The record of every job action."""

    async def claim(self, record: JobActionRecord) -> None:
        """Keep a new record."""

    async def settle(self, record: JobActionRecord) -> None:
        """Replace the record of the same id by one that has reached its end."""

    async def get(self, record_id: str, caller: str) -> JobActionRecord | None:
        """The caller's record of this id."""

    async def page(self, caller: str, limit: int, before: str | None) -> Page[JobActionRecord]:
        """The caller's records, newest first, from those before the id `before` on."""
