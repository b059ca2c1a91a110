"""Forms that are the same: each row of the table in docs/equal-forms.md, in forms that users and vendors send."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from gateway.app import Catalogue, Gateway
from gateway.domain.errors import VendorTimedOut
from gateway.domain.model import HttpReply, HttpRequest
from gateway.domain.times import canonical_date_time
from gateway.domain.urls import origin_of
from gateway.ledger.memory import MemoryLedger
from gateway.specs.forms import form_of
from tests.native.fixtures import VendorClients, job_path
from tests.support.asgi import call
from tests.support.clock import FakeClock
from tests.support.scripted_gateway import ScriptedGateway, in_memory
from tests.support.transport import FakeTransport, reply
from tests.support.vendors import (
    API_KEY,
    AZURE_JOB,
    TARGETS,
    VONAGE_JOB,
    Target,
    obedient,
    settings,
    token,
    vonage_error,
    vonage_job,
    vonage_page,
)

PAGE = Path(__file__).parents[2] / "docs/equal-forms.md"
UPPER = VONAGE_JOB.upper()
MIXED = VONAGE_JOB[:18] + UPPER[18:]
PAUSE = next(each for each in TARGETS if each.action == "pause")
CANCEL = TARGETS[0]
KEY = "order-4711"
JOB = "/v1/connections/vonage-emea/jobs"
TESTED: dict[str, list[str]] = {}
"""The tests of each row."""

Test = Callable[..., Any]


def row(value: str) -> Callable[[Test], Test]:
    """Says of which row something is a test."""

    def note(test: Test) -> Test:
        TESTED.setdefault(value, []).append(test.__name__)
        return test

    return note


def test_every_row_is_tested() -> None:
    """The table has the rows that are tested, here or where the last of them says, and no others."""
    rows = re.findall(r"^\| ([^|]+) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    assert sorted(rows[2:]) == sorted([*TESTED, *ELSEWHERE])
    for names in ELSEWHERE.values():
        for name in names:
            file, _, test = name.partition("::")
            assert f"def {test}(" in (PAGE.parents[1] / "tests" / file).read_text("utf-8"), name


ELSEWHERE = {
    "HTTP date: `Retry-After`, `x-ms-date`": [
        "domain/test_numbers.py::test_an_http_date_has_three_forms",
        "engine/test_failures.py::test_retry_after_is_passed_on_where_it_makes_sense",
    ],
    "Address of the settings": ["engine/test_paging.py::test_the_endpoint_of_the_settings_may_have_any_form"],
    "Link to the next page": ["engine/test_paging.py::test_a_link_may_have_any_form_of_the_same_address"],
    "Whole number in JSON": [
        "engine/test_paging.py::test_a_count_of_pages_may_have_a_point",
        "engine/test_paging.py::test_a_whole_number_may_be_written_with_a_point",
    ],
    "Type of a token": ["security/test_client_credentials.py::test_the_type_of_a_token_is_the_same_in_any_case"],
    "Signed query at Azure's API": [
        "adapters/test_azure_job_router.py::test_the_query_may_be_signed_as_a_form_has_it",
        "native/test_javascript_client.py::test_it_lists_the_jobs_of_a_queue",
    ],
    "Claims of a token": ["security/test_openid.py::test_equal_forms_of_a_token_are_one"],
}
"""Rows that are tested beside the rest of their subject."""


@pytest.fixture
def clients(catalogue: Catalogue) -> VendorClients:
    """A gateway whose vendors are obedient; Vonage shows its job in capitals, as some systems write UUIDs."""

    def shows_capitals(request: HttpRequest) -> HttpReply:
        if "/interactions/jobs?" in request.url:
            return vonage_page([vonage_job("Running", UPPER)])
        return obedient(request)

    transport = FakeTransport(otherwise=shows_capitals)
    wired = Gateway(settings(), catalogue, clock=FakeClock(), transport=transport, ledger=MemoryLedger())
    return VendorClients(wired, transport)


async def unified(
    clients: VendorClients, method: str, path: str, headers: Iterable[tuple[str, str]] = (), body: Any = None
) -> Any:
    """Ask the unified API."""
    return await call(clients.gateway.application, method, path, body, headers)


UUIDS = row("Job id that its vendor's document calls a UUID")


@UUIDS
@pytest.mark.parametrize("written", [VONAGE_JOB, UPPER, MIXED])
async def test_a_uuid_names_one_job_on_every_surface(clients: VendorClients, written: str) -> None:
    """Read, acted on and sent to the vendor in lower case: by the unified API, Vonage's own, and from Azure's."""
    read = await unified(clients, "GET", f"{JOB}/{written}")
    crossed = await clients.azure("GET", job_path(written), connection="vonage-emea")
    assert (read.status, read.json["id"]) == (200, VONAGE_JOB)
    assert (crossed.status, crossed.json["id"]) == (200, VONAGE_JOB)
    acted = await unified(clients, "POST", f"{JOB}/{written}/pause")
    assert (acted.status, acted.json["jobId"]) == (200, VONAGE_JOB)
    assert (await clients.vonage("POST", f"/interactions/jobs/{written}/pause")).status == 204
    assert (await clients.azure("POST", job_path(written, ":cancel"), connection="vonage-emea")).status == 200
    sent = [each.split("/jobs/")[1] for each in clients.calls if each.startswith("POST")]
    assert sent == [f"{VONAGE_JOB}/pause", f"{VONAGE_JOB}/pause", f"{VONAGE_JOB}/cancel"]


@UUIDS
async def test_a_list_shows_the_one_form(clients: VendorClients) -> None:
    """Whatever the vendor writes; its own object, and what its own clients read, stays as it is."""
    listed = await unified(clients, "GET", f"{JOB}?include=vendor")
    assert [(each["id"], each["vendorObject"]["jobId"]) for each in listed.json["items"]] == [(VONAGE_JOB, UPPER)]
    own = await clients.vonage("GET", "/interactions/jobs")
    assert [each["jobId"] for each in own.json["jobs"]] == [UPPER]
    crossed = await clients.azure("GET", "/routing/jobs", connection="vonage-emea")
    assert [each["id"] for each in crossed.json["value"]] == [VONAGE_JOB]


@UUIDS
async def test_a_key_is_good_for_the_job_in_any_case(clients: VendorClients) -> None:
    """The same request with the id in another case is the same request: it is replayed, and nothing is sent again."""
    answers = [
        await unified(clients, "POST", f"{JOB}/{each}/pause", [("idempotency-key", KEY)]) for each in (UPPER, MIXED)
    ]
    assert [each.status for each in answers] == [200, 200]
    assert answers[1].headers["idempotent-replayed"] == "true"
    native = [("accept", "application/vnd.newvoicemedia.v1+json"), ("idempotency-key", "k2")]
    for each in (VONAGE_JOB, UPPER):
        assert (await clients.vonage("POST", f"/interactions/jobs/{each}/cancel", native)).status == 204
    named = [("x-ms-client-request-id", "one")]
    for each in (VONAGE_JOB, UPPER):
        path = job_path(each, ":cancel")
        assert (await clients.azure("POST", path, None, named, connection="vonage-emea")).status == 200
    assert len([each for each in clients.calls if each.startswith("POST")]) == 3


@UUIDS
@in_memory
async def test_a_refusal_is_explained_by_the_job_in_any_case(scripted: ScriptedGateway) -> None:
    """The job is found in the vendor's list, so the refusal says its status, and not that there is no such job."""
    scripted.answers(token(), vonage_error(409, "No."), vonage_page([vonage_job("Completed", UPPER)]))
    answer = await scripted.act(replaced(PAUSE, MIXED))
    assert (answer.status, answer.json["code"], answer.json["job"]["vendorStatus"]) == (409, "wrong-state", "Completed")


@UUIDS
@in_memory
async def test_a_lost_reply_settles_in_any_case(scripted: ScriptedGateway) -> None:
    """The job is read until it shows what came of the action, whichever case each side writes."""
    scripted.answers(token(), VendorTimedOut("silence"))
    answer = await scripted.act(replaced(PAUSE, UPPER))
    assert answer.status == 202
    (settled,) = await scripted.settle(60, vonage_page([vonage_job("Paused", MIXED)]))
    assert settled.outcome == "applied"


@UUIDS
@in_memory
async def test_earlier_actions_on_the_job_count_in_any_case(scripted: ScriptedGateway) -> None:
    """A pause that is known to have been carried out explains a paused job: the second one is not taken for done."""
    scripted.answers(token(), reply(204), VendorTimedOut("silence"))
    await scripted.act(replaced(PAUSE, UPPER))
    assert (await scripted.act(replaced(PAUSE, MIXED))).status == 202
    (record,) = await scripted.settle(60, vonage_page([vonage_job("Paused", MIXED)]))
    assert record.outcome == "unknown"


@UUIDS
async def test_records_are_found_by_an_id_in_any_case(clients: VendorClients) -> None:
    """With the connection and without; Azure's ids, which its document calls texts, are told apart by their case."""
    for name in (VONAGE_JOB, UPPER):
        await unified(clients, "POST", f"/v1/connections/contoso-prod/jobs/{name}/cancel")
        await unified(clients, "POST", f"{JOB}/{name}/pause")
    found: dict[str, list[tuple[str, str]]] = {}
    for query in (f"jobId={UPPER}", f"jobId={VONAGE_JOB}", f"jobId={UPPER}&limit=1"):
        found[query], path = [], f"/v1/job-actions?{query}"
        while path:
            answer = await unified(clients, "GET", path)
            found[query] += [(each["connection"], each["jobId"]) for each in answer.json["items"]]
            cursor = answer.json["nextCursor"]
            path = f"/v1/job-actions?{query}&cursor={cursor}" if cursor else ""
    at_vonage, at_azure = ("vonage-emea", VONAGE_JOB), "contoso-prod"
    assert found[f"jobId={UPPER}"] == [at_vonage, (at_azure, UPPER), at_vonage, (at_azure, VONAGE_JOB)]
    assert found[f"jobId={UPPER}&limit=1"] == found[f"jobId={UPPER}"]
    assert found[f"jobId={VONAGE_JOB}"] == [at_vonage, at_vonage, (at_azure, VONAGE_JOB)]
    own = await unified(clients, "GET", f"/v1/job-actions?jobId={UPPER}&connection=contoso-prod")
    assert [each["jobId"] for each in own.json["items"]] == [UPPER]


@pytest.mark.parametrize(
    ("schema", "is_uuid"),
    [
        ({"type": "string", "format": "uuid"}, True),
        ({"type": "string", "pattern": "^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$"}, True),
        ({"type": "string", "pattern": "^[^/]+$"}, False),
        ({"type": "string", "pattern": "^[0-9a-fA-F-]+$"}, False),
        ({"type": "string", "pattern": "("}, False),
        ({"type": "string"}, False),
        ({}, False),
    ],
)
def test_the_document_says_what_is_a_uuid(schema: dict[str, Any], is_uuid: bool) -> None:
    """A document declares a UUID by its format or by a pattern that accepts nothing else."""
    form = form_of(schema)
    assert (form is not None and form(UPPER) == VONAGE_JOB) is is_uuid
    assert form is None or form("ABC") == "ABC"


@row("Id of a job action")
async def test_the_id_of_a_job_action_has_no_case(clients: VendorClients) -> None:
    """The id of a job action is a UUID, so its case does not matter."""
    made = await unified(clients, "POST", f"{JOB}/{VONAGE_JOB}/pause")
    read = await unified(clients, "GET", f"/v1/job-actions/{made.json['id'].upper()}")
    assert (read.status, read.json["id"]) == (200, made.json["id"])


TIMES = row("Time in a parameter or filter, such as `closeAt` and `since`")


@TIMES
@pytest.mark.parametrize("surface", ["unified", "azure"])
async def test_a_time_is_the_same_in_any_form(clients: VendorClients, surface: str) -> None:
    """A key is good for all of them, and the vendor gets the one form."""
    forms = ["2030-01-05T10:00:00.5Z", "2030-01-05t10:00:00.500z", "2030-01-05T15:30:00.50+05:30"]
    for each in forms:
        headers, body = [("idempotency-key", KEY)], {"closeAt": each, "assignmentId": "a"}
        path = f"/v1/connections/contoso-prod/jobs/{AZURE_JOB}/close"
        if surface == "azure":
            native = job_path(AZURE_JOB, "/assignments/a:close")
            answer = await clients.azure("POST", native, {"closeAt": each}, headers)
        else:
            answer = await unified(clients, "POST", path, headers, body)
        assert answer.status == 200, answer.body
    (sent,) = [each for each in clients.transport.requests if each.method == "POST"]
    assert sent.content == b'{"closeAt":"2030-01-05T10:00:00.5Z"}'


@TIMES
@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("2026-01-05t08:00:00z", "2026-01-05T08:00:00Z"),
        ("2026-01-05T08:00:00.1800931+00:00", "2026-01-05T08:00:00.1800931Z"),
        ("2026-01-05T08:00:00.000-00:30", "2026-01-05T08:30:00Z"),
        ("2017-01-01T00:59:60.50+01:00", "2016-12-31T23:59:60.5Z"),
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00+14:00"),
        ("9999-12-31T23:59:59-01:00", "9999-12-31T23:59:59-01:00"),
        ("soon", "soon"),
    ],
)
def test_the_form_of_a_time(text: str, canonical: str) -> None:
    """UTC, whatever fraction it has; a time that Python cannot count in UTC, or that is none, stays as it is."""
    assert canonical_date_time(text) == canonical
    assert canonical_date_time(canonical) == canonical


@row("Address that a connection, or an issuer's document, names")
@pytest.mark.parametrize(
    "url", ["HTTPS://Keys.Example:443/x", "https://keys.example", "https://keys.example.:/?q", "https://KEYS.example#x"]
)
def test_an_origin_is_the_same_in_any_form(url: str) -> None:
    """So an issuer may name the default port of its keys, and a vendor that of its links."""
    assert origin_of(url) == "https://keys.example"
    for other in ("https://keys.example:444", "http://keys.example", "https://keys.example.evil.test"):
        assert origin_of(other) != "https://keys.example"
    with pytest.raises(ValueError, match="no user"):
        origin_of("https://keys.example@evil.test/")


@row("Path of a request")
async def test_a_path_is_the_same_in_any_encoding(clients: VendorClients) -> None:
    """Characters that need no percent-encoding may have it, in digits of any case."""
    for written in ("a~b:c", "%61%7eb%3ac", "%61%7Eb%3Ac"):
        read = await unified(clients, "GET", f"/%76%31/connections/contoso-%70rod/jobs/{written}")
        assert read.status == 200
    assert {each.split("?")[0].rpartition("/")[2] for each in clients.calls} == {"a~b%3Ac"}


MEDIA = row("Media type: `Content-Type`, `Accept`")


@MEDIA
@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "Application/JSON",
        'application/json;charset="utf-8"',
        "application/json ; Charset=UTF-8",
        'application/json; charset="utf\\-8"',
        "application/json;",
    ],
)
async def test_a_media_type_is_the_same_in_any_form(clients: VendorClients, kind: str) -> None:
    """Case, blanks and quotes do not change a media type."""
    path = f"/v1/connections/contoso-prod/jobs/{AZURE_JOB}/cancel"
    assert (await unified(clients, "POST", path, [("content-type", kind)], b'{"note": "x"}')).status == 200


@MEDIA
@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/vnd.newvoicemedia.v1+json", 200),
        ("Application/vnd.NewVoiceMedia.v1+JSON", 200),
        (" application/vnd.newvoicemedia.v1+json;q=1.0 ", 200),
        ("application/vnd.newvoicemedia.v2+json", 400),
        ("application/vnd.newvoicemedia.v1+json;q=0.5", 400),
        ("application/json", 400),
    ],
)
async def test_vonages_version_is_a_media_type(clients: VendorClients, accept: str, status: int) -> None:
    """Its name of a version is the same in any case, and another version is another."""
    assert (await clients.vonage("GET", "/interactions/jobs", [("accept", accept)])).status == status


@row("Authentication scheme: `Bearer`, `Basic`, `HMAC-SHA256`")
@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER   "])
async def test_a_scheme_has_no_case(clients: VendorClients, scheme: str) -> None:
    """On the unified API and on the vendors' own; Basic and HMAC have tests beside theirs."""
    headers = [("authorization", scheme + API_KEY)]
    application = clients.gateway.application
    assert (await call(application, "GET", "/v1/connections", None, headers, key=None)).status == 200
    assert (await clients.azure("GET", job_path(AZURE_JOB), None, headers, key=None)).status == 200


@row("`Idempotency-Key`")
async def test_a_key_may_stand_in_quotes(clients: VendorClients) -> None:
    """The string of RFC 8941, and the same characters without quotes."""
    answers = [
        await unified(clients, "POST", f"{JOB}/{VONAGE_JOB}/pause", [("idempotency-key", each)])
        for each in ("a-b", '"a-b"', ' "a-b" ', r'"a\\b"', r"a\b")
    ]
    assert [each.status for each in answers] == [200] * 5
    assert [each.json["idempotencyKey"] for each in answers] == ["a-b"] * 3 + [r"a\b"] * 2
    assert len({each.json["id"] for each in answers}) == 2


@row("`Prefer`")
@pytest.mark.parametrize(
    ("prefer", "applied"),
    [
        ("handling=strict", "handling=strict"),
        ("Handling = Strict", "handling=strict"),
        ('handling="strict"; x=1', "handling=strict"),
        ("respond-async, wait=5,handling=strict", "handling=strict, wait=5"),
        ('wait="5"', "wait=5"),
        ("wait=5, wait=9", "wait=5"),
        ("wait=99999999999999999999", "wait=60"),
        (f"wait={'9' * 200}", "wait=60"),
        ('x="a, handling=strict", wait=5', "wait=5"),
        ('x="a\\", handling=strict"', None),
        ('"', None),
        (",, ,", None),
        ("wait=-1", None),
        ("wait=1e3", None),
    ],
)
async def test_preferences_are_read_as_the_standard_has_them(
    clients: VendorClients, prefer: str, applied: str | None
) -> None:
    """Case, blanks and quotes do not matter; what stands in quotes is no preference; the first of a name counts."""
    answer = await unified(clients, "POST", f"{JOB}/{VONAGE_JOB}/pause", [("prefer", prefer)])
    assert (answer.status, answer.headers.get("preference-applied")) == (200, applied)


@row("Header field")
async def test_a_field_is_the_same_in_parts(clients: VendorClients) -> None:
    """Several fields of one name are one list, and blanks around a value do not count."""
    headers = [("prefer", "handling=strict "), ("prefer", "\twait=5")]
    answer = await unified(clients, "POST", f"{JOB}/{VONAGE_JOB}/pause", headers)
    assert answer.headers["preference-applied"] == "handling=strict, wait=5"


def replaced(target: Target, job_id: str) -> Target:
    """A target whose job is named otherwise."""
    return Target(**{**{name: getattr(target, name) for name in target.__dataclass_fields__}, "job_id": job_id})
