"""Records come back as they were written, whatever they hold."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from msgspec.structs import replace

from gateway.domain.errors import Explanation, FieldError, JobState, catalogue
from gateway.domain.model import ActionWarning, JobAction, Outcome, StatusPair, VendorResponse
from gateway.domain.ports import Ledger
from gateway.domain.record import (
    Concluded,
    Event,
    JobActionRecord,
    Origin,
    ProblemNote,
    Read,
    Requested,
    Selection,
    Sent,
    SettledBy,
)
from gateway.domain.times import first_id_at, milliseconds
from gateway.ledger.events import Dispatched, Stored, read, written
from tests.ledger.fixtures import LEASE, held
from tests.support.clock import FakeClock

AWKWARD = [
    "",
    "\0",
    "a\nb\r\n",
    "'\"\\",
    "é\u0301\u202e",
    "\U0001f4de",
    "%s ? :name %(name)s {}",
    "\ufeff\x7f\x80",
    " ",
]
"""Texts that something on the way to a database may take for its own."""

TEXTS = some.one_of(some.sampled_from(AWKWARD), some.text(some.characters(exclude_categories=["Cs"]), max_size=30))
"""Any text but lone surrogates, which no request can bring in."""

NAMES = some.from_regex(r"[a-z][a-z0-9-]{0,62}", fullmatch=True)
NUMBERS = some.one_of(some.integers(-(2**80), 2**80), some.floats(allow_nan=False, allow_infinity=False))
JSON = some.recursive(
    some.one_of(some.none(), some.booleans(), NUMBERS, TEXTS),
    lambda values: some.lists(values, max_size=3) | some.dictionaries(TEXTS, values, max_size=3),
    max_leaves=8,
)
PARAMETERS = some.dictionaries(TEXTS, JSON, max_size=4)
ZONES = some.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45)), timezone(timedelta(hours=-11))])
TIMES = some.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=ZONES)  # noqa: DTZ001 - they get zones

JOB_IDS = some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=1_024)
"""NUL is left out: PostgreSQL has no text with it."""


def perhaps(values: some.SearchStrategy[Any]) -> some.SearchStrategy[Any]:
    """A value, or None."""
    return some.one_of(some.none(), values)


PAIRS = some.builds(StatusPair, TEXTS, TEXTS)
RESPONSES = some.builds(
    VendorResponse, TEXTS, perhaps(some.integers(100, 599)), perhaps(TEXTS), perhaps(TEXTS), perhaps(TEXTS)
)
TUPLES = some.lists(TEXTS, max_size=3).map(tuple)
EXPLANATIONS = some.builds(
    Explanation,
    errors=some.lists(some.builds(FieldError, TEXTS, TEXTS), max_size=2).map(tuple),
    vendor=perhaps(RESPONSES),
    job=perhaps(some.builds(JobState, PAIRS, TUPLES)),
    supported=perhaps(TUPLES),
    candidates=perhaps(TUPLES),
    allow=TUPLES,
    retry_after=perhaps(some.integers(0, 2**40)),
    outcome=perhaps(some.sampled_from(Outcome)),
    job_action=perhaps(TEXTS),
    replayed=some.booleans(),
)
CODES = some.sampled_from([kind.code for kind in catalogue()])
REQUESTS = some.builds(
    Requested,
    at=TIMES,
    caller=NAMES,
    connection=NAMES,
    vendor=NAMES,
    job_action=some.builds(JobAction, NAMES, JOB_IDS, PARAMETERS),
    warnings=some.lists(some.builds(ActionWarning, TEXTS, TEXTS, TEXTS), max_size=2).map(tuple),
    origin=some.builds(Origin, perhaps(TEXTS), perhaps(TEXTS), perhaps(TEXTS)),
    idempotency_key=perhaps(some.text(some.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1)),
)
SENDINGS = some.builds(Sent, TIMES, PARAMETERS)
READINGS = some.builds(Read, TIMES, perhaps(PAIRS), perhaps(TEXTS))
CONCLUSIONS = some.builds(
    Concluded,
    TIMES,
    some.sampled_from(Outcome),
    perhaps(some.sampled_from(SettledBy)),
    perhaps(PAIRS),
    perhaps(RESPONSES),
    perhaps(some.builds(ProblemNote, CODES, TEXTS, EXPLANATIONS)),
)
LATER = some.lists(some.one_of(SENDINGS, READINGS, CONCLUSIONS), max_size=4)


def assert_same(found: JobActionRecord | None, expected: JobActionRecord) -> None:
    """Two records are equal, and so is every value in their JSON: Python takes 1, 1.0 and true for the same."""
    assert found == expected
    assert [as_json(event) for event in (found.requested, *found.later)] == [
        as_json(event) for event in (expected.requested, *expected.later)
    ]


def as_json(event: Event) -> str:
    """The parameters of an event, with the types of its numbers."""
    if isinstance(event, Requested):
        return json.dumps(event.job_action.parameters)
    return json.dumps(event.found) if isinstance(event, Sent) else ""


AT = datetime(2026, 11, 1, 12, 0, 0, 123456, UTC)
CLOSING = JobAction("close", "a/b", {"note": "n", "closeAt": "2026-11-02T00:00:00Z"})
REFUSED = ProblemNote(
    "wrong-state",
    "The job is closed.",
    Explanation(
        vendor=VendorResponse("azure-job-router", 409, "Conflict", request_id="r"),
        job=JobState(StatusPair("closed", "closed"), ("cancel",)),
    ),
)
STORED = [
    (
        Dispatched(
            Requested(
                AT,
                "desk",
                "prod",
                "azure-job-router",
                CLOSING,
                (ActionWarning("kept", "note", "Only recorded."),),
                Origin("127.0.0.1", "q"),
                "key",
            ),
            Sent(AT, {"assignmentId": "x"}),
        ),
        (
            '{"requested":{"at":"2026-11-01T12:00:00.123456Z","caller":"desk","connection":"prod","vendor":"azure-job-router",'
            '"job_action":{"action":"close","job_id":"a/b","parameters":{"note":"n","closeAt":"2026-11-02T00:00:00Z"}},'
            '"warnings":[{"code":"kept","parameter":"note","detail":"Only recorded."}],'
            '"origin":{"address":"127.0.0.1","request_id":"q"},"idempotency_key":"key"},'
            '"sent":{"at":"2026-11-01T12:00:00.123456Z","found":{"assignmentId":"x"}}}'
        ),
    ),
    (
        Requested(AT.replace(microsecond=0), "desk", "prod", "azure-job-router", JobAction("cancel", "j")),
        (
            '{"at":"2026-11-01T12:00:00Z","caller":"desk","connection":"prod","vendor":"azure-job-router",'
            '"job_action":{"action":"cancel","job_id":"j"}}'
        ),
    ),
    (
        Read(AT, StatusPair("queued", "queued")),
        '{"at":"2026-11-01T12:00:00.123456Z","job":{"status":"queued","vendor_status":"queued"}}',
    ),
    (
        Concluded(AT, Outcome.REJECTED, SettledBy.VENDOR_REPLY, problem=REFUSED),
        (
            '{"at":"2026-11-01T12:00:00.123456Z","outcome":"rejected","settled_by":"vendor-reply",'
            '"problem":{"code":"wrong-state","detail":"The job is closed.","explanation":{'
            '"vendor":{"vendor":"azure-job-router","status":409,"code":"Conflict","request_id":"r"},'
            '"job":{"status":{"status":"closed","vendor_status":"closed"},"allowed_actions":["cancel"]}}}}'
        ),
    ),
]
"""Events, and the rows that databases have of them: this form may be added to, and never changed."""


@pytest.mark.parametrize(("event", "content"), STORED, ids=["dispatched", "requested", "read", "concluded"])
def test_the_stored_form_stays(event: Stored, content: str) -> None:
    """A row that an earlier Jobgate wrote is read as what it was, and what is written now has the same form."""
    kind, now_written = written(event)
    assert now_written == content
    assert read(kind, content) == event


@given(some.one_of(REQUESTS, SENDINGS, READINGS, CONCLUSIONS))
def test_an_event_is_read_as_it_was_written(event: Event) -> None:
    """Whatever an event can hold, its stored form is one line of JSON and reads as the same event."""
    kind, content = written(event)
    assert "\n" not in content
    assert "\0" not in content
    json.loads(content)
    back = read(kind, content)
    assert back == event
    assert as_json(back) == as_json(event)


@given(requested=REQUESTS, later=LATER)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_a_record_is_read_as_it_was_written(
    requested: Requested, later: list[Sent | Read | Concluded], ledger: Ledger, clock: FakeClock
) -> None:
    """Whatever a record can hold, the ledger gives it back as it was, alone and in a list."""
    number = clock.new_id(clock.now())[-12:]
    key = None if requested.idempotency_key is None else f"{number}{requested.idempotency_key}"[:255]
    requested = replace(requested, idempotency_key=key)
    record = JobActionRecord(first_id_at(milliseconds(requested.at))[:-12] + number, requested)
    assert await ledger.claim(record, clock.now(), None if key is None else held(record)) is None
    for event in [Sent(clock.now()), *later]:
        add = ledger.sent(record, event) if isinstance(event, Sent) else ledger.append(record, event, None)
        record = await add
    assert_same(await ledger.get(record.id, requested.caller), record)
    selection = Selection(requested.caller, requested.connection, requested.job_action.job_id, since=requested.at)
    page = await ledger.page(replace(selection, until=requested.at), 1, None)
    assert_same(page.items[0], record)


@pytest.mark.parametrize("text", AWKWARD)
async def test_awkward_texts_come_back(text: str, ledger: Ledger, clock: FakeClock) -> None:
    """Quotes, placeholders, line ends, NUL and letters of every alphabet come back as they were."""
    asked = JobAction("close", "job-1", {text: text, "note": [text, {text: text}]})
    requested = Requested(clock.now(), "somebody", "contoso-prod", "azure-job-router", asked)
    record = JobActionRecord(clock.new_id(clock.now()), requested)
    await ledger.claim(record, clock.now() + LEASE, None)
    record = await ledger.sent(record, Sent(clock.now(), {text: text}))
    note = ProblemNote("vendor-refused", text, Explanation(vendor=VendorResponse(text, 422, text, text, text)))
    record = await ledger.append(record, Concluded(clock.now(), Outcome.REJECTED, problem=note), None)
    assert_same(await ledger.get(record.id, "somebody"), record)
