"""Ids: what a vendor allows arrives there byte for byte, and what cannot is refused before anything is sent."""

from __future__ import annotations

from urllib.parse import quote, unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.native.fixtures import VendorClients, job_path
from tests.support.vendors import AZURE as AZURE_URL
from tests.support.vendors import VONAGE as VONAGE_URL
from tests.support.vendors import VONAGE_JOB

ODD = [
    "a:b",
    "a:cancel",
    "a b",
    "100%",
    "%41",
    "a%2Fb",
    "é",
    "日本",
    "😀",
    "a+b",
    "a?b",
    "a#b",
    "a;b=c",
    "...",
    "~",
    "'",
]
IDS = st.sampled_from(ODD) | st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"), min_size=1, max_size=64
)


def is_fit(job_id: str) -> bool:
    """Whether Azure can have such an id."""
    return job_id not in {".", ".."}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(job_id=IDS.filter(is_fit), other=IDS.filter(is_fit))
async def test_ids_arrive_as_they_are(clients: VendorClients, job_id: str, other: str) -> None:
    """Ids of jobs and assignments reach the vendor and the record unchanged, in every operation."""
    clients.transport.requests.clear()
    read = await clients.azure("GET", job_path(job_id))
    closed = await clients.azure("POST", job_path(job_id, f"/assignments/{quote(other, safe='')}:close"))
    cancelled = await clients.azure("POST", job_path(job_id, ":cancel"))
    assert (read.status, closed.status, cancelled.status) == (200, 200, 200)
    paths = [
        call.removeprefix("GET ").removeprefix("POST ").removeprefix(AZURE_URL).split("?")[0] for call in clients.calls
    ]
    assert [[unquote(part) for part in path.split("/")[3:]] for path in paths] == [
        [job_id],
        [job_id, "assignments", f"{other}:close"],
        [f"{job_id}:cancel"],
    ]
    assert all(quote(job_id, safe="") in path for path in paths)
    record = await clients.gateway.ledger.get(cancelled.headers["jobgate-job-action"], None)
    assert record is not None
    assert record.requested.job_action.job_id == job_id


REFUSED = [
    "a%2Fb",
    "a%2fb:c d".replace(" ", "%20"),
    ".",
    "..",
    "%2e%2e",
    "%2E",
    "a%5Cb",
    "a%00",
    "a%0A",
    "a%7F",
    "%C3%28",
    "a%",
]
"""Ids as they come, percent-encoded."""


@pytest.mark.parametrize("written", REFUSED)
@pytest.mark.parametrize("operation", ["get", "cancel", "close", "assignment", "vonage"])
async def test_ids_that_cannot_be_are_refused(clients: VendorClients, operation: str, written: str) -> None:
    """An impossible id is refused with 400 in the vendor's own words, and no vendor is called."""
    if operation == "vonage":
        answer = await clients.vonage("POST", f"/interactions/jobs/{written}/cancel")
        said = answer.json["message"]
    else:
        path = {
            "get": f"/routing/jobs/{written}",
            "cancel": f"/routing/jobs/{written}:cancel",
            "close": f"/routing/jobs/{written}/assignments/a:close",
            "assignment": f"/routing/jobs/a/assignments/{written}:close",
        }[operation]
        answer = await clients.azure("GET" if operation == "get" else "POST", path)
        said = answer.json["error"]["message"]
        assert answer.json["error"]["code"] == answer.headers["x-ms-error-code"] == "BadRequest"
    assert answer.status == 400
    assert "path" in said
    assert clients.transport.requests == []


@pytest.mark.parametrize("job_id", ["7", VONAGE_JOB[:-1], f"{VONAGE_JOB}0", "g" + VONAGE_JOB[1:], "é" * 36])
async def test_ids_that_vonage_cannot_have(clients: VendorClients, job_id: str) -> None:
    """Vonage's ids are UUIDs, whatever the connection leads to."""
    for connection in ("vonage-emea", "contoso-prod"):
        path = f"/interactions/jobs/{quote(job_id)}/pause"
        answer = await clients.vonage("POST", path, connection=connection)
        assert (answer.status, answer.headers["content-type"]) == (400, "application/vnd.newvoicemedia.v1+json")
    assert clients.transport.requests == []


async def test_an_encoded_colon_is_not_the_one_before_a_verb(clients: VendorClients) -> None:
    """`a%3Acancel` is the id of another job, which is read and not cancelled."""
    assert (await clients.azure("POST", "/routing/jobs/a%3Acancel")).status == 405
    assert clients.transport.requests == []
    assert (await clients.azure("GET", "/routing/jobs/a%3Acancel")).status == 200
    assert (await clients.azure("GET", "/routing/jobs/a:cancel")).status == 405
    assert (await clients.azure("POST", "/routing/jobs/a:cancel")).status == 200
    assert (await clients.azure("POST", "/routing/jobs/%61%3a%63ancel:%63ancel")).status == 200
    assert [
        call.split("?")[0].removeprefix(f"GET {AZURE_URL}").removeprefix(f"POST {AZURE_URL}") for call in clients.calls
    ] == [
        "/routing/jobs/a%3Acancel",
        "/routing/jobs/a:cancel",
        "/routing/jobs/a%3Acancel:cancel",
    ]


async def test_vonage_hears_its_ids_in_lower_case(clients: VendorClients) -> None:
    """In whatever case they came: its ids are UUIDs, which RFC 9562 writes so."""
    for job_id in (VONAGE_JOB, VONAGE_JOB.upper()):
        assert (await clients.vonage("POST", f"/interactions/jobs/{job_id}/pause")).status == 204
    assert clients.calls == [f"POST {VONAGE_URL}/interactions/jobs/{VONAGE_JOB}/pause"] * 2
