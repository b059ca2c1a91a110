"""The life of an approval: who sees it, who has decided, what was told, and the emergencies that go without."""

from __future__ import annotations

import asyncio
import logging

import pytest
from msgspec.structs import replace

from gateway.approvals.approvals import Approvals
from gateway.approvals.policy import Policies
from gateway.domain.access import Caller
from gateway.domain.approvals import Approval, ApprovalQuery, ApprovalState, Plan, Verb
from gateway.domain.errors import BreakGlassRefused, JobgateError, NotAnApprover, UnknownApproval
from gateway.ledger.memory import MemoryApprovals
from tests.approvals.fixtures import ALICE, ALICE_AGAIN, BATCH, BOB, CAROL, DAVE, PLAN, SCOPES, person, policy
from tests.support.clock import FakeClock

AUDITOR = Caller("auditor", frozenset({"approvals:read", "audit:read"}))
HOUR = 3_600.0
REASON = "The hotline is down for everybody"
SMALL = replace(PLAN, items={"contoso-prod": 25})


class Desk:
    """Approvals in memory."""

    def __init__(self) -> None:
        """Want one approval for every batch."""
        self.clock, self.store = FakeClock(), MemoryApprovals()
        policies = Policies((policy(),))
        self.approvals = Approvals(self.store, policies, self.clock)

    async def requested(self, plan: Plan = PLAN) -> Approval:
        """A request of alice."""
        approval = await self.approvals.request(BATCH, plan, person(ALICE))
        assert approval is not None
        return approval

    async def decide(self, approval: Approval, caller: Caller, verb: Verb) -> Approval:
        """A decision."""
        return await self.approvals.decide(approval.id, caller, verb, approval.plan.digest)

    async def emergency(self, caller: Caller = ALICE) -> Approval:
        """An emergency."""
        return await self.approvals.break_glass(BATCH, SMALL, caller, REASON, "INC-43")

    @property
    def changes(self) -> list[tuple[str, str | None]]:
        """The events so far, and who did each."""
        return [(each.what, None if each.by is None else each.by.owner) for each in self.store.changes]


@pytest.fixture
def desk() -> Desk:
    """Approvals in memory."""
    return Desk()


def replace_policies(desk: Desk, policies: Policies) -> Approvals:
    """The same approvals after a change of the settings."""
    return Approvals(desk.store, policies, desk.clock)


async def test_nothing_is_asked_without_a_policy(desk: Desk) -> None:
    """If no policy applies, there is no request."""
    assert await replace_policies(desk, Policies()).request(BATCH, PLAN, person(ALICE)) is None
    assert desk.changes == []


async def test_the_life_of_an_approval(desk: Desk) -> None:
    """Requested, approved and carried out, and each step is told."""
    approval = await desk.requested()
    approved = await desk.decide(approval, BOB, Verb.APPROVE)
    assert approved.state is ApprovalState.APPROVED
    assert (await desk.approvals.begin(approval.id, PLAN)).state is ApprovalState.EXECUTED
    assert desk.changes == [("requested", "alice"), ("approve", "bob"), ("executed", None)]


async def test_decisions_at_the_same_time_both_count(desk: Desk) -> None:
    """Two owners who decide at once are both heard."""
    desk.approvals = replace_policies(desk, Policies((policy(approvals=2),)))
    approval = await desk.requested()
    await asyncio.gather(*(desk.decide(approval, caller, Verb.APPROVE) for caller in (BOB, CAROL)))
    stored = await desk.approvals.get(approval.id, ALICE)
    assert (stored.state, {each.by.owner for each in stored.decisions}) == (ApprovalState.APPROVED, {"bob", "carol"})


@pytest.mark.parametrize(
    ("caller", "sees"),
    [(ALICE, True), (ALICE_AGAIN, True), (BOB, True), (AUDITOR, True), (DAVE, False)],
    ids=["requester", "its other key", "approver", "auditor", "anybody else"],
)
async def test_who_sees_an_approval(desk: Desk, caller: Caller, *, sees: bool) -> None:
    """The owner of the request, its approvers and auditors. To others it is unknown, also when they decide."""
    approval = await desk.requested()
    page = await desk.approvals.page(caller, None, 10, None)
    assert page.items == ((approval,) if sees else ())
    if sees:
        assert await desk.approvals.get(approval.id, caller) == approval
    else:
        for attempt in (desk.approvals.get(approval.id, caller), desk.decide(approval, caller, Verb.APPROVE)):
            with pytest.raises(UnknownApproval):
                await attempt


async def test_pages_of_approvals(desk: Desk) -> None:
    """Pages follow each other, and a state that time has changed counts."""
    old = await desk.requested()
    desk.clock.advance(HOUR)
    newer = [await desk.requested() for _ in range(3)]
    first = await desk.approvals.page(ALICE, (ApprovalState.PENDING,), 2, None)
    assert [each.id for each in first.items] == [newer[2].id, newer[1].id]
    second = await desk.approvals.page(ALICE, (ApprovalState.PENDING,), 2, first.next_cursor)
    assert ([each.id for each in second.items], second.next_cursor) == ([newer[0].id], None)
    expired = await desk.approvals.page(ALICE, (ApprovalState.EXPIRED,), 2, None)
    assert [each.id for each in expired.items] == [old.id]


async def test_what_time_ends_is_stored_once(desk: Desk) -> None:
    """An approval expires once, and only after its time."""
    approval = await desk.requested()
    assert (await desk.approvals.end_by_time(approval.id)).state is ApprovalState.PENDING
    desk.clock.advance(HOUR)
    for _ in range(2):
        assert (await desk.approvals.end_by_time(approval.id)).state is ApprovalState.EXPIRED
    assert desk.changes == [("requested", "alice"), ("expired", None)]


@pytest.mark.parametrize("verb", [None, Verb.APPROVE])
async def test_a_request_can_be_withdrawn(desk: Desk, verb: Verb | None) -> None:
    """If the batch is aborted, its approval does not count any more."""
    approval = await desk.requested()
    if verb is not None:
        await desk.decide(approval, BOB, verb)
    assert (await desk.approvals.withdraw(approval.id, person(ALICE))).state is ApprovalState.WITHDRAWN
    with pytest.raises(JobgateError):
        await desk.approvals.begin(approval.id, PLAN)


async def test_a_withdrawal_changes_nothing_afterwards(desk: Desk) -> None:
    """A rejected approval stays rejected."""
    approval = await desk.requested()
    await desk.decide(approval, BOB, Verb.REJECT)
    assert (await desk.approvals.withdraw(approval.id, person(ALICE))).state is ApprovalState.REJECTED


async def test_an_emergency_is_logged_and_reviewed(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged as a warning, stored with its reason, and waits to be reviewed."""
    with caplog.at_level(logging.WARNING):
        approval = await desk.emergency()
    assert "break-glass" in caplog.text
    assert REASON not in caplog.text
    assert approval.state is ApprovalState.REVIEW_DUE
    assert [(each.what, each.comment) for each in desk.store.changes] == [("break-glass", REASON)]
    assert (await desk.decide(approval, DAVE, Verb.REVIEW)).state is ApprovalState.REVIEWED


async def test_an_emergency_is_small(desk: Desk) -> None:
    """One job more than the settings allow, and it is refused."""
    await desk.approvals.break_glass(BATCH, replace(PLAN, items={"a": 20, "b": 5}), ALICE, REASON)
    with pytest.raises(BreakGlassRefused, match="26 jobs"):
        await desk.approvals.break_glass(BATCH, replace(PLAN, items={"a": 20, "b": 6}), ALICE, REASON)


async def test_an_overdue_review_stops_further_emergencies(desk: Desk) -> None:
    """Of the same owner, whichever key, until somebody else has reviewed; others are not concerned."""
    await desk.emergency()
    await desk.emergency(ALICE_AGAIN)
    desk.clock.advance(72 * HOUR)
    for key in (ALICE, ALICE_AGAIN):
        with pytest.raises(BreakGlassRefused, match="not been reviewed"):
            await desk.emergency(key)
    await desk.emergency(BOB)
    assert await desk.approvals.waiting() == {"pending": 0, "review_due": 3, "overdue": 2}
    for approval in [
        each for each in await desk.store.selected(ApprovalQuery(), None, 9) if each.requester.owner == "alice"
    ]:
        await desk.decide(approval, BOB, Verb.REVIEW)
    await desk.emergency()


async def test_nobody_reviews_the_own_emergency(desk: Desk) -> None:
    """Not by another key either."""
    approval = await desk.emergency()
    for key in (ALICE, ALICE_AGAIN, Caller("alice-third", SCOPES, "alice")):
        with pytest.raises(NotAnApprover):
            await desk.decide(approval, key, Verb.REVIEW)
