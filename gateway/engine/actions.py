"""Job actions: the use case of Jobgate, from the question to the settled record."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from gateway.domain.errors import (
    ActionNotSupported,
    AmbiguousParameter,
    Explanation,
    FieldError,
    GatewayError,
    JobgateError,
    ParameterNotSupported,
    UnknownJob,
    ValueNotSupported,
    VendorRefused,
    WrongState,
)
from gateway.domain.model import (
    ActionWarning,
    DryRun,
    HttpRequest,
    JobAction,
    JobActionRecord,
    JobActionStatus,
    Json,
    Outcome,
    ProblemNote,
    StatusPair,
)
from gateway.domain.ports import Clock, Ledger
from gateway.domain.times import parse_date_time
from gateway.engine.calls import Calls
from gateway.engine.connections import Connection
from gateway.engine.jobs import Jobs, job_state, not_understood
from gateway.engine.wire import VendorReply
from gateway.specs.capabilities import Capability, Support
from gateway.specs.lens import UnmappableValue
from gateway.specs.vendor import ActionMapping, VendorSpecification

log = logging.getLogger(__name__)

EXPLAINED_BY_THE_JOB = (UnknownJob, VendorRefused)
"""Refusals whose reason the job itself tells better than the reply: vendors use one status for several of them."""


@dataclass(frozen=True)
class Question:
    """What a caller asks: one action on one job of one connection.

    `strict` refuses parameters that the vendor cannot carry, instead of recording them.
    """

    connection: Connection
    job_action: JobAction
    caller: str
    strict: bool = False


@dataclass(frozen=True)
class Translation:
    """A request for which the vendor has an action: how it performs it, and what the caller should know."""

    mapping: ActionMapping
    warnings: tuple[ActionWarning, ...]


@dataclass(frozen=True)
class Ready:
    """A job action of which nothing is missing, and the request that carries it, without and with credentials."""

    job_action: JobAction
    prepared: HttpRequest
    signed: HttpRequest


@dataclass(frozen=True)
class Actions:
    """Performs job actions."""

    calls: Calls
    jobs: Jobs
    ledger: Ledger
    clock: Clock

    async def perform(self, question: Question) -> JobActionRecord:
        """Apply the action at the vendor, once, and record what came of it. Raises JobgateError, outcome included."""
        translation = supported(question)
        deadline = self.calls.deadline()
        record = self._new_record(question, translation)
        await self.ledger.claim(record)
        try:
            ready = await self._make_ready(question, translation.mapping, deadline)
        except Exception as error:
            raise await self._recorded(record, error, certain=Outcome.NOT_SENT) from error
        try:
            settled = await self._carry_out(question.connection, translation.mapping, ready, record, deadline)
        except Exception as error:
            raise await self._recorded(record, error) from error
        await self.ledger.settle(settled)
        return settled

    async def preview(self, question: Question) -> DryRun:
        """The exact request that `perform` would send, credentials redacted. Sends no action."""
        translation = supported(question)
        job_action = await self._complete(question, translation.mapping, self.calls.deadline())
        prepared = self._prepare(question.connection, translation.mapping, job_action)
        redacted = question.connection.credentials.redacted(prepared)
        return DryRun(replace(prepared, headers={**prepared.headers, **redacted}), translation.warnings)

    async def _recorded(
        self, record: JobActionRecord, error: Exception, certain: Outcome | None = None
    ) -> JobgateError:
        """Settle the record with what went wrong; gives the problem to raise. `certain`: the outcome in any case."""
        problem = as_problem(error, record, certain)
        await self.ledger.settle(failed(record, problem, self.clock.now()))
        return problem

    async def _make_ready(self, question: Question, mapping: ActionMapping, deadline: float) -> Ready:
        """Everything that happens before a byte of the action leaves."""
        job_action = await self._complete(question, mapping, deadline)
        prepared = self._prepare(question.connection, mapping, job_action)
        return Ready(job_action, prepared, await self.calls.sign(question.connection, prepared, deadline))

    async def _carry_out(
        self, connection: Connection, mapping: ActionMapping, ready: Ready, record: JobActionRecord, deadline: float
    ) -> JobActionRecord:
        """Send the action, once, and read what the vendor makes of it."""
        reply = await self.calls.transmit(connection, ready.prepared, ready.signed, deadline)
        if not reply.is_success:
            raise await self._refusal(connection, mapping, ready.job_action, reply, deadline)
        response = self.calls.response(connection, reply)
        if not reply.is_understood or response.code or response.message:
            raise not_understood(connection, reply).explain(vendor=response)
        now = self.clock.now()
        return replace(
            record,
            job_action=ready.job_action,
            status=JobActionStatus.SUCCEEDED,
            outcome=Outcome.APPLIED,
            job=status_after(connection.vendor.specification, mapping, ready.job_action, now),
            completed_at=now,
            vendor_response=response,
        )

    async def _complete(self, question: Question, mapping: ActionMapping, deadline: float) -> JobAction:
        """The job action with the parameters that were left out and can be found in the job."""
        job_action = question.job_action
        missing = {name: finder for name, finder in mapping.find.items() if name not in job_action.parameters}
        if not missing:
            return job_action
        job = await self.jobs.get(question.connection, job_action.job_id, deadline)
        if job_action.action not in job.allowed_actions:
            raise WrongState(
                f"The job is {job.status.vendor_status}, which does not allow {job_action.action}.",
                Explanation(job=job_state(job), outcome=Outcome.NOT_SENT),
            )
        finders = question.connection.vendor.adapter.finders
        found = {name: _only(name, finders[finder](job.vendor_object)) for name, finder in missing.items()}
        return replace(job_action, parameters={**job_action.parameters, **found})

    def _prepare(self, connection: Connection, mapping: ActionMapping, job_action: JobAction) -> HttpRequest:
        try:
            encoded = mapping.encode(job_action)
        except UnmappableValue as error:
            raise _value_not_supported(connection.vendor.name, error) from None
        return self.calls.prepare(connection, mapping.operation, mapping.lens, encoded)

    async def _refusal(
        self, connection: Connection, mapping: ActionMapping, job_action: JobAction, reply: VendorReply, deadline: float
    ) -> JobgateError:
        """Why the vendor refused. Where its answer leaves that open, the job tells."""
        problem = self.calls.problem(connection, reply)
        if not isinstance(problem, EXPLAINED_BY_THE_JOB):
            return problem
        try:
            job = await self.jobs.get(connection, job_action.job_id, deadline)
        except UnknownJob as unknown:
            return unknown.explain(vendor=problem.explanation.vendor)
        except JobgateError as error:
            log.warning("a refused job could not be read: %s", error.code)
            return problem
        if mapping.action in job.allowed_actions:
            return self.calls.of_kind(VendorRefused, connection, reply)
        sentence = f"The job is {job.status.vendor_status}, which does not allow {mapping.action}."
        return WrongState(sentence, replace(problem.explanation, job=job_state(job)))

    def _new_record(self, question: Question, translation: Translation) -> JobActionRecord:
        return JobActionRecord(
            id=self.clock.new_id(),
            connection=question.connection.name,
            vendor=question.connection.vendor.name,
            caller=question.caller,
            job_action=question.job_action,
            warnings=translation.warnings,
            requested_at=self.clock.now(),
        )


def supported(question: Question) -> Translation:
    """How the vendor performs the action; answered from the documents, before any call.

    Raises ActionNotSupported or ParameterNotSupported.
    """
    vendor = question.connection.vendor
    capability = vendor.capabilities.get(question.job_action.action)
    if capability is None or capability.mapping is None:
        actions = vendor.supported_actions
        raise ActionNotSupported(
            f"{vendor.name} has no {question.job_action.action}; it has {', '.join(actions)}.",
            Explanation(supported=actions, outcome=Outcome.NOT_SENT),
        )
    _check_parameters(question, capability)
    recorded = [name for name in question.job_action.parameters if capability.parameters[name] is Support.RECORDED]
    return Translation(capability.mapping, tuple(_recorded_only(vendor.name, name) for name in recorded))


def _check_parameters(question: Question, capability: Capability) -> None:
    carried = {Support.NATIVE} if question.strict else {Support.NATIVE, Support.RECORDED}
    refused = [name for name in question.job_action.parameters if capability.parameters[name] not in carried]
    if not refused:
        return
    vendor = question.connection.vendor.name
    native = tuple(name for name, support in capability.parameters.items() if support is Support.NATIVE)
    raise ParameterNotSupported(
        f"{vendor} cannot carry {', '.join(refused)} with {question.job_action.action}.",
        Explanation(
            errors=tuple(FieldError(f"/body/{name}", "is not supported by this vendor") for name in refused),
            supported=native,
            outcome=Outcome.NOT_SENT,
        ),
    )


def _value_not_supported(vendor: str, error: UnmappableValue) -> ValueNotSupported:
    name = error.source.removeprefix("parameters.")
    detail = f"is none of the values that {vendor} has: {', '.join(error.allowed)}"
    return ValueNotSupported(
        f"{name} {detail}.", Explanation(errors=(FieldError(f"/body/{name}", detail),), supported=error.allowed)
    )


def _recorded_only(vendor: str, parameter: str) -> ActionWarning:
    return ActionWarning("recorded-only", parameter, f"{vendor} has no place for it: it is kept in this record only.")


def _only(name: str, candidates: Iterable[str]) -> str:
    found = tuple(candidates)
    if len(found) == 1:
        return found[0]
    many = "several are possible" if found else "the job has none that this action can be applied to"
    raise AmbiguousParameter(
        f"{name} is left out, and {many}.", Explanation(candidates=found, outcome=Outcome.NOT_SENT)
    )


def status_after(
    vendor: VendorSpecification, mapping: ActionMapping, job_action: JobAction, now: datetime
) -> StatusPair:
    """The job's status after the action, as the vendor documents it."""
    deferred = mapping.deferred_by is not None and is_later(job_action.parameters.get(mapping.deferred_by), now)
    return vendor.status(mapping.from_statuses[0] if deferred else mapping.to_status).pair


def is_later(time: Json, now: datetime) -> bool:
    """Whether a time of a request lies ahead."""
    return isinstance(time, str) and parse_date_time(time) > now


def as_problem(error: Exception, record: JobActionRecord, certain: Outcome | None) -> JobgateError:
    """The error of a job action, with what is known of its outcome and the id of its record."""
    if not isinstance(error, JobgateError):
        log.error("unexpected error in job action %s", record.id, exc_info=error)
        error = GatewayError("Something went wrong in Jobgate itself.", Explanation(outcome=Outcome.UNKNOWN))
    outcome = certain or error.explanation.outcome or error.outcome
    return error.explain(outcome=outcome, job_action=record.id)


def failed(record: JobActionRecord, problem: JobgateError, now: datetime) -> JobActionRecord:
    """The record of a job action that was not carried out, or of which that is not known."""
    outcome = problem.explanation.outcome
    response = problem.explanation.vendor
    return replace(
        record,
        status=JobActionStatus.UNSETTLED if outcome is Outcome.UNKNOWN else JobActionStatus.FAILED,
        outcome=outcome,
        job=problem.explanation.job.status if problem.explanation.job else None,
        completed_at=None if outcome is Outcome.UNKNOWN else now,
        vendor_response=response if response and response.status else None,
        problem=ProblemNote(problem.code, problem.detail),
    )
