"""People, a plan, a policy and approvals for the tests."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from gateway.domain.access import Caller
from gateway.domain.approvals import Approval, ApprovalPolicy, Decision, Person, Plan, Verb
from tests.support.clock import NOW

SCOPES = frozenset({"approvals:*", "batches:*", "jobs:*", "connections:*"})
ALICE, BOB, CAROL, DAVE = (Caller(f"{name}-key", SCOPES, name) for name in ("alice", "bob", "carol", "dave"))
ALICE_AGAIN = Caller("alice-other-key", SCOPES, "alice")
"""Another key of the same person."""
PLAN = Plan("cancel", {}, "The queue is stuck", "a" * 64, {"contoso-prod": 30, "vonage-emea": 20})
BATCH = "019a9b3c-5e0e-7c4b-9f5a-3d8f0e1c2b4a"


def person(caller: Caller) -> Person:
    """The person in a record."""
    return Person(caller.name, caller.owner)


def policy(name: str = "many", **given: Any) -> ApprovalPolicy:
    """A policy: one approval by bob or carol for every batch."""
    usual: dict[str, Any] = {
        "actions": ("*",),
        "connections": ("*",),
        "callers": ("*",),
        "items": 1,
        "approvals": 1,
        "approvers": ("bob", "carol"),
        "decide_within": timedelta(hours=1),
        "execute_within": timedelta(minutes=15),
    }
    return ApprovalPolicy(name, **{**usual, **given})


def pending(*policies: ApprovalPolicy, plan: Plan = PLAN) -> Approval:
    """A request of alice."""
    return Approval(BATCH, BATCH, plan, person(ALICE), NOW, NOW + timedelta(hours=1), policies or (policy(),))


def by(caller: Caller, verb: Verb = Verb.APPROVE, at: datetime = NOW) -> Decision:
    """A decision."""
    return Decision(person(caller), verb, at)
