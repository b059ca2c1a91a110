"""A vendor's own connection: its client cannot tell the gateway from the vendor."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
import requests

from gateway.domain.access import DEFAULT_CALLER
from gateway.domain.model import JobAction, Json, VendorRequest
from gateway.domain.vocabulary import Source
from gateway.engine.paging import next_number, next_token
from gateway.engine.wire import url
from gateway.sandbox.settings import Credentials
from gateway.security.schemes import Scheme
from gateway.settings.settings import LedgerSettings, load
from gateway.specs.native import base_path
from gateway.specs.security import checked_schemes, kind_of, schemes
from gateway.specs.vendor import ActionMapping, ReadMapping
from gateway.specs.windows import Window
from gateway.startup.serve import Running, running, sandbox_name
from tests.support.documents import installed
from tests.support.signatures import as_signed

CATALOGUE = installed()
VENDORS = list(CATALOGUE.vendors)
Acted = tuple[list[requests.Response], list[Any]]
"""The answers of both sides to an action, and the status of the job after each."""
TRIES = 5
COMPARED = ("content-type", "etag", "retry-after", "x-ms-error-code", "allow")
UNTOLD = "2f8a35c1-6f0b-4a3c-9d5e-0c1b7a9e4dff"
"""The id of a job that no vendor has."""
INSTANCE = "aaaaaaaa-1111-2222-3333-bbbbbbbbbbbb"
NOTES: Mapping[str, Json] = {"note": "Why", "dispositionCode": "Done"}


@dataclass(frozen=True)
class Side:
    """A vendor's simulator, or the gateway in front of it, and the credentials that a client has there.

    Without a `scheme` these are the bearer token.
    """

    endpoint: str
    token: str
    credentials: Credentials
    scheme: Scheme | None

    def authorization(self, request: requests.PreparedRequest) -> Mapping[str, str]:
        """The header fields that authenticate a request."""
        if self.scheme is None:
            return {"Authorization": f"Bearer {self.token}"}
        return self.scheme.sign(as_signed(request), self.credentials.parts(self.scheme.kind), datetime.now(UTC))


class Both:
    """A vendor's simulator, and the gateway in front of it; asked the same."""

    def __init__(self, stack: Running, vendor: str) -> None:
        """Ask for the jobs of a vendor."""
        self.sandbox = stack.sandbox.vendor(vendor)
        self.vendor, self.specification = vendor, self.sandbox.specification
        common = self.specification.request.encode({})
        self.headers, self.query = common.get("header", {}), common.get("query", {})
        scheme = scheme_of(vendor)
        own = Credentials(client_id=DEFAULT_CALLER, access_key=stack.access_key)
        native = f"{stack.url}{base_path(vendor)}/{sandbox_name(vendor, VENDORS)}"
        token = self.sandbox.issue_token().value
        self.sides = (
            Side(stack.sandbox.endpoint(vendor), token, stack.sandbox.credentials(vendor), scheme),
            Side(native, stack.api_key, own, scheme),
        )

    def ask(self, method: str, path: str, **how: Any) -> tuple[requests.Response, requests.Response]:
        """Ask both, each of whom finds the jobs as they were at the start."""
        first, second = (self.ask_one(side, method, f"{side.endpoint}{path}", **how) for side in self.sides)
        return first, second

    def request(self, mapping: ReadMapping | ActionMapping, asked: VendorRequest) -> tuple[requests.Response, ...]:
        """Send a request of the vendor's document to both."""
        return tuple(self.request_one(side, mapping, asked) for side in self.sides)

    def request_one(self, side: Side, mapping: ReadMapping | ActionMapping, asked: VendorRequest) -> requests.Response:
        """Send a request of the vendor's document to one side."""
        written = "json" if "application/json" in mapping.operation.media_types else "data"
        how: dict[str, Any] = {"headers": asked.header} | ({} if asked.body is None else {written: asked.body})
        target = url(mapping.operation, asked, side.endpoint)
        return self.ask_one(side, mapping.operation.method, target, query={}, **how)

    def ask_one(self, side: Side, method: str, target: str, **how: Any) -> requests.Response:
        """Ask one side, which finds the jobs as they were at the start. A header field None is left out."""
        self.sandbox.reset()
        self.sandbox.configure(envelope=how.pop("envelope", None))
        given = self.headers | how.pop("headers", {})
        query = how.pop("query", self.query)
        kept = {name: str(value) for name, value in given.items() if value is not None}
        request = requests.Request(method, target, headers=kept, params=query, **how).prepare()
        for name, value in side.authorization(request).items():
            if name not in given:
                request.headers[name] = value
        with requests.Session() as session:
            answer = session.send(request, timeout=20)
        answer.encoding = "utf-8"
        return answer

    def act(self, mapping: ActionMapping, asked: VendorRequest, job_id: str) -> Acted:
        """Do an action on both sides, and see the job after each."""
        job, answers, after = self.specification.job, [], []
        for side in self.sides:
            answers.append(self.request_one(side, mapping, asked))
            after.append([job.status_of(each) for each in self.sandbox.jobs() if job.id_of(each) == job_id])
        return answers, after

    def are_same(self, vendors: requests.Response, ours: requests.Response) -> bool:
        """Whether an answer is the vendor's. Our errors come in all shapes that the vendor documents at once."""
        if vendors.ok:
            return bool(seen(vendors) == seen(ours))
        return self.are_alike(vendors, ours) and vendors.json().items() <= ours.json().items()

    def are_alike(self, vendors: requests.Response, ours: requests.Response) -> bool:
        """Whether a refusal is the vendor's but for its sentence: status, media type, code and members of the body."""
        first, second = (self._said(each) for each in (vendors, ours))
        return vendors.status_code >= 400 and first == second and vendors.json().keys() <= ours.json().keys()

    def _said(self, answer: requests.Response) -> tuple[int, str | None, Json]:
        """The status, media type and code of a refusal."""
        said = self.specification.errors.read({"header": dict(answer.headers), "body": answer.json()})
        return answer.status_code, answer.headers.get("content-type"), said.get(Source.ERROR_CODE)


def within_a_second(ask: Callable[[], Acted], are_same: Callable[[Acted], bool]) -> Acted:
    """Ask again if the answers differ and a second of the clock began between them.

    There are vendors that write times in whole seconds.
    """
    for _ in range(TRIES - 1):
        second, answers = int(time.time()), ask()
        if are_same(answers) or int(time.time()) == second:
            return answers
    return ask()


def scheme_of(vendor: str) -> Scheme | None:
    """The scheme of a vendor's clients: None if they can send a bearer token, otherwise the document's first one."""
    adapter, document = CATALOGUE.vendors[vendor].adapter, CATALOGUE.vendors[vendor].specification.api.document
    known = schemes(document)
    if any(kind_of(each) in {"oauth2", "bearer"} for each in known.values()):
        return None
    values = CATALOGUE.vendors[vendor].specification.example_values
    return checked_schemes(adapter, document, values)[next(iter(known))]


@pytest.fixture(scope="module")
def stack() -> Iterator[Running]:
    """A gateway and its sandbox. Genesys only accepts actions, so what came of each is looked at soon."""
    soon = LedgerSettings(confirm_seconds=(0.02, *LedgerSettings().confirm_seconds))
    settings = load().model_copy(update={"ledger": soon})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("gateway.engine.reconciliation.LOOK_SECONDS", 0.02)
        with running(catalogue=CATALOGUE, settings=settings) as started:
            yield started


@pytest.fixture(params=VENDORS)
def both(request: pytest.FixtureRequest, stack: Running) -> Both:
    """Both ways to a vendor."""
    return Both(stack, request.param)


def seen(answer: requests.Response) -> Any:
    """What a client sees of an answer: status, headers, and a body without addresses and what is new each time."""
    text = re.sub(r"http://[^\"]*[?]", "?", answer.text)
    text = re.sub(r"continuationToken=[^&\"]+", "continuationToken", text)
    return answer.status_code, {name: answer.headers.get(name) for name in COMPARED}, text


def actions(both: Both, job_id: str) -> Iterator[tuple[ActionMapping, VendorRequest]]:
    """The requests of all actions for a job, without and with a note. One that several actions share comes once."""
    sent = set()
    for mapping in both.specification.actions.values():
        operation = mapping.operation
        (example, *_) = both.specification.decode(operation.operation_id, operation.example)
        needed = {name: value for name, value in example.parameters.items() if name in mapping.find}
        carried = {name: value for name, value in NOTES.items() if name in mapping.parameters}
        for parameters in ({}, carried) if carried else ({},):
            asked = mapping.encode(JobAction(mapping.action, job_id, {**needed, **parameters}))
            if (operation.operation_id, str(asked.parts())) not in sent:
                sent.add((operation.operation_id, str(asked.parts())))
                yield mapping, asked


def page_values(read: ReadMapping) -> dict[str, Json]:
    """The values of a request for the first page of a list."""
    window = Window.last(read.window_days, datetime.now(UTC)).values if read.window_days else {}
    numbered: dict[str, Json] = {Source.PAGE_NUMBER: 1} if read.lens.place_of(Source.PAGE_NUMBER) else {}
    return {Source.PAGE_LIMIT: 5, **window, **numbered}


def list_of(both: Both) -> ReadMapping:
    """The list of a vendor."""
    listed = both.specification.list_read
    assert listed is not None
    return listed


def test_reads_are_the_same(both: Both) -> None:
    """Reads of every job and of the list equal the vendor's byte for byte."""
    listed, one = list_of(both), both.specification.job_read
    values = {name: value for name, value in page_values(listed).items() if name != Source.PAGE_LIMIT}
    first, second = both.request(listed, listed.encode(values))
    assert (first.status_code, seen(first)) == (200, seen(second))
    for job in both.sandbox.jobs() if one else ():
        assert one is not None
        first, second = both.request(one, one.encode({Source.JOB_ID: both.specification.job.id_of(job)}))
        assert (first.status_code, seen(first)) == (200, seen(second))


def test_pages_are_the_same(both: Both) -> None:
    """Page after page, whether the list goes on by links, by tokens or by numbers."""
    both.sandbox.reset()
    walked = [list(pages(both, side)) for side in both.sides]
    assert walked[0] == walked[1]
    assert len(walked[0]) > 1
    assert sum(map(len, walked[0])) == len(both.sandbox.jobs())


def pages(both: Both, side: Side) -> Iterator[list[Any]]:
    """The pages of a list, as the vendor's client asks for them."""
    read = list_of(both)
    asked = read.encode(page_values(read))
    answer = both.request_one(side, read, asked)
    while True:
        body = answer.json()
        items: Any = read.items.get({"body": body}) if read.items else None
        yield items
        if read.next_link is not None:
            link = read.next_link.get({"body": body})
            if link is None:
                return
            assert str(link).startswith(url(read.operation, VendorRequest("", asked.path), side.endpoint))
            answer = both.ask_one(side, read.operation.method, str(link), query={})
        else:
            where = next_token(read, asked, body) if read.token else next_number(read, asked, body, len(items))
            if where is None:
                return
            assert isinstance(where, dict)
            asked = read.encode(where)
            answer = both.request_one(side, read, asked)


def test_actions_are_the_same(both: Both) -> None:
    """Actions in every status give the vendor's own result, words and effect on the job."""
    job = both.specification.job
    for job_id in [job.id_of(each) for each in both.specification.examples]:
        for mapping, asked in actions(both, job_id):
            is_told_apart = both.specification.shares_its_request(mapping.action)
            answers, after = within_a_second(
                partial(both.act, mapping, asked, job_id), lambda made: both.are_same(*made[0])
            )
            # Before an action that shares its request Jobgate reads the job: a refusal may be in its own words.
            compared = both.are_alike if is_told_apart and not answers[0].ok else both.are_same
            assert compared(*answers), (asked, [each.text for each in answers])
            assert after[0] == after[1]


@pytest.mark.parametrize("envelope", ["live", "documented"])
def test_azures_errors_come_in_both_shapes(stack: Running, envelope: str) -> None:
    """Clients that follow the reference pages find theirs, and those that follow the live service."""
    both = Both(stack, "azure-job-router")
    vendors, ours = both.ask("GET", f"/routing/jobs/{UNTOLD}", envelope=envelope)
    assert (vendors.status_code, both.are_same(vendors, ours)) == (404, True)
    assert ours.headers["x-ms-error-code"] == "NotFound"


REFUSED: list[tuple[str, str, str, dict[str, Any]]] = [
    ("azure-job-router", "GET", "/routing/jobs", {"query": {}}),
    ("azure-job-router", "GET", "/routing/jobs", {"query": {"api-version": "2021-01-01"}}),
    ("azure-job-router", "GET", "/routing/jobs", {"query": {"api-version": "2023-11-01", "maxpagesize": "x"}}),
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
    ("vonage-contact-center", "GET", "/interactions/jobs", {"query": {"limit": "0"}}),
    ("vonage-contact-center", "PUT", "/interactions/jobs", {}),
    ("vonage-contact-center", "POST", "/interactions/jobs/7/cancel", {}),
    ("vonage-contact-center", "POST", f"/interactions/jobs/{UNTOLD}/cancel", {}),
    ("vonage-contact-center", "POST", f"/interactions/jobs/{UNTOLD}/explode", {}),
    ("amazon-connect", "GET", f"/contacts/{INSTANCE}/{UNTOLD}", {}),
    ("amazon-connect", "GET", f"/contacts/{UNTOLD}/{UNTOLD}", {}),
    ("amazon-connect", "GET", f"/contacts/{INSTANCE}/{UNTOLD}", {"headers": {"Authorization": None}}),
    ("amazon-connect", "POST", "/contact/stop", {"json": {"InstanceId": INSTANCE, "ContactId": UNTOLD}}),
    ("amazon-connect", "POST", "/contact/pause", {"json": {"InstanceId": UNTOLD, "ContactId": UNTOLD}}),
    ("amazon-connect", "POST", "/contact/stop", {"json": {"InstanceId": INSTANCE}}),
    ("amazon-connect", "POST", "/search-contacts", {"json": {"InstanceId": INSTANCE}}),
    ("amazon-connect", "DELETE", "/contact/stop", {}),
]


@pytest.mark.parametrize(("vendor", "method", "path", "how"), REFUSED)
def test_refusals_are_the_same(stack: Running, vendor: str, method: str, path: str, how: dict[str, Any]) -> None:
    """Status, media type, code and members of the body; a sentence may be another."""
    both = Both(stack, vendor)
    vendors, ours = both.ask(method, path, **how)
    assert both.are_alike(vendors, ours), [each.text for each in (vendors, ours)]


def test_vonages_words_about_the_version(stack: Running) -> None:
    """A wrong version is refused in the words of Vonage's page."""
    how: dict[str, Any] = {"headers": {"Accept": "*/*"}}
    _, ours = Both(stack, "vonage-contact-center").ask("GET", "/interactions/jobs", **how)
    assert ours.json() == {"message": "Invalid api-version! Valid values: 'application/vnd.newvoicemedia.v1+json'"}
