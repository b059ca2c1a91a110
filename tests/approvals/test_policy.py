"""The rules of approvals: what needs one, who may decide what, and what follows from it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.json import decode, encode
from msgspec.structs import replace

from gateway.approvals.policy import Policies, after_time, decided, executed, given, may_decide, unmet
from gateway.domain.access import Caller
from gateway.domain.approvals import Approval, ApprovalPolicy, ApprovalState, Emergency, Plan, Verb
from gateway.domain.errors import ApprovalClosed, ApprovalRequired, JobgateError, NotAnApprover, PlanChanged
from gateway.domain.model import JobAction
from tests.approvals.fixtures import ALICE, ALICE_AGAIN, BOB, CAROL, DAVE, PLAN, by, pending, person, policy
from tests.support.clock import NOW

ENDINGS = frozenset({"cancel", "close", "discard"})
TWO = (policy(approvals=2),)
EMERGENCY = Emergency("The hotline is down for everybody", NOW + timedelta(hours=72))


def emergency() -> Approval:
    """An emergency of alice that is to be reviewed."""
    return replace(pending(), policies=(), state=ApprovalState.REVIEW_DUE, emergency=EMERGENCY)


@pytest.mark.parametrize(
    ("given", "action", "items", "applies"),
    [
        pytest.param({}, "cancel", {"a": 1}, True, id="any"),
        pytest.param({}, "cancel", {}, False, id="nothing to act on"),
        pytest.param({"items": 50}, "cancel", {"a": 49}, False, id="fewer jobs"),
        pytest.param({"items": 50}, "cancel", {"a": 30, "b": 20}, True, id="jobs of several connections together"),
        pytest.param({"items": 50, "connections": ("a",)}, "cancel", {"a": 30, "b": 20}, False, id="of others"),
        pytest.param({"connections": ("prod-*", "x")}, "cancel", {"prod-eu": 1}, True, id="a connection's pattern"),
        pytest.param({"connections": ("prod-*",)}, "cancel", {"test": 1}, False, id="another connection"),
        pytest.param({"actions": ("disc*",)}, "discard", {"a": 1}, True, id="an action's pattern"),
        pytest.param({"actions": ("discard",)}, "cancel", {"a": 1}, False, id="another action"),
        pytest.param({"actions": ("close",)}, "terminate", {"a": 1}, True, id="a step of a termination"),
        pytest.param({"actions": ("discard",)}, "terminate", {"a": 1}, False, id="a step of a forced one only"),
        pytest.param({"actions": ("pause",)}, "terminate", {"a": 1}, False, id="no step of a termination"),
        pytest.param({"callers": ("agent-*",)}, "cancel", {"a": 1}, False, id="another caller"),
        pytest.param({"callers": ("agent-*", "desk")}, "cancel", {"a": 1}, True, id="a caller's pattern"),
    ],
)
def test_a_policy_applies(given: dict[str, Any], action: str, items: dict[str, int], *, applies: bool) -> None:
    """A policy applies by action, connection, caller, and the number of jobs of its connections."""
    found = Policies((policy(**given),), ENDINGS).applying("desk", JobAction(action, "1", {}), items)
    assert bool(found) is applies


def test_a_forced_termination_can_discard() -> None:
    """So a policy for discarding applies to it."""
    protected = Policies((policy(actions=("discard",)),), ENDINGS)
    assert protected.of(replace(PLAN, action="terminate", parameters={"mode": "forced"}), "desk")
    assert not protected.of(replace(PLAN, action="terminate", parameters={"mode": "graceful"}), "desk")


@pytest.mark.parametrize(
    ("approval", "caller", "verb", "expected"),
    [
        pytest.param(pending(), BOB, Verb.APPROVE, ApprovalState.APPROVED, id="an approver"),
        pytest.param(
            pending(policy(approvers=("bob-key",))), BOB, Verb.APPROVE, ApprovalState.APPROVED, id="by caller"
        ),
        pytest.param(pending(policy(approvers=("b*",))), BOB, Verb.APPROVE, ApprovalState.APPROVED, id="by pattern"),
        pytest.param(pending(), BOB, Verb.REJECT, ApprovalState.REJECTED, id="an approver rejects"),
        pytest.param(pending(*TWO), BOB, Verb.REJECT, ApprovalState.REJECTED, id="one rejection is enough"),
        pytest.param(pending(*TWO), BOB, Verb.APPROVE, ApprovalState.PENDING, id="one of two"),
        pytest.param(pending(policy(approvers=("*",))), ALICE, Verb.APPROVE, NotAnApprover, id="the requester"),
        pytest.param(pending(policy(approvers=("*",))), ALICE, Verb.REJECT, NotAnApprover, id="the requester rejects"),
        pytest.param(pending(policy(approvers=("*",))), ALICE_AGAIN, Verb.APPROVE, NotAnApprover, id="another key"),
        pytest.param(pending(), DAVE, Verb.APPROVE, NotAnApprover, id="nobody's approver"),
        pytest.param(pending(), DAVE, Verb.REJECT, NotAnApprover, id="nobody's approver rejects"),
        pytest.param(pending(), BOB, Verb.REVIEW, ApprovalClosed, id="a review of no emergency"),
        pytest.param(emergency(), DAVE, Verb.REVIEW, ApprovalState.REVIEWED, id="anybody else reviews"),
        pytest.param(emergency(), ALICE, Verb.REVIEW, NotAnApprover, id="the requester reviews"),
        pytest.param(emergency(), ALICE_AGAIN, Verb.REVIEW, NotAnApprover, id="another key reviews"),
        pytest.param(emergency(), BOB, Verb.APPROVE, ApprovalClosed, id="an emergency is not approved"),
    ],
)
def test_who_may_decide_what(
    approval: Approval, caller: Caller, verb: Verb, expected: ApprovalState | type[JobgateError]
) -> None:
    """Only owners other than the requester's, named by a policy, decide; an emergency is reviewed by anybody else."""
    if isinstance(expected, ApprovalState):
        assert decided(approval, by(caller, verb), PLAN.digest).state is expected
    else:
        with pytest.raises(expected):
            decided(approval, by(caller, verb), PLAN.digest)
    assert may_decide(approval, person(caller)) is (expected is not NotAnApprover)


def test_every_policy_is_met_by_its_own_approvers() -> None:
    """If several policies apply, each needs its number of different owners among those whom it names."""
    security = policy("security", approvers=("dave",))
    approval = pending(*TWO, security)
    for caller, waits_for in ((BOB, "many"), (CAROL, "security"), (DAVE, None)):
        approval = decided(approval, by(caller), PLAN.digest)
        left = unmet(approval.policies, approval.requester, approval.decisions)
        assert (left and left.name) == waits_for
    assert approval.state is ApprovalState.APPROVED


def test_owners_are_counted() -> None:
    """Not their keys, nor rejections, nor the owner of the request, nor those whom the policy does not name."""
    again = by(Caller("second-key", owner="bob"))
    decisions = [by(BOB), again, by(ALICE), by(CAROL, Verb.REJECT), by(DAVE)]
    assert given(policy(approvers=("alice", "bob", "carol")), person(ALICE), decisions) == 1


def test_each_owner_decides_once() -> None:
    """A repeated decision changes nothing, with whichever key; another one of the same owner is refused."""
    once = decided(pending(*TWO), by(BOB), PLAN.digest)
    assert decided(once, by(Caller("second-key", owner="bob")), PLAN.digest) is once
    with pytest.raises(ApprovalClosed, match="approve"):
        decided(once, by(BOB, Verb.REJECT), PLAN.digest)


@pytest.mark.parametrize(
    "change",
    [
        {"action": "close"},
        {"parameters": {"note": "x"}},
        {"reason": "another"},
        {"manifest": "b" * 64},
        {"items": {"contoso-prod": 31, "vonage-emea": 20}},
        {"limits": {"maxErrors": 5}},
        {"not_before": NOW},
        {"deadline": NOW},
        {"schedule": "019a9b3c-5e0e-7c4b-9f5a-3d8f0e1c2b4a"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_approval_is_for_one_plan(change: dict[str, Any]) -> None:
    """Any change of the plan has another digest, with which nothing can be decided or begun."""
    other = replace(PLAN, **change)
    with pytest.raises(PlanChanged):
        decided(pending(), by(BOB), other.digest)
    approved = decided(pending(), by(BOB), PLAN.digest)
    with pytest.raises(PlanChanged):
        executed(approved, other, NOW, Policies())


def test_equal_plans_have_equal_digests() -> None:
    """The order of members says nothing."""
    turned = replace(PLAN, items=dict(reversed([*PLAN.items.items()])))
    assert list(turned.items) != list(PLAN.items)
    assert turned.digest == PLAN.digest


def test_a_request_expires() -> None:
    """Nobody can approve after the time to decide."""
    ends = NOW + timedelta(hours=1)
    assert after_time(pending(), ends - timedelta(seconds=1)).state is ApprovalState.PENDING
    assert after_time(pending(), ends).state is ApprovalState.EXPIRED
    with pytest.raises(ApprovalClosed, match="expired"):
        decided(pending(), by(BOB, at=ends), PLAN.digest)


def test_an_approval_expires() -> None:
    """The batch has to begin within the shortest time of its policies."""
    approval = decided(pending(policy(), policy(execute_within=timedelta(minutes=5))), by(BOB), PLAN.digest)
    ends = NOW + timedelta(minutes=5)
    assert approval.execute_until == ends
    assert executed(approval, PLAN, ends - timedelta(seconds=1), Policies()).state is ApprovalState.EXECUTED
    with pytest.raises(ApprovalClosed, match="expired"):
        executed(approval, PLAN, ends, Policies())


def test_the_time_to_begin_counts_from_the_time_of_the_plan() -> None:
    """A batch that is to begin tomorrow can be approved today."""
    tomorrow = NOW + timedelta(days=1)
    plan = replace(PLAN, not_before=tomorrow)
    approval = decided(pending(plan=plan), by(BOB), plan.digest)
    assert approval.execute_until == tomorrow + timedelta(minutes=15)


@pytest.mark.parametrize("state", sorted(set(ApprovalState) - {ApprovalState.APPROVED, ApprovalState.EXECUTED}))
def test_only_what_is_approved_begins(state: ApprovalState) -> None:
    """In any other state the batch does not begin."""
    with pytest.raises(ApprovalClosed):
        executed(replace(pending(), state=state), PLAN, NOW, Policies())


def test_what_has_begun_may_begin_again() -> None:
    """After a pause the batch goes on, however late, unless its plan is another."""
    begun = executed(decided(pending(), by(BOB), PLAN.digest), PLAN, NOW, Policies())
    late = NOW + timedelta(days=1)
    assert executed(begun, PLAN, late, Policies((policy(approvals=9),))) is begun
    with pytest.raises(PlanChanged):
        executed(begun, replace(PLAN, action="close"), late, Policies())


@pytest.mark.parametrize("state", [ApprovalState.REVIEW_DUE, ApprovalState.REVIEWED])
def test_an_emergency_lasts_for_a_while(state: ApprovalState) -> None:
    """It needs no approval, whether it has been reviewed or not, until its time has passed."""
    ends = NOW + timedelta(minutes=15)
    begun = replace(emergency(), state=state, execute_until=ends)
    assert executed(begun, PLAN, ends - timedelta(seconds=1), Policies((policy(),))) is begun
    with pytest.raises(ApprovalClosed):
        executed(begun, PLAN, ends, Policies((policy(),)))


@pytest.mark.parametrize(
    ("now", "begins"),
    [
        pytest.param(policy(), True, id="the same"),
        pytest.param(policy("other", actions=("close",)), True, id="none that applies"),
        pytest.param(policy(approvals=2), False, id="more approvals"),
        pytest.param(policy(approvers=("carol",)), False, id="other approvers"),
    ],
)
def test_the_policies_are_checked_again(now: ApprovalPolicy, *, begins: bool) -> None:
    """When the batch begins, the decisions must meet the policies of that time."""
    approved = decided(pending(), by(BOB), PLAN.digest)
    if begins:
        assert executed(approved, PLAN, NOW, Policies((now,))).state is ApprovalState.EXECUTED
    else:
        with pytest.raises(ApprovalRequired, match=r"many has changed"):
            executed(approved, PLAN, NOW, Policies((now,)))


def test_a_review_never_expires() -> None:
    """An emergency stays to be reviewed, and is overdue after its time."""
    late = NOW + timedelta(hours=72)
    assert after_time(emergency(), late) == emergency()
    assert not emergency().is_overdue(late - timedelta(seconds=1))
    assert emergency().is_overdue(late)
    assert not decided(emergency(), by(BOB, Verb.REVIEW), PLAN.digest).is_overdue(late)


def test_plans_survive_storage() -> None:
    """A plan that was stored has the digest that it had before."""
    plan = replace(PLAN, not_before=NOW, parameters={"note": "ü"}, limits={"maxErrors": 0.05})
    assert decode(encode(plan), type=Plan).digest == plan.digest
