"""Termination: ends a job, whatever its status, by the gentlest way that its vendor documents.

    perform      1. actions.claim       record the request, with the action `terminate`
    _end         2. ended_or_present    read the job; if it has ended, that is all
                 3. way_to_end          plan the steps from its status
    _walk        4. actions.perform     take each step: a job action with a record of its own, under the first one
                    again from 2        once at most, if the vendor refused a step for the job's status
                 5. actions.conclude    record the conclusion, with the steps

The end of a step that the vendor only accepts is awaited. After a step whose outcome is unknown, no other step is
begun. `reconciliation` then finds out what became of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gateway.domain.errors import (
    Explanation,
    JobChanged,
    JobgateError,
    LedgerUnavailable,
    NotEnded,
    UnknownJob,
    VendorRefused,
    catalogue,
)
from gateway.domain.leases import LeaseLost
from gateway.domain.model import DryRun, Job, JobAction, Outcome, StatusPair
from gateway.domain.record import (
    Concluded,
    JobActionRecord,
    JobActionStatus,
    Overtaken,
    ProblemNote,
    Read,
    SettledBy,
    Step,
    problem_of,
)
from gateway.domain.vocabulary import MODE, Meaning, Mode
from gateway.engine.action import ActionRequest, ActionResult
from gateway.engine.actions import Actions
from gateway.engine.conclusions import SETTLED_BY, as_problem
from gateway.engine.connections import Connection
from gateway.engine.endings import Way, way_to_end
from gateway.engine.jobs import job_state
from gateway.engine.observation import observed
from gateway.engine.reconciliation import Reconciler, lease, was_accepted
from gateway.engine.steps import ended_or_present, outcome_of

STALE = frozenset({kind.code for kind in catalogue() if kind.meaning in {Meaning.WRONG_STATE, Meaning.CHANGED}})
"""Codes of the problems with a step after which the job is read again: it is not as it was."""
REFUSALS = STALE | {VendorRefused.code}
"""Codes of the problems with a step after which another way is tried."""


class PlannedStep(Struct, frozen=True):
    """A step that a termination would take, and the status that it leads to.

    `dry_run` is None if the request depends on the reply to the step before.
    """

    action: str
    to: StatusPair
    dry_run: DryRun | None


class TerminationPlan(Struct, frozen=True):
    """The steps that would end a job in its present status. `job` is None if it is gone."""

    job: StatusPair | None
    steps: tuple[PlannedStep, ...]


class Ending(Struct):
    """A termination on its way: its present record, the records of its steps, and when its calls must have ended."""

    request: ActionRequest
    record: JobActionRecord
    deadline: float
    steps: tuple[JobActionRecord, ...] = ()

    @property
    def connection(self) -> Connection:
        """The connection that the job lives in."""
        return self.request.connection

    @property
    def mode(self) -> Mode:
        """The mode of the termination."""
        return Mode(self.request.job_action.parameters[MODE])

    @property
    def summary(self) -> tuple[Step, ...]:
        """The steps for the conclusion."""
        return tuple(each.step for each in self.steps)

    @property
    def job(self) -> StatusPair | None:
        """The job's status after the last step that was carried out; None before the first."""
        done = (each.job for each in reversed(self.steps) if each.outcome is Outcome.APPLIED)
        return next(done, None)

    def step(self, action: str, seconds: float | None = None) -> ActionRequest:
        """The request for a step. What an earlier step found in the job, such as its assignment, is known to it."""
        earlier = (each.job_action.parameters for each in self.steps)
        known = {name: value for parameters in earlier for name, value in parameters.items()}
        is_first = self.job is None
        # A termination that has begun is carried on to its end, even if its lease is lost.
        lease = None if self.steps else self.request.lease
        request = replace(self.request, parent=self.record.id, seconds=seconds, lease=lease)
        return step_request(request, action, known, is_first=is_first)


@dataclass(frozen=True)
class Terminations:
    """Performs terminations by means of job actions. What a vendor only accepts is waited for with the reconciler."""

    actions: Actions
    reconciler: Reconciler

    @observed
    async def perform(self, request: ActionRequest) -> ActionResult:
        """End the job, and record what came of it; the record says if it failed. Raises as `Actions.perform`."""
        deadline = self.actions.calls.context(request.origin, request.seconds, request.caller).deadline
        begun = await self.actions.claim(request)
        if not begun.is_begun:
            return begun
        ending = Ending(request, begun.record, deadline)
        try:
            conclusion = await self._conclusion(ending)
            return ActionResult(await self.actions.conclude(ending.record, conclusion))
        except Overtaken as overtaken:
            return ActionResult(overtaken.record)

    async def preview(self, request: ActionRequest) -> TerminationPlan:
        """The steps that `perform` would take, with their exact requests. Sends no action. Raises as `perform`."""
        job = await self._read(request, self.actions.calls.context(request.origin, request.seconds).deadline)
        if job is None:
            return TerminationPlan(None, ())
        specification = request.connection.specification
        known: dict[str, Any] = {}
        steps: list[PlannedStep] = []
        for action in () if job.final else planned(request, job):
            mapping = specification.actions[action]
            asked = step_request(request, action, known, is_first=not steps)
            is_open = steps and not mapping.find.keys() <= asked.job_action.parameters.keys()
            dry_run = None if is_open else await self.actions.preview(asked, is_later=bool(steps))
            known |= {} if dry_run is None else dry_run.found
            steps.append(PlannedStep(action, specification.status(mapping.to_status).pair, dry_run))
        return TerminationPlan(job.status, tuple(steps))

    async def _conclusion(self, ending: Ending) -> Concluded:
        """The conclusion of the termination; an error is a conclusion too.

        Raises Overtaken, LeaseLost, and LedgerUnavailable if nobody could ask for the record.
        """
        try:
            return await self._end(ending)
        except (Overtaken, LeaseLost):
            raise
        except Exception as error:
            problem = as_problem(error, ending.record)
            outcome = with_error(outcome_of(ending.summary), problem)
            if isinstance(error, LedgerUnavailable) and not ending.record.requested.is_named:
                problem.explain(outcome=outcome)
                raise
            return self._failed(ending, problem, outcome)

    async def _end(self, ending: Ending) -> Concluded:
        """Take the steps. Raises the problem of the step that failed, or NotEnded."""
        job = await self._read(ending.request, ending.deadline)
        if job is None or job.final:
            return self._ended(ending, job)
        try:
            return await self._walk(ending, job, planned(ending.request, job))
        except JobgateError as problem:
            if not is_refused(ending, problem):
                raise
            return await self._end_otherwise(ending, ending.job or job.status, problem)

    async def _end_otherwise(self, ending: Ending, before: StatusPair, refused: JobgateError) -> Concluded:
        """Read the job again, and end it from its present status. Raises `refused` if there is no other way."""
        job = await self._read(ending.request, ending.deadline)
        if job is None or job.final:
            return self._ended(ending, job)
        tried = {ending.summary[-1].action} if job.status == before else ()
        way = way_to_end(ending.connection.vendor, job.status.vendor_status, ending.mode, tried)
        if way is None:
            raise refused
        return await self._walk(ending, job, way)

    async def _walk(self, ending: Ending, job: Job, way: Way) -> Concluded:
        """Take the steps of a way. Raises the problem of the one that fails."""
        await self._note(ending, job)
        for action in way:
            left = ending.deadline - self.actions.clock.monotonic()
            if left <= 0:
                raise NotEnded(f"The time for this request ended before the step {action}.")
            step = await self._taken(ending, action, left)
            ending.steps = (*ending.steps, step)
            if step.status is not JobActionStatus.SUCCEEDED:
                raise problem_of(step) if step.problem else NotEnded(f"The result of {action} is not known yet.")
        return self._concluded(ending, SettledBy.VENDOR_REPLY, ending.job)

    async def _taken(self, ending: Ending, action: str, seconds: float) -> JobActionRecord:
        """The record of a step. If the vendor only accepts it, its end is awaited within the time that is left."""
        step = (await self.actions.perform(ending.step(action, seconds))).record
        if not was_accepted(step):
            return step
        return await self.reconciler.wait(step, ending.deadline - self.actions.clock.monotonic())

    async def _read(self, request: ActionRequest, deadline: float) -> Job | None:
        """The job as it is now; None if it has ended and is gone."""
        context = self.actions.calls.context(request.origin, request.seconds, request.caller)
        context = replace(context, deadline=deadline)
        jobs, ledger = self.actions.jobs, self.actions.ledger
        return await ended_or_present(jobs, ledger, request.connection, request.job_action.job_id, context)

    async def _note(self, ending: Ending, job: Job) -> None:
        """Record the job's status, so that the record is stored before its first step. Raises Overtaken."""
        now = self.actions.clock.now()
        due = now + lease(self.actions.calls.seconds)
        ending.record = await self.actions.ledger.append(ending.record, Read(now, job.status), due)

    def _ended(self, ending: Ending, job: Job | None) -> Concluded:
        """The conclusion if the job, read, has ended, or is gone."""
        return self._concluded(ending, SettledBy.READING, None if job is None else job.status)

    def _concluded(self, ending: Ending, settled_by: SettledBy, job: StatusPair | None) -> Concluded:
        already_so = not any(each.outcome is Outcome.APPLIED for each in ending.steps)
        now = self.actions.clock.now()
        return Concluded(now, Outcome.APPLIED, settled_by, job, steps=ending.summary, already_so=already_so)

    def _failed(self, ending: Ending, problem: JobgateError, outcome: Outcome) -> Concluded:
        """The conclusion that the job has not ended, or may not have."""
        done = [each.action for each in ending.summary if each.outcome is Outcome.APPLIED]
        detail = f"Carried out: {', '.join(done)}. Then: {problem.detail}" if done else problem.detail
        explanation = replace(problem.explanation, outcome=None, job_action=None)
        note = ProblemNote(problem.code, detail, explanation)
        now = self.actions.clock.now()
        return Concluded(now, outcome, SETTLED_BY[outcome], ending.job, problem=note, steps=ending.summary)


def step_request(request: ActionRequest, action: str, known: Mapping[str, Any], *, is_first: bool) -> ActionRequest:
    """The request for a step of a termination, with its note and disposition, and what is known of the job.

    A precondition belongs to the first step, which changes the version of the job.
    """
    given = {name: value for name, value in request.job_action.parameters.items() if name != MODE}
    found = request.connection.specification.actions[action].find.keys() & known.keys()
    parameters = {**given, **{name: known[name] for name in found}}
    version = request.job_action.version if is_first else None
    job_action = JobAction(action, request.job_action.job_id, parameters, version)
    return replace(request, job_action=job_action, key=None, signature=None)


def planned(request: ActionRequest, job: Job) -> Way:
    """The steps from the job's status to its end. Raises NotEnded if the vendor documents none."""
    vendor, status = request.connection.vendor, job.status.vendor_status
    mode = Mode(request.job_action.parameters[MODE])
    way = way_to_end(vendor, status, mode)
    if way is not None:
        return way
    by_force = mode is not Mode.FORCED and way_to_end(vendor, status, Mode.FORCED) is not None
    hint = " The mode `forced` can, and may lose work." if by_force else ""
    raise NotEnded(
        f"The job is {status}, and {vendor.name} documents no way to end it from there.{hint}",
        Explanation(job=job_state(job), outcome=Outcome.NOT_SENT),
    )


def is_refused(ending: Ending, problem: JobgateError) -> bool:
    """True if the last step was refused for the job's status, so that another way may exist."""
    refused = bool(ending.steps) and ending.steps[-1].status is JobActionStatus.FAILED
    if ending.request.job_action.version is not None and problem.code == JobChanged.code:
        return False
    may_be_gone = problem.code == UnknownJob.code and ending.connection.specification.deletes_ended_jobs
    return refused and (problem.code in REFUSALS or may_be_gone)


def with_error(outcome: Outcome, problem: JobgateError) -> Outcome:
    """The outcome of a termination that ended in an error which may belong to a step without a record."""
    is_unknown = (problem.explanation.outcome or problem.outcome) is Outcome.UNKNOWN
    return Outcome.UNKNOWN if is_unknown and isinstance(problem, LedgerUnavailable) else outcome
