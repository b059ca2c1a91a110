"""A ledger that ends with its process."""

from __future__ import annotations

from collections import OrderedDict

from gateway.domain.model import JobActionRecord, JobActionStatus, Page

MOST_RECORDS = 1_000
"""Records beyond this number are forgotten, the oldest first of those that are not in progress."""


class MemoryLedger:
    """Keeps records in a dictionary, in the order in which they were claimed."""

    def __init__(self) -> None:
        """Start empty."""
        # Unlike that of a dict, its first entry is quickly found however many were before it.
        self._records: OrderedDict[str, JobActionRecord] = OrderedDict()

    async def claim(self, record: JobActionRecord) -> None:
        """Keep a new record."""
        self._records[record.id] = record
        if len(self._records) > MOST_RECORDS:
            self._forget_oldest()

    async def settle(self, record: JobActionRecord) -> None:
        """Replace the record of the same id."""
        self._records[record.id] = record

    async def get(self, record_id: str, caller: str) -> JobActionRecord | None:
        """The caller's record of this id."""
        record = self._records.get(record_id)
        return record if record is not None and record.caller == caller else None

    async def page(self, caller: str, limit: int, before: str | None) -> Page[JobActionRecord]:
        """The caller's records, newest first, from those before the id `before` on. Ids sort by time."""
        own = [
            record
            for record in reversed(self._records.values())
            if record.caller == caller and (before is None or record.id < before)
        ]
        items = tuple(own[:limit])
        return Page(items, items[-1].id if len(own) > limit else None)

    def _forget_oldest(self) -> None:
        settled = (key for key, each in self._records.items() if each.status is not JobActionStatus.IN_PROGRESS)
        oldest = next(settled, None)
        if oldest is not None:
            del self._records[oldest]
