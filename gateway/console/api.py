"""The unified API, called in this process, with the credential of the session.

Each call goes through the whole application, the guard and Connexion included. So the console can do exactly what its
user could do without it, and gets the same problems.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, unquote, urlencode

from gateway.domain.access import Caller
from gateway.edge.exchange import Application, Message, Scope, Send

BASE_PATH = "/v1"

AHEAD = 4
"""Most pieces of a long body that are made before they are read."""

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


class Streamed:
    """A response whose body is read while the API makes it. The API waits for a reader that is slower."""

    def __init__(
        self, asked: Future[None], messages: asyncio.Queue[Message | Exception], loop: asyncio.AbstractEventLoop
    ) -> None:
        """Wait for the beginning of the response. Raises as `pieces`."""
        self._asked, self._messages, self._loop = asked, messages, loop
        start = self._next()
        self.status: int = start["status"]
        self.headers = _fields(start)

    def pieces(self) -> Iterator[bytes]:
        """The body. Raises what the application raised, and ConnectionError if it ended before the body did."""
        is_more = True
        while is_more:
            message = self._next()
            yield message.get("body", b"")
            is_more = message.get("more_body", False)

    def close(self) -> None:
        """Let the API make no more of it."""
        self._asked.cancel()

    def _next(self) -> Message:
        message = asyncio.run_coroutine_threadsafe(self._messages.get(), self._loop).result()
        if isinstance(message, Exception):
            raise message
        return message


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

    def get(self, path: str, query: Query = (), *, seconds: float | None = None) -> Any:
        """The body of what is at a path. Vendors may take `seconds` for it. Raises Refused."""
        return self.call("GET", path, query, headers=_within(seconds)).body

    def preview(self, path: str, *, seconds: float) -> Any:
        """The body of what a command would do. Vendors may take `seconds` for it. Raises Refused."""
        return self.call("POST", path, [("dryRun", "true")], {}, _within(seconds)).body

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

    def stream(self, path: str, query: Query = ()) -> Streamed:
        """Begin to read what is at a path, whose body may be long. Raises Refused."""
        messages: asyncio.Queue[Message | Exception] = asyncio.Queue(AHEAD)

        async def ask() -> None:
            end: Exception = ConnectionError("The API did not finish its answer.")
            try:
                await self._ask("GET", path, query, b"", {}, messages.put)
            except Exception as error:  # noqa: BLE001 - it is raised where the body is read
                end = error
            task = asyncio.current_task()
            if task is None or not task.cancelling():  # a cancelled request may end as if it were done; nobody reads on
                await messages.put(end)

        asked = asyncio.run_coroutine_threadsafe(ask(), self.loop)
        streamed = Streamed(asked, messages, self.loop)
        if streamed.status >= HTTPStatus.BAD_REQUEST:
            raise Refused(_problem_of(Answer(streamed.status, streamed.headers, b"".join(streamed.pieces()))))
        return streamed

    @cached_property
    def caller(self) -> Caller:
        """The caller of the session, with its scopes. Raises Refused."""
        found = self.get("/caller")
        return Caller(found["name"], frozenset(found["scopes"]))

    async def _answer(self, method: str, path: str, query: Query, body: Any, headers: Mapping[str, str]) -> Answer:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        await self._ask(method, path, query, b"" if body is None else json.dumps(body).encode(), headers, send)
        start, *rest = sent
        return Answer(start["status"], _fields(start), b"".join(message.get("body", b"") for message in rest))

    async def _ask(  # noqa: PLR0913, PLR0917 - the parts of a request, and where its answer goes
        self, method: str, path: str, query: Query, content: bytes, headers: Mapping[str, str], send: Send
    ) -> None:
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

        async def receive() -> Message:
            return {"type": "http.request", "body": content, "more_body": False}

        await self.application(scope, receive, send)


def path_of(*segments: str) -> str:
    """A path of the API, with its segments percent-encoded."""
    return "".join(f"/{quote(segment, safe='')}" for segment in segments)


def _within(seconds: float | None) -> Mapping[str, str]:
    """The header fields by which a call takes vendors at most so many seconds."""
    return {} if seconds is None else {"request-timeout": f"{seconds:.1f}"}


def _fields(start: Message) -> Mapping[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]}


def _problem_of(answer: Answer) -> Mapping[str, Any]:
    try:
        problem = answer.body
    except ValueError:
        problem = None
    return problem if isinstance(problem, dict) else {"title": "The gateway failed", "status": answer.status}
