"""How long a request may take, and by which ids the vendor's call can be found."""

from __future__ import annotations

import pytest

from tests.support.scripted_gateway import ScriptedGateway, in_memory
from tests.support.transport import reply
from tests.support.vendors import AZURE_JOB, TARGETS, Target, azure_job

pytestmark = in_memory

CANCEL, CLOSE = TARGETS[0], TARGETS[1]
JOB = f"/v1/connections/contoso-prod/jobs/{AZURE_JOB}"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

ASKED = {
    "nothing": ({}, 10),
    "less": ({"request-timeout": "2.5"}, 2.5),
    "more": ({"request-timeout": "600"}, 10),
    "to wait for less": ({"prefer": "wait=3"}, 3),
    "to wait for longer": ({"prefer": "wait=30"}, 10),
    "both": ({"prefer": "wait=3", "request-timeout": "1"}, 1),
}


@pytest.mark.parametrize(("headers", "seconds"), list(ASKED.values()), ids=list(ASKED))
async def test_one_deadline_for_all_calls(scripted: ScriptedGateway, headers: dict[str, str], seconds: float) -> None:
    """The client's time, where it is shorter than the gateway's, holds for every call that its action needs."""
    begun = scripted.clock.monotonic()
    scripted.answers(CLOSE.job("completed"), CLOSE.applied)
    found = {name: value for name, value in CLOSE.parameters.items() if name != "assignmentId"}
    job = CLOSE.carried_out()
    scripted.vendor.script[0] = reply(200, {**azure_job("completed"), "assignments": assignments(job.content)})
    answer = await scripted.act(CLOSE, body=found, headers=headers.items())
    assert answer.status == 200, answer.body
    assert [each - begun for each in scripted.vendor.deadlines] == [seconds] * 2


def assignments(content: bytes) -> object:
    """The assignments of a job, completed and not yet closed."""
    import json  # noqa: PLC0415

    found = json.loads(content)["assignments"]
    return {name: {key: value for key, value in each.items() if key != "closedAt"} for name, each in found.items()}


async def test_reads_have_it_too(scripted: ScriptedGateway) -> None:
    """Jobs and lists of jobs are read within the client's time."""
    begun = scripted.clock.monotonic()
    scripted.answers(reply(200, azure_job("queued")), reply(200, {"value": []}))
    for path in (JOB, "/v1/connections/contoso-prod/jobs"):
        assert (await scripted.get(path, **{"request-timeout": "0.25"})).status == 200
    assert [each - begun for each in scripted.vendor.deadlines] == [0.25, 0.25]


@pytest.mark.parametrize("written", ["0", "0.0", ".5", "-1", "1e3", "5s", "", "99999", "1, 2", "NaN"])
async def test_what_is_no_time_is_refused(scripted: ScriptedGateway, written: str) -> None:
    """A Request-Timeout that is not a positive number is refused by its name."""
    answer = await scripted.get(JOB, **{"request-timeout": written})
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (400, "/header/Request-Timeout")
    assert scripted.vendor.requests == []


@pytest.mark.parametrize("target", TARGETS, ids=str)
async def test_the_vendor_is_told_the_ids(scripted: ScriptedGateway, target: Target) -> None:
    """The request's id at Jobgate and the client's trace go with every call, and are what the record shows."""
    scripted.answers(*target.before(), target.applied)
    answer = await scripted.act(target, headers=[("traceparent", TRACE)])
    (sent,) = scripted.actions_sent
    assert sent.headers["traceparent"] == TRACE
    assert sent.headers["X-Request-Id"] == answer.headers["x-request-id"] == answer.json["origin"]["requestId"]
    assert answer.json["origin"]["traceId"] == TRACE.split("-")[1]


@pytest.mark.parametrize("trace", ["", "00-0-0-0", f"ff{TRACE[2:]}", f"{TRACE} x", f"{TRACE}-\x7f", TRACE.upper()])
async def test_a_trace_that_is_none_goes_nowhere(scripted: ScriptedGateway, trace: str) -> None:
    """An invalid traceparent neither reaches a vendor nor makes a request fail."""
    scripted.answers(reply(200, azure_job("queued")))
    assert (await scripted.get(JOB, traceparent=trace)).status == 200
    assert "traceparent" not in scripted.vendor.requests[0].headers


async def test_what_settles_an_action_has_its_ids(scripted: ScriptedGateway) -> None:
    """A job that is read to learn what came of an action is read under the id of the request that asked for it."""
    scripted.answers(reply(500))
    answer = await scripted.act(CANCEL, headers=[("traceparent", TRACE)])
    await scripted.settle(0.5, CANCEL.carried_out())
    reading = scripted.vendor.requests[-1]
    assert (reading.method, reading.headers["traceparent"]) == ("GET", TRACE)
    assert reading.headers["X-Request-Id"] == answer.json["origin"]["requestId"]
