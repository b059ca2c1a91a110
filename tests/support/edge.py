"""A gateway behind a real server, and the promises that every refusal keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn

from gateway.app import Catalogue, Gateway
from gateway.edge.limits import Limits
from gateway.ledger.memory import MemoryLedger
from gateway.serving import listening
from gateway.serving.listening import in_background
from tests.support.patience import FOR_EVER
from tests.support.problems import Problems
from tests.support.raw import RawClient, RawResponse
from tests.support.transport import FakeTransport
from tests.support.vendors import API_KEY, AZURE_JOB, obedient, settings

MARK = "S3CR3T"
"""A part of hostile values that no answer may contain."""

JOB = f"/v1/connections/contoso-prod/jobs/{AZURE_JOB}"
CANCEL = f"{JOB}/cancel"
JSON = ("Content-Type", "application/json")

LIMITS = Limits(body_seconds=0.5, header_seconds=0.5)
"""The limits of the product, with shorter times for a request."""


@dataclass(frozen=True)
class Edge:
    """A gateway that serves on loopback, its vendors obedient."""

    gateway: Gateway
    transport: FakeTransport
    client: RawClient
    problems: Problems

    def ask(self, method: str, target: str | bytes, **how: Any) -> RawResponse:
        """Send one request with the API key; `key=None` leaves it out."""
        return self.client.request(method, target, **{"key": API_KEY, **how})

    def cancel(self, body: bytes, *headers: tuple[str, str], **how: Any) -> RawResponse:
        """Send a cancel with this body and, if no other headers are given, as JSON."""
        return self.ask("POST", CANCEL, body=body, headers=headers or (JSON,), **how)

    def refused(self, code: str, send: Callable[[], RawResponse]) -> dict[str, Any]:
        """The problem with which something is refused.

        It is one of the catalogue, fits the document, and holds nothing of what was sent; no vendor was asked; and
        a healthy request works right after it.
        """
        before = len(self.transport.requests)
        response = send()
        problem = self.problems.check(response, dict(response.headers))
        assert problem["code"] == code, problem
        assert MARK not in str(response)
        assert API_KEY not in str(response)
        assert len(self.transport.requests) == before
        self.works()
        return problem

    def works(self) -> None:
        """A healthy action is carried out."""
        response = self.cancel(b'{"note":"healthy"}')
        assert (response.status, response.json["outcome"]) == (200, "applied")
        assert self.transport.requests[-1].content == b'{"note":"healthy"}'


@contextmanager
def serving(catalogue: Catalogue, limits: Limits = LIMITS) -> Iterator[Edge]:
    """Serve a gateway until the block ends."""
    transport = FakeTransport(otherwise=obedient)
    gateway = Gateway(settings(limits=limits), catalogue, transport=transport, ledger=MemoryLedger())
    with idle_connections_kept(), in_background(gateway.application, limits=limits) as url:
        host, port = url.removeprefix("http://").split(":")
        yield Edge(gateway, transport, RawClient(host, int(port)), Problems(catalogue))


@contextmanager
def idle_connections_kept() -> Iterator[None]:
    """Have servers that start until the block ends close no connection only because nothing is said on it.

    Where one is closed, it was for another reason, however long a test has waited for it.
    """
    configure = listening._configuration

    def patient(*how: Any) -> uvicorn.Config:
        made = configure(*how)
        made.timeout_keep_alive = int(FOR_EVER)
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listening, "_configuration", patient)
        yield
