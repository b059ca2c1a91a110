"""The unified API, called in this process, with the credential of the session.

Each call goes through the whole application, the guard and Connexion included. So the console can do exactly what its
user could do without it, and gets the same problems.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, unquote, urlencode

from gateway.domain.access import Caller
from gateway.edge.exchange import Application, Message, Scope

BASE_PATH = "/v1"

Query = Iterable[tuple[str, str]]


class Refused(Exception):
    """A call that the API refused. `problem` is its problem (RFC 9457)."""

    def __init__(self, problem: Mapping[str, Any]) -> None:
        """Keep the problem."""
        super().__init__(problem.get("detail", ""))
        self.problem = problem

    @property
    def status(self) -> int:
        """The HTTP status."""
        status: int = self.problem.get("status", HTTPStatus.INTERNAL_SERVER_ERROR)
        return status


@dataclass(frozen=True)
class Answer:
    """A response of the API that is no problem."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @cached_property
    def body(self) -> Any:
        """The body as JSON, None if it is empty."""
        return json.loads(self.content) if self.content else None


@dataclass(frozen=True)
class ApiClient:
    """A client of the API for one request of a browser, in a thread of its own.

    `scope` is the browser's request: calls have its address, so that records have the right origin. `loop` is the event
    loop on which the application runs.
    """

    application: Application
    loop: asyncio.AbstractEventLoop
    scope: Scope
    credential: str = field(repr=False)

    def get(self, path: str, query: Query = (), *, seconds: int | None = None) -> Any:
        """The body of what is at a path. Raises Refused."""
        headers = {} if seconds is None else {"request-timeout": str(seconds)}
        return self.call("GET", path, query, headers=headers).body

    def post(self, path: str, body: Any = None, *, query: Query = (), key: str | None = None) -> Answer:
        """Send a command with a JSON body, and with an idempotency key if it has one. Raises Refused."""
        headers = {} if key is None else {"idempotency-key": key}
        return self.call("POST", path, query, body, headers)

    def call(
        self, method: str, path: str, query: Query = (), body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Make one call and wait for its answer. Raises Refused."""
        answer = asyncio.run_coroutine_threadsafe(
            self._answer(method, path, query, body, headers or {}), self.loop
        ).result()
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise Refused(_problem_of(answer))
        return answer

    @cached_property
    def caller(self) -> Caller:
        """The caller of the session, with its scopes. Raises Refused."""
        found = self.get("/caller")
        return Caller(found["name"], frozenset(found["scopes"]))

    async def _answer(self, method: str, path: str, query: Query, body: Any, headers: Mapping[str, str]) -> Answer:
        content = b"" if body is None else json.dumps(body).encode()
        fields = {
            **{name.decode(): value.decode("latin-1") for name, value in self.scope["headers"] if name == b"host"},
            "authorization": f"Bearer {self.credential}",
            **({"content-type": "application/json", "content-length": str(len(content))} if content else {}),
            **headers,
        }
        scope = {
            "type": "http",
            "asgi": self.scope["asgi"],
            "http_version": self.scope["http_version"],
            "method": method,
            "scheme": self.scope["scheme"],
            "path": f"{BASE_PATH}{unquote(path)}",
            "raw_path": f"{BASE_PATH}{path}".encode(),
            "query_string": urlencode(list(query)).encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in fields.items()],
            "client": self.scope.get("client"),
            "server": self.scope.get("server"),
            "state": self.scope.get("state", {}),
        }
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await self.application(scope, receive, send)
        start, *rest = sent
        named = {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]}
        return Answer(start["status"], named, b"".join(message.get("body", b"") for message in rest))


def path_of(*segments: str) -> str:
    """A path of the API, with its segments percent-encoded."""
    return "".join(f"/{quote(segment, safe='')}" for segment in segments)


def _problem_of(answer: Answer) -> Mapping[str, Any]:
    try:
        problem = answer.body
    except ValueError:
        problem = None
    return problem if isinstance(problem, dict) else {"title": "The gateway failed", "status": answer.status}
