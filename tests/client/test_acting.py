"""What the client sends to act on a job: each action once, with what was asked and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from gateway.client import (
    ActionWarning,
    Attempt,
    Client,
    DryRun,
    GatewayUnreachable,
    JobAction,
    PlannedStep,
    ProblemError,
    ScheduledAction,
    StatusPair,
    Step,
    TerminationPlan,
    VendorRequest,
)
from tests.client.stub import Reply, Stub

DONE = {
    "id": "action-1",
    "caller": "somebody",
    "connection": "c",
    "vendor": "v",
    "jobId": "j",
    "action": "cancel",
    "parameters": {},
    "status": "succeeded",
    "outcome": "applied",
    "warnings": [],
    "requestedAt": "2026-01-05T09:30:00.000Z",
    "origin": {},
    "attempts": [],
    "readings": [],
}
SCHEDULE = {
    "id": "schedule-1",
    "name": "close j",
    "caller": "somebody",
    "state": "active",
    "catchUp": "skip",
    "startWithin": "PT5M",
    "expectAtMost": 1,
    "batch": {},
    "createdAt": "2026-01-05T09:30:00.000Z",
    "nextOccurrences": ["2030-01-02T03:04:05Z"],
    "skipped": 0,
}
WARNING = {"code": "recorded-only", "parameter": "note", "detail": "Kept here."}
PROBLEM = {
    "type": "/problems/wrong-state",
    "title": "Job in the wrong status",
    "status": 409,
    "code": "wrong-state",
    "retryable": False,
    "requestId": "request-1",
}
LABELS = {"incident": "INC-43"}
NOTES = {"disposition_code": "Hung up", "note": "Called back", "labels": LABELS}
NOTES_JSON = {"dispositionCode": "Hung up", "note": "Called back", "labels": LABELS}

Act = Callable[..., JobAction]
VERBS: dict[str, Callable[[Client], Act]] = {
    "cancel": lambda client: client.cancel,
    "close": lambda client: client.close,
    "pause": lambda client: client.pause,
    "restart": lambda client: client.restart,
    "complete": lambda client: client.complete,
    "unassign": lambda client: client.unassign,
    "discard": lambda client: client.discard,
}
every_verb = pytest.mark.parametrize("verb", VERBS)


def test_terminations(stub: Stub, client: Client) -> None:
    """A termination says its mode; its answer has the steps, and a dry run the plan."""
    step = {"id": "action-2", "action": "cancel", "outcome": "applied"}
    pair = {"status": "cancelled", "vendorStatus": "Cancelled"}
    request = {"method": "POST", "url": "https://v.example/j", "headers": {}}
    planned = {"action": "cancel", "to": pair, "vendorRequest": request, "warnings": []}
    stub.answers(
        {**DONE, "steps": [step], "alreadySo": False}, {"dryRun": True, "alreadySo": False, "steps": [planned]}
    )
    done = client.terminate("c", "j", note="Over", idempotency_key="end-it")
    plan = client.terminate("c", "j", mode="forced", dry_run=True)
    first, second = stub.received
    assert (first.target, json.loads(first.content)) == (
        "/v1/connections/c/jobs/j/terminate",
        {"mode": "graceful", "note": "Over"},
    )
    assert first.headers["idempotency-key"] == '"end-it"'
    assert (second.target, json.loads(second.content)) == (
        "/v1/connections/c/jobs/j/terminate?dryRun=true",
        {"mode": "forced"},
    )
    assert (done.steps, done.already_so) == ((Step("action-2", "cancel", "applied"),), False)
    cancelled = StatusPair("cancelled", "Cancelled")
    sent = VendorRequest("POST", "https://v.example/j", {})
    assert plan == TerminationPlan((PlannedStep("cancel", cancelled, (), sent),), already_so=False)


@every_verb
def test_without_parameters(stub: Stub, client: Client, verb: str) -> None:
    """An action without parameters is a POST without body, query and preference."""
    stub.answers(DONE)
    done = VERBS[verb](client)("c", "j")
    (request,) = stub.received
    assert (request.method, request.target, request.content) == ("POST", f"/v1/connections/c/jobs/j/{verb}", b"")
    assert not {"content-type", "prefer"} & set(request.headers)
    assert (done.id, done.outcome) == ("action-1", "applied")


@every_verb
def test_with_parameters(stub: Stub, client: Client, verb: str) -> None:
    """Every action takes a note and a disposition, and sends them as JSON under the API's names."""
    stub.answers(DONE)
    VERBS[verb](client)("c", "j", **NOTES)
    (request,) = stub.received
    assert json.loads(request.content) == NOTES_JSON
    assert request.headers["content-type"] == "application/json"


@every_verb
def test_strict(stub: Stub, client: Client, verb: str) -> None:
    """`strict` is a preference of the request and no parameter of the action."""
    stub.answers(DONE, DONE)
    VERBS[verb](client)("c", "j", strict=True)
    VERBS[verb](client)("c", "j", strict=False)
    strict, lenient = stub.received
    assert (strict.headers["prefer"], strict.content) == ("handling=strict", b"")
    assert ("prefer" in lenient.headers, lenient.content) == (False, b"")


@every_verb
@pytest.mark.parametrize(
    ("options", "header"),
    [
        ({"wait": 20}, "wait=20"),
        ({"strict": True, "wait": 20}, "handling=strict, wait=20"),
        ({"strict": False, "wait": 0}, None),
        ({"wait": None}, None),
    ],
)
def test_waiting(stub: Stub, client: Client, verb: str, options: dict[str, Any], header: str | None) -> None:
    """How long the gateway should wait is a preference beside the other one, and no parameter of the action."""
    stub.answers(DONE)
    VERBS[verb](client)("c", "j", **options)
    (request,) = stub.received
    assert (request.headers.get("prefer"), request.content) == (header, b"")


def test_an_answer_is_waited_for_as_long_as_the_gateway_was_asked_to_wait(stub: Stub, impatient: Client) -> None:
    """The client adds the seconds of `wait` to the time that an answer may take."""
    stub.answers(Reply(DONE, seconds=0.8), Reply(DONE, seconds=0.8))
    assert impatient.cancel("c", "j", wait=2).id == "action-1"
    assert impatient.job_action("action-1", wait=2).id == "action-1"


@every_verb
@pytest.mark.parametrize(
    ("key", "header"),
    [
        ("order-7", '"order-7"'),
        ("7", '"7"'),
        ("two words", '"two words"'),
        ('say "a\\b"', '"say \\"a\\\\b\\""'),
        ("~" * 255, f'"{"~" * 255}"'),
        (None, None),
    ],
)
def test_idempotency_keys(stub: Stub, client: Client, verb: str, key: str | None, header: str | None) -> None:
    """A key is sent as it is, as a string of RFC 8941 in a header, and is no parameter of the action."""
    stub.answers(DONE)
    VERBS[verb](client)("c", "j", idempotency_key=key)
    (request,) = stub.received
    assert (request.headers.get("idempotency-key"), request.content) == (header, b"")


@pytest.mark.parametrize("key", ["", "~" * 256, "a\nb", "a\x00", "a\x7f", "é"])
def test_impossible_idempotency_keys(stub: Stub, client: Client, key: str) -> None:
    """A key that the gateway could not take is refused before anything is sent."""
    with pytest.raises(ValueError, match="idempotency key"):
        client.cancel("c", "j", idempotency_key=key)
    assert stub.received == []


@pytest.mark.parametrize(("tag", "header"), [('"7"', '"7"'), ('W/"a"', 'W/"a"'), (None, None)])
def test_preconditions(stub: Stub, client: Client, tag: str | None, header: str | None) -> None:
    """The version of a job is sent as If-Match, as it was read, and is no parameter of the action."""
    stub.answers(DONE)
    client.cancel("c", "j", if_match=tag)
    (request,) = stub.received
    assert (request.headers.get("if-match"), request.content) == (header, b"")


@pytest.mark.parametrize("tag", ["", "7", "*", '"1", "2"', '"a\nb"'])
def test_impossible_preconditions(stub: Stub, client: Client, tag: str) -> None:
    """Anything but the version of a job is refused before it is sent."""
    with pytest.raises(ValueError, match="if_match"):
        client.cancel("c", "j", if_match=tag)
    assert stub.received == []


@pytest.mark.parametrize(("headers", "replayed"), [({}, False), ({"Idempotent-Replayed": "true"}, True)])
def test_replays(stub: Stub, client: Client, headers: dict[str, str], replayed: bool) -> None:
    """The client tells a replayed answer from a new one, for a success and for a problem."""
    stub.answers(Reply(DONE, headers=headers), Reply(PROBLEM, 409, headers))
    assert client.cancel("c", "j", idempotency_key="k").replayed is replayed
    with pytest.raises(ProblemError) as refusal:
        client.cancel("c", "j", idempotency_key="k")
    assert refusal.value.replayed is replayed


def test_an_unknown_outcome_is_no_failure(stub: Stub, client: Client) -> None:
    """202 gives the job action, which says that its outcome is not known and when it was sent."""
    sent = {"status": "unsettled", "outcome": "unknown", "attempts": [{"sentAt": "2026-01-05T09:30:00.100Z"}]}
    stub.answers(Reply(DONE | sent, 202, {"Location": "/v1/job-actions/action-1", "Retry-After": "1"}))
    done = client.cancel("c", "j")
    assert (done.status, done.outcome, done.settled_by) == ("unsettled", "unknown", None)
    assert done.attempts == (Attempt(datetime(2026, 1, 5, 9, 30, 0, 100_000, tzinfo=UTC)),)
    assert len(stub.received) == 1


@every_verb
def test_none_is_left_out(stub: Stub, client: Client, verb: str) -> None:
    """A parameter that is None is as one that is not given."""
    stub.answers(DONE, DONE)
    VERBS[verb](client)("c", "j", note=None, disposition_code=None)
    VERBS[verb](client)("c", "j", note=None, disposition_code="Hung up")
    assert [request.content for request in stub.received] == [b"", b'{"dispositionCode": "Hung up"}']


@pytest.mark.parametrize(
    ("close_at", "expected"),
    [
        (datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC), "2030-01-02T03:04:05Z"),
        (datetime(2030, 1, 2, 3, 4, 5, 600_000, tzinfo=timezone(timedelta(hours=2))), "2030-01-02T01:04:05.600000Z"),
    ],
)
def test_close(stub: Stub, client: Client, close_at: datetime, expected: str) -> None:
    """Closing takes an assignment and a time, which is sent in UTC."""
    stub.answers(DONE)
    client.close("c", "j", close_at=close_at, assignment_id="a", note="n")
    (request,) = stub.received
    assert json.loads(request.content) == {"closeAt": expected, "assignmentId": "a", "note": "n"}


def test_time_without_zone(stub: Stub, client: Client) -> None:
    """A time that could mean several moments is refused before anything is sent."""
    with pytest.raises(ValueError, match="zone"):
        client.close("c", "j", close_at=datetime(2030, 1, 1))  # noqa: DTZ001 - the mistake that is tried
    assert stub.received == []


@pytest.mark.parametrize("action", [*VERBS, "complete"])
def test_act(stub: Stub, client: Client, action: str) -> None:
    """`act` applies any action by its name, of newer gateways too."""
    stub.answers(DONE)
    client.act(action, "c", "j", note="n", strict=True)
    (request,) = stub.received
    assert request.target == f"/v1/connections/c/jobs/j/{action}"
    assert (request.content, request.headers["prefer"]) == (b'{"note": "n"}', "handling=strict")


@pytest.mark.parametrize("verb", ["close", "act"])
def test_a_time_can_become_a_schedule(stub: Stub, client: Client, verb: str) -> None:
    """Where Jobgate waits until the time itself, the answer is the schedule, by whichever method it was asked for."""
    stub.answers(Reply({"scheduled": "emulated", "schedule": SCHEDULE}, 202))
    at = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    done = client.close("c", "j", close_at=at) if verb == "close" else client.act("close", "c", "j", close_at=at)
    assert isinstance(done, ScheduledAction)


@pytest.mark.parametrize("body", [None, '{"note":"n"}'])
def test_preview(stub: Stub, client: Client, body: str | None) -> None:
    """A preview asks for a dry run with the same parameters, and gives the request that would be sent."""
    request_json: dict[str, Any] = {"method": "POST", "url": "https://x/j:cancel", "headers": {"Accept": "a/b"}}
    stub.answers(
        {"dryRun": True, "vendorRequest": request_json | ({"body": body} if body else {}), "warnings": [WARNING]}
    )
    assert client.preview("cancel", "c", "j", note="n", strict=True) == DryRun(
        VendorRequest("POST", "https://x/j:cancel", {"Accept": "a/b"}, body),
        (ActionWarning("recorded-only", "note", "Kept here."),),
    )
    (request,) = stub.received
    assert request.target == "/v1/connections/c/jobs/j/cancel?dryRun=true"
    assert (request.content, request.headers["prefer"]) == (b'{"note": "n"}', "handling=strict")


@every_verb
@pytest.mark.parametrize("used", [False, True], ids=["new connection", "used connection"])
@pytest.mark.parametrize("trouble", [Reply(dropped=True), Reply(seconds=2.0)], ids=["dropped", "too slow"])
def test_never_sent_again(stub: Stub, impatient: Client, verb: str, trouble: Reply, used: bool) -> None:
    """An action that got no answer is not sent again, on whatever connection; its outcome is unknown."""
    if used:
        stub.answers(DONE)
        impatient.cancel("c", "j")
    stub.answers(trouble, DONE, DONE)
    with pytest.raises(GatewayUnreachable) as failure:
        VERBS[verb](impatient)("c", "j")
    assert failure.value.outcome == "unknown"
    assert len(stub.received) == 1 + used


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_refusals_are_not_sent_again(stub: Stub, client: Client, status: int) -> None:
    """An action that was refused for now is not sent again, even where the answer says when to try."""
    stub.answers(Reply(b"later", status, {"Retry-After": "0"}), DONE)
    with pytest.raises(Exception, match=str(status)):
        client.cancel("c", "j")
    assert len(stub.received) == 1
