"""Cursors of lists without links: they hold the values of the request, and nothing that a client could forge."""

from __future__ import annotations

import dataclasses
import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.errors import UnknownCursor, VendorReplyNotUnderstood
from gateway.domain.model import Json, VendorRequest
from gateway.engine.connections import Connection
from gateway.engine.paging import first_page, next_cursor, page_at
from gateway.specs.lens import Lens, Place
from gateway.specs.vendor import ReadMapping, VendorSpecification
from tests.support.scripted_engine import MakeEngine

SEARCH = VendorSpecification.load(Path(__file__).parents[1] / "newvendor" / "search_desk.yaml")
NOW = datetime(2026, 11, 28, 20, 15, tzinfo=UTC)
WINDOW = {"window.start": "2026-11-14T20:15:00.000Z", "window.end": "2026-11-28T20:15:00.000Z"}
RANGE = {"Type": "STARTED", "Start": WINDOW["window.start"], "End": WINDOW["window.end"]}


@pytest.fixture
def connection(make_engine: MakeEngine) -> Connection:
    """A connection of the search desk, whose list goes on by a token in the body."""
    made = make_engine().connection("contoso-prod")
    return dataclasses.replace(made, vendor=dataclasses.replace(made.vendor, specification=SEARCH))


@pytest.fixture
def read() -> ReadMapping:
    """Its list."""
    assert SEARCH.list_read is not None
    return SEARCH.list_read


def first(connection: Connection, read: ReadMapping, status: str | None = None, limit: int = 3) -> VendorRequest:
    """The request for the first page."""
    return first_page(connection.vendor, read, limit, status, NOW)


def forged_cursor(connection: Connection, values: Any) -> str:
    """A cursor that nobody gave."""
    return urlsafe_b64encode(json.dumps([connection.name, values]).encode()).decode().rstrip("=")


def test_the_first_page_carries_everything(connection: Connection, read: ReadMapping) -> None:
    """Constants, time range, size, and all words for a status; no more jobs than the document allows in the body."""
    every = {"TimeRange": RANGE, "MaxResults": 5, "Order": "OLDEST"}
    assert first(connection, read, limit=1_000).body == every
    assert first(connection, read, "queued", 5).body == {**every, "States": ["NEW", "RINGING"]}
    assert first(connection, read, "running", 5).body == {**every, "States": ["TALKING"]}
    assert first(connection, read, "failed", 5).body == every


@pytest.mark.parametrize("token", ["x", "a+b/c==", "é\n\u0000", "x" * 4_000])
def test_a_token_comes_back_as_it_was(connection: Connection, read: ReadMapping, token: str) -> None:
    """The whole request is repeated with the token, whatever stands in it."""
    asked = first(connection, read, "queued")
    cursor = next_cursor(connection, read, asked, {"NextToken": token}, 3)
    assert cursor is not None
    later = page_at(connection, read, VendorRequest(asked.operation_id, {}, {}, {}), cursor)
    assert later == with_body(asked, {**asked.body, "NextToken": token})  # type: ignore[dict-item]


def with_body(request: VendorRequest, body: Json) -> VendorRequest:
    """The request with another body."""
    return VendorRequest(request.operation_id, request.path, request.query, request.header, body)


@pytest.mark.parametrize("body", [{}, {"NextToken": None}, {"NextToken": ""}])
def test_a_list_without_a_token_ends(connection: Connection, read: ReadMapping, body: dict[str, Json]) -> None:
    """A missing token, an empty one and null all mean the last page, whatever the number of jobs."""
    assert next_cursor(connection, read, first(connection, read), body, 3) is None


@pytest.mark.parametrize("token", [5, ["x"], {"x": "y"}, True, "x" * 9_001, "x" * 8_500])
def test_a_token_that_does_not_fit_is_the_vendors_fault(connection: Connection, read: ReadMapping, token: Json) -> None:
    """A token that the document does not allow, or that fits no cursor, makes the reply one that is not understood."""
    with pytest.raises(VendorReplyNotUnderstood, match="next page"):
        next_cursor(connection, read, first(connection, read), {"NextToken": token}, 3)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"job.id": "C-1", **WINDOW},
        {"page.number": 2, **WINDOW},
        {"body.TimeRange.Type": "ENDED", **WINDOW},
        {"window.start": WINDOW["window.start"]},
        {**WINDOW, "window.end": "tomorrow"},
        {**WINDOW, "window.end": {"Type": "ENDED"}},
        {**WINDOW, "window.interval": "x/y"},
        {**WINDOW, "page.limit": 6},
        {**WINDOW, "page.limit": "3"},
        {**WINDOW, "page.cursor": ["x"]},
        {**WINDOW, "page.cursor": {"x": "y"}},
        {**WINDOW, "job.vendorStatus": "NEW"},
        {**WINDOW, "job.vendorStatus": ["NEW", "OTHER"]},
        "TimeRange=x",
    ],
)
def test_a_forged_cursor_is_refused(connection: Connection, read: ReadMapping, values: Any) -> None:
    """A cursor holds only values that the list has, in the form that the document allows."""
    with pytest.raises(UnknownCursor):
        page_at(connection, read, first(connection, read), forged_cursor(connection, values))


def test_a_forged_cursor_keeps_the_constants(connection: Connection, read: ReadMapping) -> None:
    """Whatever values a cursor holds, the constants of the document are written again."""
    constant = Lens.compile({"path.account": {"const": "ours"}})
    held = dataclasses.replace(read, lens=Lens((*read.lens.rules, *constant.rules)))
    operation = dataclasses.replace(read.operation, request=Anything())  # type: ignore[arg-type]
    held = dataclasses.replace(held, operation=operation)
    asked = VendorRequest("searchContacts", {"account": "theirs"}, {"x": "y"}, {"X-Other": "z"}, {"Queues": ["x"]})
    found = page_at(connection, held, asked, forged_cursor(connection, {**WINDOW, "page.cursor": "x"}))
    assert found.path == {"account": "ours"}
    assert (found.query, found.header) == ({}, {"X-Desk-Version": "1"})
    assert found.body == {"TimeRange": RANGE, "NextToken": "x", "Order": "OLDEST"}


@pytest.mark.parametrize("name", ["connection.account", "job.id", "parameters.note"])
def test_a_forged_cursor_cannot_set_other_values(connection: Connection, read: ReadMapping, name: str) -> None:
    """Values of the account or the job come from Jobgate, also where the list has a place for them."""
    operation = dataclasses.replace(read.operation, request=Anything())  # type: ignore[arg-type]
    lens = Lens((*read.lens.rules, *Lens.compile({"path.account": name}).rules))
    held = dataclasses.replace(read, lens=lens, operation=operation)
    with pytest.raises(UnknownCursor):
        page_at(connection, held, first(connection, read), forged_cursor(connection, {**WINDOW, name: "theirs"}))


class Anything:
    """A schema that allows every request."""

    def is_valid(self, _: object) -> bool:
        """Return True."""
        return True


def numbered(read: ReadMapping, pages: str | None, reply: dict[str, Any]) -> ReadMapping:
    """The list, paged by a number that stands where the token stood."""
    rules = [each for each in read.lens.rules if each.source != "page.cursor"]
    lens = Lens((*rules, *Lens.compile({"query.page": "page.number"}).rules))
    operation = dataclasses.replace(read.operation, request=Anything())  # type: ignore[arg-type]
    last = None if pages is None else Place.parse(pages)
    return dataclasses.replace(
        read, lens=lens, operation=operation, token=None, last_page=last, reply=Lens.compile(reply)
    )


@pytest.mark.parametrize(
    ("pages", "reply", "body", "jobs", "is_last"),
    [
        ("body.last", {}, {"last": 1}, 3, True),
        ("body.last", {}, {"last": 2}, 0, False),
        ("body.last", {"body.total": "page.total"}, {"last": 2, "total": 1}, 3, False),
        ("body.last", {}, {}, 3, False),
        ("body.last", {}, {"last": "x"}, 2, True),
        (None, {"body.total": "page.total"}, {"total": 3}, 3, True),
        (None, {"body.total": "page.total"}, {"total": 4}, 3, False),
        (None, {"body.total": "page.total"}, {"total": 4}, 2, False),
        (None, {"body.total": "page.total"}, {"total": 4}, 0, True),
        (None, {"body.total": "page.total"}, {"total": 4.0}, 3, False),
        (None, {"body.total": "page.total"}, {"total": 10**400}, 3, False),
        (None, {"body.total": "page.total"}, {"total": None}, 2, True),
        (None, {"body.total": "page.total", "body.size": "page.limit"}, {"total": 3, "size": 2}, 2, False),
        (None, {"body.total": "page.total", "body.size": "page.limit"}, {"total": 2, "size": 2}, 2, True),
        (None, {"body.size": "page.limit"}, {"size": 2}, 2, False),
        (None, {}, {}, 3, False),
        (None, {}, {}, 2, True),
        (None, {}, {}, 0, True),
    ],
)
def test_the_last_numbered_page_is_told(
    connection: Connection,
    read: ReadMapping,
    pages: str | None,
    reply: dict[str, Any],
    body: dict[str, Json],
    jobs: int,
    is_last: bool,
) -> None:
    """The number of pages tells it; without it the number of jobs; without both, a page that is not full."""
    listed = numbered(read, pages, reply)
    asked = first(connection, listed)
    cursor = next_cursor(connection, listed, asked, body, jobs)
    assert (cursor is None) is is_last
    if cursor is not None:
        following = page_at(connection, listed, asked, cursor)
        assert (following.query["page"], following.body) == (2, asked.body)
