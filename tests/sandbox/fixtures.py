"""A sandbox of every installed vendor and of two that exist nowhere, and a client that calls them as documented."""

from __future__ import annotations

import dataclasses
import http.client
import importlib.util
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from gateway.domain.adapter import Adapter
from gateway.domain.model import HttpRequest, JobAction, Json, VendorRequest
from gateway.engine.wire import http_request
from gateway.sandbox.server import SandboxServer
from gateway.sandbox.vendor import VendorSandbox
from gateway.specs.operations import Operation
from gateway.specs.security import checked_schemes, token_flows
from gateway.specs.vendor import ActionMapping, VendorSpecification
from gateway.specs.windows import Window
from tests.support.documents import installed

TOY = "toy-desk"
SEARCH = "search-desk"
DESKS = Path(__file__).parents[1] / "newvendor"
START = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
NOWHERE = "not-there"


def toy_adapter(name: str) -> Adapter:
    """The adapter of a vendor that is unlike the built-in ones."""
    module_name = name.replace("-", "_")
    found = importlib.util.spec_from_file_location(module_name, DESKS / f"{module_name}.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    adapter: Adapter = module.ADAPTER
    return adapter


def all_vendors() -> dict[str, tuple[Adapter, VendorSpecification]]:
    """Every vendor that the tests run over."""
    found = {name: (each.adapter, each.specification) for name, each in installed().vendors.items()}
    toys = {name: toy_adapter(name) for name in (TOY, SEARCH)}
    return found | {name: (each, VendorSpecification.load(each.specification)) for name, each in toys.items()}


VENDORS = all_vendors()
SPECIFICATIONS = [specification for _, specification in VENDORS.values()]
OAUTH = [
    each.name
    for each in SPECIFICATIONS
    if any(scheme["type"] == "oauth2" for scheme in each.api.document.content["components"]["securitySchemes"].values())
]
"""The vendors that grant tokens."""
SCOPED = [each.name for each in SPECIFICATIONS if any(token_flows(each.api.document).values())]
"""The vendors whose tokens have scopes."""


class Clock:
    """The vendors' clock, moved by hand."""

    def __init__(self) -> None:
        """Start at the usual time."""
        self.time = START

    def now(self) -> datetime:
        """The time at which it stands."""
        return self.time

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.time += timedelta(seconds=seconds)


@dataclass(frozen=True)
class Answer:
    """An answer as it came: `headers` by lower-case name."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @cached_property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.content)

    @property
    def media_type(self) -> str | None:
        """What the body is said to be."""
        return self.headers.get("content-type")


def call(
    url: str, method: str = "GET", headers: Iterable[tuple[str, str]] = (), content: bytes | None = None
) -> Answer:
    """Make one request whose target and headers go out untouched."""
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path or "/"
    connection = http.client.HTTPConnection(parts.netloc, timeout=20)
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        if content is not None:
            connection.putheader("Content-Length", str(len(content)))
        connection.endheaders(content)
        response = connection.getresponse()
        named = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, named, response.read())
    finally:
        connection.close()


@dataclass(frozen=True)
class VendorClient:
    """Calls one simulated vendor. `vendor` is the same vendor, to be used by hand."""

    server: SandboxServer
    adapter: Adapter
    vendor: VendorSandbox
    clock: Clock

    @property
    def specification(self) -> VendorSpecification:
        """The vendor as its document describes it."""
        return self.vendor.specification

    @property
    def endpoint(self) -> str:
        """Where the vendor's API is."""
        return self.server.endpoint(self.specification.name)

    def send(self, request: HttpRequest, proof: Mapping[str, str] | None = None) -> Answer:
        """Send a request, with good credentials unless others are given."""
        headers = {**request.headers, **(self.proof(request) if proof is None else proof)}
        return call(request.url, request.method, headers.items(), request.content or None)

    def proof(self, request: HttpRequest) -> Mapping[str, str]:
        """Credentials of the first kind that the document asks for."""
        document = self.specification.api.document
        known = checked_schemes(self.adapter, document, self.specification.example_values)
        scheme = known.get(next(iter(document.content["security"][0])))
        if scheme is None:
            return {"Authorization": f"Bearer {self.vendor.issue_token().value}"}
        return scheme.sign(request, self.vendor.credentials.parts(scheme.kind), self.clock.now())

    def action_request(self, job_action: JobAction) -> HttpRequest:
        """The documented request for a job action; what must be found in the job is found, or made up."""
        mapping = self.specification.actions[job_action.action]
        found = {name: self._found(mapping, name, job_action.job_id) for name in mapping.find}
        complete = JobAction(job_action.action, job_action.job_id, {**found, **job_action.parameters})
        return http_request(mapping.operation, mapping.encode(complete), self.endpoint)

    def perform(self, action: str, job_id: str, **parameters: Json) -> Answer:
        """Ask the vendor for an action."""
        return self.send(self.action_request(JobAction(action, job_id, parameters)))

    def read_request(self, **values: Json) -> tuple[Operation, HttpRequest]:
        """The documented request for a list of jobs, by `limit`, `number`, `cursor` and `status`; of the last days."""
        read = self.specification.list_read
        assert read is not None
        names = {
            "limit": "page.limit",
            "number": "page.number",
            "cursor": "page.cursor",
            "status": "job.vendorStatus",
        }
        window = Window.last(read.window_days, self.clock.now()).values if read.window_days else {}
        chosen = {names[name]: value for name, value in values.items()}
        if read.takes_several_statuses and "status" in values:
            chosen["job.vendorStatus"] = [values["status"]]
        request = read.encode(window | chosen)
        return read.operation, http_request(read.operation, request, self.endpoint)

    def some_request(self) -> HttpRequest:
        """A documented request that changes nothing."""
        return self.read_request()[1]

    def status_of(self, job_id: str) -> str:
        """The vendor status of a job."""
        return str(self.specification.job.decode({"body": self.vendor.job(job_id)})["job.vendorStatus"])

    def request(self, operation: Operation, **parts: Any) -> HttpRequest:
        """A request for an operation, with what every request to the vendor carries."""
        common = self.specification.request.encode({})
        common |= {"path": {**dict.fromkeys(operation.declared["path"], NOWHERE), **self.account(operation)}}
        merged: dict[str, Any] = {
            name: {**common.get(name, {}), **parts.get(name, {})} for name in ("path", "query", "header")
        }
        return http_request(operation, VendorRequest("", body=parts.get("body"), **merged), self.endpoint)

    def account(self, operation: Operation) -> dict[str, Json]:
        """The values of the account in the path of an operation."""
        read = self.specification.reads.get(operation.operation_id)
        lenses = (*self.specification.lenses_of(operation.operation_id), *((read.lens,) if read else ()))
        bound = [rule for lens in lenses for rule in lens.rules if rule.is_bound and rule.place.location == "path"]
        return {rule.place.keys[0]: rule.const for rule in bound}

    def _found(self, mapping: ActionMapping, name: str, job_id: str) -> Json:
        known = any(self._id(job) == job_id for job in self.vendor.jobs())
        find = self.adapter.finders[mapping.find[name].by]
        return next(iter(find(self.vendor.job(job_id)) if known else ()), made_up(mapping, name))

    def _id(self, job: Mapping[str, Json]) -> Json:
        return self.specification.job.decode({"body": job})["job.id"]


def made_up(mapping: ActionMapping, parameter: str) -> str:
    """A value of a parameter that no job has; if the document has a fixed choice, the first one."""
    place = mapping.lens.place_of(f"parameters.{parameter}")
    declared = mapping.operation.declared["path"].get(place.keys[0]) if place else None
    return str(next(iter(declared.schema.get("enum", ())), NOWHERE)) if declared else NOWHERE


def departures(operation: Operation, answer: Answer) -> list[str]:
    """Where an answer departs from the vendor's document."""
    response = operation.response(answer.status)
    if response is None:
        return [f"status {answer.status} is not documented"]
    if not response.media_types:
        return [] if answer.content == b"" else ["the answer has a body"]
    if answer.media_type not in response.media_types:
        return [f"{answer.media_type} is not documented"]
    return [str(error) for error in response.bodies[answer.media_type].errors(answer.json)]


def changed(tmp_path: Path, name: str, change: Mapping[str, Any]) -> tuple[Adapter, VendorSpecification]:
    """A vendor whose document differs in the places that `change` names with dots."""
    adapter, _ = VENDORS[name]
    content = yaml.safe_load(adapter.specification.read_text("utf-8"))
    for place, value in change.items():
        *parents, last = place.split(" ")
        node = content
        for key in parents:
            node = node[key]
        if value is None:
            del node[last]
        else:
            node[last] = value
    path = tmp_path / adapter.specification.name
    path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), "utf-8")
    return dataclasses.replace(adapter, specification=path), VendorSpecification.load(path)
