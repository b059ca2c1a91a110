"""A client of a vendor's own API, such as the vendor's customers have: it signs its requests as the document says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import requests
from requests.auth import AuthBase

from gateway.domain.model import HttpRequest
from gateway.specs.operations import Operation

SECONDS = 20
"""Longest time to wait for an answer."""

SUCCESS = 2
"""The class of the statuses 2xx."""

Sign = Callable[[HttpRequest], Mapping[str, str]]
"""Returns the headers that authenticate a request."""


class Signed(AuthBase):
    """Authentication for `requests`: it signs exactly the bytes that are sent."""

    def __init__(self, sign: Sign) -> None:
        """Authenticate by this function."""
        self._sign = sign

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the headers to a request."""
        request.headers.update(self._sign(as_sent(request)))
        return request


def as_sent(request: requests.PreparedRequest) -> HttpRequest:
    """A request of `requests` in the form that is signed."""
    body = request.body or b""
    content = body.encode() if isinstance(body, str) else bytes(body)  # type: ignore[arg-type]
    return HttpRequest(
        str(request.method), str(request.url), {name: str(value) for name, value in request.headers.items()}, content
    )


def moved(request: HttpRequest, here: str, there: str) -> HttpRequest:
    """A request below one endpoint, sent to another."""
    return HttpRequest(request.method, there + request.url.removeprefix(here), request.headers, request.content)


@dataclass(frozen=True)
class Answer:
    """An answer: `headers` have their names in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    json: Any

    @property
    def is_success(self) -> bool:
        """True if the status is 2xx."""
        return self.status // 100 == SUCCESS

    @cached_property
    def parts(self) -> dict[str, Any]:
        """The answer in the form that lenses read."""
        return {"header": self.headers, "body": self.json}

    def departures(self, operation: Operation) -> list[str]:
        """The differences between the answer and the document."""
        response = operation.response(self.status)
        if response is None:
            return [f"the status {self.status} is not documented"]
        if not response.media_types:
            return ["it has a body"] if self.content else []
        media_type = self.headers.get("content-type", "").partition(";")[0]
        if media_type not in response.media_types:
            return [f"its media type {media_type!r} is not documented"]
        return [f"{each.pointer} {each.detail}" for each in response.bodies[media_type].errors(self.json)]


@dataclass(frozen=True)
class OwnClient:
    """Sends requests below an endpoint, with credentials unless it has none."""

    endpoint: str
    sign: Sign | None

    def send(self, request: HttpRequest) -> Answer:
        """Send a request. Settings of the machine, such as proxies, do not matter."""
        made = requests.Request(request.method, request.url, dict(request.headers), data=request.content or None)
        with requests.Session() as session:
            session.trust_env = False
            prepared = session.prepare_request(made)
            if self.sign is not None:
                prepared = Signed(self.sign)(prepared)
            reply = session.send(prepared, timeout=SECONDS, allow_redirects=False)
        headers = {name.lower(): value for name, value in reply.headers.items()}
        return Answer(reply.status_code, headers, reply.content, _json(reply))


def read(url: str, headers: Mapping[str, str] | None = None) -> requests.Response:
    """Read an address of the gateway. Settings of the machine, such as proxies, do not matter."""
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, headers=headers, timeout=SECONDS)


def now() -> datetime:
    """The current time, in UTC."""
    return datetime.now(UTC)


def _json(reply: requests.Response) -> Any:
    try:
        return reply.json()
    except ValueError:
        return None
