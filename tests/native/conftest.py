"""What the tests of the vendors' own APIs share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.app import Catalogue, Gateway
from gateway.ledger.memory import MemoryLedger
from tests.native.fixtures import VendorClients
from tests.support.edge import Edge, serving
from tests.support.transport import FakeTransport
from tests.support.vendors import obedient, settings


@pytest.fixture(scope="session")
def edge(catalogue: Catalogue) -> Iterator[Edge]:
    """A gateway that serves on loopback, its vendors obedient."""
    with serving(catalogue) as served:
        yield served


@pytest.fixture
def clients(catalogue: Catalogue) -> VendorClients:
    """A gateway in this process, its vendors obedient."""
    transport = FakeTransport(otherwise=obedient)
    return VendorClients(Gateway(settings(), catalogue, transport=transport, ledger=MemoryLedger()), transport)
