"""Lists of jobs, in the vendors' own ways of paging."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.domain.model import HttpRequest, Json
from gateway.domain.vocabulary import Meaning, Source
from gateway.engine.wire import http_request
from gateway.sandbox.server import Sandbox, SandboxServer
from gateway.specs.vendor import ReadMapping
from tests.sandbox.fixtures import (
    SEARCH,
    SPECIFICATIONS,
    TOY,
    VENDORS,
    Answer,
    Clock,
    VendorClient,
    changed,
    departures,
)

REMOVED = None
RANGE: dict[str, Json] = {"Type": "STARTED", "Start": "2026-01-05T09:30:00Z", "End": "2026-01-05T10:30:00+01:00"}


def search(client: VendorClient, **change: Json) -> Answer:
    """The answer to a search by POST, its body changed."""
    read = client.specification.list_read
    assert read is not None
    body = {name: value for name, value in {"TimeRange": RANGE, **change}.items() if value is not REMOVED}
    return client.send(client.request(read.operation, body=body))


def page(client: VendorClient, answer: Answer) -> list[str]:
    """The ids on a page."""
    read = client.specification.list_read
    assert read is not None
    assert read.items is not None
    assert (answer.status, departures(read.operation, answer)) == (200, [])
    jobs = read.items.get({"body": answer.json})
    assert isinstance(jobs, list)
    return [read.job.id_of(job) for job in jobs]


def last_page(read: ReadMapping, answer: Answer, limit: int) -> int:
    """The number of the last page, which the reply names or its total leads to."""
    if read.last_page is not None:
        return int(str(read.last_page.get({"body": answer.json})))
    return -(-int(str(read.reply.decode({"body": answer.json})["page.total"])) // limit)


def pages(client: VendorClient, limit: int, status: str | None = None) -> Iterator[list[str]]:
    """The pages of a list, each found as the vendor's document says."""
    read = client.specification.list_read
    assert read is not None
    chosen: dict[str, Json] = {"limit": limit} if status is None else {"limit": limit, "status": status}
    request = client.read_request(**chosen)[1]
    number = 1
    while True:
        answer = client.send(request)
        yield page(client, answer)
        if read.next_link:
            link = read.next_link.get({"body": answer.json})
            if link is None:
                return
            request = HttpRequest("GET", str(link), request.headers)
        elif read.token:
            token = read.token.get({"body": answer.json})
            if token is None:
                return
            request = client.read_request(**chosen, cursor=token)[1]
        else:
            if number >= last_page(read, answer, limit):
                return
            number += 1
            request = client.read_request(**chosen, number=number)[1]


def all_ids(client: VendorClient) -> list[str]:
    """The ids of all jobs, in the order in which they were made."""
    return [str(client.specification.job.decode({"body": job})["job.id"]) for job in client.vendor.jobs()]


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_pages_show_every_job_once(limit: int, client: VendorClient) -> None:
    """Page after page, every job is shown once and in order, and every page but the last is full."""
    found = list(pages(client, limit))
    assert [each for ids in found for each in ids] == all_ids(client)
    assert {len(ids) for ids in found[:-1]} == {limit}


def test_a_page_that_ends_with_the_list_is_the_last(client: VendorClient) -> None:
    """Where the last page is full, no empty one follows."""
    found = list(pages(client, 1))
    assert len(found) == len(all_ids(client))


def test_a_list_without_a_limit(client: VendorClient) -> None:
    """Without a limit a page is as long as the document allows, up to a hundred jobs."""
    read = client.specification.list_read
    assert read is not None
    found = page(client, client.send(client.some_request()))
    assert len(found) == min(len(all_ids(client)), read.largest_page(), 100)


def test_a_limit_that_the_document_sets(tmp_path: Path) -> None:
    """Where the document has a default for the limit, a page without one is that long."""
    content = VENDORS[TOY][1].api.document.content["paths"]["/tickets"]["get"]["parameters"]
    sized = [
        each | {"schema": each["schema"] | {"default": 2}} if each.get("name") == "size" else each for each in content
    ]
    vendor = changed(tmp_path, TOY, {"paths /tickets get parameters": sized})
    with SandboxServer(Sandbox({TOY: vendor})) as server:
        client = VendorClient(server, vendor[0], server.vendor(TOY), Clock())
        read = client.specification.list_read
        assert read is not None
        assert len(page(client, client.send(client.request(read.operation)))) == 2


def test_jobs_that_come_while_paging_are_shown(client: VendorClient) -> None:
    """A job that is made while somebody pages is on a later page, and none is shown twice or left out."""
    found: list[str] = []
    made = ""
    for ids in pages(client, 3):
        found += ids
        made = made or client.vendor.create_job(next(iter(client.specification.clear_statuses)))
    assert found == all_ids(client)
    assert made in found


FILTERED = [
    each.name for each in SPECIFICATIONS if each.list_read and "job.vendorStatus" in each.list_read.lens.sources
]


@pytest.mark.parametrize("name", FILTERED)
def test_lists_by_status(name: str, clients: dict[str, VendorClient]) -> None:
    """A list by status shows the jobs in it, and by a selector those in the statuses that it stands for."""
    client = clients[name]
    statuses = client.specification.clear_statuses
    by_status = {each: [job_id for ids in pages(client, 2, each) for job_id in ids] for each in statuses}
    for status, ids in by_status.items():
        assert ids == [each for each in all_ids(client) if client.status_of(each) == status]
    assert client.specification.list_read is not None
    for word, chosen in client.specification.list_read.selectors.items():
        wanted = {job_id for status in chosen or statuses for job_id in by_status[status]}
        assert [each for ids in pages(client, 5, word) for each in ids] == [
            each for each in all_ids(client) if each in wanted
        ]


@pytest.mark.parametrize("name", FILTERED)
def test_a_filtered_list_goes_on_when_jobs_move(name: str, clients: dict[str, VendorClient]) -> None:
    """A job that leaves the status between two pages takes no other job with it."""
    client = clients[name]
    status, other, *_ = client.specification.clear_statuses
    wanted = [each for each in all_ids(client) if client.status_of(each) == status]
    found: list[str] = []
    for ids in pages(client, 1, status):
        found += ids
        client.vendor.set_status(ids[0], other)
    assert found == wanted


@pytest.mark.parametrize("word", [[], ["NEW"], ["NEW", "TALKING"], ["TALKING", "NEW", "ENDED"]])
def test_lists_by_several_statuses(word: list[Json], clients: dict[str, VendorClient]) -> None:
    """A filter that is a list of words shows the jobs in any of these statuses; an empty one chooses nothing."""
    client = clients[SEARCH]
    found = search(client, States=word).json["Contacts"]
    assert {each["State"] for each in found} == set(word or client.specification.clear_statuses)


def test_a_time_range_chooses_no_jobs(clients: dict[str, VendorClient]) -> None:
    """The jobs have the times of the examples, so that they are shown in every time range."""
    client = clients[SEARCH]
    found = search(client, TimeRange={**RANGE, "Start": "2000-01-01T00:00:00Z", "End": "2000-01-02T00:00:00Z"})
    assert found.json["TotalCount"] == len(client.vendor.jobs())


@pytest.mark.parametrize(
    "window",
    [REMOVED, {"Type": "STARTED"}, {**RANGE, "Start": "2026-01-05T10:00:00Z"}, {**RANGE, "End": "then"}],
)
def test_a_time_range_that_is_none_is_refused(window: Json, clients: dict[str, VendorClient]) -> None:
    """A list that demands a time range answers with the vendor's invalid request if it has none, or ends too early."""
    answer = search(clients[SEARCH], TimeRange=window)
    assert (answer.status, answer.json["Type"]) == (400, "InvalidRequest")


@pytest.mark.parametrize("token", ["made-up", "%00", "\u00e9", "MA"])
def test_tokens_that_nobody_gave(token: str, clients: dict[str, VendorClient]) -> None:
    """A token that was never given is answered like an unknown job, never with some other page."""
    assert search(clients[SEARCH], NextToken=token).status == 404


LINKED = [each.name for each in SPECIFICATIONS if each.list_read and each.list_read.next_link]


@pytest.mark.parametrize("name", LINKED)
def test_links_lead_to_this_server(name: str, clients: dict[str, VendorClient]) -> None:
    """The link to the next page is an absolute URL of the same list, with the query it had."""
    client = clients[name]
    read = client.specification.list_read
    assert read is not None
    assert read.next_link is not None
    request = client.read_request(limit=2)[1]
    link = urlsplit(str(read.next_link.get({"body": client.send(request).json})))
    here = urlsplit(request.url)
    assert (link.scheme, link.netloc, link.path) == (here.scheme, here.netloc, here.path)
    assert link.query.startswith(f"{here.query}&")


@pytest.mark.parametrize("name", LINKED)
@pytest.mark.parametrize("token", ["made-up", "%00", "\u00e9", "MA"])
def test_links_that_nobody_gave(name: str, token: str, clients: dict[str, VendorClient]) -> None:
    """A continuation that was never given is answered like an unknown job, never with some other page."""
    client = clients[name]
    read = client.specification.list_read
    assert read is not None
    parameter = next(each for each in read.operation.declared["query"] if "oken" in each)
    request = client.request(read.operation, query={parameter: token})
    assert client.send(request).status == client.specification.errors.meanings[Meaning.UNKNOWN_JOB][0].status


MEMBERS = [
    pytest.param(vendor.name, name, id=f"{vendor.name}-{name}")
    for vendor in SPECIFICATIONS
    if vendor.list_read
    for name in vendor.list_read.operation.declared["query"]
    if any(name in example for example in vendor.examples)
    and not any(name in rule.place.keys for rule in vendor.list_read.lens.rules)
]


@pytest.mark.parametrize(("name", "member"), MEMBERS)
def test_lists_by_a_member_of_the_jobs(name: str, member: str, clients: dict[str, VendorClient]) -> None:
    """A query parameter with the name of a member of jobs shows the jobs that have that value there."""
    client = clients[name]
    read = client.specification.list_read
    assert read is not None
    values = {str(job[member]) for job in client.vendor.jobs() if member in job}
    for value in (*values, "another"):
        answer = client.send(client.request(read.operation, query={member: value}))
        expected = [job for job in client.vendor.jobs() if job.get(member) == value]
        assert len(page(client, answer)) == len(expected)
        assert (expected != []) is (value != "another")


SECTIONED = [
    each.name
    for each in SPECIFICATIONS
    if each.list_read and each.list_read.last_page and len(each.list_read.last_page.keys) > 1
]


@pytest.mark.parametrize("name", SECTIONED)
def test_counts_are_those_of_the_document(name: str, clients: dict[str, VendorClient]) -> None:
    """Of the members beside the number of the last page, those with well-known names are filled."""
    client = clients[name]
    read = client.specification.list_read
    assert read is not None
    assert read.last_page is not None
    total = len(all_ids(client))
    answer = client.send(client.read_request(limit=5, number=2)[1])
    section = answer.json[read.last_page.keys[0]]
    assert section == {"page": 2, "count": -(-total // 5), "pageCount": 5, "totalCount": total}
    after_the_end = client.send(client.read_request(limit=5, number=1_000)[1]).json[read.last_page.keys[0]]
    assert after_the_end == {"page": 1_000, "count": -(-total // 5), "pageCount": 0, "totalCount": total}


@pytest.mark.parametrize("name", [each.name for each in SPECIFICATIONS if each.job_read])
def test_one_job_is_read_as_it_is(name: str, clients: dict[str, VendorClient]) -> None:
    """A read of one job shows that job, and nothing of others."""
    client = clients[name]
    read = client.specification.job_read
    assert read is not None
    for job_id in all_ids(client):
        request = http_request(read.operation, read.encode({"job.id": job_id}), client.endpoint)
        answer = client.send(request)
        assert departures(read.operation, answer) == []
        assert read.job_in(answer.json) == client.vendor.job(job_id)
    request = http_request(read.operation, read.encode({"job.id": "nobody"}), client.endpoint)
    assert client.send(request).status == client.specification.errors.meanings[Meaning.UNKNOWN_JOB][0].status


FILTERS = [
    pytest.param(vendor.name, source, id=f"{vendor.name}-{source}")
    for vendor in SPECIFICATIONS
    if vendor.list_read
    for source in (Source.JOB_QUEUE, Source.JOB_TYPE)
    if vendor.list_read.lens.place_of(source)
]


@pytest.mark.parametrize(("name", "source"), FILTERS)
def test_lists_by_queue_and_type(name: str, source: Source, clients: dict[str, VendorClient]) -> None:
    """A list that the vendor filters by queue or type shows the jobs of that queue or type, and no others."""
    client = clients[name]
    read, shape = client.specification.list_read, client.specification.job
    assert read is not None
    found = [shape.lens.read(source, {"body": job}) for job in client.vendor.jobs()]
    values = sorted({str(each) for each in found if each is not None})
    assert values
    for value in (*values, "WQ" + "f" * 32):
        request = http_request(read.operation, read.encode({source: value}), client.endpoint)
        assert len(page(client, client.send(request))) == sum(each == value for each in found)
