"""Idempotency-Key: the same request with the same key gets the same answer, and reaches the vendor once."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from gateway.app import Catalogue
from gateway.domain.errors import VendorTimedOut, VendorUnreachable
from gateway.domain.ports import Ledger
from gateway.engine.action import ActionRequest
from gateway.settings.settings import LedgerSettings
from tests.support.asgi import Answer
from tests.support.clock import FakeClock
from tests.support.problems import Problems
from tests.support.scripted_engine import ScriptedEngine
from tests.support.scripted_gateway import ScriptedGateway, in_memory
from tests.support.transport import Line, reply
from tests.support.vendors import TARGETS, Target, settings, token

CANCEL, CLOSE, VONAGE_CANCEL, *_ = TARGETS
KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"

every_target = pytest.mark.parametrize("target", TARGETS, ids=str)


def is_replay(answer: Answer) -> bool:
    """Whether an answer says that it was given before."""
    return answer.headers.get("idempotent-replayed") == "true"


def but_for_the_request(answer: Answer) -> tuple[int, dict[str, str], Any]:
    """An answer without what is about its own request: its id, and whether it was given before."""
    headers = {name: value for name, value in answer.headers.items() if name not in ABOUT_THE_REQUEST}
    return answer.status, headers, {name: value for name, value in answer.json.items() if name != "requestId"}


ABOUT_THE_REQUEST = {"x-request-id", "idempotent-replayed", "date"}


@every_target
async def test_a_success_is_replayed(scripted: ScriptedGateway, target: Target) -> None:
    """The same request with the same key gets the same body and status, as a replay; the vendor is asked once."""
    scripted.answers(*target.before(), target.applied)
    first, second = await scripted.act(target, KEY), await scripted.act(target, KEY)
    assert (first.status, first.json["outcome"], first.json["idempotencyKey"]) == (200, "applied", KEY)
    assert first.body == second.body
    assert but_for_the_request(first) == but_for_the_request(second)
    assert (is_replay(first), is_replay(second)) == (False, True)
    assert len(scripted.actions_sent) == 1


@every_target
async def test_a_refusal_is_replayed(scripted: ScriptedGateway, problems: Problems, target: Target) -> None:
    """A refusal by the vendor is the answer to the key too, with all that it said, and nobody is asked again."""
    scripted.answers(*target.before(), target.refusal(409), target.job(target.refused_in))
    first, second = await scripted.act(target, KEY), await scripted.act(target, KEY)
    assert (first.status, first.json["code"]) == (409, "wrong-state")
    assert but_for_the_request(first) == but_for_the_request(second)
    assert (is_replay(first), is_replay(second)) == (False, True)
    assert problems.check(second, second.headers)["job"]["vendorStatus"] == target.refused_in
    assert len(scripted.actions_sent) == 1


@every_target
async def test_an_unknown_outcome_is_replayed(scripted: ScriptedGateway, target: Target) -> None:
    """As long as the outcome is not known, the key is answered 202 with the same record; nothing is sent again."""
    scripted.answers(*target.before(), VendorTimedOut("silence"))
    first, second = await scripted.act(target, KEY), await scripted.act(target, KEY)
    assert (first.status, first.json["outcome"]) == (202, "unknown")
    assert {"location", "retry-after"} <= second.headers.keys()
    assert first.body == second.body
    assert but_for_the_request(first) == but_for_the_request(second)
    assert (is_replay(first), is_replay(second)) == (False, True)
    assert len(scripted.actions_sent) == 1


@every_target
async def test_a_replay_tells_what_was_found_out_since(scripted: ScriptedGateway, target: Target) -> None:
    """Once the outcome is known, it is what the key is answered with, by the record of the first request."""
    scripted.answers(*target.before(), VendorTimedOut("silence"))
    first = await scripted.act(target, KEY)
    await scripted.settle(1, target.carried_out())
    second = await scripted.act(target, KEY)
    assert (second.status, second.json["outcome"], second.json["settledBy"]) == (200, "applied", "reading")
    assert (second.json["id"], is_replay(second)) == (first.json["id"], True)
    assert len(scripted.actions_sent) == 1


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        pytest.param(VendorUnreachable("refused"), 503, "vendor-unreachable", id="nothing sent"),
        pytest.param(CANCEL.refusal(429, **{"retry-after": "7"}), 429, "vendor-throttled", id="throttled"),
    ],
)
async def test_a_failure_that_may_be_retried_releases_the_key(
    scripted: ScriptedGateway, failure: Line, status: int, code: str
) -> None:
    """Where the answer says `retryable`, the same request with the same key is a new action, and sent."""
    scripted.answers(failure, CANCEL.applied)
    first, second = await scripted.act(CANCEL, KEY), await scripted.act(CANCEL, KEY)
    assert (first.status, first.json["code"], first.json["retryable"]) == (status, code, True)
    assert (second.status, is_replay(second)) == (200, False)
    assert second.json["id"] != first.json["jobAction"]
    assert is_replay(await scripted.act(CANCEL, KEY))


@pytest.mark.parametrize("target", [CANCEL, VONAGE_CANCEL], ids=str)
async def test_a_key_is_held_where_the_job_shows_nothing(
    scripted: ScriptedGateway, problems: Problems, target: Target
) -> None:
    """Where the job showed in the end that nothing was done, the key says so: what is late may still arrive."""
    scripted.answers(*target.before(), VendorTimedOut("silence"))
    first = await scripted.act(target, KEY)
    await scripted.settle(15, target.job(target.allowed_in))
    second = await scripted.act(target, KEY)
    problem = problems.check(second, second.headers)
    assert (problem["code"], problem["outcome"], problem["retryable"]) == ("not-carried-out", "rejected", False)
    assert (problem["jobAction"], is_replay(second)) == (first.json["id"], True)
    assert len(scripted.actions_sent) == 1


OTHERS = [
    pytest.param(replace(CLOSE, parameters={**CLOSE.parameters, "note": "another"}), id="parameters"),
    pytest.param(replace(CLOSE, parameters={}), id="no parameters"),
    pytest.param(replace(CLOSE, action="cancel", parameters={}), id="action"),
    pytest.param(replace(CLOSE, job_id="another"), id="job"),
    pytest.param(replace(CLOSE, connection="contoso-test"), id="connection"),
]


@pytest.mark.parametrize("other", OTHERS)
async def test_a_key_stands_for_one_request(scripted: ScriptedGateway, problems: Problems, other: Target) -> None:
    """Another request with the same key is refused, and not sent; the first one's answer stays."""
    scripted.answers(CLOSE.applied)
    first = await scripted.act(CLOSE, KEY)
    refused = await scripted.act(other, KEY)
    problem = problems.check(refused, refused.headers)
    assert (problem["code"], problem["status"], problem["outcome"]) == ("idempotency-key-reused", 422, "not_sent")
    assert (problem["retryable"], is_replay(refused)) == (False, False)
    assert (await scripted.act(CLOSE, KEY)).body == first.body
    assert len(scripted.actions_sent) == 1


async def test_the_same_request_may_be_written_otherwise(scripted: ScriptedGateway) -> None:
    """The order of the parameters does not make another request, nor does a body without any."""
    scripted.answers(CLOSE.applied, CANCEL.applied)
    await scripted.act(CLOSE, KEY)
    assert is_replay(await scripted.act(CLOSE, KEY, dict(reversed([*CLOSE.parameters.items()]))))
    await scripted.act(CANCEL, "another")
    assert is_replay(await scripted.act(CANCEL, "another", {}))


@in_memory
@pytest.mark.parametrize(
    ("key", "same"),
    [
        (KEY, f'"{KEY}"'),
        (f'"{KEY}"', KEY),
        (r"a\b", r'"a\\b"'),
        ("a'b,c;d=e", '"a\'b,c;d=e"'),
        ("~" * 255, f'"{"~" * 255}"'),
        ('"' + r"\"" * 255 + '"', '"' + r"\"" * 255 + '"'),
        ('"two words"', '"two words"'),
    ],
)
async def test_a_key_is_the_same_in_quotes(scripted: ScriptedGateway, key: str, same: str) -> None:
    """A string of RFC 8941 and the same characters without quotes are one key, of up to 255 characters."""
    scripted.answers(CANCEL.applied)
    first, second = await scripted.act(CANCEL, key), await scripted.act(CANCEL, same)
    assert (first.status, is_replay(second), second.body) == (200, True, first.body)


@pytest.mark.parametrize(
    ("key", "other"), [("a", "A"), ("a", '"a "'), (r'"a\\b"', '"ab"'), (r'"\""', r'"\\"'), ("a", "a,a")]
)
async def test_other_keys_are_others(scripted: ScriptedGateway, key: str, other: str) -> None:
    """Keys that differ in any character are two keys, and so two actions."""
    scripted.answers(CANCEL.applied, CANCEL.applied)
    first, second = await scripted.act(CANCEL, key), await scripted.act(CANCEL, other)
    assert not is_replay(second)
    assert first.json["id"] != second.json["id"]


@in_memory
@pytest.mark.parametrize(
    "key",
    ["", '"', '""', '"a', 'a"', "a b", r'"a\b"', '"a";q=1', "é", '"é"', "a\tb", "~" * 256, f'"{"~" * 256}"', 'a"b'],
)
async def test_what_is_no_key_is_refused(scripted: ScriptedGateway, problems: Problems, key: str) -> None:
    """A header that is no key is named, and nothing is sent: whoever sends one relies on it."""
    refused = await scripted.act(CANCEL, key)
    problem = problems.check(refused, refused.headers)
    assert (problem["code"], problem["outcome"]) == ("malformed-request", "not_sent")
    assert {each["pointer"] for each in problem["errors"]} == {"/header/Idempotency-Key"}
    assert scripted.vendor.requests == []


async def test_two_keys_are_refused(scripted: ScriptedGateway, problems: Problems) -> None:
    """With two keys, which one counts would be a guess."""
    refused = await scripted.act(CANCEL, "a", headers=[("idempotency-key", "a")])
    assert problems.check(refused, refused.headers)["code"] == "malformed-request"
    assert scripted.vendor.requests == []


async def test_without_a_key_two_requests_are_two_actions(scripted: ScriptedGateway) -> None:
    """Two identical requests without a key are both sent, each with its own record."""
    scripted.answers(CANCEL.applied, CANCEL.applied)
    first, second = await scripted.act(CANCEL), await scripted.act(CANCEL)
    assert first.json["id"] != second.json["id"]
    assert not {"idempotencyKey"} & (first.json.keys() | second.json.keys())
    assert (is_replay(first), is_replay(second), len(scripted.actions_sent)) == (False, False, 2)


async def test_a_key_in_use(scripted: ScriptedGateway, problems: Problems) -> None:
    """While the first request is under way, the same is told to come back, and finds the record of the first."""
    scripted.answers(CANCEL.applied)
    scripted.vendor.may_answer.clear()
    first = asyncio.create_task(scripted.act(CANCEL, KEY))
    await asyncio.wait_for(scripted.vendor.is_asked.wait(), 5)
    (begun,) = (await scripted.get("/v1/job-actions")).json["items"]
    refused = await scripted.act(CANCEL, KEY)
    problem = problems.check(refused, refused.headers)
    assert (problem["code"], problem["status"]) == ("idempotency-key-in-use", 409)
    assert (problem["outcome"], problem["retryable"], refused.headers["retry-after"]) == ("not_sent", True, "1")
    assert (problem["jobAction"], begun["status"]) == (begun["id"], "in_progress")
    assert (await scripted.act(CANCEL, KEY, {"note": "another"})).json["code"] == "idempotency-key-reused"
    scripted.vendor.may_answer.set()
    assert ((await first).status, len(scripted.actions_sent)) == (200, 1)
    assert is_replay(await scripted.act(CANCEL, KEY))


async def test_many_at_once(scripted: ScriptedGateway) -> None:
    """Of many requests at once with one key, one reaches the vendor; each other is a replay or told to come back."""
    scripted.answers(CANCEL.applied)
    answers = await asyncio.gather(*(scripted.act(CANCEL, KEY) for _ in range(32)))
    assert len(scripted.actions_sent) == 1
    assert [each.status for each in answers if not is_replay(each)].count(200) == 1
    assert {each.status for each in answers} <= {200, 409}


async def test_a_key_belongs_to_its_caller(catalogue: Catalogue) -> None:
    """The same key of another caller is another key: nobody gets, or blocks, what others asked for."""
    made = ScriptedEngine(catalogue, [CANCEL.applied, CANCEL.applied])
    asked = structs.replace(made.ask(CANCEL), key=KEY)
    questions = [asked, structs.replace(asked, caller="somebody else"), asked]
    answers = [await made.actions.perform(each) for each in questions]
    assert [each.is_replayed for each in answers] == [False, False, True]
    assert [each.record.requested.caller for each in answers] == ["somebody", "somebody else", "somebody"]
    assert answers[0].record == answers[2].record != answers[1].record


@pytest.mark.parametrize("hours", [72, 1])
async def test_a_key_is_kept_for_its_time(catalogue: Catalogue, ledger: Ledger, clock: FakeClock, hours: int) -> None:
    """A key is kept for 72 hours, or as long as the setting says; then it is free, and the record stays."""
    given = {} if hours == 72 else {"ledger": LedgerSettings(idempotency_hours=hours)}
    scripted = ScriptedGateway(catalogue, ledger, clock, settings(**given))
    scripted.answers(CANCEL.applied, CANCEL.applied)
    first = await scripted.act(CANCEL, KEY)
    clock.advance(hours * 3_600 - 1)
    assert is_replay(await scripted.act(CANCEL, KEY))
    clock.advance(1)
    second = await scripted.act(CANCEL, KEY)
    assert (second.status, is_replay(second), len(scripted.actions_sent)) == (200, False, 2)
    listed = (await scripted.get("/v1/job-actions")).json["items"]
    assert [each["id"] for each in listed] == [second.json["id"], first.json["id"]]


async def test_what_is_refused_before_it_is_recorded_holds_no_key(scripted: ScriptedGateway) -> None:
    """A request for what the vendor does not have uses no key up: the mended one may have it."""
    refused = await scripted.act(replace(CANCEL, action="pause"), KEY)
    assert refused.json["code"] == "action-not-supported"
    scripted.answers(CANCEL.applied)
    assert (await scripted.act(CANCEL, KEY)).status == 200


async def test_a_dry_run_ignores_the_key(scripted: ScriptedGateway) -> None:
    """A dry run neither uses a key up nor is an answer to one."""
    assert (await scripted.act(CANCEL, KEY, dry_run=True)).json["dryRun"] is True
    scripted.answers(CANCEL.applied)
    assert not is_replay(await scripted.act(CANCEL, KEY))
    again = await scripted.act(CANCEL, KEY, {"note": "another"}, dry_run=True)
    assert (again.status, again.json["dryRun"], is_replay(again)) == (200, True, False)


@pytest.fixture
def strict_desk(catalogue: Catalogue, ledger: Ledger, clock: FakeClock) -> ScriptedGateway:
    """The unified API, where the connection to Azure needs keys."""
    wired = settings()
    connections = dict(wired.connections)
    name = CANCEL.connection
    connections[name] = connections[name].model_copy(update={"require_idempotency_key": True})
    return ScriptedGateway(catalogue, ledger, clock, wired.model_copy(update={"connections": connections}))


async def test_a_connection_may_need_keys(strict_desk: ScriptedGateway, problems: Problems) -> None:
    """Where a connection needs a key, an action without one is refused, is not sent and leaves no record."""
    refused = await strict_desk.act(CANCEL)
    problem = problems.check(refused, refused.headers)
    assert (problem["code"], problem["status"], problem["outcome"]) == ("idempotency-key-missing", 400, "not_sent")
    assert strict_desk.vendor.requests == []
    assert (await strict_desk.get("/v1/job-actions")).json["items"] == []


async def test_what_needs_no_key_where_actions_do(strict_desk: ScriptedGateway) -> None:
    """An action with a key, a dry run without, and an action of another connection are as ever."""
    strict_desk.answers(CANCEL.applied, token(), reply(204))
    assert (await strict_desk.act(CANCEL, KEY)).status == 200
    assert (await strict_desk.act(CANCEL, dry_run=True)).status == 200
    assert (await strict_desk.act(VONAGE_CANCEL)).status == 200


def test_strictness_is_no_part_of_what_is_asked(catalogue: Catalogue) -> None:
    """Whether warnings are refusals does not change what is asked for, and so not what a key stands for."""
    asked: ActionRequest = ScriptedEngine(catalogue).ask(CANCEL)
    assert structs.replace(asked, strict=True).fingerprint == asked.fingerprint


def test_a_key_stands_for_the_same_request_in_every_version(catalogue: Catalogue) -> None:
    """The fingerprint of a request is the hash of its members as JSON, which earlier versions have stored, too."""
    asked: ActionRequest = ScriptedEngine(catalogue).ask(CANCEL)
    given = structs.replace(asked.job_action, parameters={"note": 'é "1"', "at": {"b": 1, "a": [None]}}, version='"7"')
    labelled = structs.replace(asked, job_action=given, labels={"incident": "INC-43", "a": "ü"})
    for each in (asked, labelled):
        of = each.job_action
        members = [each.connection.name, of.action, of.job_id, dict(of.parameters)]
        members += [of.version] if of.version else []
        members += [dict(each.labels)] if each.labels else []
        assert each.fingerprint == hashlib.sha256(json.dumps(members, sort_keys=True).encode()).digest()
