"""Links in a vendor's list beside the one to the next page: they lead the vendor's clients to the gateway too."""

from __future__ import annotations

import dataclasses
from typing import Any
from urllib.parse import urlsplit

import pytest

from gateway.app import Catalogue, Gateway
from gateway.ledger.memory import MemoryLedger
from gateway.specs.lens import Place
from tests.native.fixtures import AZURE, VERSION, VendorClients
from tests.support.documents import installed
from tests.support.transport import FakeTransport, reply
from tests.support.vendors import AZURE as HOST
from tests.support.vendors import azure_job, settings

LIST = "/native/azure-job-router/contoso-prod/routing/jobs"
FIRST, BEFORE = Place.parse("body.meta.first"), Place.parse("body.meta.before")


def with_links() -> Catalogue:
    """The installed vendors; Azure's list has links to the first page and to the one before."""
    catalogue = installed()
    vendor = catalogue.vendors[AZURE]
    read = vendor.specification.list_read
    assert read is not None
    linked = dataclasses.replace(read, links=(FIRST, BEFORE))
    reads = {**vendor.specification.reads, read.operation.operation_id: linked}
    specification = dataclasses.replace(vendor.specification, reads=reads)
    natives = {**catalogue.natives, AZURE: dataclasses.replace(catalogue.natives[AZURE], vendor=specification)}
    vendors = {**catalogue.vendors, AZURE: dataclasses.replace(vendor, specification=specification)}
    return dataclasses.replace(catalogue, vendors=vendors, natives=natives)


def clients_of(**members: Any) -> VendorClients:
    """A gateway whose vendor answers every list with these members."""
    transport = FakeTransport(otherwise=reply(200, {"value": [azure_job("queued")], **members}))
    return VendorClients(Gateway(settings(), with_links(), transport=transport, ledger=MemoryLedger()), transport)


@pytest.mark.parametrize("base", [HOST, "", f"//{HOST.partition('//')[2]}"])
async def test_every_declared_link_leads_here(base: str) -> None:
    """A link in any form becomes one of the gateway, which asks the vendor for what the vendor's link asked for."""
    queries = {"first": f"{VERSION}&page=0", "before": f"{VERSION}&page=1&token=a%2Bb", "next": f"{VERSION}&page=3"}
    links = {name: f"{base}/routing/jobs?{query}" for name, query in queries.items()}
    clients = clients_of(meta={"first": links["first"], "before": links["before"], "size": 1}, nextLink=links["next"])
    body = (await clients.azure("GET", "/routing/jobs")).json
    assert body["meta"]["size"] == 1
    found = {"first": body["meta"]["first"], "before": body["meta"]["before"], "next": body["nextLink"]}
    for name, link in found.items():
        url = urlsplit(link)
        assert (url.netloc, url.path) == ("gateway.test", LIST)
        assert (await clients.azure("GET", "/routing/jobs", query=url.query)).status == 200
        assert clients.calls[-1] == f"GET {HOST}/routing/jobs?{queries[name]}"


@pytest.mark.parametrize("link", ["https://evil.test/routing/jobs", f"{HOST}/routing/workers?{VERSION}", "http://[", 5])
async def test_a_link_that_leads_elsewhere_is_left_out(link: Any) -> None:
    """The client gets no address that leads past the gateway, and the page is there all the same."""
    answer = await clients_of(meta={"first": link, "size": 1}).azure("GET", "/routing/jobs")
    assert (answer.status, answer.json["meta"]) == (200, {"size": 1})
    assert "nextLink" not in answer.json


@pytest.mark.parametrize("meta", [{}, {"first": None}, {"first": "", "before": None}, None, "text"])
async def test_links_that_are_not_there_stay_away(meta: Any) -> None:
    """A link that is missing, empty or null is passed on as it is."""
    answer = await clients_of(meta=meta).azure("GET", "/routing/jobs")
    assert (answer.status, answer.json["meta"], "nextLink" in answer.json) == (200, meta, False)


async def test_a_next_link_that_leads_elsewhere_is_an_error() -> None:
    """Without the next page the list would seem to end, so the reply as a whole is not understood."""
    answer = await clients_of(nextLink="https://evil.test/routing/jobs").azure("GET", "/routing/jobs")
    assert answer.status == 502
