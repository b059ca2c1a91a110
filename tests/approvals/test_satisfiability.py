"""Policies that nobody could meet are found, with who is missing."""

from __future__ import annotations

import re

import pytest

from gateway.approvals.satisfiability import Population
from gateway.domain.access import Caller
from gateway.domain.approvals import ApprovalPolicy
from tests.approvals.fixtures import ALICE, ALICE_AGAIN, BOB, CAROL, DAVE, SCOPES, policy

READER = Caller("reader", frozenset({"approvals:read", "jobs:read", "connections:*"}))
APPROVER = Caller("erin-key", frozenset({"approvals:read", "approvals:write"}), "erin")
BLIND = Caller("frank-key", frozenset({"approvals:write"}), "frank")
LOOKING = Caller("frank-other-key", frozenset({"approvals:read"}), "frank")
ANYBODY = policy(approvers=("*",))


def population(*callers: Caller) -> Population:
    """Callers of a gateway with two connections."""
    actions = {"cancel": frozenset({"jobs:cancel"}), "close": frozenset({"jobs:close"})}
    taking_part = frozenset({"batches:write"}), frozenset({"approvals:read", "approvals:write"})
    return Population(callers, ("prod", "test"), actions, *taking_part)


@pytest.mark.parametrize(
    ("known", "wanted"),
    [
        pytest.param((ALICE, BOB), ANYBODY, id="two who approve each other"),
        pytest.param((ALICE, BOB, CAROL), policy(), id="approvers beside the requester"),
        pytest.param((ALICE, APPROVER), policy(approvers=("erin",)), id="an approver who requests nothing"),
        pytest.param((BOB, CAROL, DAVE), policy(approvals=2, approvers=("*",)), id="two of three"),
        pytest.param((ALICE, APPROVER), policy(approvers=("erin-key",)), id="named by caller"),
        pytest.param((ALICE, BLIND, LOOKING), policy(approvers=("frank",)), id="a key to look and one to decide"),
        pytest.param((READER, APPROVER), policy(approvers=("erin",)), id="nobody requests"),
        pytest.param((BOB, APPROVER), policy(approvers=("bob",), callers=("agent-*",)), id="others' batches only"),
        pytest.param((BOB,), policy(approvers=("bob",), connections=("elsewhere",)), id="no such connection"),
    ],
)
def test_a_policy_can_be_met(known: tuple[Caller, ...], wanted: ApprovalPolicy) -> None:
    """Beside every owner who can ask, enough others can approve."""
    assert population(*known).mistake(wanted) is None


@pytest.mark.parametrize(
    ("known", "wanted", "said"),
    [
        pytest.param((ALICE,), ANYBODY, r"a batch of alice needs 1 approval, .*nobody can give it", id="alone"),
        pytest.param((ALICE, ALICE_AGAIN), ANYBODY, "a batch of alice .*nobody", id="two keys of one person"),
        pytest.param((ALICE, BOB), policy(approvers=("bob",)), "a batch of bob", id="the approver's own batches"),
        pytest.param((ALICE, READER), policy(approvers=("reader",)), "No caller of reader has", id="cannot decide"),
        pytest.param(
            (ALICE, BLIND),
            policy(approvers=("frank",)),
            "nobody .*No caller of frank has the scopes approvals:read and approvals:write",
            id="cannot see what to decide",
        ),
        pytest.param(
            (ALICE, BLIND, LOOKING),
            policy(approvers=("frank-key",)),
            "No caller of frank-key",
            id="other key",
        ),
        pytest.param(
            (ALICE, BOB), policy(approvals=2, approvers=("bob", "erin")), "only bob.*caller of erin", id="few"
        ),
        pytest.param((READER,), policy(), "a batch needs .*nobody.*No caller of bob, carol", id="nobody is there"),
    ],
)
def test_a_policy_that_cannot_be_met(known: tuple[Caller, ...], wanted: ApprovalPolicy, said: str) -> None:
    """The message names whose batch would wait in vain, who can approve, and who is missing."""
    mistake = population(*known).mistake(wanted)
    assert mistake is not None
    assert re.search(said, mistake), mistake


def test_only_those_who_may_act_are_requesters() -> None:
    """A caller without the scope of any action of the policy, or of its connections, asks for nothing."""
    wanted = policy(approvers=("bob",), actions=("close",), connections=("prod",))
    for scopes in (SCOPES - {"jobs:*"} | {"jobs:cancel"}, SCOPES - {"connections:*"} | {"connections:test"}):
        bob = Caller("bob", frozenset(scopes))
        assert population(bob, APPROVER).mistake(wanted) is None
    assert population(Caller("bob", SCOPES), APPROVER).mistake(wanted) is not None
