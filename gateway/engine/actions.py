"""Job actions: the path of one action from its request to its record, on one page.

    perform      1. supported           specs        the plan of this action, and does it have these parameters?
                 2. calls.context       engine       until when may calls to the vendor last?
                 3. claim               approvals    does the action need approval? then only a batch can carry it out
                                        ledger       record the request; with a key, find the earlier answer
                                        windows      is it allowed at this time?
    _carry_out   4. completed           adapters     find parameters that were left out, in the job
                    _note_presence      ledger       record the status of a job that the action deletes
                 5. mapping.encode      specs        the job action becomes the vendor's request
                 6. calls.prepare       specs        hold the request against the vendor's document, and build it
                 7. calls.send          resilience   attempt by attempt, as breaker and policy allow:
                                        security       sign, or get a token
                                        resilience     take a turn: a slot, and a part of the vendor's quota
                    before_send         ledger         record `sent`, before the first byte leaves
                                        transport      write the request, read the reply
                    classify            specs          read what the reply means; the policy says whether to send again
                 8. of_success, refusal engine       conclude from the last reply; if it leaves that open, read the job
    conclude     9. ledger.append       ledger       record the conclusion

Steps 4 to 8 can raise; `perform` then makes a conclusion of the error. If the outcome is unknown, `reconciliation`
finds it out. What the steps need to know of an action before it is asked for is in its plan (`engine/plans.py`).

`before_send` and `classify` are the only callbacks: `resilience.pipeline` explains them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec.structs import replace

from gateway.approvals.policy import NO_POLICIES, Policies
from gateway.domain.errors import (
    AdapterFailed,
    Explanation,
    FieldError,
    IdempotencyKeyReused,
    LedgerUnavailable,
    ValueNotSupported,
    WindowClosed,
)
from gateway.domain.leases import LeaseLost
from gateway.domain.model import ActionWarning, DryRun, JobAction, Outcome, Result
from gateway.domain.ports import Clock, Ledger
from gateway.domain.record import (
    Concluded,
    HeldKey,
    Holder,
    JobActionRecord,
    Overtaken,
    Read,
    Requested,
    Sent,
    SignedName,
)
from gateway.domain.vocabulary import MODE, PARAMETER
from gateway.domain.windows import ALWAYS_OPEN, Closing, Windows
from gateway.engine.action import ActionInProgress, ActionRequest, ActionResult
from gateway.engine.calls import Call, CallContext, Calls
from gateway.engine.conclusions import of_error, of_success, refusal
from gateway.engine.hooks import Guard
from gateway.engine.jobs import Jobs
from gateway.engine.observation import observed
from gateway.engine.parameters import completed, found_in, is_complete
from gateway.engine.reconciliation import Schedule, lease
from gateway.engine.support import supported
from gateway.specs.lens import UnmappableValue
from gateway.specs.vendor import ActionMapping


@dataclass(frozen=True)
class Actions:
    """Performs job actions. Idempotency keys are held for `key_time`.

    `policies` say which actions need approval, `windows` which ones are allowed at what time.
    """

    calls: Calls
    jobs: Jobs
    ledger: Ledger
    clock: Clock
    schedule: Schedule
    key_time: timedelta
    policies: Policies = NO_POLICIES
    windows: Windows = ALWAYS_OPEN

    @observed
    async def perform(self, request: ActionRequest) -> ActionResult:
        """Apply the action at the vendor, once, and record what came of it; the record says if it failed.

        Raises JobgateError if there is no record of it: the vendor has no such action, the key was used for something
        else, or the ledger cannot be written. Raises LeaseLost if the request's lease is lost before it is sent.
        """
        plan = supported(request)
        context = self.calls.context(request.origin, request.seconds, request.caller)
        begun = await self.claim(request, plan.warnings)
        if not begun.is_begun:
            return begun
        action = ActionInProgress(request, plan, begun.record, context)
        try:
            try:
                conclusion = await self._carry_out(action)
            except Exception as error:
                if not is_conclusive(error, action):
                    raise
                conclusion = of_error(error, action.record, self.clock.now())
            return ActionResult(await self.conclude(action.record, conclusion), job=action.job)
        except Overtaken as overtaken:
            return ActionResult(overtaken.record)

    async def claim(self, request: ActionRequest, warnings: tuple[ActionWarning, ...] = ()) -> ActionResult:
        """Record a request, or find the record of the same request, made before.

        If no window allows it now, that is its conclusion: a request that is sent again may have been done before.

        Raises ApprovalRequired if a policy applies to the action and it is not part of a batch that has met it, and any
        other JobgateError if it cannot be recorded.
        """
        if not request.is_approved:
            self.policies.check_single(request.caller, request.job_action, request.connection.name)
        record = self._new_record(request, warnings)
        due = record.requested.at + lease(self.calls.seconds)
        key = None if request.key is None else self._held_by_key(request, request.key)
        signature = None if request.signature is None else held_by_signature(request, request.signature)
        holder = await self.ledger.claim(record, due, key, signature, request.lease)
        if holder is not None:
            return ActionResult(record_of(holder, request.fingerprint), is_replayed=True)
        closed = self._window_closed(request)
        if closed is None:
            return ActionResult(record)
        try:
            return ActionResult(await self.conclude(record, of_error(closed, record, self.clock.now())))
        except Overtaken as overtaken:
            return ActionResult(overtaken.record)

    def _window_closed(self, request: ActionRequest) -> WindowClosed | None:
        """The problem with an action that no window allows now. A step of a termination that has begun is allowed."""
        if not self.windows.all or request.is_emergency or request.parent is not None:
            return None
        asked, now = request.job_action, self.clock.now()
        mode = asked.parameters.get(MODE)
        found = self.windows.closing(asked.action, mode, (request.connection.name,), now)
        return None if found is None else window_closed(found, asked.action, now)

    async def preview(self, request: ActionRequest, *, is_later: bool = False) -> DryRun:
        """The exact request that `perform` would send, credentials redacted. Sends no action, so needs no approval.

        Otherwise raises as `perform`. An action that `is_later` follows others: it has all its parameters, and the job
        need not allow it yet.
        """
        plan = supported(request)
        context = self.calls.context(request.origin, request.seconds, request.caller)
        job_action = request.job_action
        if not is_later:
            job_action = await completed(self.jobs, request, plan, context)
        prepared = self._prepared(request, plan.mapping, job_action, context).request
        redacted = request.connection.credentials.redacted(prepared)
        shown = replace(prepared, headers={**prepared.headers, **redacted})
        return DryRun(shown, plan.warnings, found_in(request.job_action, job_action))

    async def _carry_out(self, action: ActionInProgress) -> Concluded:
        """Send the action, once, and conclude from the reply. Raises the problem of steps 4 to 8."""
        request, mapping = action.request, action.plan.mapping
        job_action = request.job_action
        if not is_complete(action.plan, job_action):
            job_action = await completed(self.jobs, request, action.plan, action.context)
        if mapping.result is Result.GONE:
            await self._note_presence(action)
        call = self._prepared(request, mapping, job_action, action.context)

        async def before_send() -> None:
            sent = Sent(self.clock.now(), found_in(request.job_action, job_action))
            action.record = await self.ledger.sent(action.record, sent, request.lease)

        reply = await self.calls.send(call, mapping.effect, before_send)
        if not reply.is_success:
            raise await refusal(self.jobs, action, job_action, reply)
        return of_success(self.calls, action, job_action, reply, self.clock.now())

    async def _note_presence(self, action: ActionInProgress) -> None:
        """Record the status of a job that the action deletes.

        If the reply is lost, the absence of the job proves the action only if the job was there before.
        """
        job = await self.jobs.get(action.connection, action.request.job_action.job_id, action.context)
        now = self.clock.now()
        due = now + lease(self.calls.seconds)
        action.record = await self.ledger.append(action.record, Read(now, job.status), due)

    async def conclude(self, record: JobActionRecord, conclusion: Concluded) -> JobActionRecord:
        """Record the conclusion. If reconciliation was faster, the vendor's own reply outweighs what it read.

        Raises Overtaken if it was faster and the outcome is still unknown here.
        """
        due = None
        if conclusion.outcome is Outcome.UNKNOWN:
            due = self.schedule.after(conclusion.at, conclusion.at)
        while True:
            try:
                return await self.ledger.append(record, conclusion, due)
            except Overtaken as overtaken:
                if conclusion.outcome is Outcome.UNKNOWN:
                    raise
                record = overtaken.record

    def _prepared(
        self, request: ActionRequest, mapping: ActionMapping, job_action: JobAction, context: CallContext
    ) -> Call:
        """The call that carries the action. Raises ValueNotSupported, and what `Calls.prepare` raises.

        Raises AdapterFailed if a value does not fit that the adapter has found: the caller did not choose it.
        """
        try:
            encoded = mapping.encode(job_action)
            return self.calls.prepare(request.connection, mapping.operation, mapping.lens, encoded, context)
        except UnmappableValue as error:
            raise value_not_supported(request.connection.vendor.name, error) from None
        except ValueNotSupported as error:
            raise unfit(request, mapping, job_action, error) or error from None

    def _new_record(self, request: ActionRequest, warnings: tuple[ActionWarning, ...]) -> JobActionRecord:
        now = self.clock.now()
        requested = Requested(
            at=now,
            caller=request.caller,
            connection=request.connection.name,
            vendor=request.connection.vendor.name,
            job_action=request.job_action,
            warnings=warnings,
            origin=request.origin,
            idempotency_key=request.key,
            keeps_refusals=request.keeps_refusals,
            signature=None if request.signature is None else request.signature.name,
            parent=request.parent,
            labels=request.labels,
        )
        return JobActionRecord(self.clock.new_id(now), requested)

    def _held_by_key(self, request: ActionRequest, key: str) -> HeldKey:
        return HeldKey(request.caller, key, request.fingerprint, self.clock.now() + self.key_time)


def is_conclusive(error: Exception, action: ActionInProgress) -> bool:
    """True if the error that an action ended in is to be its conclusion.

    It is not if another process has written one, nor if the ledger fails and the request has neither key nor signature
    by which somebody could ask for its record. If it has, the conclusion is written as soon as the ledger can be
    written.
    """
    if isinstance(error, Overtaken | LeaseLost):
        return False
    return not isinstance(error, LedgerUnavailable) or action.record.requested.is_named


def held_by_signature(request: ActionRequest, signed: SignedName) -> HeldKey:
    """The key that the signature of a request is, for as long as the signature is good."""
    return HeldKey(request.caller, signed.name, request.fingerprint, signed.expires_at)


LONGEST_RETRY_SECONDS = 86_400
"""Largest value of Retry-After, in seconds."""


def window_closed(closing: Closing, action: str, now: datetime) -> WindowClosed:
    """The problem with an action that a window holds back."""
    opens = closing.opens_at
    until = "No time is known at which it will be" if opens is None else f"It will be at {opens:%Y-%m-%dT%H:%M:%SZ}"
    left = LONGEST_RETRY_SECONDS if opens is None else math.ceil((opens - now).total_seconds())
    return WindowClosed(
        f"The window {closing.window.name} does not allow {action} now. {until}.",
        Explanation(outcome=Outcome.NOT_SENT, retry_after=min(left, LONGEST_RETRY_SECONDS)),
    )


def record_of(holder: Holder, fingerprint: bytes) -> JobActionRecord:
    """The record that a key stands for. Raises IdempotencyKeyReused if it stands for another request."""
    if holder.fingerprint != fingerprint:
        raise IdempotencyKeyReused(
            "The key was used before, with another action, job, connection or parameters.",
            Explanation(outcome=Outcome.NOT_SENT),
        )
    return holder.record


def unfit(
    request: ActionRequest, mapping: ActionMapping, job_action: JobAction, error: ValueNotSupported
) -> AdapterFailed | None:
    """The problem with a value of the adapter that the vendor's document forbids; None if it is the caller's value."""
    wrong = {each.pointer.removeprefix("/body/"): each.detail for each in error.explanation.errors}
    name = next((name for name in found_in(request.job_action, job_action) if name in wrong), None)
    if name is None:
        return None
    guard = Guard(request.connection.vendor.name)
    return guard.failed(f"finder {mapping.find[name].by}", f"found a {name} that {wrong[name]}")


def value_not_supported(vendor: str, error: UnmappableValue) -> ValueNotSupported:
    """The problem with a value for which the vendor's document has no counterpart."""
    name = error.source.removeprefix(PARAMETER)
    detail = f"is none of the values that {vendor} has: {', '.join(error.allowed)}"
    return ValueNotSupported(
        f"{name} {detail}.", Explanation(errors=(FieldError(f"/body/{name}", detail),), supported=error.allowed)
    )
