"""The durable ledger: the port `Ledger` over a database."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from gateway.domain.errors import Explanation, LedgerOutdated, LedgerUnavailable
from gateway.domain.leases import Lease
from gateway.domain.model import Outcome, Page
from gateway.domain.ports import Clock
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
from gateway.ledger import queries, retention
from gateway.ledger.agenda import RECORD, Agenda
from gateway.ledger.batches import DeleteOldBatches
from gateway.ledger.checkpointing import Checkpoints
from gateway.ledger.checkpoints import SegmentState, deletion_of
from gateway.ledger.database import Database, storage_failures, unavailable
from gateway.ledger.keys import NoteUsed
from gateway.ledger.operations import Append, Claim, KeyRow, Operation, OtherWrite, Probe, TakeDue
from gateway.ledger.schedules import DeleteOldSchedules
from gateway.ledger.stores import Store
from gateway.ledger.writer import Writer

log = logging.getLogger(__name__)

MOST_READERS = 4
"""Largest number of threads that read at the same time."""

Result = TypeVar("Result")


class SqlLedger:
    """Job actions in a database, which several processes can share."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        retention_time: timedelta | None = None,
        checkpoints: Checkpoints | None = None,
        store: Store | None = None,
    ) -> None:
        """Keep records in `database` for at least `retention_time`; None: for ever. They are written by `store`.

        If the database is not the ledger of its newest checkpoint, records can be read, but claims are refused.
        """
        self.checkpoints = checkpoints
        self._database = database
        self._clock = clock
        self._retention_time = retention_time
        self._writer = Writer(database, clock, store)
        self._readers: ThreadPoolExecutor | None = None
        self._claims: dict[str, Claim] = {}
        self.agenda = Agenda(self._read, clock)

    async def start(self) -> None:
        """Bring the tables up to date, and compare the ledger with its newest checkpoint."""
        await asyncio.to_thread(self._database.migrate)
        if self.checkpoints is not None:
            await asyncio.to_thread(self.checkpoints.begin)
        await asyncio.to_thread(self._open)

    async def close(self) -> None:
        """Finish pending writes, and close the database."""
        await self._writer.close()
        if self.checkpoints is not None:
            await asyncio.to_thread(self.checkpoints.try_to_write)
        if self._readers is not None:
            await asyncio.to_thread(self._readers.shutdown)
            self._readers = None
        self._database.dispose()

    async def claim(
        self,
        record: JobActionRecord,
        due: datetime,
        key: HeldKey | None,
        signature: HeldKey | None = None,
        lease: Lease | None = None,
    ) -> Holder | None:
        """Store a new record and hold its key and signature. If one is held already, return its holder instead.

        Without a key and a signature no conflict is possible, so the claim is written together with the next event.
        So is a claim under a lease: its key can only be held by an earlier run of the same work. Actions under leases
        go on together: their writes share commits (`together.py`).
        Raises LedgerUnavailable, and LedgerOutdated if the ledger is older than its newest checkpoint.
        """
        self._refuse_if_outdated()
        claim = Claim(record, due, key, signature, lease)
        if lease is not None:
            self._writer.together.join(record.id)
        if lease is not None or (key is None and signature is None):
            self._claims[record.id] = claim
            return None
        row = await self._writer.submit(claim)
        # After the loss of a writer process, the same claim may have been written before.
        if row is None or row["job_action_id"] == record.id:
            return None
        return Holder(await self._holder(row), row["fingerprint"])

    async def sent(self, record: JobActionRecord, event: Sent, lease: Lease | None = None) -> JobActionRecord:
        """Add the event that the action is about to be sent. Raises Overtaken and LeaseLost."""
        try:
            return await self._append(record, event, None, lease)
        except BaseException:
            self._writer.together.leave(record.id)
            raise

    async def append(self, record: JobActionRecord, event: Read | Concluded, due: datetime | None) -> JobActionRecord:
        """Add a reading or a conclusion. Raises Overtaken, and LeaseLost if the claim is written with it."""
        return await self._append(record, event, due)

    async def get(self, record_id: str, caller: str | None) -> JobActionRecord | None:
        """The record with this id, if `caller` requested it. With `caller` None, whoever requested it."""
        return await self._read(lambda connection: queries.get(connection, record_id, caller))

    async def page(self, selection: Selection, limit: int, before: str | None) -> Page[JobActionRecord]:
        """Selected records, newest first."""
        return await self._read(lambda connection: queries.page(connection, selection, limit, before))

    async def take_due(
        self, now: datetime, until: datetime, limit: int, beyond: datetime | None = None
    ) -> tuple[JobActionRecord, ...]:
        """Take the records whose time to be read again has come, or is after `beyond`."""
        if not await self._read(lambda connection: queries.is_any_due(connection, now, beyond)):
            return ()
        ids = await self._writer.submit(TakeDue(now, until, limit, beyond))
        return await self._read(lambda connection: queries.records(connection, ids))

    async def wait_until_due(self) -> None:
        """Wait until the time of a record to be read again may have come."""
        await self.agenda.wait(RECORD)

    async def tally(self, caller: str | None) -> Tally:
        """Count what has not ended, of one caller or of all. Raises LedgerUnavailable."""
        return await self._read(lambda connection: queries.tally(connection, caller))

    async def tidy(self, now: datetime) -> None:
        """Delete expired keys, and records, batches and approvals past their retention, and give their space back."""
        await self._writer.submit(retention.DeleteExpiredKeys(now))
        if self._retention_time is None:
            return
        before = now - self._retention_time
        while await self._writer.submit(DeleteOldBatches(before, now)):
            pass
        await self._writer.submit(DeleteOldSchedules(before, now))
        for number in await self._read(lambda connection: retention.old_segments(connection, before)):
            await self._delete(number, now)
        for approval in await self._read(lambda connection: retention.old_approvals(connection, before)):
            for number in approval.segments:
                await self._delete(number, now, approval)
        slice_of_space = retention.GiveBackSpace(retention.SLICE_PAGES, retention.KEPT_FREE)
        while await self._writer.submit(slice_of_space):
            pass

    async def note_used(self, used: Mapping[str, datetime]) -> None:
        """Store when API keys were last used, by their ids."""
        await self._writer.submit(NoteUsed({key_id: milliseconds(at) for key_id, at in used.items()}))

    async def check(self) -> None:
        """Check that an action could be recorded, with a test write unless another write has just succeeded."""
        self._refuse_if_outdated()
        if not self._writer.has_just_written:
            await self._writer.submit(Probe(self._clock.now()))

    def _refuse_if_outdated(self) -> None:
        if self.checkpoints is not None and self.checkpoints.outdated is not None:
            raise LedgerOutdated("The gateway's ledger does not match its newest checkpoint.")

    async def _delete(self, number: int, now: datetime, approval: retention.OldApproval | None = None) -> None:
        """State that a segment is deleted, and delete it; with the last one of an approval, the approval."""
        state = await self._read(lambda connection: retention.segment_state(connection, number))
        said = await asyncio.to_thread(self._state_deletion, state, now)
        await self._writer.submit(retention.DeleteSegment(state, now, said, approval))

    def _open(self) -> None:
        try:
            self._writer.open()
        except OSError as error:
            raise unavailable(Outcome.NOT_SENT) from error

    def _state_deletion(self, segment: SegmentState, now: datetime) -> str:
        return deletion_of(segment, now) if self.checkpoints is None else self.checkpoints.statement(segment, now)

    async def write(self, operation: OtherWrite, *, is_patient: bool = False) -> Any:
        """Write something else than an event of a job action, and return the result of the operation.

        One that is patient shares the next commit for others, if there is one soon.
        Raises LeaseLost if the operation is under a lease that is lost, and LedgerUnavailable.
        """
        return await self._writer.submit(operation, is_patient=is_patient)

    async def read(self, query: Callable[[Connection], Result]) -> Result:
        """Read something else than job actions. Raises LedgerUnavailable."""
        return await self._read(query)

    async def _append(
        self, record: JobActionRecord, event: Event, due: datetime | None, lease: Lease | None = None
    ) -> JobActionRecord:
        longer = record.with_event(event)
        append = Append(longer, event, due, lease)
        claim = self._claims.pop(record.id, None)
        operations = (append,) if claim is None else combined(claim, append)
        try:
            row = await self._writer.submit(*operations, action=record.id)
        except IntegrityError:
            return await self._settle_conflict(longer, event)
        except LedgerUnavailable:
            # The conclusion of a keyed action is written later, and needs its claim.
            if claim is not None and claim.key is not None and not isinstance(event, Concluded):
                self._claims[record.id] = claim
            raise
        if row is None:
            return longer
        if row["job_action_id"] != record.id:
            raise Overtaken(await self._holder(row))
        # The claim was written before, although its first result was lost.
        return longer if isinstance(event, Sent) else await self._settle_conflict(longer, event)

    async def _holder(self, row: KeyRow) -> JobActionRecord:
        """The record that holds a key."""
        held_by = await self._read(lambda connection: queries.get(connection, row["job_action_id"]), Outcome.NOT_SENT)
        if held_by is None:  # past its retention, although the key has not expired
            raise LedgerUnavailable("The record of this key is being deleted.", Explanation(outcome=Outcome.NOT_SENT))
        return held_by

    async def _settle_conflict(self, longer: JobActionRecord, event: Event) -> JobActionRecord:
        """The stored record, if the conflicting event is this one, written after all. Raises Overtaken otherwise."""
        outcome = Outcome.UNKNOWN if longer.sent else Outcome.NOT_SENT
        stored = await self._read(lambda connection: queries.get(connection, longer.id), outcome)
        if stored is None or len(stored) < len(longer):
            raise unavailable(outcome, longer.id)
        if stored.later[len(longer) - 2] == event:
            return longer
        raise Overtaken(stored)

    async def _read(self, query: Callable[[Connection], Result], outcome: Outcome = Outcome.UNKNOWN) -> Result:
        if self._readers is None:
            self._readers = ThreadPoolExecutor(MOST_READERS, thread_name_prefix="ledger reader")
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read_now, query, outcome)

    def _read_now(self, query: Callable[[Connection], Result], outcome: Outcome) -> Result:
        try:
            with storage_failures(outcome), self._database.reading.connect() as connection:
                return query(connection)
        except LedgerUnavailable as error:
            log.error("the ledger's database failed: %s", error.__cause__)  # noqa: TRY400 - a reason is enough
            raise


def combined(claim: Claim, append: Append) -> tuple[Operation, ...]:
    """The operations that write the claim of a new record and its next event in one transaction."""
    if not isinstance(append.event, Sent):
        return claim, append
    return (Claim(append.record, claim.due, claim.key, claim.signature, claim.lease),)
