"""What the tests of the vendors' own APIs share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.app import Catalogue, Gateway
from gateway.ledger.memory import MemoryLedger
from gateway.startup.serve import Running
from tests.native.fixtures import House
from tests.support.edge import Edge, serving
from tests.support.transport import FakeTransport
from tests.support.vendors import obedient, settings


@pytest.fixture(scope="session")
def edge(catalogue: Catalogue) -> Iterator[Edge]:
    """A gateway that serves on loopback, its vendors obedient."""
    with serving(catalogue) as served:
        yield served


@pytest.fixture
def house(catalogue: Catalogue) -> House:
    """A gateway in this process, its vendors obedient."""
    transport = FakeTransport(otherwise=obedient)
    return House(Gateway(settings(), catalogue, transport=transport, ledger=MemoryLedger()), transport)


@pytest.fixture
def fresh(stack: Running) -> Running:
    """The running gateway; every vendor's jobs are as at the start."""
    for vendor in stack.gateway.directory.vendors:
        stack.sandbox.vendor(vendor).reset()
    return stack
