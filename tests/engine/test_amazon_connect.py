"""Exchanges in the shapes that the pages and the model of Amazon Connect document; the values are ours.

amazon_connect.json names the source of each. Pages are those of the API reference and the Admin guide.
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
from gateway.settings.settings import AwsSignatureAuthentication, ConnectionSettings
from tests.support.asgi import call
from tests.support.scripted_engine import ScriptedEngine
from tests.support.transport import Line, reply
from tests.support.vendors import settings

EXCHANGES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("amazon_connect.json").read_text())
HOST = "https://connect.eu-west-2.amazonaws.com"
INSTANCE = "aaaaaaaa-1111-2222-3333-bbbbbbbbbbbb"
CONNECTION = ConnectionSettings(
    vendor="amazon-connect",
    values={"region": "eu-west-2", "instanceId": INSTANCE},
    authentication=AwsSignatureAuthentication(
        kind="aws-signature",
        scheme="sigv4",
        access_key_id="AKIDEXAMPLE",
        secret_access_key=SecretStr("a-secret-of-the-tests"),
    ),
)

READS = [each for each in EXCHANGES if each["request"]["method"] == "GET"]
ACTIONS = [each for each in EXCHANGES if "action" in each["request"]]


def engine(catalogue: Catalogue, *script: Line) -> ScriptedEngine:
    """An engine with a connection to an instance, whose vendor follows a script."""
    return ScriptedEngine(
        catalogue, script, settings().model_copy(update={"connections": {"connect-prod": CONNECTION}})
    )


def answer(exchange: dict[str, Any]) -> HttpReply:
    """The response as the transport would hand it over."""
    response = exchange["response"]
    headers = {name.lower(): value for name, value in response["headers"].items()}
    return reply(response["status"], response["body"], headers)


def contact(**members: Any) -> HttpReply:
    """The reply to a read of the contact."""
    return reply(200, {"Contact": {"Id": "c-1", **members}})


def test_every_exchange_is_replayed() -> None:
    """Each exchange is a read or an action, so that none is overlooked below, and names its source."""
    assert all((each in READS) is not (each in ACTIONS) and each["source"] for each in EXCHANGES)


@pytest.mark.parametrize("exchange", READS, ids=lambda each: each["name"])
async def test_documented_contacts_are_read(catalogue: Catalogue, exchange: dict[str, Any]) -> None:
    """The status of a contact follows from its members, its numbers are times, and nothing of it is lost."""
    made = engine(catalogue, answer(exchange))
    job_id = exchange["request"]["path"].rpartition("/")[2]
    reading = made.jobs.get(made.connection("connect-prod"), job_id, made.calls.context())
    if "problem" in exchange:
        with pytest.raises(JobgateError) as failure:
            await reading
        assert failure.value.code == exchange["problem"]
    else:
        job = await reading
        assert (job.id, job.status.vendor_status) == (job_id, exchange["vendorStatus"])
        assert job.timestamps == exchange["timestamps"]
        assert job.vendor_object == exchange["response"]["body"]["Contact"]
    (sent,) = made.sent
    assert (sent.method, sent.url) == ("GET", f"{HOST}{exchange['request']['path']}")


@pytest.mark.parametrize("exchange", ACTIONS, ids=lambda each: each["name"])
async def test_documented_actions_are_understood(catalogue: Catalogue, exchange: dict[str, Any]) -> None:
    """The request is the documented one, signed for the region; the reply means what its source says."""
    asked = exchange["request"]
    before = [contact(**asked["before"])] if "before" in asked else []
    after = [contact(**exchange["after"])] if "after" in exchange else []
    made = engine(catalogue, *before, answer(exchange), *after)
    record = (await made.actions.perform(made.request("connect-prod", asked["action"], "c-1"))).record
    assert not made.transport.script
    (sent,) = made.actions_sent
    assert (sent.url, json.loads(sent.content)) == (f"{HOST}{asked['path']}", asked["body"])
    assert sent.headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "/eu-west-2/connect/aws4_request" in sent.headers["Authorization"]
    assert (None if record.problem is None else record.problem.code) == exchange.get("problem")
    assert record.outcome is (Outcome.REJECTED if "problem" in exchange else Outcome.APPLIED)
    response, headers = record.vendor_response, exchange["response"]["headers"]
    assert response is not None
    assert response.request_id == headers.get("x-amzn-RequestId")
    assert response.code == (headers["x-amzn-ErrorType"].partition(":")[0] if "problem" in exchange else None)


LATER = [
    ("the API ended it", {"DisconnectTimestamp": 1704067300, "DisconnectReason": "API"}, Outcome.APPLIED),
    ("it expired", {"DisconnectTimestamp": 1704067300, "DisconnectReason": "EXPIRED"}, Outcome.REJECTED),
    ("a call that somebody ended", {"DisconnectTimestamp": 1704067300, "DisconnectReason": "OTHER"}, Outcome.UNKNOWN),
]


@pytest.mark.parametrize(("members", "outcome"), [each[1:] for each in LATER], ids=[each[0] for each in LATER])
async def test_the_reason_of_the_end_settles_a_lost_reply(
    catalogue: Catalogue, members: dict[str, Any], outcome: Outcome
) -> None:
    """A contact can end by itself meanwhile. Only its reason tells whether the stop ended it."""
    queued, ended = contact(QueueInfo={"EnqueueTimestamp": 1704067201.2}), contact(**members)
    made = engine(catalogue, queued, reply(500, {"Message": "No."}), ended)
    record = (await made.actions.perform(made.request("connect-prod", "cancel", "c-1"))).record
    assert record.outcome is Outcome.UNKNOWN
    made.clock.advance(0.5)
    (record,) = await made.reconciler.reconcile_due()
    assert record.outcome is outcome


@pytest.mark.parametrize(
    ("query", "found", "left_out"),
    [("?status=queued", ["c-1"], "2"), ("?status=unknown", ["c-2"], None), ("", ["c-2"], None)],
)
async def test_what_a_filter_leaves_open_is_counted(
    catalogue: Catalogue, query: str, found: list[str], left_out: str | None
) -> None:
    """A filter by status says how many contacts it leaves out because their rows do not tell it, on all pages read."""
    queued: Any = {"QueueInfo": {"EnqueueTimestamp": 1767605400}}
    task, call_in_queue = {"Channel": "TASK", **queued}, {"Channel": "VOICE", **queued}
    first = reply(200, {"Contacts": [{"Id": "c-2", **task}], "NextToken": "more"})
    last = reply(200, {"Contacts": [{"Id": "c-3", **task}, {"Id": "c-1", **call_in_queue}]})
    made = engine(catalogue, first, last)
    listed = await call(made.gateway.application, "GET", f"/v1/connections/connect-prod/jobs{query}")
    assert [each["id"] for each in listed.json["items"]] == found
    assert listed.headers.get("jobgate-left-out") == left_out
