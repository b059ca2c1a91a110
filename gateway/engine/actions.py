"""Job actions: the use case of Jobgate, from the question to the settled record."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import force_setattr, replace

from gateway.domain.errors import (
    ActionNotSupported,
    AmbiguousParameter,
    Explanation,
    FieldError,
    GatewayError,
    IdempotencyKeyReused,
    JobgateError,
    LedgerUnavailable,
    ParameterNotSupported,
    UnknownJob,
    ValueNotSupported,
    VendorRefused,
    WrongState,
)
from gateway.domain.model import ActionWarning, DryRun, JobAction, Json, Outcome, StatusPair
from gateway.domain.ports import Clock, Ledger
from gateway.domain.record import (
    NOBODY,
    Concluded,
    HeldKey,
    Holder,
    JobActionRecord,
    Origin,
    Overtaken,
    ProblemNote,
    Requested,
    Sent,
    SettledBy,
    SignedName,
)
from gateway.domain.times import is_later
from gateway.domain.vocabulary import PARAMETER
from gateway.engine.calls import Call, CallContext, Calls
from gateway.engine.connections import Connection
from gateway.engine.jobs import Jobs, job_state, not_understood
from gateway.engine.reconciliation import Schedule, lease
from gateway.engine.wire import VendorReply
from gateway.specs.capabilities import Capability, Support
from gateway.specs.lens import UnmappableValue
from gateway.specs.vendor import ActionMapping, VendorSpecification

log = logging.getLogger(__name__)

SETTLED_BY: Mapping[Outcome, SettledBy | None] = {
    Outcome.APPLIED: SettledBy.VENDOR_REPLY,
    Outcome.REJECTED: SettledBy.VENDOR_REPLY,
    Outcome.NOT_SENT: SettledBy.NOTHING_SENT,
    Outcome.UNKNOWN: None,
}
"""How the outcome of an action becomes certain while it is performed."""

EXPLAINED_BY_THE_JOB = (UnknownJob, VendorRefused)
"""Refusals whose reason the job itself tells better than the reply: vendors use one status for several of them."""


class ActionRequest(Struct, frozen=True):
    """What a caller asks: one action on one job of one connection.

    `strict` refuses parameters that the vendor cannot carry, instead of recording them. With a `key`, the same question
    asked again gets the same answer; unless `keeps_refusals`, not where it was refused. By its `signature` it always
    does. It may take `seconds`, where that is less than the gateway allows.
    """

    connection: Connection
    job_action: JobAction
    caller: str
    strict: bool = False
    key: str | None = None
    keeps_refusals: bool = True
    signature: SignedName | None = None
    origin: Origin = NOBODY
    seconds: float | None = None

    def __post_init__(self) -> None:
        """Give id and parameters the one form that they have at the vendor, whatever surface they come by."""
        force_setattr(self, "job_action", self.connection.vendor.specification.canonical(self.job_action))

    @property
    def fingerprint(self) -> bytes:
        """A hash of what is asked for."""
        asked = self.job_action
        whole = [self.connection.name, asked.action, asked.job_id, dict(asked.parameters)]
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).digest()


class ActionResult(Struct, frozen=True):
    """A job action's record, which says all that there is to be answered; and whether it was asked for before."""

    record: JobActionRecord
    is_replayed: bool = False

    @property
    def is_early(self) -> bool:
        """Whether the same request, made before, is still being worked on."""
        return self.is_replayed and self.record.conclusion is None


class Translation(NamedTuple):
    """A request for which the vendor has an action: how it performs it, and what the caller should know."""

    mapping: ActionMapping
    warnings: tuple[ActionWarning, ...]


class Ready(NamedTuple):
    """A job action of which nothing is missing, and the call that carries it."""

    job_action: JobAction
    call: Call


class ActionInProgress(Struct):
    """A job action between its claim and its conclusion. `record` is what the ledger has of it by now."""

    question: ActionRequest
    mapping: ActionMapping
    record: JobActionRecord
    context: CallContext

    @property
    def connection(self) -> Connection:
        """Where it is done."""
        return self.question.connection


@dataclass(frozen=True)
class Actions:
    """Performs job actions. Idempotency keys are held for `key_time`."""

    calls: Calls
    jobs: Jobs
    ledger: Ledger
    clock: Clock
    schedule: Schedule
    key_time: timedelta

    async def perform(self, question: ActionRequest) -> ActionResult:
        """Apply the action at the vendor, once, and record what came of it; the record says whether it failed.

        Raises JobgateError where there is no record of it: the vendor has no such action, the key was used for
        something else, or the ledger cannot be written.
        """
        translation = supported(question)
        context = self.calls.context(question.origin, question.seconds, question.caller)
        record = self._new_record(question, translation)
        due = record.requested.at + lease(self.calls.seconds)
        holder = await self.ledger.claim(record, due, self._key(question), signed_key(question))
        if holder is not None:
            return ActionResult(earlier(holder, question.fingerprint), is_replayed=True)
        try:
            return ActionResult(
                await self._carry_through(ActionInProgress(question, translation.mapping, record, context))
            )
        except Overtaken as overtaken:
            return ActionResult(overtaken.record)

    async def preview(self, question: ActionRequest) -> DryRun:
        """The exact request that `perform` would send, credentials redacted. Sends no action."""
        translation = supported(question)
        context = self.calls.context(question.origin, question.seconds, question.caller)
        job_action = await self._complete(question, translation.mapping, context)
        prepared = self._prepare(question.connection, translation.mapping, job_action, context).request
        redacted = question.connection.credentials.redacted(prepared)
        return DryRun(replace(prepared, headers={**prepared.headers, **redacted}), translation.warnings)

    async def _carry_through(self, progress: ActionInProgress) -> JobActionRecord:
        """From the claim to the conclusion. Raises Overtaken where somebody else came to it first."""
        try:
            ready = await self._make_ready(progress)
        except Exception as error:  # noqa: BLE001 - whatever it is, the record says it
            return await self._conclude(progress, self._failed(progress, error))
        try:
            conclusion = await self._carry_out(progress, ready)
        except Overtaken:
            raise
        except LedgerUnavailable as error:
            if not progress.record.requested.is_named:
                raise
            # Its name waits for a conclusion, which is written as soon as that is possible.
            conclusion = self._failed(progress, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the record says it
            conclusion = self._failed(progress, error)
        return await self._conclude(progress, conclusion)

    async def _make_ready(self, progress: ActionInProgress) -> Ready:
        """Everything that happens before a byte of the action leaves."""
        mapping, context = progress.mapping, progress.context
        job_action = await self._complete(progress.question, mapping, context)
        return Ready(job_action, self._prepare(progress.connection, mapping, job_action, context))

    async def _carry_out(self, progress: ActionInProgress, ready: Ready) -> Concluded:
        """Send the action, once, and read what the vendor makes of it."""
        connection, mapping = progress.connection, progress.mapping

        async def announce() -> None:
            sent = Sent(self.clock.now(), found(progress.question.job_action, ready.job_action))
            progress.record = await self.ledger.sent(progress.record, sent)

        reply = await self.calls.send(ready.call, mapping.effect, announce)
        if not reply.is_success:
            refusal = await self._refusal(progress, ready.job_action, reply)
            # What is refused the second time may have been done the first time.
            raise refusal.explain(outcome=Outcome.UNKNOWN) if reply.is_doubtful else refusal
        response = self.calls.response(connection, reply)
        if not reply.is_understood or response.code or response.message:
            raise not_understood(connection, reply).explain(vendor=response)
        now = self.clock.now()
        after = status_after(connection.vendor.specification, mapping, ready.job_action, now)
        return Concluded(now, Outcome.APPLIED, SettledBy.VENDOR_REPLY, after, response)

    async def _conclude(self, progress: ActionInProgress, conclusion: Concluded) -> JobActionRecord:
        """Record what is known. Where somebody else was faster, what the vendor said outweighs what they read."""
        record, due = progress.record, None
        if conclusion.outcome is Outcome.UNKNOWN:
            due = self.schedule.after(conclusion.at, conclusion.at)
        while True:
            try:
                return await self.ledger.append(record, conclusion, due)
            except Overtaken as overtaken:
                if conclusion.outcome is Outcome.UNKNOWN:
                    raise
                record = overtaken.record

    def _failed(self, progress: ActionInProgress, error: Exception) -> Concluded:
        """What is known of an action that went wrong."""
        problem = as_problem(error, progress.record)
        said = problem.explanation.outcome or problem.outcome
        outcome = said if progress.record.sent else Outcome.NOT_SENT
        note = ProblemNote(problem.code, problem.detail, replace(problem.explanation, outcome=None))
        return Concluded(self.clock.now(), outcome, SETTLED_BY[outcome], problem=note)

    def _key(self, question: ActionRequest) -> HeldKey | None:
        if question.key is None:
            return None
        return HeldKey(question.caller, question.key, question.fingerprint, self.clock.now() + self.key_time)

    async def _complete(self, question: ActionRequest, mapping: ActionMapping, context: CallContext) -> JobAction:
        """The job action with the parameters that were left out and can be found in the job."""
        job_action = question.job_action
        missing = {name: finder for name, finder in mapping.find.items() if name not in job_action.parameters}
        if not missing:
            return job_action
        job = await self.jobs.get(question.connection, job_action.job_id, context)
        if job_action.action not in job.allowed_actions:
            raise WrongState(
                f"The job is {job.status.vendor_status}, which does not allow {job_action.action}.",
                Explanation(job=job_state(job), outcome=Outcome.NOT_SENT),
            )
        finders = question.connection.vendor.adapter.finders
        found = {name: _only(name, finders[finder](job.vendor_object)) for name, finder in missing.items()}
        return replace(job_action, parameters={**job_action.parameters, **found})

    def _prepare(
        self, connection: Connection, mapping: ActionMapping, job_action: JobAction, context: CallContext
    ) -> Call:
        try:
            encoded = mapping.encode(job_action)
        except UnmappableValue as error:
            raise _value_not_supported(connection.vendor.name, error) from None
        return self.calls.prepare(connection, mapping.operation, mapping.lens, encoded, context)

    async def _refusal(self, progress: ActionInProgress, job_action: JobAction, reply: VendorReply) -> JobgateError:
        """Why the vendor refused. Where its answer leaves that open, the job tells."""
        connection, mapping = progress.connection, progress.mapping
        problem = self.calls.problem(connection, reply)
        if not isinstance(problem, EXPLAINED_BY_THE_JOB):
            return problem
        try:
            job = await self.jobs.get(connection, job_action.job_id, progress.context)
        except UnknownJob as unknown:
            return unknown.explain(vendor=problem.explanation.vendor)
        except JobgateError as error:
            log.warning("a refused job could not be read: %s", error.code)
            return problem
        if mapping.action in job.allowed_actions:
            return self.calls.of_kind(VendorRefused, connection, reply)
        sentence = f"The job is {job.status.vendor_status}, which does not allow {mapping.action}."
        return WrongState(sentence, replace(problem.explanation, job=job_state(job)))

    def _new_record(self, question: ActionRequest, translation: Translation) -> JobActionRecord:
        now = self.clock.now()
        requested = Requested(
            at=now,
            caller=question.caller,
            connection=question.connection.name,
            vendor=question.connection.vendor.name,
            job_action=question.job_action,
            warnings=translation.warnings,
            origin=question.origin,
            idempotency_key=question.key,
            keeps_refusals=question.keeps_refusals,
            signature=None if question.signature is None else question.signature.name,
        )
        return JobActionRecord(self.clock.new_id(now), requested)


def signed_key(question: ActionRequest) -> HeldKey | None:
    """What the signature of a question holds for it."""
    signed = question.signature
    return None if signed is None else HeldKey(question.caller, signed.name, question.fingerprint, signed.expires_at)


def earlier(holder: Holder, fingerprint: bytes) -> JobActionRecord:
    """The record that a key stands for. Raises IdempotencyKeyReused."""
    if holder.fingerprint != fingerprint:
        raise IdempotencyKeyReused(
            "The key was used before, with another action, job, connection or parameters.",
            Explanation(outcome=Outcome.NOT_SENT),
        )
    return holder.record


def found(asked: JobAction, completed: JobAction) -> Mapping[str, Json]:
    """The parameters that were not asked for, and found."""
    return {name: value for name, value in completed.parameters.items() if name not in asked.parameters}


def supported(question: ActionRequest) -> Translation:
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


def _check_parameters(question: ActionRequest, capability: Capability) -> None:
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
    name = error.source.removeprefix(PARAMETER)
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


def as_problem(error: Exception, record: JobActionRecord) -> JobgateError:
    """The error of a job action as a problem. What nobody foresaw is logged, and leaves the outcome unknown."""
    if isinstance(error, JobgateError):
        return error
    log.error("unexpected error in job action %s", record.id, exc_info=error)
    return GatewayError("Something went wrong in Jobgate itself.", Explanation(outcome=Outcome.UNKNOWN))
