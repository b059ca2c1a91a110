"""A transport goes to its own addresses, makes connections in time, and shares none with another."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from typing import Any

import pytest

from gateway.domain.clock import SystemClock
from gateway.domain.errors import GatewayError, VendorUnreachable
from gateway.domain.model import HttpRequest
from gateway.domain.urls import origin_of
from gateway.transport.http import HttpTransport
from tests.support.patience import FOR_EVER, PATIENCE
from tests.support.server import answer, raw_server, silence

OK = answer(b"{}")

ELSEWHERE = [
    "http://169.254.169.254/latest/meta-data/",
    "http://[::1]:{port}/",
    "http://localhost:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f.1:{port}/",
    "http://127.0.0.1:{port}.evil.test/",
    "http://127.0.0.1:{port}@evil.test/",
    "http://user@127.0.0.1:{port}/",
    "https://127.0.0.1:{port}/",
    "http://127.0.0.1/",
    "http://xn--80ak6aa92e.test/",
    "http://169.254.169.254:{port}/",
    "http://[::ffff:169.254.169.254]/",
    "http://[fd00:ec2::254]/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://100.100.100.200/",
    "http://0:{port}/",
    "http://0.0.0.0:{port}/",
    "http://127.1:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://0x7f000001:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[0:0:0:0:0:0:0:1]:{port}/",
    "http://127.0.0.1.nip.test:{port}/",
    "http://127.0.0.1:{port}#@evil.test/",
    "http://127.0.0.1:{port}%40evil.test/",
    "http://evil.test/http://127.0.0.1:{port}/",
    "http://evil.test?http://127.0.0.1:{port}/",
    "http:////127.0.0.1:{port}/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/",
]


async def send(transport: HttpTransport, url: str, seconds: float = PATIENCE) -> int:
    """Send one request; gives the status of the reply."""
    request = HttpRequest("GET", url, {})
    return (await transport.send(request, SystemClock().monotonic() + seconds)).status


@pytest.mark.parametrize("elsewhere", ELSEWHERE)
async def test_no_other_address_is_called(elsewhere: str) -> None:
    """An address that is not in the settings is never called, however similar it looks."""
    async with raw_server(OK) as server:
        transport = HttpTransport(SystemClock(), [server.url])
        with pytest.raises((GatewayError, VendorUnreachable)):
            await send(transport, elsewhere.format(port=server.port))
        assert server.requests == []
        assert await send(transport, server.url) == 200
        await transport.close()


def test_the_case_of_an_origin_does_not_matter() -> None:
    """Scheme and host are the same in any case, and the path is no part of them."""
    assert origin_of("HTTPS://Contoso.Example:8443/Path?q") == "https://contoso.example:8443"


async def test_connections_are_not_shared() -> None:
    """Each connection of the settings has its own pool, so that one does not affect another."""
    async with raw_server(OK, each_request=True) as server:
        transports = [HttpTransport(SystemClock(), [server.url]) for _ in range(2)]
        for transport in transports * 3:
            assert await send(transport, server.url) == 200
        assert server.connections == 2
        await transports[0].close()
        assert await send(transports[1], server.url) == 200
        assert server.connections == 2
        await transports[1].close()


async def test_a_connection_is_made_in_time() -> None:
    """A handshake that does not end is given up long before the deadline, so that there is time for another attempt."""
    async with raw_server(silence) as server:
        address = f"https://127.0.0.1:{server.port}"
        transport = HttpTransport(SystemClock(), [address], connect_seconds=0.1)
        begun = time.monotonic()
        with pytest.raises(VendorUnreachable):
            await send(transport, address, FOR_EVER)
        assert time.monotonic() - begun < PATIENCE
        await transport.close()


async def test_a_name_server_that_hangs_holds_up_one_vendor(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many lookups of some vendors hang, the address of another is found at once."""
    looked_up, ended = socket.getaddrinfo, threading.Event()

    def look_up(host: str, *rest: Any, **others: Any) -> Any:
        if host.startswith("hangs"):
            ended.wait(FOR_EVER)
        return looked_up("127.0.0.1", *rest, **others)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    async with raw_server(OK) as server:
        names = [f"hangs-{number}.test" for number in range(20)]
        hanging = [HttpTransport(SystemClock(), [f"http://{name}:{server.port}"]) for name in names]
        well = HttpTransport(SystemClock(), [f"http://well.test:{server.port}"])
        tasks = [
            asyncio.create_task(send(each, f"http://{name}:{server.port}/"))
            for each, name in zip(hanging, names, strict=True)
        ]
        await asyncio.sleep(0.05)
        begun = time.monotonic()
        assert await send(well, f"http://well.test:{server.port}/", PATIENCE) == 200
        assert time.monotonic() - begun < PATIENCE
        ended.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        for each in (*hanging, well):
            await each.close()
