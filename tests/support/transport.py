"""A vendor that follows the script of a test and remembers its requests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeAlias

from gateway.domain.model import HttpReply, HttpRequest

Line: TypeAlias = "HttpReply | Exception | Callable[[HttpRequest], HttpReply]"
"""What happens to one request: a reply, an error of the transport, or a reply made from the request."""


class FakeTransport:
    """The `Transport` port, scripted: one line for each request.

    After the last line `otherwise` answers; without it, a further request is an error. `before_reply` happens once,
    after the next request has come and before it is answered.
    """

    def __init__(self, script: Iterable[Line] = (), otherwise: Line | None = None) -> None:
        """Follow `script`."""
        self.script = list(script)
        self.otherwise = otherwise
        self.requests: list[HttpRequest] = []
        self.before_reply: Callable[[], Awaitable[None]] | None = None
        self.deadlines: list[float] = []

    async def send(self, request: HttpRequest, deadline: float) -> HttpReply:
        """Follow the next line of the script."""
        self.requests.append(request)
        self.deadlines.append(deadline)
        await asyncio.sleep(0)
        if self.before_reply is not None:
            meanwhile, self.before_reply = self.before_reply, None
            await meanwhile()
        line = self.script.pop(0) if self.script else self.otherwise
        if line is None:
            raise AssertionError(f"the script has no line for {request.method} {request.url}")
        if isinstance(line, Exception):
            raise line
        return line if isinstance(line, HttpReply) else line(request)


def reply(status: int = 200, body: Any = None, headers: Mapping[str, str] | None = None) -> HttpReply:
    """A reply with a JSON body; bytes go out as they are, None is no body."""
    content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpReply(status, {"content-type": "application/json", **(headers or {})}, content)
