"""Actions whose outcome is not known yet: the 202, the record that says more later, and `Prefer: wait=N`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any

import pytest

from gateway.domain.errors import VendorReplyNotUnderstood, VendorTimedOut
from tests.support.asgi import Answer
from tests.support.patience import PATIENCE, eventually
from tests.support.problems import Problems
from tests.support.scripted_gateway import ScriptedGateway, in_memory
from tests.support.transport import Line, reply
from tests.support.vendors import TARGETS, VONAGE_JOB, Target

CANCEL, VONAGE_CANCEL = TARGETS[0], TARGETS[2]
TEN = "2026-01-05T10:00:00.000Z"
SILENCE = VendorTimedOut("silence")
LOST: dict[str, Line] = {
    "silence": SILENCE,
    "broken off": VendorReplyNotUnderstood("broke off"),
    "error": reply(503, None, {"retry-after": "9"}),
    "nonsense": reply(200, b"<html>"),
}

every_target = pytest.mark.parametrize("target", TARGETS, ids=str)


@in_memory
@every_target
@pytest.mark.parametrize("lost", list(LOST.values()), ids=list(LOST))
async def test_an_unknown_outcome_is_answered_with_its_record(
    scripted: ScriptedGateway, target: Target, lost: Line
) -> None:
    """202 holds the record as far as it goes, and says where it is found and when to look: not what the vendor says."""
    scripted.answers(*target.before(), lost)
    answer = await scripted.act(target)
    body = answer.json
    assert (answer.status, answer.headers["content-type"]) == (202, "application/json")
    assert (answer.headers["location"], answer.headers["retry-after"]) == (f"/v1/job-actions/{body['id']}", "1")
    assert not {"content-location", "idempotent-replayed", "preference-applied"} & answer.headers.keys()
    assert (body["status"], body["outcome"], body["readings"]) == ("unsettled", "unknown", [])
    assert (body["attempts"], body["requestedAt"]) == ([{"sentAt": TEN}], TEN)
    assert not {"settledBy", "completedAt", "job"} & body.keys()
    assert body["problem"]["code"] in {"vendor-timed-out", "vendor-reply-not-understood", "vendor-unavailable"}
    record = await scripted.get(answer.headers["location"])
    assert (record.status, record.json, record.headers["retry-after"]) == (200, body, "1")


@every_target
async def test_the_record_shows_how_the_outcome_was_found(scripted: ScriptedGateway, target: Target) -> None:
    """Each reading of the job is in the record with its time, and the last says how the outcome was settled."""
    scripted.answers(*target.before(), SILENCE)
    location = (await scripted.act(target)).headers["location"]
    await scripted.settle(0.5, reply(500))
    unsettled = await scripted.get(location)
    assert (unsettled.json["status"], unsettled.headers["retry-after"]) == ("unsettled", "1")
    await scripted.settle(1.5, target.carried_out())
    settled = await scripted.get(location)
    assert (settled.json["status"], settled.json["outcome"], settled.json["settledBy"]) == (
        "succeeded",
        "applied",
        "reading",
    )
    pair = {"status": target.status, "vendorStatus": target.vendor_status}
    assert settled.json["readings"] == [
        {"at": "2026-01-05T10:00:00.500Z", "problem": "vendor-error"},
        {"at": "2026-01-05T10:00:02.000Z", "job": pair},
    ]
    assert (settled.json["job"], settled.json["completedAt"]) == (pair, "2026-01-05T10:00:02.000Z")
    assert "problem" not in settled.json
    assert "retry-after" not in settled.headers
    assert len(scripted.actions_sent) == 1


async def test_an_outcome_that_is_never_known(scripted: ScriptedGateway) -> None:
    """Once reconciliation gives up, the outcome stays unknown, and the answer has no Retry-After."""
    scripted.answers(*VONAGE_CANCEL.before(), SILENCE)
    location = (await scripted.act(VONAGE_CANCEL, "key")).headers["location"]
    await scripted.settle(3_600, reply(500))
    record, replayed = await scripted.get(location), await scripted.act(VONAGE_CANCEL, "key")
    assert (record.json["status"], record.json["settledBy"]) == ("unsettled", "gave-up")
    assert (replayed.status, replayed.json, replayed.headers["location"]) == (202, record.json, location)
    assert not {"retry-after"} & (record.headers.keys() | replayed.headers.keys())


async def an_unsettled_one(scripted: ScriptedGateway) -> None:
    """Wait until a job action is unsettled."""

    async def is_there() -> object:
        return (await scripted.get("/v1/job-actions?status=unsettled")).json["items"]

    await eventually(is_there)


async def meanwhile(scripted: ScriptedGateway, asked: Awaitable[Answer], seconds: float, *script: Line) -> Answer:
    """The answer to a request that is waited for, when so much time has passed and the vendor has said this."""
    answer = asyncio.ensure_future(asked)
    await an_unsettled_one(scripted)
    await asyncio.sleep(0.05)
    assert not answer.done()
    await scripted.settle(seconds, *script)
    return await asyncio.wait_for(answer, PATIENCE)


def waiting(seconds: int) -> list[tuple[str, str]]:
    """The header of a request that prefers to wait."""
    return [("prefer", f"wait={seconds}")]


@every_target
async def test_an_action_that_is_waited_for_is_answered_as_it_turned_out(
    scripted: ScriptedGateway, target: Target
) -> None:
    """With `Prefer: wait`, an action whose answer was lost is answered 200 as soon as the job shows it."""
    scripted.answers(*target.before(), SILENCE)
    answer = await meanwhile(scripted, scripted.act(target, headers=waiting(20)), 2, target.carried_out())
    assert (answer.status, answer.json["outcome"], answer.json["settledBy"]) == (200, "applied", "reading")
    assert (answer.headers["preference-applied"], answer.headers["content-location"]) == (
        "wait=20",
        f"/v1/job-actions/{answer.json['id']}",
    )
    assert not {"location", "retry-after"} & answer.headers.keys()


async def test_an_action_that_is_waited_for_and_was_not_carried_out(
    scripted: ScriptedGateway, problems: Problems
) -> None:
    """If the job shows that nothing was done, a waiting client gets a problem that contains the job."""
    scripted.answers(SILENCE)
    answer = await meanwhile(scripted, scripted.act(CANCEL, headers=waiting(20)), 15, CANCEL.job(CANCEL.allowed_in))
    problem = problems.check(answer, answer.headers)
    assert (problem["code"], problem["status"], problem["outcome"]) == ("not-carried-out", 502, "rejected")
    assert problem["job"]["vendorStatus"] == CANCEL.allowed_in
    record = (await scripted.get(f"/v1/job-actions/{problem['jobAction']}")).json
    assert (record["status"], record["settledBy"]) == ("failed", "reading")


async def test_waiting_has_an_end(scripted: ScriptedGateway) -> None:
    """If the outcome is still unknown after the wait, the answer is 202 with what is known so far."""
    scripted.answers(SILENCE)
    answer = await meanwhile(scripted, scripted.act(CANCEL, headers=waiting(5)), 5, CANCEL.job(CANCEL.allowed_in))
    assert (answer.status, answer.json["outcome"], len(answer.json["readings"])) == (202, "unknown", 1)
    assert (answer.headers["preference-applied"], answer.headers["retry-after"]) == ("wait=5", "1")


async def test_a_record_is_waited_for(scripted: ScriptedGateway) -> None:
    """With `Prefer: wait`, a record is given as soon as its outcome is certain."""
    scripted.answers(SILENCE)
    location = (await scripted.act(CANCEL)).headers["location"]
    answer = await meanwhile(scripted, scripted.get(location, prefer="wait=20"), 2, CANCEL.carried_out())
    assert (answer.status, answer.json["outcome"], answer.json["settledBy"]) == (200, "applied", "reading")
    assert answer.headers["preference-applied"] == "wait=20"
    assert "retry-after" not in answer.headers


async def test_a_record_that_stays_unsettled(scripted: ScriptedGateway) -> None:
    """If the wait passes, the answer is the record as it is, with Retry-After."""
    scripted.answers(SILENCE)
    location = (await scripted.act(CANCEL)).headers["location"]
    answer = await meanwhile(scripted, scripted.get(location, prefer="wait=1"), 1, reply(500))
    assert (answer.status, answer.json["outcome"], answer.headers["retry-after"]) == (200, "unknown", "1")
    assert answer.headers["preference-applied"] == "wait=1"


@in_memory
@every_target
async def test_nobody_waits_for_what_is_known(scripted: ScriptedGateway, target: Target) -> None:
    """An action that the vendor answered is not waited for, nor is its record; no time passes here."""
    scripted.answers(*target.before(), target.applied)
    answer = await asyncio.wait_for(scripted.act(target, headers=waiting(60)), 5)
    record = await asyncio.wait_for(scripted.get(answer.headers["content-location"], prefer="wait=60"), 5)
    assert (answer.status, record.status, record.json) == (200, 200, answer.json)
    assert (answer.headers["preference-applied"], record.headers["preference-applied"]) == ("wait=60", "wait=60")


async def test_a_record_of_nobody(scripted: ScriptedGateway, problems: Problems) -> None:
    """A request for an unknown record is refused without waiting."""
    location = "/v1/job-actions/019a9b3c-5e0e-7c4b-9f5a-3d8f0e1c2b4a"
    answer = await asyncio.wait_for(scripted.get(location, prefer="wait=60"), 5)
    assert problems.check(answer, answer.headers)["code"] == "unknown-job-action"


@in_memory
@pytest.mark.parametrize(
    ("prefer", "applied"),
    [
        ("wait=7", "wait=7"),
        ("wait=60", "wait=60"),
        ("wait=61", "wait=60"),
        ("wait=999999999", "wait=60"),
        ("wait=007", "wait=7"),
        ('wait="7"', "wait=7"),
        ("Wait = 7", "wait=7"),
        ("wait=7; foo=bar", "wait=7"),
        ("respond-async, wait=7", "wait=7"),
        ("wait=7, wait=8", "wait=7"),
        ("handling=strict, wait=7", "handling=strict, wait=7"),
        ("wait=7, handling=strict", "handling=strict, wait=7"),
        ("handling=lenient, wait=7", "wait=7"),
        ("wait=0", None),
        ("wait=-7", None),
        ("wait=7.5", None),
        ("wait=soon", None),
        ("wait=7s", None),
        ("wait=9999999999", "wait=60"),
        ("wait=\u00b2", None),
        ("wait", None),
        ("wait=", None),
        ("respond-async", None),
        (",;=,", None),
    ],
)
async def test_how_to_prefer_to_wait(scripted: ScriptedGateway, prefer: str, applied: str | None) -> None:
    """`wait` is honoured up to 60 seconds and confirmed; an invalid value is ignored (RFC 7240)."""
    scripted.answers(CANCEL.applied)
    answer = await scripted.act(CANCEL, headers=[("prefer", prefer)])
    assert (answer.status, answer.headers.get("preference-applied")) == (200, applied)


@in_memory
@pytest.mark.parametrize("prefer", ["wait=0", "wait=soon", "respond-async", "handling=strict"])
async def test_nobody_waits_unasked(scripted: ScriptedGateway, prefer: str) -> None:
    """Without a number of seconds an unknown outcome is answered at once; no time passes here."""
    scripted.answers(SILENCE)
    answer = await asyncio.wait_for(scripted.act(CANCEL, headers=[("prefer", prefer)]), 5)
    assert answer.status == 202


async def test_both_preferences_are_honoured(scripted: ScriptedGateway, problems: Problems) -> None:
    """`handling=strict` refuses what the vendor cannot carry, also beside `wait`."""
    refused = await scripted.act(VONAGE_CANCEL, body={"note": "n"}, headers=[("prefer", "wait=5, handling=strict")])
    assert problems.check(refused, refused.headers)["code"] == "parameter-not-supported"


@in_memory
@pytest.mark.parametrize(
    ("lost", "problem"),
    [
        ([SILENCE], {"code": "vendor-timed-out"}),
        ([reply(503)], {"code": "vendor-unavailable"}),
    ],
)
async def test_reads_answer_with_problems(
    scripted: ScriptedGateway, problems: Problems, lost: list[Line], problem: Mapping[str, Any]
) -> None:
    """Only actions have records: a read that fails so is a problem, as ever."""
    scripted.answers(*VONAGE_CANCEL.before(), *lost)
    answer = await scripted.get(f"/v1/connections/vonage-emea/jobs/{VONAGE_JOB}")
    assert problem.items() <= problems.check(answer, answer.headers).items()
