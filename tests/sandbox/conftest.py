"""One sandbox for all tests of this folder; every test finds it as it was at the start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.sandbox.server import Sandbox, SandboxServer
from tests.sandbox.fixtures import START, VENDORS, Clock, VendorClient


@pytest.fixture(scope="session")
def _clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def _server(_clock: Clock) -> Iterator[SandboxServer]:
    with SandboxServer(Sandbox(VENDORS, now=_clock.now)) as server:
        yield server


@pytest.fixture
def clock(_clock: Clock) -> Clock:
    """The vendors' clock, at its usual time."""
    _clock.time = START
    return _clock


@pytest.fixture
def server(_server: SandboxServer, clock: Clock) -> SandboxServer:
    """The sandbox, running, as it was at the start."""
    for vendor in _server.sandbox.vendors.values():
        vendor.reset()
    return _server


@pytest.fixture
def clients(server: SandboxServer, clock: Clock) -> dict[str, VendorClient]:
    """A client of each vendor."""
    return {name: VendorClient(server, adapter, server.vendor(name), clock) for name, (adapter, _) in VENDORS.items()}


@pytest.fixture(params=VENDORS)
def client(request: pytest.FixtureRequest, clients: dict[str, VendorClient]) -> VendorClient:
    """A client of one vendor; the test runs for each."""
    return clients[request.param]
