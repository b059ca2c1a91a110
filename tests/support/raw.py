"""HTTP/1.1 by hand, for requests that every client library would correct before sending."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO, Any

from tests.support.patience import PATIENCE

Header = tuple[str, str]


@dataclass(frozen=True)
class RawResponse:
    """A response as it came. `headers` in the order of the wire, names in lower case."""

    status: int
    headers: tuple[Header, ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of the header field of this name; the test fails where it is sent twice."""
        found = [value for key, value in self.headers if key == name]
        assert len(found) <= 1, f"{name} is sent {len(found)} times"
        return found[0] if found else None

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class RawClient:
    """Sends bytes to one server and reads what comes back, a connection for each request."""

    host: str
    port: int
    seconds: float = PATIENCE

    def request(
        self,
        method: str,
        target: str | bytes,
        *,
        headers: Iterable[Header] = (),
        body: bytes | None = None,
        chunks: Iterable[bytes] | None = None,
        key: str | None = None,
    ) -> RawResponse:
        """Send one request whose target and headers go out untouched. `key` becomes the bearer token."""
        return self.send(message(method, target, headers=headers, body=body, chunks=chunks, key=key))

    def send(self, content: bytes) -> RawResponse:
        """Send bytes, and read a response."""
        with socket.create_connection((self.host, self.port), timeout=self.seconds) as connection:
            connection.sendall(content)
            return read_response(connection, head=content.startswith(b"HEAD "))


def message(
    method: str,
    target: str | bytes,
    *,
    headers: Iterable[Header] = (),
    body: bytes | None = None,
    chunks: Iterable[bytes] | None = None,
    key: str | None = None,
) -> bytes:
    """The bytes of a request. `chunks` sends the body without saying its size beforehand."""
    listed = [("Host", "gateway.test"), ("Connection", "close"), *headers]
    if key is not None:
        listed.append(("Authorization", f"Bearer {key}"))
    content = b"" if body is None else body
    if chunks is not None:
        listed.append(("Transfer-Encoding", "chunked"))
        content = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    elif body is not None:
        listed.append(("Content-Length", str(len(body))))
    line = method.encode() + b" " + (target if isinstance(target, bytes) else target.encode()) + b" HTTP/1.1\r\n"
    fields = b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in listed)
    return line + fields + b"\r\n" + content


def read_response(connection: socket.socket, *, head: bool = False) -> RawResponse:
    """Read one response: as many bytes as it announces, or all until the connection ends."""
    with connection.makefile("rb") as stream:
        return read_from(stream, head=head)


def read_from(stream: IO[bytes], *, head: bool = False) -> RawResponse:
    """Read one response of perhaps several that have come."""
    line = stream.readline()
    assert line, "the server closed the connection without a response"
    status = int(line.split()[1])
    headers = []
    while (field := stream.readline().strip()) != b"":
        name, _, value = field.decode("latin-1").partition(":")
        headers.append((name.strip().lower(), value.strip()))
    length = None if head else dict(headers).get("content-length")
    body = stream.read() if length is None else stream.read(int(length))
    return RawResponse(status, tuple(headers), body)
