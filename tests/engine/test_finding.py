"""Finding jobs of several connections: what the vendors are asked, what is left out, and how a search goes on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from gateway.domain.encoding import dump, encode_cursor
from gateway.domain.errors import UnknownConnection, UnknownCursor, VendorTimedOut
from gateway.domain.finding import JobFilter
from gateway.domain.model import HttpReply, HttpRequest
from gateway.domain.vocabulary import LONGEST_CURSOR
from gateway.engine.finding import Finder, Found, FoundPage, cursor_at, position_in
from tests.support.scripted_engine import MakeEngine, ScriptedEngine
from tests.support.transport import Line, reply
from tests.support.vendors import AZURE, VONAGE, azure_job, token, vonage_job, vonage_page

LIST = f"{AZURE}/routing/jobs?api-version=2023-11-01"
BOTH = ("contoso-prod", "vonage-emea")


def azure_page(*jobs: Any, link: str | None = None) -> Line:
    """A page of Azure's list."""
    return reply(200, {"value": list(jobs)} | ({} if link is None else {"nextLink": link}))


def finder(made: ScriptedEngine) -> Finder:
    """The finder of an engine."""
    return Finder(made.jobs, made.gateway.directory)


async def every(made: ScriptedEngine, wanted: JobFilter) -> list[Found]:
    """All that is found."""
    return [found async for found in finder(made).found(wanted, made.calls.context, limit=100)]


async def page(made: ScriptedEngine, wanted: JobFilter, cursor: str | None = None, limit: int = 50) -> FoundPage:
    """A page of what is found."""
    return await finder(made).page(wanted, made.calls.context(), cursor, limit)


def ids(found: FoundPage) -> list[str]:
    """The ids of the jobs of a page."""
    return [job.id for job in found.jobs]


def asked(made: ScriptedEngine) -> list[str]:
    """The URLs that the vendors were asked for."""
    return [request.url for request in made.sent]


async def test_lists_are_walked_in_turn_and_once_for_each_status(make_engine: MakeEngine) -> None:
    """Azure, which filters by one status, is walked for each; Vonage, which filters by none, once."""
    made = make_engine(
        azure_page(azure_job("queued", "1")),
        azure_page(azure_job("assigned", "2")),
        token(),
        vonage_page([vonage_job("Running"), vonage_job("Paused")]),
    )
    found = await every(made, JobFilter(BOTH, statuses=("queued", "running")))
    assert [(each.connection, [job.status.vendor_status for job in each.jobs]) for each in found] == [
        ("contoso-prod", ["queued"]),
        ("contoso-prod", ["assigned"]),
        ("vonage-emea", ["Running"]),
    ]
    assert asked(made) == [
        f"{LIST}&maxpagesize=100&status=queued",
        f"{LIST}&maxpagesize=100&status=assigned",
        f"{VONAGE}/interactions/jobs?limit=100&size=100&page=1",
    ]


async def test_the_vendor_filters_by_queue_and_type(make_engine: MakeEngine) -> None:
    """Where the vendor's list has these filters, it is asked with them; a vendor without queues is not asked."""
    made = make_engine(
        azure_page(azure_job("queued", "1", queueId="support", channelId="chat"), azure_job("queued", "2"))
    )
    (found,) = await every(made, JobFilter(BOTH, queue="support", type="chat"))
    assert [(job.id, job.queue, job.type) for job in found.jobs] == [("1", "support", "chat")]
    assert asked(made) == [f"{LIST}&maxpagesize=100&queueId=support&channelId=chat"]


async def test_a_vendor_that_has_no_such_status_is_not_asked(make_engine: MakeEngine) -> None:
    """A vendor's own word finds jobs of the vendors that have it."""
    made = make_engine(token(), vonage_page([vonage_job("Running")]))
    (found,) = await every(made, JobFilter(BOTH, vendor_statuses=("Running",)))
    assert (found.connection, len(found.jobs)) == ("vonage-emea", 1)
    assert await every(make_engine(), JobFilter(BOTH, statuses=("queued",), vendor_statuses=("Running",))) == []
    assert await every(make_engine(), JobFilter(())) == []


async def test_unknown_statuses_are_looked_for_in_the_whole_list(make_engine: MakeEngine) -> None:
    """No vendor can filter by a word that its document does not have."""
    made = make_engine(azure_page(azure_job("hibernating", "1"), azure_job("queued", "2")))
    found = await page(made, JobFilter(("contoso-prod",), statuses=("unknown",)))
    assert (ids(found), found.left_out) == (["1"], 0)
    assert asked(made) == [f"{LIST}&maxpagesize=50"]


async def test_a_connection_that_cannot_be_read_hides_no_other(make_engine: MakeEngine) -> None:
    """The problem is named with its connection, and the search goes on with the next one."""
    made = make_engine(VendorTimedOut("Too slow."), token(), vonage_page([vonage_job("Running")]))
    found = await page(made, JobFilter(BOTH))
    assert [job.connection for job in found.jobs] == ["vonage-emea"]
    assert {name: problem.code for name, problem in found.problems.items()} == {"contoso-prod": "vendor-timed-out"}
    assert found.next_cursor is None


async def test_jobs_that_do_not_show_their_age_are_counted(make_engine: MakeEngine) -> None:
    """A job whose age is not known is left out of a search for old jobs, and counted."""
    made = make_engine(
        azure_page(
            azure_job("queued", "old", enqueuedAt="2020-01-01T00:00:00Z"),
            azure_job("queued", "new", enqueuedAt="2126-01-01T00:00:00Z"),
            azure_job("queued", "ageless"),
        )
    )
    found = await page(made, JobFilter(("contoso-prod",), older_than=timedelta(hours=1)))
    assert (ids(found), found.left_out) == (["old"], 1)


async def test_pages_are_filled_over_connections(make_engine: MakeEngine) -> None:
    """A page holds as many jobs as asked for, if there are; the next begins after the last, inside a vendor's page."""
    three = vonage_page([vonage_job("Running", str(number)) for number in range(3)])
    made = make_engine(azure_page(azure_job("queued", "a"), azure_job("queued", "b")), token(), three)
    wanted = JobFilter(BOTH)
    first = await page(made, wanted, limit=3)
    assert ids(first) == ["a", "b", "0"]
    second = await page(make_engine(token(), three), wanted, first.next_cursor, limit=3)
    assert (ids(second), second.next_cursor) == (["1", "2"], None)


async def test_a_full_page_asks_no_further(make_engine: MakeEngine) -> None:
    """The vendor of the next connection is asked with the next page."""
    made = make_engine(azure_page(azure_job("queued", "a"), link=f"{LIST}&maxpagesize=1&continuationToken=x"))
    wanted = JobFilter(BOTH)
    first = await page(made, wanted, limit=1)
    assert (ids(first), made.transport.script) == (["a"], [])
    again = make_engine(azure_page(azure_job("queued", "b")))
    second = await page(again, wanted, first.next_cursor, limit=1)
    assert asked(again) == [f"{LIST}&maxpagesize=1&continuationToken=x"]
    third = await page(
        make_engine(token(), vonage_page([vonage_job("Running", "c")])), wanted, second.next_cursor, limit=1
    )
    assert (ids(third), third.next_cursor) == (["c"], None)


async def test_a_page_takes_half_of_the_time_at_most(make_engine: MakeEngine) -> None:
    """After half of the time of a request, the page ends, and says where the search goes on."""
    made = make_engine()

    def slow(_: HttpRequest) -> HttpReply:
        made.clock.advance(made.calls.seconds / 2)
        return reply(200, {"value": []})

    made.transport.script.append(slow)
    found = await page(made, JobFilter(BOTH))
    assert (found.jobs, len(made.sent)) == ((), 1)
    assert found.next_cursor is not None
    assert position_in(found.next_cursor).connection == "vonage-emea"


async def test_a_silent_vendor_leaves_time_to_the_others(make_engine: MakeEngine) -> None:
    """A call may take half of the time if another connection follows, at least two seconds, and else all of it."""
    deadlines: list[float] = []
    made = make_engine()
    start = made.clock.monotonic()

    async def listed(*arguments: Any) -> Any:
        deadlines.append(arguments[-1].deadline - start)
        raise VendorTimedOut("Too slow.")

    search = finder(made)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gateway.engine.jobs.Jobs.listed", staticmethod(listed))
        for seconds in (10.0, 3.0, 1.0):
            await search.page(JobFilter(BOTH), made.calls.context(seconds=seconds), None, 50)
    assert deadlines == [5, 10, 2, 3, 1, 1]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nonsense",
        b'["contoso-prod"]',
        b'["contoso-prod",0,0,0]',
        b'["contoso-test",0,0]',
        b'["nowhere",0,0]',
        b'["contoso-prod",1,0]',
        b'["contoso-prod",-1,0]',
        b'["contoso-prod",true,0]',
        b'["contoso-prod",0,-1]',
        b'["contoso-prod",0,"0"]',
        b'[["contoso-prod"],0,0]',
        b'["contoso-prod",0,0]\n["vonage-emea",""]',
        b'["contoso-prod",0,0]\n["contoso-prod",{"page.number":2}]',
        b'["contoso-prod",0,0]\n',
        b"[" * 100_000,
    ],
)
async def test_a_forged_cursor_is_refused(make_engine: MakeEngine, content: bytes) -> None:
    """A cursor that this search did not give is refused, and no vendor is asked."""
    made = make_engine()
    with pytest.raises(UnknownCursor):
        await page(made, JobFilter(("contoso-prod",)), encode_cursor(content))
    assert made.sent == []


def link_with(token: str) -> str:
    """A link of Azure's with a token."""
    return f"{LIST}&maxpagesize=50&continuationToken={token}"


async def test_a_cursor_is_hardly_longer_than_the_vendors(make_engine: MakeEngine) -> None:
    """The vendor's cursor is not encoded twice, and a page that does not fit into a cursor is the vendor's fault."""
    link = link_with("x" * 5_000)
    found = await page(
        make_engine(azure_page(azure_job("queued", "a"), link=link)), JobFilter(("contoso-prod",)), limit=1
    )
    assert found.next_cursor is not None
    assert cursor_at(position_in(found.next_cursor)) == found.next_cursor
    assert len(found.next_cursor) < (len(link) + 100) * 4 / 3
    room = LONGEST_CURSOR * 3 // 4 - len(dump(["contoso-prod", link_with("").partition("?")[2]]))
    longer = link_with("x" * room)
    failed = await page(make_engine(azure_page(azure_job("queued", "a"), link=longer)), JobFilter(("contoso-prod",)))
    assert failed.problems["contoso-prod"].code == "vendor-reply-not-understood"


async def test_an_unknown_connection_is_named_at_once(make_engine: MakeEngine) -> None:
    """A filter with an unknown connection is refused before anything is read."""
    made = make_engine()
    for search in (
        page(made, JobFilter(("nowhere",))),
        finder(made).count(JobFilter(("nowhere",)), made.calls.context()),
    ):
        with pytest.raises(UnknownConnection):
            await search
    assert made.sent == []


async def test_jobs_are_counted_by_connection_and_status(make_engine: MakeEngine) -> None:
    """Every page is counted. What could not be read is named, beside what was counted before."""
    link = f"{LIST}&continuationToken=x"
    made = make_engine(
        azure_page(azure_job("queued", "1"), azure_job("assigned", "2"), azure_job("hibernating", "3"), link=link),
        VendorTimedOut("Too slow."),
    )
    wanted = JobFilter(("contoso-prod",))
    (counted,) = await finder(made).count(wanted, made.calls.context())
    assert counted.statuses == {"queued": 1, "running": 1, "unknown": 1}
    assert counted.problem is not None
    assert counted.problem.code == "vendor-timed-out"
    again = make_engine(token(), vonage_page([vonage_job("Running")]))
    (whole,) = await finder(again).count(JobFilter(("vonage-emea",)), again.calls.context())
    assert (whole.statuses, whole.problem) == ({"running": 1}, None)
