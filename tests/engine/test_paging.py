"""Lists of jobs: both ways of paging, and cursors that are valid only for the list that gave them."""

from __future__ import annotations

import dataclasses
import json
from base64 import urlsafe_b64encode
from contextlib import nullcontext
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.domain.errors import JobgateError, UnknownCursor
from gateway.domain.model import HttpReply, HttpRequest, Job, Page
from gateway.engine.jobs import MOST_PASSED_OVER
from gateway.engine.paging import page_at
from gateway.settings.settings import ClientCredentialsAuthentication
from gateway.specs.lens import Lens
from tests.support.scripted_engine import MakeEngine, ScriptedEngine
from tests.support.transport import Line, reply
from tests.support.vendors import (
    AZURE,
    VONAGE,
    azure_connection,
    azure_error,
    azure_job,
    token,
    vonage_job,
    vonage_page,
)

LIST = f"{AZURE}/routing/jobs"
VERSION = "api-version=2023-11-01"
OTHER = "0b7c51f0-9d6e-4c52-8d53-5d2f3c1a7e01"


def azure_page(*jobs: Any, link: Any = None) -> Line:
    """A page of Azure's list."""
    return reply(200, {"value": list(jobs)} | ({} if link is None else {"nextLink": link}))


async def page(
    made: ScriptedEngine,
    name: str = "contoso-prod",
    cursor: str | None = None,
    *,
    limit: int = 50,
    status: str | None = None,
) -> Page[Job]:
    """A page of a connection's jobs."""
    return await made.jobs.page(made.connection(name), limit, cursor, status, made.calls.context())


async def refusal(made: ScriptedEngine, name: str = "contoso-prod", cursor: str | None = None) -> JobgateError:
    """The error with which reading a page fails."""
    with pytest.raises(JobgateError) as caught:
        await page(made, name, cursor)
    return caught.value


async def test_azure_is_followed_from_link_to_link(make_engine: MakeEngine) -> None:
    """The vendor's link is followed as it is, the tokens that only the vendor understands included, to its end."""
    link = f"{LIST}?{VERSION}&maxpagesize=2&continuationToken=a%2Bb%3D%26c&x=%C3%A9"
    made = make_engine(
        azure_page(azure_job("queued", "1"), azure_job("assigned", "2"), link=link),
        azure_page(azure_job("closed", "3")),
    )
    first = await page(made, limit=2)
    second = await page(made, cursor=first.next_cursor, limit=2)
    assert [job.id for job in (*first.items, *second.items)] == ["1", "2", "3"]
    assert second.next_cursor is None
    assert [request.url for request in made.sent] == [f"{LIST}?{VERSION}&maxpagesize=2", link]
    assert all(request.headers["Authorization"].startswith("HMAC") for request in made.sent)


async def test_vonage_is_followed_from_page_to_page(make_engine: MakeEngine) -> None:
    """Pages are numbered, their size goes out under both of the names that the documents give it."""
    made = make_engine(token(), *[vonage_page([vonage_job("Running")], number, 3) for number in (1, 2, 3)])
    cursor, seen = None, 0
    for _ in range(3):
        found = await page(made, "vonage-emea", cursor, limit=7)
        cursor, seen = found.next_cursor, seen + len(found.items)
    assert (cursor, seen) == (None, 3)
    assert [request.url for request in made.sent] == [
        f"{VONAGE}/interactions/jobs?limit=7&size=7&page={number}" for number in (1, 2, 3)
    ]


@pytest.mark.parametrize("link", ["", None])
async def test_a_link_that_is_empty_is_the_end(make_engine: MakeEngine, link: Any) -> None:
    """A missing link, an empty one and null all mean the last page."""
    assert (await page(make_engine(reply(200, {"value": [], "nextLink": link})))).next_cursor is None


@pytest.mark.parametrize(
    "link",
    [
        f"https://evil.test/routing/jobs?{VERSION}",
        f"http://contoso.westus.communications.azure.com/routing/jobs?{VERSION}",
        f"{AZURE}:444/routing/jobs?{VERSION}",
        f"{AZURE}@evil.test/routing/jobs?{VERSION}",
        f"{AZURE}.evil.test/routing/jobs?{VERSION}",
        f"{AZURE}/routing/workers?{VERSION}",
        f"{AZURE}/routing/jobs/../workers?{VERSION}",
        f"//evil.test/routing/jobs?{VERSION}",
        f"https://user@{AZURE[8:]}/routing/jobs?{VERSION}",
        f"{AZURE}//evil.test/routing/jobs?{VERSION}",
        f"{AZURE}/routing/jobs/?{VERSION}",
        f"{AZURE}/routing%2Fjobs?{VERSION}",
        f"{LIST}?{VERSION}&{VERSION}",
        f"?{VERSION}&maxpagesize=1&maxpagesize=2",
        "http://[",
        "nonsense",
        5,
        ["x"],
        f"{LIST}?continuationToken=x",
        f"{LIST}?{VERSION}&maxpagesize=5000",
        f"{LIST}?{VERSION}&continuationToken={'x' * 9_000}",
        f"{LIST}?{VERSION}&unknown={'x' * 9_000}",
    ],
)
async def test_a_link_that_leads_elsewhere_is_not_followed(make_engine: MakeEngine, link: Any) -> None:
    """Only a link to the same list, that the vendor's document allows and that fits a cursor, becomes one."""
    made = make_engine(azure_page(link=link))
    problem = await refusal(made)
    assert (problem.code, problem.status) == ("vendor-reply-not-understood", 502)
    assert len(made.sent) == 1


HOST = AZURE.removeprefix("https://")
FORMS = [
    f"HTTPS://{HOST.upper()}/routing/jobs",
    f"{AZURE}:443/routing/jobs",
    f"{AZURE}:/routing/jobs",
    f"{AZURE}./routing/jobs",
    f"{AZURE}/%72outing/./x/../jobs",
    f"//{HOST}/routing/jobs",
    "/routing/jobs",
    "jobs",
    "./jobs",
    "",
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("token", ["a+b/c==", "a%2Bb%2fc%3D", "a:b@c!$'()*,;", "%7Ex~", "%C3%A9"])
async def test_a_link_may_have_any_form_of_the_same_address(make_engine: MakeEngine, form: str, token: str) -> None:
    """The link is resolved against the request (RFC 3986, 5), and its query goes out byte for byte."""
    query = f"{VERSION}&continuationToken={token}&x"
    made = make_engine(azure_page(azure_job("queued", "1"), link=f"{form}?{query}#part"), azure_page())
    await page(made, cursor=(await page(made)).next_cursor)
    assert made.sent[1].url == f"{LIST}?{query}"


async def test_what_no_query_has_is_encoded(make_engine: MakeEngine) -> None:
    """A vendor that does not encode a blank or a letter of another alphabet is understood all the same."""
    made = make_engine(azure_page(azure_job("queued", "1"), link=f'{LIST}?{VERSION}&x=a b"é'), azure_page())
    await page(made, cursor=(await page(made)).next_cursor)
    assert made.sent[1].url == f"{LIST}?{VERSION}&x=a%20b%22%C3%A9"


async def test_the_endpoint_of_the_settings_may_have_any_form() -> None:
    """Case, default port, dots and the slash at its end make no other address; a token address keeps path and query."""
    for written in (
        "HTTPS://Contoso.Example:443/a/",
        "https://contoso.example./x/../%61",
        "https://contoso.example:/a",
    ):
        assert azure_connection(written).endpoint == "https://contoso.example/a"
    flow = {"kind": "client-credentials", "scheme": "oauth", "client_id": "x", "client_secret": "y"}
    read = ClientCredentialsAuthentication(**flow, token_url="HTTPS://Login.Example:443/token/?tenant=A%2fB")
    assert read.token_url == "https://login.example/token/?tenant=A%2fB"
    for unfit in ("https://user@contoso.example", "https://contoso.example?x", "https://contoso.example#x", "ftp://x"):
        with pytest.raises(ValidationError):
            azure_connection(unfit)


async def test_a_count_of_pages_may_have_a_point(make_engine: MakeEngine) -> None:
    """2.0 is the integer 2; a count beyond all measure is no error."""
    for last, ends in ((1.0, True), (2.0, False), (10**400, False), ("x", True)):
        body = {"jobs": [vonage_job("Running")], "paging": {"page": 1, "count": last}}
        found = await page(make_engine(token(), reply(200, body)), "vonage-emea")
        assert (found.next_cursor is None) is ends


def forged(value: Any) -> str:
    """A cursor that nobody gave."""
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(content).decode().rstrip("=")


QUERY = {"api-version": "2023-11-01"}
FORGED = [
    "A",
    "AA",
    "____",
    "-" * 8_192,
    *map(
        forged,
        [
            b"",
            b"\xff\xfe",
            b"[" * 5_000,
            b"9" * 5_000,
            b'["contoso-prod", {"api-version": "2023-11-01", "x": NaN}]',
            b'["contoso-prod", {"api-version": "2023-11-01", "x": 1e999}]',
            None,
            7,
            "text",
            [],
            {},
            QUERY,
            ["contoso-prod"],
            ["contoso-prod", None],
            ["contoso-prod", "xy"],
            ["contoso-prod", [["api-version", "2023-11-01"]]],
            ["contoso-prod", {}],
            ["contoso-prod", f"{VERSION}&x=\r\nHost: evil"],
            ["contoso-prod", f"{VERSION}&x= y"],
            ["contoso-prod", f"{VERSION}#"],
            ["contoso-prod", f"{VERSION}&api-version=2000-01-01"],
            ["contoso-prod", f"{VERSION}&maxpagesize=0"],
            ["contoso-test", VERSION],
            ["contoso-prod", QUERY, 1],
            ["contoso-prod", QUERY],
            ["contoso-prod", {"page.limit": 5}],
            ["contoso-prod", {"page.cursor": "x"}],
            ["contoso-test", QUERY],
            [None, QUERY],
            [["contoso-prod"], QUERY],
        ],
    ),
]


@pytest.mark.parametrize("cursor", FORGED)
async def test_a_cursor_that_nobody_gave_is_refused(make_engine: MakeEngine, cursor: str) -> None:
    """Whatever is sent as a cursor, it is refused as one, by its place, and the vendor is not asked."""
    made = make_engine()
    problem = await refusal(made, cursor=cursor)
    assert (problem.code, problem.status) == ("unknown-cursor", 422)
    assert [error.pointer for error in problem.explanation.errors] == ["/query/cursor"]
    assert made.transport.requests == []


@pytest.mark.parametrize(
    "query",
    [
        {"page": 2},
        {"page.number": 2, "x": "1"},
        {"page.number": 2, "job.id": "1"},
        {"page.number": 2, "job.vendorStatus": "Running"},
        {"page.number": 2, "page.cursor": "x"},
        {"page.number": 2, "window.start": "2026-01-05T10:00:00Z"},
        {"page.number": 0},
        {"page.number": "2"},
        {"page.number": 1.5},
        {"page.number": [2]},
        {"page.number": {"x": 2}},
        {"page.number": None, "page.limit": {}},
        {"page.limit": 1_001},
        {"page.number": True},
        {},
        "page=2",
    ],
)
async def test_a_numbered_list_takes_only_its_own_values(make_engine: MakeEngine, query: Any) -> None:
    """A forged cursor cannot put other values into the request to a vendor that gives no links."""
    assert (await refusal(make_engine(), "vonage-emea", forged(["vonage-emea", query]))).code == "unknown-cursor"


@pytest.mark.parametrize(("queue", "is_refused"), [("north", False), ("south", True)])
def test_a_cursor_cannot_change_a_constant(make_engine: MakeEngine, queue: str, is_refused: bool) -> None:
    """A constant of the vendor's document holds for a forged cursor too: it leads to no other account's jobs."""
    connection = make_engine().connection("contoso-prod")
    read = connection.vendor.specification.list_read
    assert read is not None
    constant = Lens.compile({"query.queueId": {"const": "north"}})
    read = dataclasses.replace(read, lens=Lens((*read.lens.rules, *constant.rules)))
    cursor = forged(["contoso-prod", f"{VERSION}&queueId={queue}"])
    with pytest.raises(UnknownCursor) if is_refused else nullcontext():
        assert page_at(connection, read, read.encode({}), cursor).query["queueId"] == "north"


async def test_a_whole_number_may_be_written_with_a_point(make_engine: MakeEngine) -> None:
    """2.0 is the integer 2 in JSON Schema; a cursor that says so is no error of ours."""
    made = make_engine(token(), vonage_page([vonage_job("Running")], 2, 9))
    found = await page(made, "vonage-emea", forged(["vonage-emea", {"page.number": 2.0, "page.limit": 5.0}]))
    assert found.next_cursor is not None


@pytest.mark.parametrize(
    ("giver", "taker"),
    [("contoso-prod", "contoso-test"), ("contoso-prod", "vonage-emea"), ("vonage-emea", "contoso-prod")],
)
async def test_a_cursor_of_another_connection_is_refused(make_engine: MakeEngine, giver: str, taker: str) -> None:
    """A cursor is good for the connection that gave it, also where the other one is of the same vendor."""
    azures = azure_page(azure_job("queued", "1"), link=f"{LIST}?{VERSION}&x=1")
    made = make_engine(
        *([azures] if giver == "contoso-prod" else [token(), vonage_page([vonage_job("Running")], 1, 2)])
    )
    cursor = (await page(made, giver)).next_cursor
    assert cursor is not None
    assert (await refusal(made, taker, cursor)).code == "unknown-cursor"


@pytest.mark.parametrize(
    ("status", "asked"),
    [
        ("queued", "&status=queued"),
        ("running", "&status=assigned"),
        ("closed", "&status=closed"),
        ("pending", ""),
        ("failed", ""),
        ("unknown", ""),
    ],
)
async def test_a_filter_that_the_vendor_knows_is_left_to_it(make_engine: MakeEngine, status: str, asked: str) -> None:
    """The vendor filters where it has exactly one word for the status, and the gateway in every case."""
    made = make_engine(
        azure_page(
            azure_job("queued", "1"),
            azure_job("assigned", "2"),
            azure_job("created", "3"),
            azure_job("closed", "4"),
            azure_job("hibernating", "5"),
        )
    )
    found = await page(made, status=status)
    assert made.sent[0].url == f"{LIST}?{VERSION}&maxpagesize=50{asked}"
    assert {job.status.status for job in found.items} <= {status}
    assert len(found.items) == (0 if status == "failed" else 1)


async def test_vonage_has_no_filter(make_engine: MakeEngine) -> None:
    """Vonage cannot filter, so the gateway does; the next page is still there."""
    made = make_engine(token(), vonage_page([vonage_job("Running"), vonage_job("Paused", OTHER)], 1, 2))
    found = await page(made, "vonage-emea", status="paused")
    assert [job.id for job in found.items] == [OTHER]
    assert found.next_cursor is not None
    assert "status" not in made.sent[0].url


async def test_pages_without_what_is_asked_for_are_passed_over(make_engine: MakeEngine) -> None:
    """The gateway reads on to the first page that has some, and the cursor leads to the page after that one."""
    running, paused = vonage_job("Running"), vonage_job("Paused", OTHER)
    pages = [[running], [running], [], [running, paused], [paused]]
    made = make_engine(token(), *(vonage_page(jobs, number, 5) for number, jobs in enumerate(pages, 1)))
    found = await page(made, "vonage-emea", status="paused")
    assert [job.id for job in found.items] == [OTHER]
    last = await page(made, "vonage-emea", found.next_cursor, status="paused")
    assert ([job.id for job in last.items], last.next_cursor) == ([OTHER], None)
    assert [request.url.rpartition("=")[2] for request in made.sent] == list("12345")


async def test_a_list_without_any_ends(make_engine: MakeEngine) -> None:
    """An empty page that follows from reading to the end is the last."""
    made = make_engine(token(), *(vonage_page([vonage_job("Running")], number, 3) for number in (1, 2, 3)))
    found = await page(made, "vonage-emea", status="paused")
    assert (found.items, found.next_cursor, len(made.sent)) == ((), None, 3)


async def test_empty_pages_with_a_link_are_passed_over_too(make_engine: MakeEngine) -> None:
    """Azure's service may send some, whether or not anything is asked for."""
    links = [f"{LIST}?{VERSION}&x={number}" for number in range(3)]
    made = make_engine(*(azure_page(link=link) for link in links), azure_page(azure_job("queued", "1")))
    assert [job.id for job in (await page(made)).items] == ["1"]


async def test_no_more_pages_are_passed_over_than_so_many(make_engine: MakeEngine) -> None:
    """Then the page is empty, and its cursor leads on from there."""
    made = make_engine(token(), *(vonage_page([vonage_job("Running")], number, 99) for number in range(1, 99)))
    found = await page(made, "vonage-emea", status="paused")
    assert (found.items, len(made.sent)) == ((), MOST_PASSED_OVER + 1)
    await page(made, "vonage-emea", found.next_cursor, status="paused")
    assert made.sent[MOST_PASSED_OVER + 1].url.endswith(f"page={MOST_PASSED_OVER + 2}")


async def test_nor_for_longer_than_half_of_the_time(make_engine: MakeEngine) -> None:
    """A slow vendor gives an empty page and a cursor that leads on, rather than nothing at all."""
    made = make_engine(token())

    def slow(number: int) -> Line:
        def answer(_: HttpRequest) -> HttpReply:
            made.clock.advance(made.calls.seconds / 4.5)
            return vonage_page([vonage_job("Running")], number, 99)

        return answer

    made.transport.script += map(slow, range(1, 99))
    found = await page(made, "vonage-emea", status="paused")
    assert (found.items, len(made.sent)) == ((), 3)
    assert found.next_cursor is not None


@pytest.mark.parametrize("limit", [1, 200, 1_000, 5_000])
async def test_no_more_is_asked_for_than_the_vendor_gives(make_engine: MakeEngine, limit: int) -> None:
    """The page size is the caller's, up to the vendor's largest."""
    made = make_engine(azure_page())
    await page(made, limit=limit)
    assert f"maxpagesize={min(limit, 1_000)}" in made.sent[0].url


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"value": None},
        {"value": {}},
        {"value": "text"},
        {"value": [1]},
        {"value": [azure_job("queued"), "x"]},
        {"value": [{"id": "1"}]},
        {"value": [azure_job("queued")] * 1_001},
        [],
        b"<html>",
    ],
)
async def test_a_list_that_is_none_is_not_understood(make_engine: MakeEngine, body: Any) -> None:
    """No list, too long a list, or one that holds something else than jobs: the vendor is to blame."""
    assert (await refusal(make_engine(reply(200, body)))).code == "vendor-reply-not-understood"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (azure_error(404, "NotFound"), "vendor-refused"),
        (azure_error(400, "BadRequest"), "vendor-refused"),
        (reply(500), "vendor-error"),
    ],
)
async def test_a_list_that_is_refused(make_engine: MakeEngine, answer: Line, code: str) -> None:
    """A 404 for a list is no unknown job: nobody asked for one."""
    assert (await refusal(make_engine(answer))).code == code
