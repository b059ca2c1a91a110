"""Approvals: asked for, decided, carried out or expired; and emergencies, which are reviewed afterwards.

    request        a batch is confirmed to which policies apply: it waits
    decide         another owner approves, rejects or reviews
    begin          the batch is about to begin: policies, plan and time are checked again
    withdraw       the batch was aborted while it waited
    end_by_time    nobody has decided, or the batch has not begun, in time
    break_glass    a small batch begins without approval, and is to be reviewed
    note           the webhook was told of an emergency, or could not be (`notices.py`)

Each change is one write, which succeeds only if nobody else was faster. If somebody was, it is tried again on what is
there now.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.approvals.policy import Policies, after_notice, after_time, decided, executed, may_decide, with_state
from gateway.domain.access import Caller
from gateway.domain.approvals import (
    Approval,
    ApprovalChange,
    ApprovalQuery,
    ApprovalState,
    Decision,
    Emergency,
    Notice,
    NoticeEvent,
    NoticeState,
    Person,
    Plan,
    Verb,
)
from gateway.domain.errors import BreakGlassRefused, UnknownApproval
from gateway.domain.model import Page
from gateway.domain.ports import ApprovalStore, Clock

log = logging.getLogger(__name__)

MOST_LOOKED_AT = 2_000
"""Largest number of approvals that one page examines."""
MOST_OVERDUE = 1_000
"""Largest number of open reviews of one owner that are examined."""
READING = "approvals:read"
"""The scope that shows approvals, and with them the batches that wait for the caller's decision."""
OPEN = (ApprovalState.PENDING, ApprovalState.APPROVED)
"""The states that a withdrawal ends."""

UNDECIDED = ApprovalQuery((ApprovalState.PENDING, ApprovalState.REVIEW_DUE))
"""The approvals that wait for somebody, those that have expired meanwhile included."""


@dataclass(frozen=True)
class EmergencyRules:
    """The limits of emergencies: the largest number of jobs, the time to run, and the time to be reviewed in."""

    items: int = 25
    lasts: timedelta = timedelta(minutes=15)
    review_within: timedelta = timedelta(hours=72)


@dataclass(frozen=True)
class Approvals:
    """The approvals of a gateway. Its emergencies have notices if it `has_webhook`.

    Every method raises LedgerUnavailable.
    """

    store: ApprovalStore
    policies: Policies
    clock: Clock
    emergencies: EmergencyRules = EmergencyRules()
    has_webhook: bool = False

    async def request(self, batch: str, plan: Plan, requester: Person) -> Approval | None:
        """Ask for the approvals that the policies want for a plan; None if they want none."""
        applying = self.policies.of(plan, requester.caller)
        if not applying:
            return None
        now = self.clock.now()
        until = now + min(each.decide_within for each in applying)
        approval = Approval(self.clock.new_id(now), batch, plan, requester, now, until, applying)
        await self.store.write(approval, ApprovalChange("requested", now, requester))
        return approval

    async def get(self, approval_id: str, caller: Caller) -> Approval:
        """An approval that the caller can see. Raises UnknownApproval."""
        approval = await self._stored(approval_id)
        if not is_visible(approval, caller):
            raise unknown()
        return after_time(approval, self.clock.now())

    async def shows(self, approval_id: str, caller: Caller) -> bool:
        """True if the caller can see this approval."""
        approval = await self.store.get(approval_id)
        return approval is not None and caller.may(READING) and is_visible(approval, caller)

    async def page(
        self, caller: Caller, states: tuple[ApprovalState, ...] | None, limit: int, before: str | None
    ) -> Page[Approval]:
        """The newest approvals that the caller can see. A page ends early after examining many."""
        # What has expired may still be stored as open.
        looked_for = (*states, *OPEN) if states and ApprovalState.EXPIRED in states else states
        looked_at = await self.store.selected(ApprovalQuery(looked_for), before, MOST_LOOKED_AT)
        now = self.clock.now()
        seen = [after_time(each, now) for each in looked_at if is_visible(each, caller)]
        found = [each for each in seen if states is None or each.state in states]
        if len(found) > limit:
            return Page(tuple(found[:limit]), found[limit - 1].id)
        return Page(tuple(found), looked_at[-1].id if len(looked_at) == MOST_LOOKED_AT else None)

    async def decide(
        self, approval_id: str, caller: Caller, verb: Verb, digest: str, comment: str | None = None
    ) -> Approval:
        """Approve, reject or review. Raises UnknownApproval, NotAnApprover, PlanChanged and ApprovalClosed."""
        decision = Decision(person_of(caller), verb, self.clock.now(), comment)
        await self.get(approval_id, caller)
        change = ApprovalChange(verb.value, decision.at, decision.by, comment)
        return await self._changed(approval_id, lambda present: decided(present, decision, digest), change)

    async def begin(self, approval_id: str, plan: Plan) -> Approval:
        """Note that a batch begins. Raises ApprovalClosed, PlanChanged and ApprovalRequired if it must not."""
        now = self.clock.now()
        change = ApprovalChange("executed", now)
        return await self._changed(approval_id, lambda each: executed(each, plan, now, self.policies), change)

    async def withdraw(self, approval_id: str, by: Person) -> Approval:
        """End a request whose batch was aborted, if it is still open."""
        change = ApprovalChange("withdrawn", self.clock.now(), by)
        return await self._changed(
            approval_id,
            lambda each: with_state(each, ApprovalState.WITHDRAWN) if each.state in OPEN else each,
            change,
        )

    async def end_by_time(self, approval_id: str) -> Approval:
        """Let an approval expire whose time has passed, and return it as it is now."""
        now = self.clock.now()
        return await self._changed(approval_id, lambda each: after_time(each, now), ApprovalChange("expired", now))

    async def break_glass(
        self, batch: str, plan: Plan, caller: Caller, reason: str, ticket: str | None = None
    ) -> Approval:
        """Note that a small batch begins without approval. It is to end within `emergencies.lasts`.

        Raises BreakGlassRefused if it is too large, or if an emergency of the same owner is overdue for review.
        """
        now, count, most = self.clock.now(), sum(plan.items.values()), self.emergencies.items
        if count > most:
            raise BreakGlassRefused(f"The batch has {count} jobs to act on, and an emergency may have at most {most}.")
        overdue = next((each for each in await self._reviews_due(caller.owner) if each.is_overdue(now)), None)
        if overdue is not None:
            raise BreakGlassRefused(
                f"The emergency {overdue.id} of this owner has not been reviewed in time. Have another owner review it."
            )
        person = person_of(caller)
        review_until = now + self.emergencies.review_within
        approval = Approval(
            self.clock.new_id(now),
            batch,
            plan,
            person,
            now,
            review_until,
            state=ApprovalState.REVIEW_DUE,
            execute_until=now + self.emergencies.lasts,
            emergency=Emergency(reason, review_until, ticket),
            notices=self._notices(now, review_until),
        )
        await self.store.write(approval, ApprovalChange("break-glass", now, person, reason))
        log.warning(
            "batch %s begins without approval (break-glass): %s of %d jobs, by %s (%s); approval %s is to be reviewed",
            batch,
            plan.action,
            count,
            person.caller,
            person.owner,
            approval.id,
        )
        return approval

    async def note(self, approval_id: str, event: str, state: NoticeState) -> Approval:
        """Note what became of a notice. Raises UnknownApproval."""
        now = self.clock.now()
        change = ApprovalChange(f"notice-{state}", now, comment=event)
        return await self._changed(approval_id, lambda each: after_notice(each, event, state, now), change)

    async def waiting(self) -> dict[str, int]:
        """The numbers of approvals that wait for somebody: `pending`, `review_due` and `overdue`."""
        return counted(await self.store.selected(UNDECIDED, None, MOST_LOOKED_AT), self.clock.now())

    def _notices(self, now: datetime, review_until: datetime) -> tuple[Notice, ...]:
        """The notices of an emergency. The second one is due if nobody has reviewed it until then."""
        if not self.has_webhook:
            return ()
        return Notice(NoticeEvent.BREAK_GLASS, now), Notice(NoticeEvent.REVIEW_OVERDUE, review_until)

    async def _reviews_due(self, owner: str) -> tuple[Approval, ...]:
        query = ApprovalQuery((ApprovalState.REVIEW_DUE,), owner=owner)
        return await self.store.selected(query, None, MOST_OVERDUE)

    async def _stored(self, approval_id: str) -> Approval:
        approval = await self.store.get(approval_id)
        if approval is None:
            raise unknown()
        return approval

    async def _changed(
        self, approval_id: str, change: Callable[[Approval], Approval], said: ApprovalChange
    ) -> Approval:
        """Change an approval as it is at the moment of writing. Raises what `change` raises."""
        while True:
            present = await self._stored(approval_id)
            changed = change(present)
            if changed.version == present.version or await self.store.write(changed, said):
                return changed


def counted(found: Iterable[Approval], now: datetime) -> dict[str, int]:
    """The numbers of approvals that wait for somebody: `pending`, `review_due` and `overdue`."""
    present = [after_time(each, now) for each in found]
    counts = {each.value: sum(one.state is each for one in present) for each in UNDECIDED.states or ()}
    return {**counts, "overdue": sum(each.is_overdue(now) for each in present)}


def person_of(caller: Caller) -> Person:
    """The caller and its owner, for a record."""
    return Person(caller.name, caller.owner)


def is_visible(approval: Approval, caller: Caller) -> bool:
    """True if a caller can see an approval: its owner has asked for it, or may decide; or it sees everything."""
    return caller.audits or approval.requester.owner == caller.owner or may_decide(approval, person_of(caller))


def unknown() -> UnknownApproval:
    """The problem for an approval that is not there, and for one that the caller cannot see: the two look the same."""
    return UnknownApproval("No approval with this id is known to this caller.")
