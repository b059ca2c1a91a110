"""The Azure adapter: its signature against published vectors, and its pure functions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from adapters.azure_job_router import (
    CLOCK_SKEW,
    assignment_is_completed,
    assignment_is_returned,
    closable_assignments,
    open_assignments,
    sign,
    simulate,
    verify,
)
from gateway.domain.model import HttpRequest, JobAction

HOST = "https://contoso.westus.communications.azure.com"
JOB = f"{HOST}/routing/jobs/8780b28c-7079-4de1-9143-4d369289e958"
KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
OTHER_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWc="
NOW = datetime(2023, 11, 3, 21, 27, 6, tzinfo=UTC)

# Made with the policy of Microsoft's Python SDK (azure-communication-jobrouter 1.0.0) for this key and date.
VECTORS = [
    pytest.param(
        HttpRequest("POST", f"{JOB}:cancel?api-version=2023-11-01", {}),
        "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "gbNIZK933+3TiE7ymCewPcOBtm2w7GJ3NAqiDGEeRCw=",
        id="cancel-without-body",
    ),
    pytest.param(
        HttpRequest(
            "POST",
            f"{JOB}/assignments/1d5896f3-8b54-40be-82d3-910323f5e2af:close?api-version=2023-11-01",
            {},
            b'{"dispositionCode": "JobCompleted.", "note": "Closing job"}',
        ),
        "01MrZho6KGVVPc7qEc/hyogz/HAE6Ihv0haE+BsxikQ=",
        "a5+7ksCXcLCraUuloow4f8dxKKRhvOAgOc5x4bFhvTQ=",
        id="close-with-body",
    ),
    pytest.param(
        HttpRequest("GET", f"{HOST}/routing/jobs?maxpagesize=20&status=active&api-version=2023-11-01", {}),
        "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "EIlryMRjCUbix67SJPWL+ElUVzBHTUmyOKdItH9payU=",
        id="list",
    ),
]


@pytest.mark.parametrize(("request_", "digest", "signature"), VECTORS)
def test_signature_is_that_of_the_official_client(request_: HttpRequest, digest: str, signature: str) -> None:
    """The headers are those that Microsoft's SDK sends for the same request, key and date."""
    assert sign(request_, KEY, NOW) == {
        "x-ms-date": "Fri, 03 Nov 2023 21:27:06 GMT",
        "x-ms-content-sha256": digest,
        "Authorization": f"HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature={signature}",
    }


@pytest.mark.parametrize(("request_", "digest", "signature"), VECTORS)
def test_a_signed_request_verifies(request_: HttpRequest, digest: str, signature: str) -> None:
    """What `sign` made, `verify` accepts, within the permitted skew of the clocks."""
    signed = replace(request_, headers=sign(request_, KEY, NOW))
    assert verify(signed, NOW + CLOCK_SKEW, HOST)(KEY)
    assert not verify(signed, NOW, HOST)(OTHER_KEY)


def holds(request: HttpRequest) -> bool:
    """Whether the key has signed this request."""
    try:
        return verify(request, NOW, HOST)(KEY) is not None
    except PermissionError:
        return False


TAMPERED = {
    "url": lambda request: replace(request, url=request.url.replace("8780b28c", "8780b28d")),
    "method": lambda request: replace(request, method="GET"),
    "content": lambda request: replace(request, content=b"{}"),
    "date": lambda request: replace(request, headers={**request.headers, "x-ms-date": "Fri, 03 Nov 2023 21:27:07 GMT"}),
    "no date": lambda request: replace(request, headers={"Authorization": request.headers["Authorization"]}),
    "bad date": lambda request: replace(request, headers={**request.headers, "x-ms-date": "today"}),
    "date without a zone": lambda request: replace(
        request, headers={**request.headers, "x-ms-date": "Fri, 03 Nov 2023 21:27:06 -0000"}
    ),
    "endless date": lambda request: replace(
        request, headers={**request.headers, "x-ms-date": "Fri, 03 Nov 99999999999999999999 21:27:06 GMT"}
    ),
    "bad host": lambda request: replace(request, url="http://[/routing/jobs"),
    "no signature": lambda request: replace(request, headers={**request.headers, "Authorization": ""}),
    "not ASCII": lambda request: replace(request, headers={**request.headers, "Authorization": "HMAC-SHA256 é"}),
}


@pytest.mark.parametrize("tamper", list(TAMPERED.values()), ids=list(TAMPERED))
def test_a_changed_request_does_not_verify(tamper: Any) -> None:
    """A change in any part of a signed request makes the signature invalid."""
    request = HttpRequest("POST", f"{JOB}:cancel?api-version=2023-11-01", {})
    signed = replace(request, headers=dict(sign(request, KEY, NOW)))
    assert not holds(tamper(signed))


@pytest.mark.parametrize(
    ("wire", "signed"),
    [
        ("queueId=Support%20EMEA", "queueId=Support+EMEA"),
        ("queueId=(a)~b*c!'", "queueId=%28a%29%7Eb*c%21%27"),
        ("a&b=&&c=%c3%bc", "a=&b=&c=%C3%BC"),
        ("a=1+2%2B3", "a=1+2%2B3"),
    ],
)
def test_the_query_may_be_signed_as_a_form_has_it(wire: str, signed: str) -> None:
    """A query may be signed as `URLSearchParams` writes it, or as it is on the wire."""
    at = replace(HttpRequest("GET", f"{JOB}?{signed}", {}), headers={})
    headers = dict(sign(at, KEY, NOW))
    for query, fits in ((wire, True), (signed, True), (f"{wire}x", False), (f"x{wire}", False), ("", False)):
        assert holds(HttpRequest("GET", f"{JOB}?{query}", headers)) is fits, query
    own = dict(sign(HttpRequest("GET", f"{JOB}?{wire}", {}), KEY, NOW))
    assert holds(HttpRequest("GET", f"{JOB}?{wire}", own))


QUERIES = st.text("ab=&+~* %2Bé", max_size=8).map(lambda text: quote(text, safe="=&+~*%"))


@settings(max_examples=300, deadline=None)
@given(sent=QUERIES, signed=QUERIES)
def test_a_signature_is_good_for_what_it_says_only(sent: str, signed: str) -> None:
    """Of two queries that differ in a name, a value or their order, the signature of one is not good for the other."""
    headers = dict(sign(HttpRequest("GET", f"{JOB}?{signed}", {}), KEY, NOW))
    if holds(HttpRequest("GET", f"{JOB}?{sent}", headers)):
        assert parse_qsl(sent, keep_blank_values=True) == parse_qsl(signed, keep_blank_values=True)


def test_the_scheme_of_a_signature_has_no_case() -> None:
    """Schemes, their parameters and names of header fields are the same in any case (RFC 9110, 5.1 and 11)."""
    headers = dict(sign(HttpRequest("GET", JOB, {}), KEY, NOW))
    head, _, signature = headers["Authorization"].partition("Signature=")
    for written in (head.lower() + "signature=", head.upper() + "SIGNATURE="):
        assert holds(HttpRequest("GET", JOB, {**headers, "Authorization": written + signature}))
    assert not holds(HttpRequest("GET", JOB, {**headers, "Authorization": head + "Signature=" + signature.lower()}))


@pytest.mark.parametrize("late", [CLOCK_SKEW + timedelta(seconds=1), -CLOCK_SKEW - timedelta(seconds=1)])
def test_an_old_or_early_signature_does_not_verify(late: timedelta) -> None:
    """A signature is good for a few minutes only, so that it cannot be replayed later."""
    request = HttpRequest("POST", f"{JOB}:cancel?api-version=2023-11-01", {})
    with pytest.raises(PermissionError, match="too far"):
        verify(replace(request, headers=sign(request, KEY, NOW)), NOW + late, HOST)


@pytest.mark.parametrize(
    ("assignments", "found"),
    [
        ({}, ()),
        ({"a": {"assignedAt": "x"}}, ()),
        ({"a": {"assignedAt": "x", "completedAt": "x"}}, ("a",)),
        ({"a": {"completedAt": "x", "closedAt": "x"}, "b": {"completedAt": "x"}}, ("b",)),
        ({"a": {"completedAt": "x"}, "b": {"completedAt": "x"}}, ("a", "b")),
        (None, ()),
    ],
)
def test_closable_assignments_are_completed_and_open(assignments: Any, found: tuple[str, ...]) -> None:
    """Only assignments that are completed and not yet closed can be closed."""
    assert closable_assignments({"assignments": assignments}) == found


def test_a_cancelled_job_carries_the_traces_of_the_action() -> None:
    """Disposition and note are in the job afterwards, the note behind the earlier ones."""
    action = JobAction("cancel", "7", {"note": "why"})
    job = simulate({"status": "cancelled", "notes": [{"message": "earlier"}]}, action, NOW)
    assert job["dispositionCode"] == "Cancelled"
    assert job["notes"] == [
        {"message": "earlier"},
        {"message": "why", "addedAt": "2023-11-03T21:27:06.0000000+00:00"},
    ]


def test_closing_an_assignment_that_the_job_has_not_is_a_lookup_error() -> None:
    """An assignment of another job cannot be closed."""
    with pytest.raises(LookupError):
        simulate({"assignments": {}}, JobAction("close", "7", {"assignmentId": "a"}), NOW)


OPEN, COMPLETED = {"assignedAt": "x"}, {"assignedAt": "x", "completedAt": "x"}


def test_open_assignments_are_not_completed() -> None:
    """Only an assignment that is still being worked on can be completed or given back."""
    assert open_assignments({"assignments": {"a": OPEN, "b": COMPLETED}}) == ("a",)


@pytest.mark.parametrize(
    ("assignments", "shown"), [({"a": COMPLETED, "b": OPEN}, True), ({"a": OPEN}, False), ({"b": COMPLETED}, None)]
)
def test_completion_shows_in_the_assignment(assignments: Any, shown: bool | None) -> None:
    """Whether a complete action took effect shows in its own assignment, and in no other."""
    asked = JobAction("complete", "7", {"assignmentId": "a"})
    assert assignment_is_completed({"status": "completed", "assignments": assignments}, asked) is shown


@pytest.mark.parametrize(
    ("status", "assignments", "shown"),
    [
        ("queued", {"a": OPEN}, True),
        ("assigned", {"b": OPEN}, True),
        ("assigned", {"a": OPEN}, False),
        ("assigned", {"a": OPEN, "b": OPEN}, None),
    ],
)
def test_a_job_that_was_given_back_shows_it(status: str, assignments: Any, shown: bool | None) -> None:
    """A job with somebody else, or with nobody, was given back; one with the same assignment alone was not."""
    asked = JobAction("unassign", "7", {"assignmentId": "a"})
    assert assignment_is_returned({"status": status, "assignments": assignments}, asked) is shown


def test_the_sandbox_changes_the_assignment_that_an_action_names() -> None:
    """Completing leaves its time in the assignment; giving the job back removes the assignment; neither is an end."""
    job: Any = {"status": "assigned", "assignments": {"a": OPEN}}
    completed = simulate(job, JobAction("complete", "7", {"assignmentId": "a"}), NOW)
    assert completed["assignments"] == {"a": {**OPEN, "completedAt": "2023-11-03T21:27:06.0000000+00:00"}}
    returned = simulate(job, JobAction("unassign", "7", {"assignmentId": "a"}), NOW)
    assert returned["assignments"] == {}
    assert "dispositionCode" not in completed.keys() | returned.keys()
