"""A stub of the gateway, and a client that talks to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.client import Client
from tests.client.stub import KEY, Stub, stub_gateway


@pytest.fixture
def stub() -> Iterator[Stub]:
    """A stub of the gateway."""
    with stub_gateway() as started:
        yield started


@pytest.fixture
def client(stub: Stub) -> Iterator[Client]:
    """A client of the stub."""
    with Client(stub.url, KEY) as made:
        yield made


@pytest.fixture
def impatient(stub: Stub) -> Iterator[Client]:
    """A client of the stub that does not wait for long."""
    with Client(stub.url, KEY, read_seconds=0.5) as made:
        yield made
