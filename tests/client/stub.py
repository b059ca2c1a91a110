"""A gateway that says what the test wrote down, over real HTTP, and remembers what it was asked."""

from __future__ import annotations

import json
import ssl
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

KEY = "jobgate_key-that-nobody-may-see"
PROBLEM = "application/problem+json"


@dataclass(frozen=True)
class Reply:
    """An answer. `seconds` is how long it takes; where it is `dropped`, the connection ends instead."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    dropped: bool = False

    @property
    def content(self) -> bytes:
        """The body as it is sent: bytes as they are, anything else as JSON."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True)
class Received:
    """A request as it arrived. `connection` is the client's port."""

    method: str
    target: str
    headers: Mapping[str, str]
    content: bytes
    connection: int

    @property
    def path(self) -> str:
        """The path, still percent-encoded."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """The query's members."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))


@dataclass
class Stub:
    """What to answer, in turn, and what was received."""

    url: str
    replies: deque[Reply] = field(default_factory=deque)
    received: list[Received] = field(default_factory=list, repr=False)
    stopping: threading.Event = field(default_factory=threading.Event)

    def answers(self, *replies: Any) -> None:
        """Answer the next requests with these: replies, or the JSON bodies of replies of success."""
        self.replies.extend(each if isinstance(each, Reply) else Reply(each) for each in replies)


class Handler(BaseHTTPRequestHandler):
    """Answers from a stub."""

    protocol_version = "HTTP/1.1"
    # Head and body in one packet; in two, the second would wait for the client's system to confirm the first.
    wbufsize = -1
    stub: Stub

    def answer(self) -> None:
        """Answer one request."""
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.stub.received.append(Received(self.command, self.path, headers, content, self.client_address[1]))
        reply = self.stub.replies.popleft()
        self.close_connection = reply.dropped or self.stub.stopping.wait(reply.seconds)
        if not self.close_connection:
            self.send(reply)

    def send(self, reply: Reply) -> None:
        """Send a reply."""
        self.send_response(reply.status)
        for name, value in {"Content-Length": str(len(reply.content)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.content)

    do_GET = do_POST = do_DELETE = answer  # noqa: N815 - http.server looks them up by these names

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def stub_gateway(tls: ssl.SSLContext | None = None) -> Iterator[Stub]:
    """A stub, running until the block ends; with `tls` it is https."""
    handler = type("StubHandler", (Handler,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        scheme = "http" if tls is None else "https"
        stub = handler.stub = Stub(f"{scheme}://127.0.0.1:{server.server_port}")  # type: ignore[attr-defined]
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield stub
        finally:
            stub.stopping.set()
            server.shutdown()
            thread.join()
