"""A vendor's server that sends raw bytes, so that it can misbehave as vendors do."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Serve one connection, after its first request was read."""


@dataclass
class RawServer:
    """Where it listens, and what it was sent: the bytes of each request, and how many connections there were."""

    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        """The server's URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def targets(self) -> list[str]:
        """The request targets, exactly as they were on the wire."""
        return [request.split(b" ", 2)[1].decode() for request in self.requests]


@asynccontextmanager
async def raw_server(
    serve: Serve, *, each_request: bool = False, tls: ssl.SSLContext | None = None
) -> AsyncIterator[RawServer]:
    """Listen on loopback. `serve` is called once a connection, or once a request where `each_request`."""
    started = RawServer()
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        started.connections += 1
        try:
            while True:
                started.requests.append(await read_request(reader))
                await serve(reader, writer)
                await writer.drain()
                if not each_request:
                    break
            writer.close()
            await writer.wait_closed()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.ensure_future(accept(reader, writer)))

    server = await asyncio.start_server(accepted, "127.0.0.1", 0, ssl=tls)
    started.port = server.sockets[0].getsockname()[1]
    try:
        yield started
    finally:
        # A connection that is just being accepted cannot be closed before it is one.
        await asyncio.sleep(0.01)
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.01)


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """One request, with as many bytes of body as it announces."""
    head = await reader.readuntil(b"\r\n\r\n")
    announced = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    length = int(announced[0].split(b":")[1]) if announced else 0
    return head + await reader.readexactly(length)


def answer(content: bytes, *headers: str, status: str = "200 OK") -> Serve:
    """Answer with a whole response."""
    fields = "".join(f"{each}\r\n" for each in (*headers, f"Content-Length: {len(content)}"))
    return send(f"HTTP/1.1 {status}\r\n{fields}\r\n".encode() + content)


def send(content: bytes) -> Serve:
    """Answer with these bytes, and end the connection."""

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(content)

    return serve


def drip(content: bytes, seconds: float = 0.02) -> Serve:
    """Answer a byte at a time."""

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for position in range(len(content)):
            writer.write(content[position : position + 1])
            await writer.drain()
            await asyncio.sleep(seconds)

    return serve


def reset_after(content: bytes) -> Serve:
    """Answer with these bytes, and then reset the connection."""

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(content)
        await writer.drain()
        await asyncio.sleep(0.02)
        # Lingering for no seconds makes the system send RST instead of FIN.
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    return serve


def endlessly(content: bytes, head: bytes = b"") -> Serve:
    """Answer with a head, and then with the same bytes again and again."""

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(content)
            await writer.drain()
            await asyncio.sleep(0)

    return serve


async def silence(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Never answer."""
    await asyncio.Event().wait()
