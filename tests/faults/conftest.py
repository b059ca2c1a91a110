"""What the fault tests share."""

from __future__ import annotations

import socket
import ssl
from asyncio.selector_events import BaseSelectorEventLoop
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from gateway.app import Catalogue
from gateway.domain.model import Effect
from gateway.engine.connections import Vendor
from gateway.specs.capabilities import capabilities
from tests.faults.fixtures import REPEATABLE
from tests.faults.server import CERTIFICATES, HOST, LOOPBACK, FaultServer, fault_server
from tests.support.problems import Problems


@pytest.fixture(scope="session")
def problems(catalogue: Catalogue) -> Problems:
    """The check of problems against the document of the API."""
    return Problems(catalogue)


@pytest.fixture(scope="session")
def with_repeatable(catalogue: Catalogue) -> Catalogue:
    """The catalogue with each vendor a second time, whose actions may be repeated; no document has such."""
    more = {f"{name}{REPEATABLE}": repeatable(vendor, catalogue) for name, vendor in catalogue.vendors.items()}
    return replace(catalogue, vendors={**catalogue.vendors, **more})


def repeatable(vendor: Vendor, catalogue: Catalogue) -> Vendor:
    """The vendor, if its actions could be repeated."""
    known = vendor.specification.actions
    actions = {name: replace(mapping, effect=Effect.REPEATABLE) for name, mapping in known.items()}
    specification = replace(vendor.specification, actions=actions)
    return Vendor(vendor.adapter, specification, capabilities(specification, catalogue.actions))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultServer]:
    """The vendors' server, found by name, and trusted as far as its certificates are good. Nobody else is called."""
    connected: list[tuple[str, int]] = []
    connect = BaseSelectorEventLoop.sock_connect

    async def sock_connect(loop: BaseSelectorEventLoop, sock: socket.socket, address: Any) -> None:
        connected.append(address[:2])
        await connect(loop, sock, address)

    with fault_server() as started:

        def look_up(host: str, port: int, *_: object, **__: object) -> list[tuple[Any, ...]]:
            if host != HOST or not started.find(port):
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (LOOPBACK, port))]

        monkeypatch.setattr(BaseSelectorEventLoop, "sock_connect", sock_connect)
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        trusting = ssl.create_default_context(cafile=CERTIFICATES / "authority.pem")
        monkeypatch.setattr("gateway.transport.connections.trusting", lambda: trusting)
        yield started
        assert connected
        assert {*connected} <= {(LOOPBACK, port) for port in started.sites}
