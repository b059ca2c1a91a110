"""`GET /v1/jobs` and `GET /v1/jobs/count`: the jobs of several connections, and what could not be read."""

from __future__ import annotations

from functools import partial
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr

from gateway.app import Catalogue
from gateway.domain.errors import VendorTimedOut
from gateway.domain.ports import Ledger
from gateway.settings.settings import CallerSettings
from tests.support.asgi import call
from tests.support.clock import FakeClock
from tests.support.problems import Problems
from tests.support.scripted_gateway import ScriptedGateway, in_memory
from tests.support.transport import reply
from tests.support.vendors import azure_job, settings, token, vonage_job, vonage_page

pytestmark = in_memory
AZURE_PAGE = reply(200, {"value": [azure_job("queued", "a", queueId="support", channelId="chat")]})
VONAGE_PAGE = vonage_page([vonage_job("Running", "b"), vonage_job("Odd", "c")])
TWO = "connection=contoso-prod&connection=vonage-emea"


async def test_jobs_of_several_connections(scripted: ScriptedGateway) -> None:
    """The jobs of all connections that are named, each with its queue and type."""
    scripted.answers(AZURE_PAGE, token(), VONAGE_PAGE)
    answer = await scripted.get(f"/v1/jobs?{TWO}")
    assert answer.status == 200, answer.body
    shown = [(job["connection"], job["id"], job.get("queue"), job.get("type")) for job in answer.json["items"]]
    assert shown == [
        ("contoso-prod", "a", "support", "chat"),
        ("vonage-emea", "b", None, "export-batch"),
        ("vonage-emea", "c", None, "export-batch"),
    ]
    assert (answer.json["nextCursor"], answer.json["incomplete"]) == (None, [])


async def test_a_list_is_followed_by_its_link(scripted: ScriptedGateway) -> None:
    """The Link of a page repeats the whole filter, with its repeated names, and leads through all connections."""
    scripted.answers(AZURE_PAGE)
    first = await scripted.get(f"/v1/jobs?{TWO}&status=queued&status=running&limit=1")
    link = first.headers["link"].partition(">")[0][1:]
    assert parse_qs(urlsplit(link).query)["status"] == ["queued", "running"]
    scripted.answers(reply(200, {"value": []}), token(), VONAGE_PAGE)
    second = await scripted.get(link)
    assert [job["id"] for job in second.json["items"]] == ["b"]
    assert second.headers["jobgate-left-out"] == "1"


async def test_what_could_not_be_read_is_named(scripted: ScriptedGateway) -> None:
    """The jobs of the other connections are there, and the one that could not be read, with the problem."""
    scripted.answers(VendorTimedOut("Too slow."), token(), VONAGE_PAGE)
    answer = await scripted.get(f"/v1/jobs?{TWO}")
    assert answer.status == 200
    assert {job["connection"] for job in answer.json["items"]} == {"vonage-emea"}
    assert answer.json["incomplete"] == [
        {"connection": "contoso-prod", "problem": "vendor-timed-out", "detail": "Too slow."}
    ]


async def test_jobs_are_counted(scripted: ScriptedGateway) -> None:
    """The count has numbers by connection and status, and says if it is the whole."""
    scripted.answers(token(), VONAGE_PAGE)
    answer = await scripted.get("/v1/jobs/count?connection=vonage-emea")
    assert answer.json == {
        "count": 2,
        "isComplete": True,
        "leftOut": 0,
        "connections": [
            {"connection": "vonage-emea", "count": 2, "statuses": {"running": 1, "unknown": 1}, "leftOut": 0}
        ],
        "incomplete": [],
    }
    scripted.answers(VONAGE_PAGE)
    left = await scripted.get("/v1/jobs/count?connection=vonage-emea&status=running")
    assert (left.json["count"], left.json["leftOut"], left.json["isComplete"]) == (1, 1, False)
    scripted.answers(VendorTimedOut("Too slow."))
    failed = await scripted.get("/v1/jobs/count?connection=contoso-prod")
    assert (failed.json["count"], failed.json["isComplete"]) == (0, False)
    assert [each["problem"] for each in failed.json["incomplete"]] == ["vendor-timed-out"]


async def test_old_jobs(scripted: ScriptedGateway) -> None:
    """Only jobs of at least the age that is asked for."""
    at = [azure_job("queued", name, enqueuedAt=f"2026-01-05T{name}:00Z") for name in ("08:59", "09:00", "09:01")]
    scripted.answers(reply(200, {"value": at}))
    answer = await scripted.get("/v1/jobs?connection=contoso-prod&olderThan=PT1H")
    assert [job["id"] for job in answer.json["items"]] == ["08:59", "09:00"]


async def test_only_the_callers_connections(catalogue: Catalogue, ledger: Ledger, clock: FakeClock) -> None:
    """A caller finds jobs of its own connections; another one's looks like one that does not exist."""
    scopes = ("jobs:read", "connections:vonage-*")
    callers = {"desk": CallerSettings(key=SecretStr("desk-key"), scopes=scopes)}
    scripted = ScriptedGateway(catalogue, ledger, clock, settings(callers=callers))
    desk = partial(call, scripted.gateway.application, "GET", key="desk-key")
    scripted.answers(token(), VONAGE_PAGE, VONAGE_PAGE)
    found = await desk("/v1/jobs")
    assert {job["connection"] for job in found.json["items"]} == {"vonage-emea"}
    counted = await desk("/v1/jobs/count")
    assert [each["connection"] for each in counted.json["connections"]] == ["vonage-emea"]
    for path in ("/v1/jobs", "/v1/jobs/count"):
        for name in ("contoso-prod", "nowhere"):
            refused = await desk(f"{path}?{TWO.replace('contoso-prod', name)}")
            assert (refused.status, refused.json["code"]) == (404, "unknown-connection")


@pytest.mark.parametrize(
    "query",
    [
        "connection/0=No%20Name",
        "status/0=done",
        "olderThan=1h",
        "olderThan=P",
        "olderThan=PT",
        "olderThan=P1M",
        "queue=",
        "type=",
        "cursor=%20",
        "limit=0",
    ],
)
async def test_filters_that_are_none(scripted: ScriptedGateway, problems: Problems, query: str) -> None:
    """A condition that cannot be one is refused, by its name."""
    answer = await scripted.get(f"/v1/jobs?{query.replace('/0', '')}")
    problem = problems.check(answer, answer.headers)
    assert problem["code"] == "malformed-request"
    assert {each["pointer"] for each in problem["errors"]} == {f"/query/{query.partition('=')[0]}"}
