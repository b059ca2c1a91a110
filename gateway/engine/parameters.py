"""Parameters that a request leaves out, found in the job or in something else of the vendor's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from gateway.domain.errors import AmbiguousParameter, Explanation, WrongState
from gateway.domain.model import Job, JobAction, Json, Outcome
from gateway.engine.action import ActionRequest
from gateway.engine.calls import CallContext
from gateway.engine.jobs import Jobs, job_state
from gateway.engine.plans import Plan
from gateway.specs.vendor import Finder


def is_complete(plan: Plan, job_action: JobAction) -> bool:
    """True if nothing need be found, and the job need not be read.

    It is read if another action has the same request: the vendor would carry out whichever the job allows.
    """
    return not plan.is_ambiguous and plan.mapping.find.keys() <= job_action.parameters.keys()


async def completed(jobs: Jobs, request: ActionRequest, plan: Plan, context: CallContext) -> JobAction:
    """The job action with the parameters that were left out, found by functions of the adapter.

    They are given the job, or the reply to another read.

    Raises WrongState if the job does not allow the action, AmbiguousParameter if there are none or several values, and
    whatever reading raises.
    """
    job_action = request.job_action
    if is_complete(plan, job_action):
        return job_action
    missing = {name: finder for name, finder in plan.mapping.find.items() if name not in job_action.parameters}
    job = await jobs.get(request.connection, job_action.job_id, context)
    if job_action.action not in job.allowed_actions:
        raise WrongState(
            f"The job is {job.status.vendor_status}, which does not allow {job_action.action}.",
            Explanation(job=job_state(job), outcome=Outcome.NOT_SENT),
        )
    found = {}
    for name, finder in missing.items():
        looked_at = await _looked_at(jobs, request, finder, job, context)
        found[name] = _only(name, request.connection.vendor.adapter.finders[finder.by](looked_at))
    return replace(job_action, parameters={**job_action.parameters, **found})


async def _looked_at(
    jobs: Jobs, request: ActionRequest, finder: Finder, job: Job, context: CallContext
) -> Mapping[str, Json]:
    """The vendor's object in which a parameter is to be found."""
    if finder.read is None:
        return job.vendor_object
    read = request.connection.specification.parts[finder.read]
    return await jobs.part(request.connection, read, request.job_action, context)


def found_in(asked: JobAction, complete: JobAction) -> Mapping[str, Json]:
    """The parameters that were found, beside those that were asked for."""
    if complete is asked:
        return {}
    return {name: value for name, value in complete.parameters.items() if name not in asked.parameters}


def _only(name: str, candidates: Iterable[str]) -> str:
    found = tuple(candidates)
    if len(found) == 1:
        return found[0]
    many = "several are possible" if found else "the job has none that this action can be applied to"
    raise AmbiguousParameter(
        f"{name} is left out, and {many}.", Explanation(candidates=found, outcome=Outcome.NOT_SENT)
    )
