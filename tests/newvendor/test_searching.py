"""Vendors whose lists are searches by POST within a time range, and go on by a token or a number."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
import yaml

from gateway.client import Client
from gateway.specs import lint
from gateway.startup.serve import Running, running
from gateway.transport.http import HttpTransport

HERE = Path(__file__).parent
FILES = ("search_desk.py", "search_desk.yaml", "search_desk-1.0.dist-info")
CONNECTION, AZURE = "search-sandbox", "azure-sandbox"
RANGE = {"Start": "2026-01-01T00:00:00.000Z", "End": "2026-02-01T00:00:00.000Z"}
INTERVAL = f"{RANGE['Start']}/{RANGE['End']}"
NUMBER = {"type": "integer", "minimum": 1, "maximum": 1_000}


def by_number(content: dict[str, Any]) -> None:
    """Make the list go on by a number in the body, within an interval, and its reply tell how many jobs there are."""
    operation = content["paths"]["/search"]["post"]
    read, media = operation["x-job-read"], operation["requestBody"]["content"]["application/json"]
    size = {**NUMBER, "maximum": 5}
    paging = {"type": "object", "additionalProperties": False, "properties": {"Size": size, "Number": NUMBER}}
    media["schema"]["properties"] |= {"Interval": {"type": "string", "maxLength": 64}, "Paging": paging}
    media["schema"] |= {"required": ["Interval"]}
    media["examples"] = {"month": {"value": {"Interval": INTERVAL}}}
    media["schema"]["properties"]["States"]["items"] = {"type": "string", "maxLength": 9}
    del read["token"]
    read["request"] = {
        "body.Interval": "window.interval",
        "body.Order": {"const": "OLDEST"},
        "body.States": "job.vendorStatus",
        "body.Paging.Size": "page.limit",
        "body.Paging.Number": "page.number",
    }


def by_query(content: dict[str, Any]) -> None:
    """Make the request carry the token in its query."""
    operation = content["paths"]["/search"]["post"]
    media = operation["requestBody"]["content"]["application/json"]
    operation["parameters"] += [{"name": "Token", "in": "query", "schema": media["schema"]["properties"]["NextToken"]}]
    del media["schema"]["properties"]["NextToken"]
    del operation["x-job-read"]["request"]["body.NextToken"]
    operation["x-job-read"]["request"]["query.Token"] = "page.cursor"


def unchanged(_: dict[str, Any]) -> None:
    """Leave the document as it is: the request carries the token in its body."""


WAYS: dict[str, Callable[[dict[str, Any]], None]] = {"body": unchanged, "query": by_query, "number": by_number}
"""The ways in which the list goes on."""


@dataclass(frozen=True)
class Desk:
    """A gateway and sandbox with a search desk. `sent` are the searches that went to it."""

    running: Running
    way: str
    sent: list[dict[str, Any]]

    @property
    def is_numbered(self) -> bool:
        """True if the list goes on by a number, False if by a token."""
        return self.way == "number"

    @property
    def ids(self) -> list[str]:
        """The ids of the desk's jobs."""
        return [str(job["Id"]) for job in self.running.sandbox.vendor("search-desk").jobs()]

    def search(self, connection: str = CONNECTION, **change: Any) -> requests.Response:
        """A search by the vendor's own client; a value None leaves out a member."""
        body: dict[str, Any] = (
            {"Interval": INTERVAL} if self.is_numbered else {"TimeRange": {"Type": "STARTED", **RANGE}}
        )
        query = {"Token": change.pop("NextToken")} if self.way == "query" and "NextToken" in change else {}
        body = {name: value for name, value in (body | change).items() if value is not None}
        headers = {"X-Desk-Version": "1", "X-Desk-Token": self.running.access_key}
        url = f"{self.running.url}/native/search-desk/{connection}/search"
        return requests.post(url, params=query, json=body, headers=headers, timeout=20)

    def pages(self, connection: str = CONNECTION, **change: Any) -> Iterator[dict[str, Any]]:
        """The pages of a search, each found as the vendor's client finds it."""
        found, number, seen = self.search(connection, **change), 1, 0
        while True:
            assert found.status_code == 200, found.text
            page = found.json()
            yield page
            seen += len(page["Contacts"])
            if self.is_numbered:
                number += 1
                following = {"Paging": {**change["Paging"], "Number": number}} if seen < page["TotalCount"] else None
            else:
                following = {"NextToken": page["NextToken"]} if "NextToken" in page else None
            if following is None:
                return
            found = self.search(connection, **{**change, **following})

    def by(self, size: int) -> dict[str, Any]:
        """The part of a search that asks for so many jobs on a page."""
        return {"Paging": {"Size": size}} if self.is_numbered else {"MaxResults": size}


@pytest.fixture(scope="module", params=WAYS)
def started(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A gateway and sandbox with the search desk installed, whose list goes on in each of the ways."""
    folder = tmp_path_factory.mktemp("search-desk")
    sent: list[dict[str, Any]] = []
    forward = HttpTransport.send

    async def remembered(self: HttpTransport, call: Any, deadline: float) -> Any:
        url = urlsplit(call.url)
        if url.path.endswith("/search"):
            query = dict(parse_qsl(url.query))
            sent.append(json.loads(call.content) | ({"NextToken": query["Token"]} if "Token" in query else {}))
        return await forward(self, call, deadline)

    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in FILES:
            copy = shutil.copytree if (HERE / name).is_dir() else shutil.copy
            copy(HERE / name, folder / name)
        content = yaml.safe_load((folder / "search_desk.yaml").read_text("utf-8"))
        WAYS[request.param](content)
        (folder / "search_desk.yaml").write_text(yaml.safe_dump(content), "utf-8")
        monkeypatch.setattr(HttpTransport, "send", remembered)
        monkeypatch.syspath_prepend(folder)
        monkeypatch.delitem(sys.modules, "search_desk", raising=False)
        with running() as it:
            yield Desk(it, request.param, sent)


@pytest.fixture
def desk(started: Desk) -> Desk:
    """The same, its vendors as they were at the start."""
    for name in started.running.gateway.catalogue.vendors:
        started.running.sandbox.vendor(name).reset()
    started.sent.clear()
    return started


@pytest.fixture
def client(desk: Desk) -> Iterator[Client]:
    """A client of the unified API."""
    with Client(desk.running.url, desk.running.api_key) as made:
        yield made


def pages_of(desk: Desk, limit: int, **chosen: str) -> Iterator[list[str]]:
    """The ids on each page of the unified API's list."""
    url = f"{desk.running.url}/v1/connections/{CONNECTION}/jobs"
    query: dict[str, Any] = {"limit": limit, **chosen}
    while True:
        found = requests.get(url, query, headers={"Authorization": f"Bearer {desk.running.api_key}"}, timeout=20)
        assert found.status_code == 200, found.text
        yield [job["id"] for job in found.json()["items"]]
        if found.json()["nextCursor"] is None:
            return
        query["cursor"] = found.json()["nextCursor"]


def range_of(desk: Desk, body: dict[str, Any]) -> list[str]:
    """The ends of the time range of a search."""
    window = body["Interval"].split("/") if desk.is_numbered else [body["TimeRange"]["Start"], body["TimeRange"]["End"]]
    return [str(each) for each in window]


def test_the_list_is_read_to_its_end(desk: Desk) -> None:
    """Each page repeats the whole request with the next token or number, and no page is asked for after the last."""
    found = list(pages_of(desk, 3))
    assert [each for ids in found for each in ids] == desk.ids
    assert len(desk.sent) == len(found) == -(-len(desk.ids) // 3)
    first, *others = desk.sent
    for number, body in enumerate(others, 2):
        if desk.is_numbered:
            assert body == {**first, "Paging": {"Size": 3, "Number": number}}
        else:
            assert body == {**first, "NextToken": body["NextToken"]}


def test_the_time_range_is_that_of_the_first_page(desk: Desk) -> None:
    """It ends when the first page is read, has the days of the document, and stays while the list is read."""
    before = datetime.now(UTC)
    list(pages_of(desk, 2))
    start, end = map(datetime.fromisoformat, range_of(desk, desk.sent[0]))
    assert end - start == timedelta(days=14)
    assert before - timedelta(seconds=1) < end <= datetime.now(UTC)
    assert len(desk.sent) > 1
    assert {tuple(range_of(desk, body)) for body in desk.sent} == {tuple(range_of(desk, desk.sent[0]))}


def test_a_filter_names_every_word_of_the_vendor(desk: Desk) -> None:
    """Where the vendor takes a list of statuses, it gets all that mean the one that is asked for, on every page."""
    jobs = desk.running.sandbox.vendor("search-desk").jobs()
    queued = [str(job["Id"]) for job in jobs if job["State"] in {"NEW", "RINGING"}]
    assert [each for ids in pages_of(desk, 2, status="queued") for each in ids] == queued
    assert len(desk.sent) > 1
    assert all(body["States"] == ["NEW", "RINGING"] for body in desk.sent)


def test_actions_and_single_jobs_need_no_list(client: Client, desk: Desk) -> None:
    """The rest of the vendor's API is untouched by its list."""
    assert client.cancel(CONNECTION, "C-1").outcome == "applied"
    assert client.job(CONNECTION, "C-1").vendor_status == "ENDED"
    assert desk.sent == []


def test_the_vendors_own_client_pages_as_at_the_vendor(desk: Desk) -> None:
    """On a connection of its own vendor a search and its reply pass unchanged, the vendor's own token included."""
    found = list(desk.pages(**desk.by(3), States=["NEW", "RINGING"]))
    assert len(found) > 1
    jobs = desk.running.sandbox.vendor("search-desk").jobs()
    wanted = [job for job in jobs if job["State"] in {"NEW", "RINGING"}]
    assert [each for page in found for each in page["Contacts"]] == wanted
    assert all(page["TotalCount"] == len(wanted) for page in found)
    assert all(range_of(desk, body) == list(RANGE.values()) for body in desk.sent)
    if not desk.is_numbered:
        assert [body.get("NextToken") for body in desk.sent[1:]] == [page["NextToken"] for page in found[:-1]]


def test_the_vendors_own_client_may_ask_for_what_only_the_vendor_knows(desk: Desk) -> None:
    """A filter that no mapping carries goes to the vendor as it is."""
    assert desk.search(Queues=["a", "b"]).status_code == 200
    assert desk.sent[-1]["Queues"] == ["a", "b"]


@pytest.mark.parametrize("order", ["OLDEST", "NEWEST", None])
def test_the_vendors_own_client_chooses_for_itself(desk: Desk, order: str | None) -> None:
    """A constant in the body of a search is Jobgate's choice: the vendor's client may choose otherwise, or nothing."""
    next(pages_of(desk, 1))
    assert desk.sent.pop()["Order"] == "OLDEST"
    assert len(list(desk.pages(**desk.by(3), Order=order))) > 1
    assert {body.get("Order") for body in desk.sent} == {order}


def test_a_choice_that_cannot_cross_is_refused(desk: Desk) -> None:
    """The list of another vendor is Jobgate's: a client that asks for another one is told so, and gets no jobs."""
    assert [desk.search(AZURE, Order=order).status_code for order in ("OLDEST", None)] == [200, 200]
    refused = desk.search(AZURE, Order="NEWEST")
    assert (refused.status_code, "Order" in refused.json()["Message"]) == (422, True)


def test_a_search_without_its_range_is_refused(desk: Desk) -> None:
    """A search without what the document requires is the vendor's invalid request, and does not reach it."""
    window = {"Interval": None} if desk.is_numbered else {"TimeRange": RANGE}
    refused = desk.search(**window)
    assert (refused.status_code, refused.json()["Type"]) == (400, "InvalidRequest")
    assert desk.sent == []


def test_jobs_of_another_vendor_are_paged_in_the_body(desk: Desk) -> None:
    """The search finds another vendor's jobs, page by page, by a token of Jobgate's or by the number."""
    vendor = desk.running.sandbox.vendor("azure-job-router")
    for _ in range(3):
        vendor.create_job("queued")
    found = list(desk.pages(AZURE, **desk.by(5)))
    assert {len(page["Contacts"]) for page in found[:-1]} == {5}
    assert [each["Id"] for page in found for each in page["Contacts"]] == [str(job["id"]) for job in vendor.jobs()]


@pytest.mark.parametrize(
    ("states", "expected"), [(["TALKING"], {"assigned"}), (["TALKING", "ENDED"], None), ([], None)]
)
def test_jobs_of_another_vendor_are_chosen_by_several_words(
    states: list[str], expected: set[str] | None, desk: Desk
) -> None:
    """Several words find the jobs that are shown in any of them; an empty list finds all."""
    found = [each for page in desk.pages(AZURE, **desk.by(5), States=states) for each in page["Contacts"]]
    assert {each["State"] for each in found} == set(states or ["RINGING", "TALKING", "ENDED"])
    statuses = {str(job["id"]): job["status"] for job in desk.running.sandbox.vendor("azure-job-router").jobs()}
    assert expected is None or {statuses[each["Id"]] for each in found} == expected


def test_a_word_that_nobody_has_finds_nothing(desk: Desk) -> None:
    """A status that the vendor's document leaves open, and that no vendor has, chooses no job."""
    found = desk.search(AZURE, States=["OTHER"])
    if desk.is_numbered:
        assert (found.status_code, found.json()["Contacts"]) == (200, [])
    else:
        assert (found.status_code, found.json()["Type"]) == (400, "InvalidRequest")


def test_a_filter_in_the_body_that_cannot_cross_is_refused(desk: Desk) -> None:
    """A member of the search that other vendors do not have is refused: ignoring it would show other jobs."""
    refused = desk.search(AZURE, Queues=["a"])
    assert (refused.status_code, "Queues" in refused.json()["Message"]) == (422, True)


def test_a_token_that_nobody_gave_is_refused(desk: Desk) -> None:
    """A token for another vendor's jobs is one of Jobgate's cursors; another is the vendor's invalid request."""
    if desk.is_numbered:
        assert desk.search(AZURE, Paging={"Number": 1_000}).json()["Contacts"] == []
    else:
        assert desk.search(AZURE, NextToken="made-up").status_code == 422


def test_clients_of_another_vendor_page_through_the_search(desk: Desk) -> None:
    """Azure's client follows links through a list that has none."""
    url = f"{desk.running.url}/native/azure-job-router/{CONNECTION}/routing/jobs"
    bearer = {"Authorization": f"Bearer {desk.running.api_key}"}
    found: list[str] = []
    query: dict[str, Any] = {"api-version": "2023-11-01", "maxpagesize": 3}
    while query:
        body = requests.get(url, query, headers=bearer, timeout=20).json()
        found += [job["id"] for job in body["value"]]
        query = dict(parse_qsl(urlsplit(body.get("nextLink", "")).query))
    assert found == desk.ids


def test_a_time_range_chooses_jobs_of_another_vendor_by_their_creation(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that was created outside of the range is not found; one whose creation nobody tells is."""
    ids = [str(job["id"]) for job in desk.running.sandbox.vendor("azure-job-router").jobs()]
    times = ("2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z", "2026-02-01T01:00:01+01:00")
    created = {job_id: {"createdAt": time} for job_id, time in zip(ids, times, strict=False)}
    monkeypatch.setattr("gateway.engine.jobs.timestamps", lambda values: created.get(values["job.id"], {}))
    found = [each["Id"] for page in desk.pages(AZURE, **desk.by(5)) for each in page["Contacts"]]
    assert found == [ids[1], *ids[3:]]


def test_a_time_range_that_is_none_is_refused(desk: Desk) -> None:
    """For jobs of another vendor too, a range that has no times is the vendor's invalid request."""
    if desk.is_numbered:
        refused = desk.search(AZURE, Interval="yesterday")
    else:
        refused = desk.search(AZURE, TimeRange={"Type": "STARTED", **RANGE, "End": "yesterday"})
    assert (refused.status_code, refused.json()["Type"]) == (400, "InvalidRequest")


def test_the_changed_document_passes_the_lint(desk: Desk) -> None:
    """Every form of it is one that the project would accept."""
    path = desk.running.gateway.catalogue.vendors["search-desk"].specification.api.document.path
    assert lint.check(path) == []
