"""Everything that goes wrong before an action leaves: the outcome is `not_sent`, and nothing was sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from msgspec import structs

from gateway.domain.adapter import Adapter
from gateway.domain.errors import LedgerUnavailable, VendorTimedOut, VendorUnreachable
from gateway.domain.model import HttpReply, HttpRequest, Json, Outcome
from gateway.engine.action import ActionRequest
from gateway.engine.connections import Connection
from gateway.security.credentials import Signature
from tests.support.scripted_engine import MakeEngine, ScriptedEngine
from tests.support.transport import Line, reply
from tests.support.vendors import AZURE_JOB, TARGETS, VONAGE_JOB, completed_job, token

CANCEL, CLOSE, VONAGE_CANCEL, *_ = TARGETS
NOT_SENT = (Outcome.NOT_SENT, "failed")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        pytest.param(reply(400, {"error": "invalid_scope"}), "vendor-denied-access", id="400"),
        pytest.param(reply(401), "vendor-denied-access", id="401"),
        pytest.param(reply(429), "vendor-throttled", id="429"),
        pytest.param(reply(503), "vendor-unavailable", id="503"),
        pytest.param(reply(302), "vendor-reply-not-understood", id="302"),
        pytest.param(reply(200, {}), "vendor-reply-not-understood", id="no token"),
        pytest.param(token("a\r\nX-Injected: 1"), "vendor-reply-not-understood", id="a token with a line break"),
        pytest.param(VendorTimedOut("silence"), "vendor-timed-out", id="silence"),
        pytest.param(VendorUnreachable("refused"), "vendor-unreachable", id="unreachable"),
    ],
)
async def test_no_token_no_action(make_engine: MakeEngine, answer: Line, code: str) -> None:
    """Without a token, the answer says why, and nothing reaches the vendor's API."""
    made = make_engine(answer)
    failure = await made.failure(VONAGE_CANCEL)
    assert (failure.problem.code, failure.record.outcome, failure.record.status) == (code, *NOT_SENT)
    assert made.sent == []
    vendor = failure.problem.explanation.vendor
    assert vendor is not None
    assert vendor.vendor == "vonage-contact-center"


BAD_IDS = ["a/b", "/", "..", ".", "../../x", "a/../b", ""]
NO_UUIDS = ["111414121313", f"{VONAGE_JOB}0", VONAGE_JOB[:-1], VONAGE_JOB.replace("-", "_"), "é" * 36]


@pytest.mark.parametrize(
    ("connection", "job_id"),
    [
        *(("contoso-prod", job_id) for job_id in [*BAD_IDS, "x" * 257]),
        *(("vonage-emea", job_id) for job_id in BAD_IDS + NO_UUIDS),
    ],
)
async def test_an_id_that_the_vendor_cannot_have_is_not_sent(
    make_engine: MakeEngine, connection: str, job_id: str
) -> None:
    """An id that is no id there, or would lead to another path, is refused with its place in the request."""
    made = make_engine()
    failure = await made.failure_of(made.request(connection, "cancel", job_id))
    assert failure.summary == ("unknown-job", 404, *NOT_SENT)
    assert {error.pointer for error in failure.problem.explanation.errors} == {"/path/jobId"}
    assert made.transport.requests == []


@pytest.mark.parametrize("assignment_id", ["..", ".", "a/b", "", "x" * 257])
async def test_a_parameter_that_cannot_be_in_a_path_is_named(make_engine: MakeEngine, assignment_id: str) -> None:
    """An assignmentId that would lead to another path is refused, and it is the assignmentId that is named."""
    made = make_engine()
    request = made.request("contoso-prod", "close", AZURE_JOB, {"assignmentId": assignment_id})
    failure = await made.failure_of(request)
    assert failure.summary == ("value-not-supported", 422, *NOT_SENT)
    assert {error.pointer for error in failure.problem.explanation.errors} == {"/body/assignmentId"}
    assert made.transport.requests == []


def broken_finder(_: Mapping[str, Json]) -> tuple[str, ...]:
    """An adapter's function with a bug."""
    raise ZeroDivisionError("a bug in an adapter")


def broken_signature(*_: object) -> dict[str, str]:
    """An adapter's signing function with a bug."""
    raise KeyError("a bug in an adapter")


def with_adapter(made: ScriptedEngine, request: ActionRequest, **changes: object) -> ActionRequest:
    """The same request, for a vendor whose adapter is changed."""
    connection: Connection = request.connection
    adapter: Adapter = replace(connection.vendor.adapter, **changes)  # type: ignore[arg-type]
    return structs.replace(request, connection=replace(connection, vendor=replace(connection.vendor, adapter=adapter)))


async def failure_is_ours(made: ScriptedEngine, request: ActionRequest) -> None:
    """The action fails with an error of ours, settled as not sent, without a word about the bug."""
    failure = await made.failure_of(request)
    assert failure.summary == ("gateway-error", 500, *NOT_SENT)
    assert "bug" not in str(failure.problem)
    assert made.actions_sent == []


async def test_a_bug_in_an_adapters_finder_settles_the_record(make_engine: MakeEngine) -> None:
    """An exception in an adapter's function is our fault, not the caller's, and the record does not stay open."""
    made = make_engine(reply(200, completed_job("a-1")))
    request = made.request("contoso-prod", "close", AZURE_JOB)
    await failure_is_ours(made, with_adapter(made, request, finders={"closable_assignments": broken_finder}))


async def test_a_bug_in_an_adapters_signature_settles_the_record(make_engine: MakeEngine) -> None:
    """An exception in an adapter's signing function settles the record as not sent."""
    made = make_engine()
    request = made.ask(CANCEL)
    credentials = request.connection.credentials
    assert isinstance(credentials, Signature)
    scheme = replace(credentials.scheme, sign=broken_signature)
    broken = replace(request.connection, credentials=replace(credentials, scheme=scheme))
    await failure_is_ours(made, structs.replace(request, connection=broken))


async def test_a_request_that_the_vendors_document_forbids_is_not_sent(make_engine: MakeEngine) -> None:
    """If the gateway's own mapping is wrong, the answer is a gateway error, and nothing is sent."""
    made = make_engine()
    request = made.ask(CANCEL)
    specification = request.connection.specification
    mapping = specification.actions["cancel"]
    rules = tuple(rule for rule in mapping.lens.rules if rule.const is None)
    wrong = replace(mapping, lens=replace(mapping.lens, rules=rules))
    changed = replace(specification, actions={**specification.actions, "cancel": wrong})
    connection = replace(request.connection, specification=changed)
    await failure_is_ours(made, structs.replace(request, connection=connection))


async def test_nothing_is_sent_before_it_is_recorded(make_engine: MakeEngine) -> None:
    """The ledger records the action as sent before the first byte leaves, so that a crash leaves a trace."""
    made = make_engine()
    seen: list[tuple[str, int]] = []

    def look(_: HttpRequest) -> HttpReply:
        seen.extend((record.status, len(record.sent)) for record in made.ledger._records.values())
        return reply(200, {})

    made.transport.script.append(look)
    await made.perform(CANCEL)
    assert seen == [("in_progress", 1)]


async def full(*_: object) -> None:
    """A ledger that can keep nothing."""
    raise LedgerUnavailable("the disk is full")


async def test_a_ledger_that_cannot_keep_a_request_means_that_nothing_is_sent(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the request cannot be recorded, no action is sent, and the caller gets a problem."""
    made = make_engine(reply(200, {}))
    monkeypatch.setattr(made.ledger, "claim", full)
    with pytest.raises(LedgerUnavailable) as caught:
        await made.actions.perform(made.ask(CANCEL))
    assert caught.value.explanation.outcome is not Outcome.UNKNOWN
    assert made.transport.requests == []


async def test_a_ledger_that_cannot_keep_that_it_is_sent_means_that_it_is_not(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the sending cannot be recorded, nothing is sent, and a record with a key is still concluded."""
    made = make_engine()
    monkeypatch.setattr(made.ledger, "sent", full)
    with pytest.raises(LedgerUnavailable):
        await made.actions.perform(made.ask(CANCEL))
    answer = await made.actions.perform(structs.replace(made.ask(CANCEL), key="key-1"))
    assert answer.record.problem is not None
    assert (answer.record.problem.code, answer.record.outcome) == ("ledger-unavailable", Outcome.NOT_SENT)
    assert answer.record.releases_key
    assert made.transport.requests == []
