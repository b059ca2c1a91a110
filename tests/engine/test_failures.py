"""Actions that were sent, with an unknown outcome or a refusal that the job does not explain."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.domain.errors import VendorReplyNotUnderstood, VendorTimedOut, VendorUnreachable
from gateway.domain.model import HttpReply, Outcome, VendorResponse
from gateway.engine.calls import _sentence
from tests.support.scripted_engine import MakeEngine
from tests.support.transport import Line, reply
from tests.support.vendors import TARGETS, Target, azure_error, token, vonage_error

CANCEL, CLOSE, VONAGE_CANCEL, *_ = TARGETS

REJECTED = (Outcome.REJECTED, "failed")
NOT_SENT = (Outcome.NOT_SENT, "failed")
UNKNOWN = (Outcome.UNKNOWN, "unsettled")

HTML = b"<!doctype html><title>502 Bad Gateway</title>"

every_target = pytest.mark.parametrize("target", TARGETS, ids=str)

ANSWERS = [
    pytest.param(reply(403), "vendor-denied-access", 502, REJECTED, id="403"),
    pytest.param(reply(408), "vendor-timed-out", 504, UNKNOWN, id="408"),
    pytest.param(reply(429), "vendor-throttled", 429, REJECTED, id="429"),
    *(pytest.param(reply(status), "vendor-error", 502, UNKNOWN, id=str(status)) for status in (500, 502, 504)),
    pytest.param(reply(503), "vendor-unavailable", 503, UNKNOWN, id="503"),
    pytest.param(reply(503, None, {"retry-after": "1"}), "vendor-unavailable", 503, UNKNOWN, id="503 with Retry-After"),
    pytest.param(reply(502, HTML), "vendor-error", 502, UNKNOWN, id="502 with HTML"),
    *(
        pytest.param(reply(status), "vendor-reply-not-understood", 502, UNKNOWN, id=str(status))
        for status in (101, 301, 302, 304, 307, 308, 600, 999)
    ),
    *(
        pytest.param(reply(200, body), "vendor-reply-not-understood", 502, UNKNOWN, id=f"200 with {body!r}")
        for body in (
            HTML,
            b"{",
            b"{}}",
            b"null",
            b'"done"',
            b"[]",
            b"true",
            b'{"a": NaN}',
            b'{"a": 1e999}',
            b'{"a": "\xff"}',
            b"\x1f\x8b\x08",
            {"error": {"code": "Conflict", "message": "No."}},
            {"communicationError": {"code": "Conflict", "message": "No."}},
        )
    ),
    pytest.param(reply(200, b"[" * 100_000), "vendor-reply-not-understood", 502, UNKNOWN, id="200 with deep JSON"),
    pytest.param(VendorUnreachable("refused"), "vendor-unreachable", 503, NOT_SENT, id="unreachable"),
    pytest.param(VendorTimedOut("silence"), "vendor-timed-out", 504, UNKNOWN, id="timed out"),
    pytest.param(VendorReplyNotUnderstood("broke off"), "vendor-reply-not-understood", 502, UNKNOWN, id="broke off"),
    pytest.param(RuntimeError("a bug"), "gateway-error", 500, UNKNOWN, id="a bug in the transport"),
]


def says_so(target: Target, answer: Line) -> bool:
    """Whether the answer is an error in an envelope of this vendor's; the other one's says nothing here."""
    return target.is_azure or not isinstance(answer, HttpReply) or b"rror" not in answer.content


@every_target
@pytest.mark.parametrize(("answer", "code", "status", "known"), ANSWERS)
async def test_what_is_told_and_recorded(
    make_engine: MakeEngine, target: Target, answer: Line, code: str, status: int, known: tuple[Outcome, str]
) -> None:
    """Problem, HTTP status, outcome and record say only what is known, and the action is sent exactly once."""
    if not says_so(target, answer):
        answer = vonage_error(200, "No.")
    made = make_engine(*target.before(), answer)
    failure = await made.failure(target)
    assert failure.summary == (code, status, *known)
    assert len(made.actions_sent) == 1
    assert failure.problem.explanation.vendor is not None or code == "gateway-error"


async def test_an_error_inside_a_success_is_shown(make_engine: MakeEngine) -> None:
    """A 200 with an error in it is not taken for success, and the caller sees the vendor's own words."""
    made = make_engine(azure_error(200, "Conflict"))
    failure = await made.failure(CANCEL)
    vendor = failure.problem.explanation.vendor
    assert vendor is not None
    assert (vendor.status, vendor.code, vendor.message) == (200, "Conflict", "Conflict, said Azure.")


RETRY_AFTER = [
    ("7", 7),
    ("0", 0),
    (" 7 ", 7),
    ("999999999", 86_400),
    ("Mon, 05 Jan 2026 10:01:30 GMT", 90),
    ("Monday, 05-Jan-26 10:01:30 GMT", 90),
    ("Mon, 05 Jan 2026 10:01:30", 90),
    ("Mon, 05 Jan 2026 11:01:30 +0100", 90),
    ("Mon, 05 Jan 2026 09:00:00 GMT", 0),
    ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400),
    ("Mon, 32 Jan 2026 10:01:30 GMT", None),
    ("99999999999999999999", 86_400),
    ("9" * 5_000, 86_400),
    ("Mon Jan  5 10:01:30 2026", 90),
    ("Mon, 20 Nov 9999999999 12:00:00 GMT", None),
    ("Fri, 31 Dec 9999 23:59:59 -0100", None),
    ("Mon, 05 Jan 2026 10:01:30 +9999999", None),
    ("-1", None),
    ("1.5", None),
    ("1e9", None),
    ("\N{ARABIC-INDIC DIGIT SEVEN}", None),
    ("soon", None),
    ("", None),
]


@pytest.mark.parametrize(("text", "seconds"), RETRY_AFTER)
@pytest.mark.parametrize("target", [CANCEL, VONAGE_CANCEL], ids=str)
async def test_retry_after_is_passed_on_where_it_makes_sense(
    make_engine: MakeEngine, target: Target, text: str, seconds: int | None
) -> None:
    """Both forms of Retry-After become seconds from now, a day at most; nonsense becomes nothing, never an error."""
    made = make_engine(*target.before(), target.refusal(429, **{"retry-after": text}))
    failure = await made.failure(target)
    assert failure.summary == ("vendor-throttled", 429, *REJECTED)
    assert failure.problem.explanation.retry_after == seconds


@every_target
async def test_a_token_that_ended_is_renewed_once(make_engine: MakeEngine, target: Target) -> None:
    """401 to a bearer token: a new token, and the same action once more. 401 to a signature: that is the answer."""
    denied = target.refusal(401)
    if target.is_azure:
        made = make_engine(denied)
        assert (await made.failure(target)).summary == ("vendor-denied-access", 502, *REJECTED)
        assert len(made.actions_sent) == 1
        return
    made = make_engine(token("old"), denied, token("new"), target.applied)
    assert (await made.perform(target)).outcome is Outcome.APPLIED
    first, second = made.actions_sent
    assert first.headers["Authorization"] == "Bearer old"
    assert second.headers["Authorization"] == "Bearer new"
    assert (first.method, first.url, first.content) == (second.method, second.url, second.content)


async def test_a_token_is_renewed_only_once(make_engine: MakeEngine) -> None:
    """A second 401 is the answer; a third request is never made."""
    made = make_engine(token("old"), vonage_error(401, "No."), token("new"), vonage_error(401, "No."))
    failure = await made.failure(VONAGE_CANCEL)
    assert failure.summary == ("vendor-denied-access", 502, *REJECTED)
    assert len(made.actions_sent) == 2


@pytest.mark.parametrize(
    ("answer", "code", "status"),
    [
        (reply(400, {"error": "invalid_client"}), "vendor-denied-access", 502),
        (reply(500), "vendor-error", 502),
        (VendorTimedOut("silence"), "vendor-timed-out", 504),
        (reply(200, b"{}"), "vendor-reply-not-understood", 502),
    ],
)
async def test_a_token_that_cannot_be_renewed(make_engine: MakeEngine, answer: Line, code: str, status: int) -> None:
    """If no new token can be fetched, the answer says why, and the action counts as rejected."""
    made = make_engine(token("old"), vonage_error(401, "No."), answer)
    failure = await made.failure(VONAGE_CANCEL)
    assert failure.summary == (code, status, *REJECTED)
    assert len(made.actions_sent) == 1


@pytest.mark.parametrize(
    ("answer", "code", "known"),
    [
        (VendorTimedOut("silence"), "vendor-timed-out", UNKNOWN),
        (VendorReplyNotUnderstood("broke off"), "vendor-reply-not-understood", UNKNOWN),
        (VendorUnreachable("refused"), "vendor-unreachable", NOT_SENT),
        (reply(500), "vendor-error", UNKNOWN),
    ],
)
async def test_the_second_request_counts_after_a_renewal(
    make_engine: MakeEngine, answer: Line, code: str, known: tuple[Outcome, str]
) -> None:
    """The request that was turned away changed nothing, so the outcome is that of the one with the new token."""
    made = make_engine(token("old"), vonage_error(401, "No."), token("new"), answer)
    failure = await made.failure(VONAGE_CANCEL)
    assert (failure.problem.code, failure.record.outcome, failure.record.status) == (code, *known)
    assert len(made.actions_sent) == 2


async def test_a_vendor_that_repeats_our_credentials_in_a_header_does_not_give_them_away(
    make_engine: MakeEngine,
) -> None:
    """Credentials are cut out of the recorded header fields of a reply."""
    made = make_engine(lambda sent: reply(200, {}, {"trace-id": f"for {sent.headers['Authorization']}"}))
    record = await made.perform(CANCEL)
    assert record.vendor_response is not None
    assert record.vendor_response.request_id is not None
    assert record.vendor_response.request_id.endswith("[redacted]")
    assert made.actions_sent[0].headers["Authorization"] not in str(record)


@pytest.mark.parametrize("echo", ["{secret}", "Invalid token '{secret}'.", "Bearer {secret}"])
@pytest.mark.parametrize("status", [400, 401, 403, 500, 200])
async def test_a_vendor_that_repeats_our_credentials_does_not_give_them_away(
    make_engine: MakeEngine, status: int, echo: str
) -> None:
    """A token that a vendor quotes in its error is shown neither to the caller nor in the record."""
    secret = "eyJhbGciOiJSUzI1NiJ9.e30.c2VjcmV0"
    answer = vonage_error(status, echo.format(secret=secret))
    rest: list[Line] = [token(secret), answer] if status == 401 else []
    rest += [VONAGE_CANCEL.job("Running")] if status == 400 else []
    made = make_engine(token(secret), answer, *rest)
    failure = await made.failure(VONAGE_CANCEL)
    assert "[redacted]" in str(failure.problem.explanation.vendor)
    for shown in (failure.problem.detail, failure.problem.explanation, failure.record):
        assert secret not in str(shown)


@pytest.mark.parametrize("header", ["\udcff\udcfe", "x" * 100_000])
async def test_bytes_that_are_no_text_do_not_hide_what_happened(make_engine: MakeEngine, header: str) -> None:
    """A trace-id of any bytes and any length is recorded as far as it can be shown; the action stays applied."""
    record = await make_engine(reply(200, {}, {"trace-id": header})).perform(CANCEL)
    assert record.vendor_response is not None
    kept: Any = record.vendor_response.request_id
    assert kept.encode("utf-8")
    assert len(kept) <= 1_024


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (None, "toy answered 403."),
        ("No access", "toy answered 403 and says: No access."),
        ("Go away! ", "toy answered 403 and says: Go away!"),
        ("x" * 2_000, f"toy answered 403 and says: {'x' * 996}."),
    ],
)
def test_a_detail_is_a_sentence_that_does_not_repeat_the_title(message: str | None, told: str) -> None:
    """The detail of a problem is a sentence that does not repeat the title."""
    assert _sentence(VendorResponse("toy", 403, message=message)) == told
