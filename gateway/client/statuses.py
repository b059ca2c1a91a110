"""Statuses of jobs, and vendors' answers, as several kinds of records have them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StatusPair:
    """A status in the words of the unified API, and in the vendor's own."""

    status: str
    vendor_status: str


@dataclass(frozen=True)
class VendorResponse:
    """The vendor's answer. Only problems have `name` (of the vendor) and `message`."""

    status: int | None = None
    code: str | None = None
    request_id: str | None = None
    name: str | None = None
    message: str | None = None
