"""Approvals at every surface: the operations of the unified API, and single actions that need approval."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs
from pydantic import SecretStr

from gateway.app import Catalogue, Gateway
from gateway.domain.approvals import Approval, Person
from gateway.domain.errors import ApprovalRequired
from gateway.domain.record import Selection
from gateway.engine.termination import Terminations
from gateway.ledger.memory import MemoryLedger
from gateway.settings.settings import ApprovalSettings, CallerSettings
from tests.approvals.fixtures import BATCH, PLAN
from tests.native.fixtures import VendorClients, job_path
from tests.support.asgi import Answer, call
from tests.support.clock import FakeClock
from tests.support.problems import Problems
from tests.support.scripted_engine import ScriptedEngine
from tests.support.transport import FakeTransport, reply
from tests.support.vendors import AZURE_JOB, VONAGE_JOB, azure_job, obedient, settings

OWNERS = {"alice-key": "alice", "alice-other": "alice", "bob-key": "bob", "dave-key": "dave"}
READS_ONLY = "reader-key"
JOB = f"/v1/connections/contoso-prod/jobs/{AZURE_JOB}"
PROTECTED = ApprovalSettings(connections=("contoso-prod", "vonage-*"), actions=("cancel",), approvers=("bob",))
FOR_BATCHES = ApprovalSettings(items=2, approvers=("bob",))


def wired(catalogue: Catalogue, policy: ApprovalSettings) -> VendorClients:
    """A gateway with a policy, whose callers have owners."""
    scopes = ("approvals:*", "jobs:*", "connections:*")
    callers = {name: CallerSettings(key=SecretStr(name), scopes=scopes, owner=owner) for name, owner in OWNERS.items()}
    callers[READS_ONLY] = CallerSettings(key=SecretStr(READS_ONLY), scopes=("approvals:read",), owner="bob")
    transport = FakeTransport(otherwise=obedient)
    gateway = Gateway(
        settings(callers=callers, approvals={"guarded": policy}),
        catalogue,
        clock=FakeClock(),
        transport=transport,
        ledger=MemoryLedger(),
    )
    return VendorClients(gateway, transport)


@pytest.fixture
def protected(catalogue: Catalogue) -> VendorClients:
    """A gateway that asks for approval of each cancellation at two of its connections."""
    return wired(catalogue, PROTECTED)


@pytest.fixture
def open_to_single(catalogue: Catalogue) -> VendorClients:
    """A gateway that asks for approval of batches of two jobs or more."""
    return wired(catalogue, FOR_BATCHES)


async def unified(clients: VendorClients, method: str, path: str, body: Any = None, key: str = "alice-key") -> Answer:
    """Ask the unified API."""
    return await call(clients.gateway.application, method, path, body, key=key)


async def requested(clients: VendorClients) -> Approval:
    """A request of alice, as a batch makes it."""
    approval = await clients.gateway.approvals.request(BATCH, PLAN, Person("alice-key", "alice"))
    assert approval is not None
    return approval


@pytest.mark.parametrize("action", ["cancel", "terminate"])
async def test_a_single_action_is_refused(protected: VendorClients, problems: Problems, action: str) -> None:
    """If a policy applies to one job, its action or a step of its termination, it needs a batch; nothing is sent."""
    answer = await unified(protected, "POST", f"{JOB}/{action}")
    problem = problems.check(answer, answer.headers)
    assert (problem["code"], problem["outcome"]) == ("approval-required", "not_sent")
    assert "batch of one job" in problem["detail"]
    assert protected.calls == []
    assert (await protected.gateway.ledger.page(Selection(), 10, None)).items == ()


@pytest.mark.parametrize("path", [f"{JOB}/cancel?dryRun=true", f"{JOB}/close", f"{JOB.replace('prod', 'test')}/cancel"])
async def test_what_no_policy_names_is_done(protected: VendorClients, path: str) -> None:
    """A dry run, another action, and another connection."""
    assert (await unified(protected, "POST", path)).status == 200


async def test_larger_batches_leave_single_actions_alone(open_to_single: VendorClients) -> None:
    """A policy for two jobs or more says nothing of one."""
    assert (await unified(open_to_single, "POST", f"{JOB}/cancel")).status == 200


async def test_a_part_of_an_approved_batch_is_done(catalogue: Catalogue) -> None:
    """The same action, as an item of a batch that has met the policies, is carried out, and so are its steps."""
    engine = ScriptedEngine(catalogue, [], settings(approvals={"guarded": ApprovalSettings(approvers=("bob",))}))
    actions = replace(engine.actions, policies=engine.gateway.policies)
    for action, perform in (
        ("cancel", actions.perform),
        ("terminate", Terminations(actions, engine.reconciler).perform),
    ):
        engine.transport.script.extend([reply(200, azure_job("queued"))] * (action == "terminate") + [reply(200, {})])
        request = engine.request(
            "contoso-prod", action, AZURE_JOB, {"mode": "graceful"} if action == "terminate" else {}
        )
        with pytest.raises(ApprovalRequired):
            await perform(request)
        done = await perform(structs.replace(request, is_approved=True))
        assert done.record.outcome == "applied"


async def test_azures_client_is_refused_in_azures_words(protected: VendorClients) -> None:
    """Nothing goes around by the vendor's own API."""
    answer = await protected.azure("POST", job_path(AZURE_JOB, ":cancel"))
    assert (answer.status, answer.json["error"]["code"]) == (403, "Forbidden")
    assert "batch of one job" in answer.json["error"]["message"]
    assert protected.calls == []


async def test_vonages_client_is_refused_in_vonages_words(protected: VendorClients) -> None:
    """Nothing goes around by the vendor's own API."""
    answer = await protected.vonage("POST", f"/interactions/jobs/{VONAGE_JOB}/cancel")
    assert (answer.status, list(answer.json)) == (403, ["message"])
    assert "batch of one job" in answer.json["message"]
    assert protected.calls == []


async def test_a_plan_is_approved(open_to_single: VendorClients) -> None:
    """An approver sees exactly what will be done, and approves it by its digest."""
    approval = await requested(open_to_single)
    path = f"/v1/approvals/{approval.id}"
    seen = (await unified(open_to_single, "GET", path, key="bob-key")).json
    assert seen == {
        "id": approval.id,
        "state": "pending",
        "batch": BATCH,
        "digest": PLAN.digest,
        "plan": {
            "action": "cancel",
            "parameters": {},
            "reason": PLAN.reason,
            "manifestDigest": PLAN.manifest,
            "jobs": PLAN.items,
            "limits": {},
        },
        "requestedBy": "alice-key",
        "requestedByOwner": "alice",
        "policies": [{"name": "guarded", "required": 1, "given": 0, "approvers": ["bob"]}],
        "decisions": [],
        "requestedAt": "2026-01-05T10:00:00.000Z",
        "decideUntil": "2026-01-05T11:00:00.000Z",
    }
    said = {"digest": seen["digest"], "comment": "Agreed"}
    answer = await unified(open_to_single, "POST", f"{path}/approve", said, "bob-key")
    assert (answer.status, answer.json["state"], answer.json["executeUntil"]) == (
        200,
        "approved",
        "2026-01-05T10:15:00.000Z",
    )
    decision = {"owner": "bob", "caller": "bob-key", "decision": "approve", "at": "2026-01-05T10:00:00.000Z"}
    assert answer.json["decisions"] == [{**decision, "comment": "Agreed"}]
    assert answer.json["policies"][0]["given"] == 1


@pytest.mark.parametrize(
    ("key", "verb", "digest", "code"),
    [
        ("alice-key", "approve", PLAN.digest, "not-an-approver"),
        ("alice-other", "reject", PLAN.digest, "not-an-approver"),
        ("dave-key", "approve", PLAN.digest, "unknown-approval"),
        ("bob-key", "approve", "0" * 64, "plan-changed"),
        ("bob-key", "review", PLAN.digest, "approval-closed"),
        (READS_ONLY, "approve", PLAN.digest, "forbidden"),
    ],
)
async def test_decisions_that_are_refused(
    open_to_single: VendorClients, problems: Problems, key: str, verb: str, digest: str, code: str
) -> None:
    """Each with its own problem, and nothing is decided."""
    approval = await requested(open_to_single)
    answer = await unified(open_to_single, "POST", f"/v1/approvals/{approval.id}/{verb}", {"digest": digest}, key)
    assert problems.check(answer, answer.headers)["code"] == code
    assert await open_to_single.gateway.approvals.store.get(approval.id) == approval


async def test_approvals_are_listed(open_to_single: VendorClients) -> None:
    """By state, in pages whose links lead on with every condition."""
    made = [(await requested(open_to_single)).id for _ in range(3)]
    path = "/v1/approvals?state=pending&state=approved&limit=2"
    first = await unified(open_to_single, "GET", path, key="bob-key")
    assert [each["id"] for each in first.json["items"]] == made[:0:-1]
    following = first.headers["link"].partition(">")[0].removeprefix("<")
    second = await unified(open_to_single, "GET", following, key="bob-key")
    assert ([each["id"] for each in second.json["items"]], second.json["nextCursor"]) == (made[:1], None)
    nothing = await unified(open_to_single, "GET", "/v1/approvals", key="dave-key")
    assert nothing.json == {"items": [], "nextCursor": None}
