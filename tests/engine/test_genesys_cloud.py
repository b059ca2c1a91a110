"""Exchanges in the shapes of Genesys Cloud's SDK, which is made from the vendor's own document; the values are ours.

genesys_cloud.json has a conversation for each case that a status must be told from, with its source.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from gateway.app import Catalogue
from gateway.domain.errors import JobgateError
from gateway.domain.model import HttpReply, Outcome
from gateway.settings.settings import ClientCredentialsAuthentication, ConnectionSettings
from tests.support.scripted_engine import ScriptedEngine
from tests.support.transport import Line, reply
from tests.support.vendors import settings, token

EXCHANGES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("genesys_cloud.json").read_text())
HOST, LOGIN = "https://api.mypurecloud.de/api/v2", "https://login.mypurecloud.de/oauth/token"
JOB = "3f0a6d52-8c1e-4b7a-9d35-0a1b2c3d4e05"
AGENT = "81f2c3d4-5e6f-4a7b-8c9d-0e1f2a3b4c5e"
CODE = "7c8d9e0f-1a2b-4c3d-8e4f-5a6b7c8d9e0f"
CORRELATION = {"inin-correlation-id": "0b1c2d3e-4f5a-4b6c-8d7e-9f0a1b2c3d4e"}
CONNECTION = ConnectionSettings(
    vendor="genesys-cloud",
    values={"domain": "mypurecloud.de", "wrapUpCode": CODE},
    authentication=ClientCredentialsAuthentication(
        kind="client-credentials",
        scheme="PureCloud OAuth",
        client_id="a client of the tests",
        client_secret=SecretStr("a secret of the tests"),
        client_authentication="basic",
        token_url=LOGIN,
    ),
)


def engine(catalogue: Catalogue, *script: Line) -> ScriptedEngine:
    """An engine with a connection to an organization, whose vendor grants a token, and then follows a script."""
    configured = settings().model_copy(update={"connections": {"cloud": CONNECTION}})
    return ScriptedEngine(catalogue, (token(), *script), configured)


def agent(medium: str, state: str, **members: Any) -> dict[str, Any]:
    """A participant who is an agent."""
    shown = {"connectedTime": "2026-01-05T09:31:00.000Z", "wrapupRequired": True, **members}
    return {"id": AGENT, "purpose": "agent", medium: [{"state": state}], **shown}


def conversation(*participants: dict[str, Any], **members: Any) -> HttpReply:
    """The reply to a read of the conversation."""
    return reply(200, {"id": JOB, "participants": list(participants), **members})


def left(medium: str = "calls") -> dict[str, Any]:
    """An agent who has left, and has to wrap up."""
    return agent(medium, "disconnected", endTime="2026-01-05T09:40:00.000Z", startAcwTime="2026-01-05T09:40:00.000Z")


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda each: each["name"])
async def test_the_status_follows_from_the_participants(catalogue: Catalogue, exchange: dict[str, Any]) -> None:
    """A conversation is in the status that its members show, and nothing of it is lost."""
    assert exchange["source"]
    made = engine(catalogue, reply(200, exchange["conversation"]))
    job = await made.jobs.get(made.connection("cloud"), JOB, made.calls.context())
    assert (job.id, job.status.vendor_status) == (JOB, exchange["vendorStatus"])
    assert job.timestamps["createdAt"] == "2024-01-02T03:04:05.000Z"
    assert job.vendor_object == exchange["conversation"]
    asked, read = made.transport.requests
    assert (asked.url, asked.content) == (LOGIN, b"grant_type=client_credentials")
    assert asked.headers["Authorization"].startswith("Basic ")
    assert (read.method, read.url) == ("GET", f"{HOST}/conversations/{JOB}")


QUEUED = conversation({"id": "p-1", "purpose": "acd", "calls": [{"state": "connected"}]})
ENDED = conversation(endTime="2026-01-05T09:40:00.000Z")
WRAPPED_UP = conversation({**left(), "wrapup": {"code": CODE}}, endTime="2026-01-05T09:41:00.000Z")
ACTIONS: list[tuple[str, list[HttpReply], tuple[str, str, Any], HttpReply]] = [
    ("cancel", [], ("DELETE", f"conversations/{JOB}", None), ENDED),
    (
        "complete",
        [conversation(agent("calls", "connected"))],
        ("PATCH", f"conversations/{JOB}/participants/{AGENT}", {"state": "disconnected"}),
        conversation(left()),
    ),
    (
        "close",
        [conversation(left())],
        ("PATCH", f"conversations/{JOB}/participants/{AGENT}", {"wrapup": {"code": CODE}}),
        WRAPPED_UP,
    ),
    (
        "pause",
        [conversation(agent("emails", "connected"))],
        ("PATCH", f"conversations/emails/{JOB}/participants/{AGENT}/parkingstate", {"state": "parked"}),
        conversation(agent("emails", "parked")),
    ),
    (
        "restart",
        [conversation(agent("messages", "parked"))],
        ("PATCH", f"conversations/messages/{JOB}/participants/{AGENT}/parkingstate", {"state": "connected"}),
        conversation(agent("messages", "connected")),
    ),
    ("discard", [], ("POST", f"conversations/{JOB}/disconnect", None), ENDED),
]
"""Action, the reads before it, the request, and the read after it."""


@pytest.mark.parametrize(("action", "before", "request_", "after"), ACTIONS, ids=[each[0] for each in ACTIONS])
async def test_an_accepted_action_is_settled_by_a_read(
    catalogue: Catalogue, action: str, before: list[HttpReply], request_: tuple[str, str, Any], after: HttpReply
) -> None:
    """Medium and participant are found; 202 leaves the outcome open, and the conversation shows the end."""
    accepted = reply(202, "" if action == "discard" else b"", CORRELATION)
    made = engine(catalogue, *before, accepted)
    record = (await made.actions.perform(made.request("cloud", action, JOB))).record
    assert (record.outcome, record.problem and record.problem.code) == (Outcome.UNKNOWN, "not-confirmed")
    assert record.vendor_response is not None
    assert record.vendor_response.request_id == CORRELATION["inin-correlation-id"]
    sent = made.transport.requests[-1]
    body = json.loads(sent.content) if sent.content else None
    assert (sent.method, sent.url, body) == (request_[0], f"{HOST}/{request_[1]}", request_[2])
    assert sent.headers["Authorization"].startswith("Bearer ")
    made.clock.advance(0.5)
    made.transport.script.append(after)
    (record,) = await made.reconciler.reconcile_due()
    assert record.outcome is Outcome.APPLIED


async def test_a_caller_gives_the_wrap_up(catalogue: Catalogue) -> None:
    """A disposition code is the wrap-up code instead of the organization's, and a note its notes."""
    made = engine(catalogue, conversation(left()), reply(202, b""))
    given = {"dispositionCode": "another-code", "note": "Refunded"}
    await made.actions.perform(made.request("cloud", "close", JOB, given))
    assert json.loads(made.transport.requests[-1].content) == {"wrapup": {"code": "another-code", "notes": "Refunded"}}


async def test_a_customer_who_stays_does_not_hide_that_the_agent_has_left(catalogue: Catalogue) -> None:
    """After `complete`, a flow may queue the call again: the agent was disconnected all the same."""
    made = engine(catalogue, conversation(agent("calls", "connected")), reply(202, b""))
    await made.actions.perform(made.request("cloud", "complete", JOB))
    made.clock.advance(0.5)
    gone = {**left(), "wrapup": {"code": CODE}}
    made.transport.script.append(conversation(gone, {"purpose": "acd", "calls": [{"state": "connected"}]}))
    (record,) = await made.reconciler.reconcile_due()
    assert record.outcome is Outcome.APPLIED
    assert record.job is not None
    assert record.job.vendor_status == "queued"


REFUSALS = [
    (404, "not.found", QUEUED, "vendor-refused"),
    (400, "bad.request", ENDED, "wrong-state"),
    (409, "conflict", ENDED, "wrong-state"),
    (403, "missing.permissions", None, "vendor-denied-access"),
    (429, "too.many.requests", None, "vendor-throttled"),
]
"""Status, code, the read that explains it if it has several meanings, and the problem."""


@pytest.mark.parametrize(("status", "code", "read", "problem"), REFUSALS, ids=[each[1] for each in REFUSALS])
async def test_refusals_are_understood(
    catalogue: Catalogue, status: int, code: str, read: HttpReply | None, problem: str
) -> None:
    """An ErrorBody is read by its code, and by the conversation if the code leaves the reason open."""
    body = {"message": "No.", "code": code, "status": status, "contextId": "c-1", "details": [], "errors": []}
    refusal = reply(status, body, {"retry-after": "3600"} if status == 429 else {})
    made = engine(catalogue, refusal, *([] if read is None else [read]))
    record = (await made.actions.perform(made.request("cloud", "cancel", JOB))).record
    assert record.outcome is not Outcome.APPLIED
    assert record.problem is not None
    assert record.problem.code == problem
    assert record.vendor_response is not None
    assert (record.vendor_response.code, record.vendor_response.message) == (code, "No.")


async def test_an_unknown_conversation(catalogue: Catalogue) -> None:
    """A 404 for a read is an unknown job."""
    made = engine(catalogue, reply(404, {"message": "No.", "code": "not.found", "status": 404}))
    with pytest.raises(JobgateError) as unknown:
        await made.jobs.get(made.connection("cloud"), JOB, made.calls.context())
    assert unknown.value.code == "unknown-job"
