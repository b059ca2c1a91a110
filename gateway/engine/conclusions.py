"""Conclusions: what is known of an action from the vendor's reply, or from the error that it ended in."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime

from msgspec.structs import replace

from gateway.domain.errors import (
    Explanation,
    GatewayError,
    JobgateError,
    NotConfirmed,
    UnknownJob,
    VendorRefused,
    WrongState,
)
from gateway.domain.model import JobAction, Outcome, Result
from gateway.domain.record import Concluded, JobActionRecord, ProblemNote, SettledBy
from gateway.engine.action import ActionInProgress
from gateway.engine.calls import Calls
from gateway.engine.jobs import Jobs, job_in_reply, job_state, not_understood
from gateway.engine.support import status_after
from gateway.engine.wire import VendorReply

log = logging.getLogger(__name__)

SETTLED_BY: Mapping[Outcome, SettledBy | None] = {
    Outcome.APPLIED: SettledBy.VENDOR_REPLY,
    Outcome.PARTIAL: SettledBy.VENDOR_REPLY,
    Outcome.REJECTED: SettledBy.VENDOR_REPLY,
    Outcome.NOT_SENT: SettledBy.NOTHING_SENT,
    Outcome.UNKNOWN: None,
}
"""The reason for which an outcome is certain as soon as the action ends."""

EXPLAINED_BY_THE_JOB = (UnknownJob, VendorRefused)
"""Refusals that the job itself explains better than the reply: vendors use one status for several of them."""


def of_success(
    calls: Calls, action: ActionInProgress, job_action: JobAction, reply: VendorReply, now: datetime
) -> Concluded:
    """The conclusion from a reply of success; `action.job` is the job in it, if the reply to this action is the job.

    Raises VendorReplyNotUnderstood if the reply contradicts itself, or should be this job and is not, and NotConfirmed
    if the vendor has only accepted the action.
    """
    mapping, connection = action.plan.mapping, action.request.connection
    response = calls.response(connection, reply)
    if not reply.is_understood(mapping.operation) or response.code or response.message:
        raise not_understood(connection, reply).explain(vendor=response)
    if mapping.result is Result.ACCEPTED:
        sentence = f"{response.vendor} accepted {mapping.action} and carries it out; the job will show the end."
        raise NotConfirmed(sentence, Explanation(vendor=response))
    if mapping.result is Result.JOB:
        action.job = job_in_reply(connection, mapping, job_action.job_id, reply)
        return Concluded(now, Outcome.APPLIED, SettledBy.VENDOR_REPLY, action.job.status, response)
    after = status_after(action.plan, job_action, now)
    return Concluded(now, Outcome.APPLIED, SettledBy.VENDOR_REPLY, after, response)


async def refusal(jobs: Jobs, action: ActionInProgress, job_action: JobAction, reply: VendorReply) -> JobgateError:
    """The problem behind a reply that refuses. If the reply leaves the reason open, the job is read."""
    problem = await _explained(jobs, action, job_action, reply)
    # What is refused the second time may have been done the first time.
    return problem.explain(outcome=Outcome.UNKNOWN) if reply.is_doubtful else problem


def of_error(error: Exception, record: JobActionRecord, now: datetime) -> Concluded:
    """The conclusion from the error that an action ended in."""
    problem = as_problem(error, record)
    outcome = (problem.explanation.outcome or problem.outcome) if record.sent else Outcome.NOT_SENT
    note = ProblemNote(problem.code, problem.detail, replace(problem.explanation, outcome=None))
    return Concluded(now, outcome, SETTLED_BY[outcome], problem=note)


async def _explained(jobs: Jobs, action: ActionInProgress, job_action: JobAction, reply: VendorReply) -> JobgateError:
    connection, mapping = action.connection, action.plan.mapping
    problem = jobs.calls.problem(connection, reply, is_conditional=job_action.version is not None)
    if not isinstance(problem, EXPLAINED_BY_THE_JOB):
        return problem
    try:
        job = await jobs.get(connection, job_action.job_id, action.context)
    except UnknownJob as unknown:
        return unknown.explain(vendor=problem.explanation.vendor)
    except JobgateError as error:
        log.warning("a refused job could not be read: %s", error.code)
        return problem
    if mapping.action in job.allowed_actions:
        return jobs.calls.of_kind(VendorRefused, connection, reply)
    sentence = f"The job is {job.status.vendor_status}, which does not allow {mapping.action}."
    return WrongState(sentence, replace(problem.explanation, job=job_state(job)))


def as_problem(error: Exception, record: JobActionRecord) -> JobgateError:
    """An error as a problem. An error that nobody foresaw is logged, and leaves the outcome unknown."""
    if isinstance(error, JobgateError):
        return error
    log.error("unexpected error in job action %s", record.id, exc_info=error)
    return GatewayError("Something went wrong in Jobgate itself.", Explanation(outcome=Outcome.UNKNOWN))
