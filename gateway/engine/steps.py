"""The steps of a termination in the ledger, what they tell together, and the job that they end."""

from __future__ import annotations

from collections.abc import Collection

from gateway.domain.errors import UnknownJob
from gateway.domain.model import Job, Outcome
from gateway.domain.ports import Ledger
from gateway.domain.record import JobActionRecord, Selection, Step
from gateway.engine.calls import CallContext
from gateway.engine.connections import Connection
from gateway.engine.jobs import Jobs

AT_A_TIME = 100
"""Records that are read from the ledger at a time."""


async def steps_of(ledger: Ledger, termination: JobActionRecord) -> tuple[JobActionRecord, ...]:
    """The records of a termination's steps, oldest first."""
    asked = termination.requested
    chosen = Selection(connection=asked.connection, job_id=asked.job_action.job_id, since=asked.at)
    found: list[JobActionRecord] = []
    before: str | None = None
    while True:
        page = await ledger.page(chosen, AT_A_TIME, before)
        found += (each for each in page.items if each.requested.parent == termination.id)
        before = page.next_cursor
        if before is None:
            return tuple(reversed(found))


def is_doubtful(steps: Collection[Step]) -> bool:
    """True if a step may still be carried out, or its outcome is unknown."""
    return any(each.outcome in {None, Outcome.UNKNOWN} for each in steps)


def outcome_of(steps: Collection[Step]) -> Outcome:
    """The outcome of a termination that did not end the job."""
    outcomes = {each.outcome for each in steps}
    if is_doubtful(steps):
        return Outcome.UNKNOWN
    if Outcome.APPLIED in outcomes:
        return Outcome.PARTIAL
    return Outcome.REJECTED if Outcome.REJECTED in outcomes else Outcome.NOT_SENT


async def ended_or_present(
    jobs: Jobs, ledger: Ledger, connection: Connection, job_id: str, context: CallContext
) -> Job | None:
    """The job; None if its vendor deletes ended jobs, and it is gone although this gateway has seen it.

    Raises UnknownJob, and what any call raises.
    """
    try:
        return await jobs.get(connection, job_id, context)
    except UnknownJob:
        if connection.specification.deletes_ended_jobs and await _was_seen(ledger, connection, job_id):
            return None
        raise


async def _was_seen(ledger: Ledger, connection: Connection, job_id: str) -> bool:
    """True if one of the newest records on the job shows a status of it."""
    page = await ledger.page(Selection(connection=connection.name, job_id=job_id), AT_A_TIME, None)
    return any(each.job or any(reading.job for reading in each.readings) for each in page.items)
