"""A gateway that is called in this process, without a server."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from gateway.edge.exchange import Application, Message
from tests.support.canaries import leaked
from tests.support.vendors import API_KEY


@dataclass(frozen=True)
class Answer:
    """The response of the application."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


async def call(
    application: Application,
    method: str,
    target: str,
    body: Any = None,
    headers: Iterable[tuple[str, str]] = (),
    *,
    key: str | None = API_KEY,
) -> Answer:
    """Make one request, with an API key unless it is None, and a JSON body where there is one; bytes go as they are."""
    path, _, query = target.partition("?")
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    credentials = [] if key is None else [("authorization", f"Bearer {key}")]
    fields = [("host", "gateway.test"), *credentials, *headers]
    if content:
        kind = [] if isinstance(body, bytes) else [("content-type", "application/json")]
        fields += [*kind, ("content-length", str(len(content)))]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in fields],
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8_080),
        "state": {},
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await application(scope, receive, send)
    start, *rest = sent
    named = {name.decode(): value.decode() for name, value in start["headers"]}
    answer = Answer(start["status"], named, b"".join(message.get("body", b"") for message in rest))
    assert leaked(f"{answer.headers} {answer.body!r}") == [], "an answer holds a secret"
    return answer
