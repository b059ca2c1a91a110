"""Twilio's documented and observed exchanges, read by its document.

recorded_twilio.json has the members and forms of the vendor's own examples with values of ours, and says of each
exchange what it comes from.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from gateway.domain.model import HttpReply
from gateway.domain.vocabulary import Meaning, Source
from gateway.engine.wire import VendorReply
from gateway.specs.vendor import VendorSpecification
from tests.support.documents import installed

EXCHANGES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("recorded_twilio.json").read_text())
WORKSPACE, TASK = "WSaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "WTaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
OPERATIONS = {("GET", True): "fetchTask", ("GET", False): "listTask", ("POST", True): "updateTask"}
OPERATIONS |= {("DELETE", True): "deleteTask"}
MEANINGS = {
    "wrong credentials": {Meaning.UNAUTHENTICATED},
    "an unknown task": {Meaning.UNKNOWN_JOB},
    # The documents leave open how these two are told apart, so Jobgate reads the job.
    "a task that waits no more is canceled": {Meaning.WRONG_STATE, Meaning.INVALID_REQUEST},
    "a task that nobody works on is wrapped up": {Meaning.WRONG_STATE, Meaning.INVALID_REQUEST},
    "the task has changed": {Meaning.CHANGED},
    "too many requests": {Meaning.THROTTLED},
}
ERRORS = [each for each in EXCHANGES if each["response"]["status"] >= 400]
SUCCESSES = [each for each in EXCHANGES if each not in ERRORS]
TASKS = [each for each in SUCCESSES if "sid" in (each["response"]["body"] or {})]
ACTIONS = [each for each in EXCHANGES if each["request"]["method"] != "GET"]


def named(exchange: dict[str, Any]) -> str:
    """The name of an exchange in the list of tests."""
    return str(exchange["name"])


@pytest.fixture(scope="module")
def twilio() -> VendorSpecification:
    """Twilio's document, for one Workspace."""
    return installed().vendors["twilio-taskrouter"].specification.bound({"workspaceSid": WORKSPACE})


def operation_of(exchange: dict[str, Any]) -> str:
    """The operation of an exchange."""
    asked = exchange["request"]
    return OPERATIONS[asked["method"], asked["path"].endswith(TASK)]


def parts_of(exchange: dict[str, Any]) -> dict[str, Any]:
    """The request of an exchange, as it is read."""
    asked = exchange["request"]
    path = {"WorkspaceSid": WORKSPACE, **({"Sid": TASK} if asked["path"].endswith(TASK) else {})}
    parts: dict[str, Any] = {"path": path, "query": {}, "header": {}}
    return parts | ({"body": dict(parse_qsl(asked["body"]))} if "body" in asked else {})


def test_every_exchange_is_of_a_known_kind() -> None:
    """Each error is listed above with its meaning, so that none is overlooked."""
    assert {named(each) for each in ERRORS} == MEANINGS.keys()
    assert all(each["source"] for each in EXCHANGES)


@pytest.mark.parametrize("exchange", SUCCESSES, ids=named)
def test_replies_fit_the_document(twilio: VendorSpecification, exchange: dict[str, Any]) -> None:
    """The vendor's examples of replies are valid by our document, null members included."""
    answer = exchange["response"]
    response = twilio.api.operations[operation_of(exchange)].response(answer["status"])
    assert response is not None
    bodies = [answer["body"]] if answer["body"] is not None else []
    assert len(response.bodies) == len(bodies)
    for validator, body in zip(response.bodies.values(), bodies, strict=True):
        assert validator.errors(body) == ()


@pytest.mark.parametrize("exchange", TASKS, ids=named)
def test_tasks_are_read(twilio: VendorSpecification, exchange: dict[str, Any]) -> None:
    """A task of the vendor's examples is a job of ours, with its times and its version."""
    answer = exchange["response"]
    job = twilio.job.decode({"body": answer["body"]})
    assert (job[Source.JOB_ID], job[Source.JOB_VENDOR_STATUS]) == (TASK, answer["body"]["assignment_status"])
    assert job["job.timestamps.createdAt"] == "2026-01-05T09:30:00Z"
    read = twilio.reads["fetchTask"]
    assert read.reply.decode({"header": answer["headers"], "body": answer["body"]}) == {
        Source.JOB_VERSION: answer["headers"]["ETag"]
    }


@pytest.mark.parametrize("workspace", [None, "WSbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", 7])
def test_the_workspace_of_a_task_is_not_looked_at(twilio: VendorSpecification, workspace: object) -> None:
    """The member may be null in the vendor's document: such a task is read all the same."""
    body = {**TASKS[0]["response"]["body"], "workspace_sid": workspace}
    assert twilio.job.legible({"body": body})[Source.JOB_ID] == TASK


@pytest.mark.parametrize("exchange", ERRORS, ids=named)
def test_errors_are_understood(twilio: VendorSpecification, exchange: dict[str, Any]) -> None:
    """Each error has the meanings that the documents allow, and its text reaches the caller."""
    answer = exchange["response"]
    error = twilio.errors.read({"header": answer["headers"], "body": answer["body"]})
    code = error.get(Source.ERROR_CODE)
    meanings = twilio.errors.meanings_of(answer["status"], None if code is None else str(code))
    assert meanings == MEANINGS[named(exchange)]
    assert error[Source.ERROR_MESSAGE] == answer["body"]["message"]


@pytest.mark.parametrize("exchange", ACTIONS, ids=named)
def test_requests_are_the_ones_that_we_make(twilio: VendorSpecification, exchange: dict[str, Any]) -> None:
    """The request of an exchange is read as an action, and the action becomes the same request."""
    parts = parts_of(exchange)
    (job_action,) = twilio.decode(operation_of(exchange), parts)
    assert job_action.job_id == TASK
    written = twilio.actions[job_action.action].encode(job_action).parts()
    assert {location: values for location, values in written.items() if values} == {
        location: values for location, values in parts.items() if values
    }


@pytest.mark.parametrize("exchange", EXCHANGES, ids=named)
def test_every_body_is_json_that_we_read(exchange: dict[str, Any]) -> None:
    """Every reply is read as it was written."""
    body = exchange["response"]["body"]
    content = b"" if body is None else json.dumps(body).encode()
    assert VendorReply.of(HttpReply(200, {}, content)).body == body
