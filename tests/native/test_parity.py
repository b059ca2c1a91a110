"""A vendor's own connection: its client cannot tell the gateway from the vendor."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import pytest
import requests

from gateway.specs.native import base_path
from gateway.specs.vendor import VendorSpecification
from gateway.startup.serve import Running, sandbox_name
from tests.support.documents import installed

CATALOGUE = installed()
VENDORS = list(CATALOGUE.vendors)
HEADERS: Mapping[str, Mapping[str, str]] = {
    "azure-job-router": {},
    "vonage-contact-center": {"Accept": "application/vnd.newvoicemedia.v1+json"},
}
QUERY = {"azure-job-router": "?api-version=2023-11-01", "vonage-contact-center": ""}
COMPARED = ("content-type", "etag", "retry-after", "x-ms-error-code", "allow")
UNTOLD = "2f8a35c1-6f0b-4a3c-9d5e-0c1b7a9e4dff"
"""The id of a job that no vendor has."""


class Both:
    """A vendor's simulator, and the gateway in front of it; asked the same."""

    def __init__(self, stack: Running, vendor: str) -> None:
        """Ask for the jobs of a vendor."""
        self.sandbox = stack.sandbox.vendor(vendor)
        self.vendor, self.specification = vendor, self.sandbox.specification
        connection = sandbox_name(vendor, VENDORS)
        token = self.sandbox.issue_token().value
        self.sides = (
            (stack.sandbox.endpoint(vendor), f"Bearer {token}"),
            (f"{stack.url}{base_path(vendor)}/{connection}", f"Bearer {stack.api_key}"),
        )

    def ask(self, method: str, path: str, **how: Any) -> tuple[requests.Response, requests.Response]:
        """Ask both, each of whom finds the jobs as they were at the start."""
        first, second = (self._ask(side, method, path, **how) for side in self.sides)
        return first, second

    def _ask(self, side: tuple[str, str], method: str, path: str, **how: Any) -> requests.Response:
        self.sandbox.reset()
        self.sandbox.configure(envelope=how.pop("envelope", None))
        headers = {"Authorization": side[1], **HEADERS[self.vendor], **how.pop("headers", {})}
        sent = {name: value for name, value in headers.items() if value is not None}
        query = how.pop("query", QUERY[self.vendor])
        answer = requests.request(method, f"{side[0]}{path}{query}", headers=sent, timeout=20, **how)
        answer.encoding = "utf-8"
        return answer


@pytest.fixture(params=VENDORS)
def both(request: pytest.FixtureRequest, stack: Running) -> Both:
    """Both ways to a vendor."""
    return Both(stack, request.param)


def seen(answer: requests.Response) -> Any:
    """What a client sees of an answer: status, headers, and a body without addresses and what is new each time."""
    text = re.sub(r"http://[^\"]*[?]", "?", answer.text)
    text = re.sub(r"continuationToken=[^&\"]+", "continuationToken", text)
    return answer.status_code, {name: answer.headers.get(name) for name in COMPARED}, text


def actions(specification: VendorSpecification, job_id: str) -> Iterator[tuple[str, Any]]:
    """Every action's path and body for a job."""
    for mapping in specification.actions.values():
        assignment = quote("1d5896f3-8b54-40be-82d3-910323f5e2af")
        values = {"jobId": job_id, "id": job_id, "assignmentId": assignment, "action": mapping.action}
        path = mapping.operation.path
        for name, value in values.items():
            path = path.replace(f"{{{name}}}", value)
        yield path, None
        notes = {"note": "Why", "dispositionCode": "Done"}
        carried = {name: value for name, value in notes.items() if name in mapping.parameters}
        if carried:
            yield path, carried


def test_reads_are_the_same(both: Both) -> None:
    """Reads of every job and of the list equal the vendor's byte for byte."""
    listed = both.specification.list_read
    assert listed is not None
    first, second = both.ask("GET", listed.operation.path)
    assert seen(first) == seen(second)
    one = both.specification.job_read
    for job in both.sandbox.jobs() if one else ():
        first, second = both.ask("GET", one.operation.path.replace("{jobId}", str(job["id"])) if one else "")
        assert (first.status_code, seen(first)) == (200, seen(second))


def test_pages_are_the_same(both: Both) -> None:
    """Page after page, whether the list goes on by links or by numbers."""
    both.sandbox.reset()
    walked = [list(pages(both, *side)) for side in both.sides]
    assert walked[0] == walked[1]
    assert len(walked[0]) > 2
    assert sum(map(len, walked[0])) == len(both.sandbox.jobs())


def pages(both: Both, endpoint: str, authorization: str) -> Iterator[list[Any]]:
    """The pages of a list, as the vendor's client asks for them."""
    headers = {"Authorization": authorization, **HEADERS[both.vendor]}
    if both.vendor == "azure-job-router":
        url: str | None = f"{endpoint}/routing/jobs{QUERY[both.vendor]}&maxpagesize=7&status=all"
        while url:
            body = requests.get(url, headers=headers, timeout=20).json()
            yield body["value"]
            url = body.get("nextLink")
            assert url is None or url.startswith(f"{endpoint}/routing/jobs?")
        return
    number = count = 1
    while number <= count:
        url = f"{endpoint}/interactions/jobs?page={number}&limit=7"
        body = requests.get(url, headers=headers, timeout=20).json()
        count, number = body["paging"]["count"], number + 1
        yield body["jobs"]


def test_actions_are_the_same(both: Both) -> None:
    """Actions in every status give the vendor's own result, words and effect on the job."""
    place = both.specification.job.place_of("job.id")
    assert place is not None
    both.sandbox.reset()
    for job_id in [str(place.get({"body": job})) for job in both.specification.examples]:
        for path, body in actions(both.specification, job_id):
            answers, after = [], []
            for side in both.sides:
                answers.append(both._ask(side, "POST", path, json=body) if body else both._ask(side, "POST", path))
                after.append(status_of(both, job_id))
            assert same(*answers), (path, [each.text for each in answers])
            assert after[0] == after[1]


def status_of(both: Both, job_id: str) -> str:
    """The status of a job."""
    place = both.specification.job.place_of("job.vendorStatus")
    assert place is not None
    return str(place.get({"body": both.sandbox.job(job_id)}))


def same(vendors: requests.Response, ours: requests.Response) -> bool:
    """Whether an answer is the vendor's. Our errors come in all of the shapes that the vendor documents at once."""
    if vendors.ok:
        return bool(seen(vendors) == seen(ours))
    one, other = vendors.json(), ours.json()
    return (
        vendors.status_code == ours.status_code and one.items() <= other.items() and type_of(vendors) == type_of(ours)
    )


def type_of(answer: requests.Response) -> str | None:
    """The media type of an answer."""
    return answer.headers.get("content-type")


@pytest.mark.parametrize("envelope", ["live", "documented"])
def test_azures_errors_come_in_both_shapes(stack: Running, envelope: str) -> None:
    """Clients that follow the reference pages find theirs, and those that follow the live service."""
    both = Both(stack, "azure-job-router")
    vendors, ours = both.ask("GET", f"/routing/jobs/{UNTOLD}", envelope=envelope)
    assert (vendors.status_code, same(vendors, ours)) == (404, True)
    assert ours.headers["x-ms-error-code"] == "NotFound"


REFUSED: list[tuple[str, str, str, dict[str, Any]]] = [
    ("azure-job-router", "GET", "/routing/jobs", {"query": ""}),
    ("azure-job-router", "GET", "/routing/jobs", {"query": "?api-version=2021-01-01"}),
    ("azure-job-router", "GET", "/routing/jobs", {"query": "?api-version=2023-11-01&maxpagesize=x"}),
    ("azure-job-router", "GET", "/routing/jobs", {"headers": {"Authorization": None}}),
    ("azure-job-router", "GET", "/routing/jobs", {"headers": {"Authorization": "Bearer wrong"}}),
    ("azure-job-router", "DELETE", "/routing/jobs", {}),
    ("azure-job-router", "GET", "/routing/queues", {}),
    ("azure-job-router", "POST", f"/routing/jobs/{UNTOLD}:cancel", {}),
    ("azure-job-router", "POST", f"/routing/jobs/{UNTOLD}:cancel", {"json": {"note": 5}}),
    (
        "azure-job-router",
        "POST",
        f"/routing/jobs/{UNTOLD}:cancel",
        {"data": "{", "headers": {"Content-Type": "application/json"}},
    ),
    (
        "azure-job-router",
        "POST",
        f"/routing/jobs/{UNTOLD}:cancel",
        {"data": "x", "headers": {"Content-Type": "text/plain"}},
    ),
    ("vonage-contact-center", "GET", "/interactions/jobs", {"headers": {"Accept": "application/json"}}),
    ("vonage-contact-center", "GET", "/interactions/jobs", {"headers": {"Authorization": None}}),
    ("vonage-contact-center", "GET", "/interactions/jobs", {"query": "?limit=0"}),
    ("vonage-contact-center", "PUT", "/interactions/jobs", {}),
    ("vonage-contact-center", "POST", "/interactions/jobs/7/cancel", {}),
    ("vonage-contact-center", "POST", f"/interactions/jobs/{UNTOLD}/cancel", {}),
    ("vonage-contact-center", "POST", f"/interactions/jobs/{UNTOLD}/explode", {}),
]


@pytest.mark.parametrize(("vendor", "method", "path", "how"), REFUSED)
def test_refusals_are_the_same(stack: Running, vendor: str, method: str, path: str, how: dict[str, Any]) -> None:
    """Status, media type, code and members of the body; a sentence may be another."""
    vendors, ours = Both(stack, vendor).ask(method, path, **how)
    assert vendors.status_code == ours.status_code >= 400
    assert type_of(vendors) == type_of(ours)
    for name, value in vendors.json().items():
        told = ours.json()[name]
        assert told["code"] == value["code"] if isinstance(value, dict) else isinstance(told, str)


def test_vonages_words_about_the_version(stack: Running) -> None:
    """A wrong version is refused in the words of Vonage's page."""
    how: dict[str, Any] = {"headers": {"Accept": "*/*"}}
    _, ours = Both(stack, "vonage-contact-center").ask("GET", "/interactions/jobs", **how)
    assert ours.json() == {"message": "Invalid api-version! Valid values: 'application/vnd.newvoicemedia.v1+json'"}
