"""Replies in the shapes in which Azure's live service was recorded by Microsoft's own SDK tests.

recorded.json keeps the shapes (members, envelopes, seven digits, what is left out), with values of our own.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.model import HttpReply, Outcome
from gateway.domain.times import canonical_date_time
from gateway.engine.wire import VendorReply
from tests.support.scripted_engine import MakeEngine
from tests.support.transport import reply
from tests.support.vendors import AZURE, TARGETS

EXCHANGES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("recorded.json").read_text())
CANCEL = TARGETS[0]

JOBS = [each for each in EXCHANGES if "status" in each["response"]["body"]]
ERRORS = [each for each in EXCHANGES if each["response"]["status"] >= 400]
ACTIONS = [each for each in EXCHANGES if each["request"]["method"] == "POST" and each not in ERRORS]
(CLOSE,) = [each for each in EXCHANGES if "assignment" in each["request"]]


def answer(exchange: dict[str, Any]) -> HttpReply:
    """The recorded response as the transport would hand it over."""
    response = exchange["response"]
    headers = {name.lower(): value for name, value in response["headers"].items()}
    return reply(response["status"], response["body"], {"content-type": "application/json; charset=utf-8", **headers})


def test_every_exchange_is_replayed() -> None:
    """Each recorded exchange is a job, a success or an error, so that none is overlooked below."""
    assert all(sum(each in kind for kind in (JOBS, ERRORS, ACTIONS)) == 1 for each in EXCHANGES)


@pytest.mark.parametrize("exchange", JOBS, ids=lambda each: each["name"])
async def test_recorded_jobs_are_read(make_engine: MakeEngine, exchange: dict[str, Any]) -> None:
    """A job as the live service sends it, optional members left out, becomes a job of ours; nothing of it is lost."""
    recorded = exchange["response"]["body"]
    made = make_engine(reply(200, recorded))
    job = await made.jobs.get(made.connection("contoso-prod"), recorded["id"], made.calls.context())
    assert (job.id, job.status.vendor_status) == (recorded["id"], recorded["status"])
    assert job.timestamps == {name: recorded[name] for name in ("enqueuedAt",) if name in recorded}
    assert job.vendor_object == recorded


@pytest.mark.parametrize("exchange", ACTIONS, ids=lambda each: each["name"])
async def test_recorded_successes_are_successes(make_engine: MakeEngine, exchange: dict[str, Any]) -> None:
    """Every 200 that an action of the live service was answered with is understood as one."""
    record = await make_engine(answer(exchange)).perform(CANCEL)
    assert record.outcome is Outcome.APPLIED
    assert record.vendor_response is not None
    assert record.vendor_response.request_id == exchange["response"]["headers"]["trace-id"]


@pytest.mark.parametrize("exchange", ERRORS, ids=lambda each: each["name"])
async def test_recorded_errors_are_read(make_engine: MakeEngine, exchange: dict[str, Any]) -> None:
    """Code and message are found in the envelope that the live service sends, and no reference page shows."""
    made = make_engine(answer(exchange), CANCEL.job("closed"))
    failure = await made.failure(CANCEL)
    error = exchange["response"]["body"]["communicationError"]
    vendor = failure.problem.explanation.vendor
    assert vendor is not None
    assert (vendor.code, vendor.message) == (error["code"], error["message"])
    assert failure.problem.code == "wrong-state"


async def test_a_recorded_request_is_the_one_we_make(make_engine: MakeEngine) -> None:
    """The same close, asked of us, becomes the recorded request: same path, same JSON, the time in its one form."""
    asked = CLOSE["request"]
    made = make_engine(answer(CLOSE))
    parameters = {**asked["body"], "assignmentId": asked["assignment"]}
    request = made.request("contoso-prod", "close", asked["job"], parameters)
    record = (await made.actions.perform(request)).record
    (sent,) = made.sent
    assert sent.url == f"{AZURE}{asked['path']}?api-version=2023-11-01"
    close_at = canonical_date_time(asked["body"]["closeAt"])
    assert json.loads(sent.content) == asked["body"] | {"closeAt": close_at}
    assert record.job is not None
    assert record.job.vendor_status == "closed"


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda each: each["name"])
def test_every_recorded_body_is_json_that_we_read(exchange: dict[str, Any]) -> None:
    """Every reply is read as it was written, byte order mark or not."""
    content = json.dumps(exchange["response"]["body"]).encode()
    for prefix in (b"", b"\xef\xbb\xbf"):
        read = VendorReply.of(HttpReply(200, {}, prefix + content))
        assert read.body == exchange["response"]["body"]
        assert isinstance(read.body, dict)
