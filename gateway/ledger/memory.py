"""A ledger and approvals in memory, for tests and for measuring the cost of the durable one."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from datetime import UTC, datetime

from msgspec.structs import replace

from gateway.domain.approvals import Approval, ApprovalChange, ApprovalQuery
from gateway.domain.leases import Lease
from gateway.domain.model import Outcome, Page
from gateway.domain.record import (
    Concluded,
    Event,
    HeldKey,
    Holder,
    JobActionRecord,
    Overtaken,
    Read,
    Selection,
    Sent,
    Tally,
)
from gateway.domain.times import milliseconds

MOST_RECORDS = 1_000
"""Largest number of records; beyond it, the oldest settled ones are dropped."""
LOOK_SECONDS = 0.25
"""Seconds between two looks for records that are due."""


class MemoryLedger:
    """Keeps records in a dictionary, in the order of their claims."""

    def __init__(self) -> None:
        """Start empty."""
        # Unlike a dict, it finds its first entry quickly even after many deletions.
        self._records: OrderedDict[str, JobActionRecord] = OrderedDict()
        self._due: dict[str, datetime] = {}
        self._keys: dict[tuple[str, str], tuple[HeldKey, str]] = {}

    async def start(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""

    async def claim(
        self,
        record: JobActionRecord,
        due: datetime,
        key: HeldKey | None,
        signature: HeldKey | None = None,
        lease: Lease | None = None,  # noqa: ARG002 - nobody else works in this memory
    ) -> Holder | None:
        """Store a new record and hold its key and signature. If one is held already, return its holder instead."""
        now = record.requested.at
        names = [] if key is signature is None else [name for name in (signature, key) if name is not None]
        holder = None
        for name in names:
            holder = holder or self._holder(name, now)
        if holder is not None:
            if signature is not None and self._holder(signature, now) is None:
                same = replace(signature, fingerprint=holder.fingerprint)
                self._keys[signature.caller, signature.key] = same, holder.record.id
            return holder
        for name in names:
            self._keys[name.caller, name.key] = name, record.id
        self._records[record.id], self._due[record.id] = record, due
        if len(self._records) > MOST_RECORDS:
            self._forget_oldest()
        return None

    async def sent(
        self,
        record: JobActionRecord,
        event: Sent,
        lease: Lease | None = None,  # noqa: ARG002 - nobody else works in this memory
    ) -> JobActionRecord:
        """Add the event that the action is about to be sent. Raises Overtaken."""
        return self._add(record, event)

    async def append(self, record: JobActionRecord, event: Read | Concluded, due: datetime | None) -> JobActionRecord:
        """Add a reading or a conclusion. Raises Overtaken."""
        longer = self._add(record, event)
        self._due.pop(record.id, None)
        if due is not None:
            self._due[record.id] = due
        requested = record.requested
        if requested.idempotency_key is not None and longer.releases_key:
            name = requested.caller, requested.idempotency_key
            if name in self._keys and self._keys[name][1] == record.id:
                del self._keys[name]
        return longer

    async def get(self, record_id: str, caller: str | None) -> JobActionRecord | None:
        """The record with this id, if `caller` requested it. With `caller` None, whoever requested it."""
        record = self._records.get(record_id)
        return record if record is not None and caller in {None, record.requested.caller} else None

    async def page(self, selection: Selection, limit: int, before: str | None) -> Page[JobActionRecord]:
        """Selected records, newest first."""
        chosen = [record for record in self._newest_first(before) if is_selected(record, selection)]
        items = tuple(chosen[:limit])
        return Page(items, items[-1].id if len(chosen) > limit else None)

    async def take_due(
        self, now: datetime, until: datetime, limit: int, beyond: datetime | None = None
    ) -> tuple[JobActionRecord, ...]:
        """Take the records whose time to be read again has come, or is after `beyond`."""
        last = datetime.max.replace(tzinfo=UTC) if beyond is None else beyond
        due = sorted((at, record_id) for record_id, at in self._due.items() if at <= now or at > last)[:limit]
        for _, record_id in due:
            self._due[record_id] = until
        return tuple(self._records[record_id] for _, record_id in due)

    async def wait_until_due(self) -> None:
        """Wait a moment."""
        await asyncio.sleep(LOOK_SECONDS)

    async def tally(self, caller: str | None) -> Tally:
        """Count the job actions with an unknown outcome. There are no batches."""
        selection = Selection(caller=caller, outcome=Outcome.UNKNOWN)
        unknown = sorted(record.id for record in self._records.values() if is_selected(record, selection))
        return Tally(len(unknown), unknown[0] if unknown else None)

    async def tidy(self, now: datetime) -> None:
        """Delete expired keys."""
        self._keys = {name: held for name, held in self._keys.items() if held[0].expires_at > now}

    async def check(self) -> None:
        """Do nothing: an action can always be recorded."""

    def _holder(self, name: HeldKey, now: datetime) -> Holder | None:
        held, record_id = self._keys.get((name.caller, name.key), (None, ""))
        if held is None or held.expires_at <= now:
            return None
        return Holder(self._records[record_id], held.fingerprint)

    def _add(self, record: JobActionRecord, event: Event) -> JobActionRecord:
        present = self._records[record.id]
        more = len(present.later) - len(record.later)
        if more == 1 and present.later[-1] == event:
            return present
        if more:
            raise Overtaken(present)
        longer = record.with_event(event)
        self._records[record.id] = longer
        return longer

    def _newest_first(self, before: str | None) -> Iterator[JobActionRecord]:
        for record_id in sorted(self._records, reverse=True):
            if before is None or record_id < before:
                yield self._records[record_id]

    def _forget_oldest(self) -> None:
        for oldest, record in self._records.items():
            if record.is_settled:
                del self._records[oldest]
                if self._keys:
                    self._keys = {name: held for name, held in self._keys.items() if held[1] != oldest}
                return


def is_selected(record: JobActionRecord, selection: Selection) -> bool:
    """True if a record meets the conditions of a selection."""
    asked, at = record.requested, milliseconds(record.requested.at)
    values = {
        "caller": asked.caller,
        "connection": asked.connection,
        "job_id": asked.job_action.job_id,
        "action": asked.job_action.action,
        "status": record.status,
        "outcome": record.outcome,
    }
    wanted = {name: getattr(selection, name) for name in values}
    return (
        all(value is None or values[name] == value for name, value in wanted.items())
        and (selection.label is None or selection.label in asked.labels.items())
        and (selection.since is None or at >= milliseconds(selection.since))
        and (selection.until is None or at <= milliseconds(selection.until))
    )


class MemoryApprovals:
    """Keeps approvals in a dictionary, and their changes in a list."""

    def __init__(self) -> None:
        """Start empty."""
        self._approvals: dict[str, Approval] = {}
        self.changes: list[ApprovalChange] = []

    async def write(self, approval: Approval, change: ApprovalChange) -> bool:
        """Store a new approval, or its next version. False if that version is stored already."""
        present = self._approvals.get(approval.id)
        if approval.version != (0 if present is None else present.version + 1):
            return approval == present
        self._approvals[approval.id] = approval
        self.changes.append(change)
        return True

    async def get(self, approval_id: str) -> Approval | None:
        """The approval with this id."""
        return self._approvals.get(approval_id)

    async def selected(self, query: ApprovalQuery, before: str | None, limit: int) -> tuple[Approval, ...]:
        """The newest approvals that meet the conditions."""
        found = (self._approvals[each] for each in sorted(self._approvals, reverse=True) if not before or each < before)
        return tuple(each for each in found if is_wanted(each, query))[:limit]


def is_wanted(approval: Approval, query: ApprovalQuery) -> bool:
    """True if an approval meets the conditions of a query."""
    return (
        (query.states is None or approval.state in query.states)
        and query.batch in {None, approval.batch}
        and query.owner in {None, approval.requester.owner}
    )
