"""Preparing a batch: its jobs are read, each item gets its verdict, and the manifest is frozen.

Nothing is sent here. If the process ends, another one begins again: with the items that have no verdict yet, or, for a
filter, from the beginning.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from msgspec import to_builtins
from msgspec.structs import replace

from gateway.batches.changes import Changes
from gateway.batches.guard_rails import GuardRails, too_many
from gateway.batches.permission import Permission
from gateway.domain.batches import (
    LARGEST_BATCH,
    Batch,
    BatchPlan,
    BatchState,
    Item,
    ItemOutcome,
    JobReference,
    Manifest,
    Progress,
    Verdict,
    Why,
    filter_of,
)
from gateway.domain.encoding import dump_line
from gateway.domain.errors import JobgateError, UnknownJob
from gateway.domain.finding import JobFilter
from gateway.domain.leases import Lease
from gateway.domain.model import Job
from gateway.domain.vocabulary import MODE, TERMINATE, Mode
from gateway.engine.calls import CallContext
from gateway.engine.connections import Connection, Directory
from gateway.engine.endings import way_to_end
from gateway.engine.finding import Finder
from gateway.engine.jobs import Jobs, blocked_reason
from gateway.ledger.batch_store import ITEMS_AT_ONCE, BatchStore
from gateway.ledger.batches import ItemSelection
from gateway.resilience.pacing import Pace

READS_AT_ONCE = 16
"""Most jobs of a batch that are read at the same time."""
AT_ONCE = timedelta()
UNBOUND = frozenset({"expected_count", "expected_between", "begin_by"})
"""The members of a plan that are no part of what is confirmed."""


class Shown(NamedTuple):
    """The share of the jobs that are acted on, and the number of others that may be wanted, as the lists show them."""

    share: float | None = None
    left_out: int = 0


@dataclass(frozen=True)
class Preparation:
    """Prepares batches."""

    store: BatchStore
    changes: Changes
    jobs: Jobs
    finder: Finder
    directory: Directory
    rails: GuardRails
    permission: Permission

    async def prepare(self, batch: Batch, lease: Lease) -> None:
        """Give every item its verdict, freeze the manifest, and let the batch wait for its confirmation.

        Raises LeaseLost, and LedgerUnavailable.
        """
        if batch.plan.filter is not None:
            shown = await self._find(batch, lease, filter_of(batch.plan.filter))
            if isinstance(shown, Why):
                await self.changes.go_on(batch, lease, BatchState.ABORTING, shown, after=AT_ONCE)
            else:
                await self._freeze(batch, lease, shown)
            return
        if batch.plan.is_paged:
            await self.store.renumber(batch.id, lease)
        await self._judge_named(batch, lease)
        await self._freeze(batch, lease, Shown())

    async def _freeze(self, batch: Batch, lease: Lease, shown: Shown) -> None:
        """Freeze the manifest, and give the batch its next state."""
        now = self.changes.clock.now()
        verdicts = await self.store.verdicts(batch.id)
        count = verdicts.get(Verdict.WILL_ACT, 0)
        manifest = Manifest(await self._digest(batch), count, verdicts, shown.share, shown.left_out)
        batch = replace(batch, manifest=manifest, prepared_at=now)
        why = too_many(self.rails, batch.plan.limits, count)
        if why is not None:
            await self.changes.go_on(batch, lease, BatchState.ABORTING, why, after=AT_ONCE)
        elif not count:
            await self.changes.end(batch, lease, BatchState.COMPLETED)
        elif batch.plan.expects(count) and not is_large(self.rails, batch):
            confirmed = await self.permission.gate(replace(batch, confirmed_by=batch.caller, confirmed_at=now))
            next_state, approval = confirmed.state, confirmed.approval
            confirmed = replace(confirmed, state=batch.state)
            await self.changes.go_on(confirmed, lease, next_state, after=AT_ONCE, approval=approval)
        else:
            waiting = replace(batch, confirm_until=now + batch.plan.confirmation_time)
            await self.changes.go_on(waiting, lease, BatchState.AWAITING_CONFIRMATION, unexpected(batch.plan, count))

    async def _digest(self, batch: Batch) -> str:
        """The SHA-256 of the plan and of the items, each a line of JSON."""
        plan = {name: value for name, value in to_builtins(batch.plan).items() if name not in UNBOUND}
        digest = hashlib.sha256(dump_line({"caller": batch.caller, **plan}))
        async for items in self.store.pages(ItemSelection(batch.id)):
            digest.update(b"".join(dump_line([i.position, i.connection, i.job_id, i.verdict]) for i in items))
        return digest.hexdigest()

    async def _judge_named(self, batch: Batch, lease: Lease) -> None:
        """Give the items of named jobs their verdicts."""
        progress = Counter((await self.store.get(batch.id) or batch).progress.outcomes)
        while items := await self.store.items(ItemSelection(batch.id, prepared=False)):
            judged = await self._judged(batch, items)
            progress.update(each.outcome for each in judged)
            progress.subtract(each.outcome for each in items)
            await self.store.put(batch.id, lease, judged, Progress(+progress))

    async def _judged(self, batch: Batch, items: list[Item]) -> list[Item]:
        """These items with their verdicts."""
        references = [JobReference(each.connection, each.job_id) for each in items]
        first = await self.store.first_places(batch.id, references)
        held = await self.store.held(batch.id, references)
        known = dict(zip((each.position for each in items), references, strict=True))
        twice = {each.position for each in items if first[known[each.position]] < each.position}
        unread = [each for each in items if each.position not in twice and known[each.position] not in held]
        by_connection: dict[str, list[Item]] = {}
        for item in unread:
            by_connection.setdefault(item.connection, []).append(item)
        read = await asyncio.gather(*(self._read(batch, name, its) for name, its in by_connection.items()))
        judged = {each.position: each for its in read for each in its}
        for item in items:
            if item.position in twice:
                judged[item.position] = with_verdict(item, Verdict.DUPLICATE)
            elif known[item.position] in held:
                judged[item.position] = with_verdict(item, Verdict.HELD_BY_OTHER_BATCH)
        return [judged[each.position] for each in items]

    async def _read(self, batch: Batch, name: str, items: list[Item]) -> list[Item]:
        """The items of one connection with their verdicts, each job read, or found in the list of all."""
        connection = self.directory.connections.get(name)
        if connection is None:
            return [with_verdict(each, Verdict.UNREADABLE, "unknown-connection") for each in items]
        if connection.specification.job_read is None:
            return await self._look_up(batch, connection, items)
        pace = Pace(self.changes.clock, connection.pipeline.slots, connection.quota)
        gate = asyncio.Semaphore(READS_AT_ONCE)

        async def judged(item: Item) -> Item:
            async with gate, pace.turn():
                try:
                    job = await self.jobs.get(connection, item.job_id, self._context(batch))
                except UnknownJob:
                    return with_verdict(item, Verdict.NOT_FOUND)
                except JobgateError as error:
                    return with_verdict(item, Verdict.UNREADABLE, error.code)
            return judge(batch, connection, job, item)

        return list(await asyncio.gather(*map(judged, items)))

    async def _look_up(self, batch: Batch, connection: Connection, items: list[Item]) -> list[Item]:
        """The items with their verdicts, each job looked up in the list of all."""
        wanted = {each.job_id: each for each in items}
        judged: dict[str, Item] = {}
        problem = None
        async for found in self.finder.found(JobFilter((connection.name,)), lambda: self._context(batch)):
            problem = found.problem or problem
            for job in found.jobs:
                if job.id in wanted:
                    judged[job.id] = judge(batch, connection, job, wanted[job.id])
            if len(judged) == len(wanted):
                break
        for job_id, item in wanted.items():
            if job_id not in judged:
                verdict = Verdict.NOT_FOUND if problem is None else Verdict.UNREADABLE
                judged[job_id] = with_verdict(item, verdict, None if problem is None else problem.code)
        return [judged[each.job_id] for each in items]

    async def _find(self, batch: Batch, lease: Lease, wanted: JobFilter) -> Shown | Why:
        """Make items of the jobs that the filter finds. Returns what the lists show, or why the manifest is not whole.

        The jobs in the filter's statuses are counted beside those that are wanted.
        """
        everything = JobFilter(wanted.connections, wanted.statuses)
        progress: Counter[str] = Counter()
        position, inspected, left_out, clears = 0, 0, 0, True
        now = self.changes.clock.now()
        async for found in self.finder.found(everything, lambda: self._context(batch)):
            if found.problem is not None:
                why = f"The list could not be read whole: {found.problem.detail}"
                return Why(why, found.problem.code, connection=found.connection)
            answers = [(job, wanted.fits(job, now)) for job in found.jobs]
            chosen = [job for job, fits in answers if fits]
            inspected += len(found.jobs)
            left_out += found.left_out + sum(fits is None for _, fits in answers)
            items = await self._judged_jobs(batch, self.directory.connection(found.connection), chosen, position)
            position += len(items)
            if position > LARGEST_BATCH:
                return Why(f"The filter finds more than {LARGEST_BATCH} jobs.", "maxItems")
            progress.update(each.outcome for each in items)
            for begin in range(0, len(items), ITEMS_AT_ONCE):
                part = items[begin : begin + ITEMS_AT_ONCE]
                await self.store.put(batch.id, lease, part, Progress(dict(progress)), clears=clears)
                clears = False
        if clears:
            await self.store.put(batch.id, lease, [], Progress(), clears=True)
        acting = progress[ItemOutcome.PENDING]
        return Shown(acting / inspected if inspected else 0.0, left_out)

    async def _judged_jobs(self, batch: Batch, connection: Connection, jobs: list[Job], after: int) -> list[Item]:
        """The items of jobs from a list, with positions after `after`. A job whose status the list hides is read."""
        vague = connection.specification.vague_statuses
        items = [Item(position, connection.name, job.id) for position, job in enumerate(jobs, after + 1)]
        hidden = [item for item, job in zip(items, jobs, strict=True) if job.status.vendor_status in vague]
        read = {each.position: each for each in await self._read(batch, connection.name, hidden)} if hidden else {}
        judged = [
            read.get(item.position) or judge(batch, connection, job, item)
            for item, job in zip(items, jobs, strict=True)
        ]
        return await self._without_held(batch, judged)

    async def _without_held(self, batch: Batch, items: list[Item]) -> list[Item]:
        """The items, of which those that another batch holds, or that were found before, are not acted on."""
        references = {each.position: JobReference(each.connection, each.job_id) for each in items}
        if not references:
            return items
        held = await self.store.held(batch.id, list(references.values()))
        first = await self.store.first_places(batch.id, list(references.values()))
        return [
            with_verdict(each, Verdict.DUPLICATE)
            if references[each.position] in first
            else with_verdict(each, Verdict.HELD_BY_OTHER_BATCH)
            if references[each.position] in held
            else each
            for each in items
        ]

    def _context(self, batch: Batch) -> CallContext:
        return self.jobs.calls.context(caller=batch.caller)


def unexpected(plan: BatchPlan, count: int) -> Why | None:
    """The reason for which the batch of a schedule waits for a person."""
    if plan.expected_between is None:
        return None
    least, most = plan.expected_between
    if least <= count <= most:
        return Why("It would act on a larger share of the connections' jobs than the guard rails allow.", "maxShare")
    return Why(f"It would act on {count} jobs; from {least} to {most} were expected.", "unexpected-size")


def is_large(rails: GuardRails, batch: Batch) -> bool:
    """True if the batch will act on a larger share of the jobs than it may without being told so."""
    share = None if batch.manifest is None else batch.manifest.share
    return share is not None and share > rails.share(batch.plan.limits)


def with_verdict(item: Item, verdict: Verdict, problem: str | None = None) -> Item:
    """An item that is not acted on."""
    return replace(item, verdict=verdict, outcome=ItemOutcome.SKIPPED, problem=problem)


def judge(batch: Batch, connection: Connection, job: Job, item: Item) -> Item:
    """The item with the verdict about its job, as it was read."""
    verdict, detail = verdict_on(batch.plan.action, batch.plan.parameters, connection, job)
    outcome = ItemOutcome.PENDING if verdict is Verdict.WILL_ACT else ItemOutcome.SKIPPED
    return replace(item, verdict=verdict, outcome=outcome, status_seen=job.status, detail=detail)


def verdict_on(
    action: str, parameters: Mapping[str, Any], connection: Connection, job: Job
) -> tuple[Verdict, str | None]:
    """The verdict on a job, and the reason if the action is not allowed."""
    vendor, status = connection.vendor, job.status.vendor_status
    if action == TERMINATE:
        if job.final:
            return Verdict.ALREADY_SO, None
        mode = Mode(parameters.get(MODE, Mode.GRACEFUL))
        if way_to_end(vendor, status, mode) is None:
            return Verdict.NOT_ALLOWED, f"The vendor documents no way to end a job that is {status}."
        return Verdict.WILL_ACT, None
    if action in job.allowed_actions:
        return Verdict.WILL_ACT, None
    mapping = connection.specification.actions.get(action)
    if mapping is not None and mapping.to_status == status:
        return Verdict.ALREADY_SO, None
    return Verdict.NOT_ALLOWED, blocked_reason(vendor, action, status)


def connections_of(references: Iterable[JobReference]) -> tuple[str, ...]:
    """The connections of jobs, each once, in their order."""
    return tuple(dict.fromkeys(each.connection for each in references))
