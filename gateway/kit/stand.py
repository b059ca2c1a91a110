"""A vendor on the test stand: its simulator, and a gateway in front of it, both running."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from http import HTTPStatus
from typing import Any

from gateway.client import Client
from gateway.domain.access import DEFAULT_CALLER
from gateway.domain.model import HttpRequest, Json, Result
from gateway.domain.vocabulary import Meaning, Source
from gateway.engine.connections import Vendor
from gateway.engine.wire import http_request
from gateway.kit.own_client import OwnClient, Sign, moved, now
from gateway.sandbox.refusal import Refusal
from gateway.sandbox.settings import Credentials
from gateway.sandbox.vendor import VendorSandbox
from gateway.security.bearer import BEARER_TOKEN
from gateway.security.redaction import REDACTED
from gateway.security.schemes import Scheme
from gateway.specs.native import base_path
from gateway.specs.security import checked_schemes, schemes
from gateway.specs.vendor import ActionMapping, ReadMapping, VendorSpecification
from gateway.specs.windows import Window
from gateway.startup.serve import Running, sandbox_name

GONE = "gone"
"""The status of a job that the vendor has deleted."""


def left_by(mapping: ActionMapping) -> str:
    """The status in which an action leaves a job."""
    return GONE if mapping.result is Result.GONE else mapping.to_status


@dataclass(frozen=True)
class Stand:
    """A vendor under test. `examples` is the number of generated cases of each kind; a seed repeats them."""

    running: Running
    client: Client
    vendor: Vendor
    examples: int = 10
    seed: int | None = 1

    @property
    def sandbox(self) -> VendorSandbox:
        """The vendor's simulator."""
        return self.running.sandbox.vendor(self.vendor.name)

    @property
    def specification(self) -> VendorSpecification:
        """The vendor's document, for the sandbox's account."""
        return self.sandbox.specification

    @property
    def connection(self) -> str:
        """The name of the gateway's connection to the simulator."""
        return sandbox_name(self.vendor.name, self.running.gateway.catalogue.vendors)

    @property
    def scheme(self) -> str:
        """The name of the first security scheme of the document."""
        return str(next(iter(self.specification.api.document.content["security"][0])))

    @property
    def simulated(self) -> OwnClient:
        """A client of the vendor's own API at the simulator."""
        return OwnClient(self.running.sandbox.endpoint(self.vendor.name), self.sign_for_simulator)

    @property
    def native(self) -> OwnClient:
        """A client of the vendor's own API at the gateway."""
        return self.native_on(self.connection)

    def native_on(self, connection: str) -> OwnClient:
        """A client of the vendor's own API at the gateway, for another connection."""
        return OwnClient(
            f"{self.running.url}{base_path(self.vendor.name)}/{connection}", self.sign_for_gateway(self.scheme)
        )

    def at(self, vendor: str) -> Stand:
        """Another vendor on the same stand."""
        return replace(self, vendor=self.running.gateway.catalogue.vendors[vendor])

    def reset(self) -> None:
        """Put every vendor into the state in which it started."""
        for name in self.running.gateway.catalogue.vendors:
            self.running.sandbox.vendor(name).reset()

    def status_of(self, job_id: str) -> Json:
        """The status of a job at the vendor; `GONE` if the vendor has deleted it."""
        try:
            job = self.sandbox.job(job_id)
        except Refusal:
            return GONE
        return self.specification.job.decode({"body": job})[Source.JOB_VENDOR_STATUS]

    def meant_by(self, action: str, status: str) -> ActionMapping | None:
        """The action that the request for an action asks for on a job in this status; None if there is none.

        Some vendors have one request for several actions, and the job's status tells which of them it is.
        """
        actions = self.specification.actions
        alike = (each for each in actions.values() if each.is_alike(actions[action]))
        return next((each for each in alike if status in each.from_statuses), None)

    def job_ids(self) -> list[str]:
        """The ids of all jobs at the vendor."""
        return [str(self.specification.job.decode({"body": job})[Source.JOB_ID]) for job in self.sandbox.jobs()]

    def unknown_id(self) -> str:
        """An id in the form of the vendor's, that no job has."""
        known = self.job_ids()
        return next(each for each in alike(known[0]) if each not in known)

    def action_request(self, action: str, job_id: str, **parameters: Any) -> HttpRequest:
        """The request for an action that the gateway would send, without credentials."""
        shown = self.client.preview(action, self.connection, job_id, **parameters).vendor_request
        headers = {name: value for name, value in shown.headers.items() if REDACTED not in value}
        return HttpRequest(shown.method, shown.url, headers, (shown.body or "").encode())

    def read_values(self, read: ReadMapping, job_id: str | None) -> dict[str, Json]:
        """The values of a read: a job's id, and the time range that a list demands."""
        window = {} if read.window_days is None else Window.last(read.window_days, now()).values
        return {**window, **({} if job_id is None else {Source.JOB_ID: job_id})}

    def read_request(self, read: ReadMapping, job_id: str | None = None) -> HttpRequest:
        """The request for a read, without credentials."""
        request = read.encode(self.read_values(read, job_id))
        return http_request(read.operation, request, self.simulated.endpoint)

    def to_gateway(self, request: HttpRequest, connection: str | None = None) -> HttpRequest:
        """A request to the simulator, sent to the vendor's own API at the gateway instead."""
        return moved(request, self.simulated.endpoint, self.native_on(connection or self.connection).endpoint)

    def sign_for_simulator(self, request: HttpRequest) -> Mapping[str, str]:
        """The credentials of a request to the simulator."""
        scheme = self.schemes.get(self.scheme)
        if scheme is None:
            return {"Authorization": f"Bearer {self.simulated_token}"}
        return scheme.sign(request, self.sandbox.credentials.parts(scheme.kind), now())

    def sign_for_gateway(self, name: str) -> Sign:
        """The credentials of requests to the gateway, by a scheme of the document: an access key, or the API key."""
        scheme, running = self.schemes.get(name), self.running
        if scheme is None:
            return lambda _: {"Authorization": f"Bearer {running.api_key}"}
        parts = self.own_credentials(scheme)
        return lambda request: scheme.sign(request, parts, now())

    def own_credentials(self, scheme: Scheme) -> Mapping[str, str]:
        """The parts of a credential of the gateway's own: the API key as a bearer token, an access key otherwise."""
        secret = self.running.api_key if scheme is BEARER_TOKEN else self.running.access_key
        return Credentials(secret, DEFAULT_CALLER).parts(scheme.kind)

    @property
    def simulated_token(self) -> str:
        """A new token of the simulator's."""
        return self.sandbox.issue_token().value

    def prefer_conflict(self) -> None:
        """Let the simulator answer 409 to an action in the wrong status, if the document leaves the status open."""
        statuses = [each.status for each in self.specification.errors.meanings[Meaning.WRONG_STATE]]
        if HTTPStatus.CONFLICT in statuses:
            self.sandbox.configure(wrong_state_status=HTTPStatus.CONFLICT.value)

    @cached_property
    def schemes(self) -> Mapping[str, Scheme]:
        """The security schemes of the document by name, without those of OAuth 2.0."""
        document = self.vendor.specification.api.document
        return checked_schemes(self.vendor.adapter, document, self.specification.example_values)

    @property
    def scheme_names(self) -> list[str]:
        """The names of all security schemes of the document."""
        return list(schemes(self.vendor.specification.api.document))


@contextmanager
def stand_for(running: Running, vendor: str, examples: int) -> Iterator[Stand]:
    """The stand of a vendor, on what runs already."""
    with Client(running.url, running.api_key) as client:
        yield Stand(running, client, running.gateway.catalogue.vendors[vendor], examples)


_NEXT = {
    **{c: chr(ord(c) + 1) for c in "abcdeghijklmnopqrstuvwxyABCDEGHIJKLMNOPQRSTUVWXY012345678"},
    "9": "0",
    "f": "a",
    "F": "A",
}
"""The next character of the same class; hexadecimal digits stay hexadecimal digits."""


def alike(text: str) -> Iterator[str]:
    """Texts of the same form: each changes one more character, from the end."""
    for index in range(len(text) - 1, -1, -1):
        character = text[index]
        for _ in range(9):
            character = _NEXT.get(character, character)
            yield text[:index] + character + text[index + 1 :]
