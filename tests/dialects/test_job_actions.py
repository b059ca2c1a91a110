"""`GET /v1/job-actions`: the records of a caller by every condition, page by page; and where each request came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from gateway.domain.errors import VendorTimedOut, VendorUnreachable
from tests.support.problems import Problems
from tests.support.scripted_gateway import ScriptedGateway, in_memory
from tests.support.transport import Line
from tests.support.vendors import TARGETS, Target, token

CANCEL, CLOSE, VONAGE_CANCEL, *_ = TARGETS
PATH = "/v1/job-actions"

ACTIONS: list[tuple[Target, list[Line]]] = [
    (CANCEL, [CANCEL.applied]),
    (CLOSE, [CLOSE.applied]),
    (VONAGE_CANCEL, [token(), VONAGE_CANCEL.applied]),
    (CANCEL, [CANCEL.refusal(409), CANCEL.job("closed")]),
    (replace(CANCEL, job_id="another"), [VendorUnreachable("refused")]),
    (replace(CANCEL, connection="contoso-test"), [VendorTimedOut("silence")]),
]
"""What is asked for, a second after one another from ten o'clock on, and how it goes."""


@pytest.fixture
async def ids(scripted: ScriptedGateway) -> list[str]:
    """The ids of some job actions, the oldest first."""
    made = []
    for target, script in ACTIONS:
        scripted.answers(*script)
        answer = await scripted.act(target)
        made.append(answer.json.get("jobAction") or answer.json["id"])
        scripted.clock.advance(1)
    return made


async def listed(scripted: ScriptedGateway, ids: list[str], query: Mapping[str, str]) -> list[int]:
    """The positions, from 0, of the job actions in a list."""
    answer = await scripted.get(f"{PATH}?{urlencode(query)}")
    assert answer.status == 200, answer.body
    assert answer.json["nextCursor"] is None
    return [ids.index(each["id"]) for each in answer.json["items"]]


CONDITIONS: list[tuple[dict[str, str], list[int]]] = [
    ({}, [5, 4, 3, 2, 1, 0]),
    ({"connection": "contoso-prod"}, [4, 3, 1, 0]),
    ({"connection": "vonage-emea"}, [2]),
    ({"connection": "nowhere"}, []),
    ({"jobId": CANCEL.job_id}, [5, 3, 1, 0]),
    ({"jobId": "another"}, [4]),
    ({"jobId": "anothe"}, []),
    ({"action": "cancel"}, [5, 4, 3, 2, 0]),
    ({"action": "close"}, [1]),
    ({"action": "pause"}, []),
    ({"status": "succeeded"}, [2, 1, 0]),
    ({"status": "failed"}, [4, 3]),
    ({"status": "unsettled"}, [5]),
    ({"status": "in_progress"}, []),
    ({"outcome": "applied"}, [2, 1, 0]),
    ({"outcome": "rejected"}, [3]),
    ({"outcome": "not_sent"}, [4]),
    ({"outcome": "unknown"}, [5]),
    ({"caller": "default"}, [5, 4, 3, 2, 1, 0]),
    ({"caller": "somebody-else"}, []),
    ({"since": "2026-01-05T10:00:03Z"}, [5, 4, 3]),
    ({"since": "2026-01-05T10:00:03.001Z"}, [5, 4]),
    ({"until": "2026-01-05T10:00:03Z"}, [3, 2, 1, 0]),
    ({"until": "2026-01-05T10:00:02.999Z"}, [2, 1, 0]),
    ({"since": "2026-01-05T12:00:03+02:00", "until": "2026-01-05T05:00:04-05:00"}, [4, 3]),
    ({"since": "2026-01-05T10:00:04Z", "until": "2026-01-05T10:00:03Z"}, []),
    ({"since": "2016-12-31T23:59:60Z"}, [5, 4, 3, 2, 1, 0]),
    ({"connection": "contoso-prod", "status": "failed"}, [4, 3]),
    ({"connection": "contoso-prod", "status": "failed", "outcome": "rejected", "action": "cancel"}, [3]),
    ({"jobId": CANCEL.job_id, "action": "cancel", "until": "2026-01-05T10:00:04Z"}, [3, 0]),
    ({"connection": "vonage-emea", "jobId": CANCEL.job_id}, []),
    ({"outcome": "applied", "status": "failed"}, []),
]


@pytest.mark.parametrize(("query", "expected"), CONDITIONS, ids=[urlencode(each) or "all" for each, _ in CONDITIONS])
async def test_conditions(
    scripted: ScriptedGateway, ids: list[str], query: dict[str, str], expected: list[int]
) -> None:
    """A list holds those that meet every condition, each of them, the newest first."""
    assert await listed(scripted, ids, query) == expected


EXTREMES = [
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "1969-12-31T23:59:59.999Z",
    "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59-23:59",
]


@pytest.mark.parametrize("time", EXTREMES)
async def test_any_time_that_can_be_written(scripted: ScriptedGateway, ids: list[str], time: str) -> None:
    """However long ago or far ahead, a time is before everything or after it."""
    everything, is_before = [5, 4, 3, 2, 1, 0], time < "2"
    assert await listed(scripted, ids, {"since": time}) == (everything if is_before else [])
    assert await listed(scripted, ids, {"until": time}) == ([] if is_before else everything)


WRONG = [
    {"status": "done"},
    {"outcome": "APPLIED"},
    {"action": "open"},
    {"connection": "No Name"},
    {"jobId": "a/b"},
    {"jobId": ""},
    {"since": "yesterday"},
    {"since": "2026-01-05T10:00:00"},
    {"until": "2026-02-30T10:00:00Z"},
    {"caller": ""},
    {"caller": "a" * 260},
]


@in_memory
@pytest.mark.parametrize("query", WRONG, ids=[urlencode(each) for each in WRONG])
async def test_conditions_that_are_none(scripted: ScriptedGateway, problems: Problems, query: dict[str, str]) -> None:
    """A condition that cannot be met is named instead of being overlooked."""
    answer = await scripted.get(f"{PATH}?{urlencode(query)}")
    problem = problems.check(answer, answer.headers)
    assert problem["code"] == "malformed-request"
    assert {each["pointer"] for each in problem["errors"]} == {f"/query/{name}" for name in query}


@in_memory
async def test_conditions_that_there_are_not(scripted: ScriptedGateway, problems: Problems) -> None:
    """A condition of another name is refused too, since whoever sends it relies on it."""
    answer = await scripted.get(f"{PATH}?job_id=a")
    assert problems.check(answer, answer.headers)["code"] == "malformed-request"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [5, 4, 3, 2, 1, 0]),
        ({"action": "cancel"}, [5, 4, 3, 2, 0]),
        ({"action": "cancel", "connection": "contoso-prod"}, [4, 3, 0]),
        ({"since": "2026-01-05T10:00:01Z", "until": "2026-01-05T10:00:04Z"}, [4, 3, 2, 1]),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 5, 200])
async def test_pages(
    scripted: ScriptedGateway, ids: list[str], query: dict[str, str], expected: list[int], limit: int
) -> None:
    """The Link headers lead from page to page, with the same conditions, to everything once, the newest first."""
    found: list[int] = []
    address: str | None = f"{PATH}?{urlencode({**query, 'limit': limit})}"
    while address is not None:
        answer = await scripted.get(address)
        page = [ids.index(each["id"]) for each in answer.json["items"]]
        assert len(page) <= limit
        found += page
        link = answer.headers.get("link")
        address = None if link is None else link[1 : link.index(">")]
        assert (address is None) == (answer.json["nextCursor"] is None)
        if address is not None:
            asked = dict(parse_qsl(urlsplit(address).query))
            assert asked == {**query, "limit": str(limit), "cursor": answer.json["nextCursor"]}
    assert found == expected


async def test_pages_while_more_is_done(scripted: ScriptedGateway, ids: list[str]) -> None:
    """Job actions that are added while a client pages neither move the pages nor appear twice."""
    first = (await scripted.get(f"{PATH}?limit=3")).json
    scripted.answers(CANCEL.applied)
    await scripted.act(CANCEL)
    second = (await scripted.get(f"{PATH}?limit=3&cursor={first['nextCursor']}")).json
    assert [each["id"] for each in first["items"] + second["items"]] == ids[::-1]
    assert second["nextCursor"] is None


@pytest.mark.parametrize("cursor", ["a", "AAAA", "A" * 8_000, "AZuNj2kAcACAAAAAAAAAAQA"])
async def test_cursors_of_nobody(scripted: ScriptedGateway, problems: Problems, cursor: str) -> None:
    """A cursor that this list did not give is refused as such."""
    answer = await scripted.get(f"{PATH}?cursor={cursor}")
    assert problems.check(answer, answer.headers)["code"] == "unknown-cursor"


async def test_the_list_and_the_record_say_the_same(scripted: ScriptedGateway, ids: list[str]) -> None:
    """Each item of the list is the record that is found by its id."""
    items = (await scripted.get(PATH)).json["items"]
    assert len(items) == len(ids)
    assert [(await scripted.get(f"{PATH}/{each['id']}")).json for each in items] == items


TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


@in_memory
@pytest.mark.parametrize(
    ("traceparent", "expected"),
    [
        (f"00-{TRACE}-{SPAN}-01", TRACE),
        (f"00-{TRACE}-{SPAN}-00", TRACE),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", TRACE),
        (f"ff-{TRACE}-{SPAN}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-{SPAN}-01", None),
        (f"00-{TRACE[:-1]}-{SPAN}-01", None),
        (f"00-{TRACE}-{SPAN}", None),
        (f"00-{TRACE}-{SPAN}-01, 00-{TRACE}-{SPAN}-01", None),
        ("", None),
        (None, None),
    ],
)
async def test_where_a_request_came_from(
    scripted: ScriptedGateway, traceparent: str | None, expected: str | None
) -> None:
    """The record has the client's address, the id of the request, and the trace of a valid traceparent header."""
    scripted.answers(CANCEL.applied)
    answer = await scripted.act(CANCEL, headers=[] if traceparent is None else [("traceparent", traceparent)])
    origin: dict[str, Any] = {"address": "127.0.0.1", "requestId": answer.headers["x-request-id"]}
    assert answer.json["origin"] == (origin if expected is None else {**origin, "traceId": expected})
    assert (await scripted.get(f"{PATH}/{answer.json['id']}")).json["origin"] == answer.json["origin"]
    assert answer.json["caller"] == "default"


async def test_a_replay_came_from_where_the_first_did(scripted: ScriptedGateway) -> None:
    """The record is that of the first request, and so is its origin; the replay has an id of its own."""
    scripted.answers(CANCEL.applied)
    first = await scripted.act(CANCEL, "key", headers=[("traceparent", f"00-{TRACE}-{SPAN}-01")])
    second = await scripted.act(CANCEL, "key")
    assert second.json["origin"] == first.json["origin"]
    assert second.headers["x-request-id"] != first.headers["x-request-id"]
