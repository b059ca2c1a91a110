"""A gateway in this process whose vendor follows a script, over a ledger in memory."""

from __future__ import annotations

import pytest

from gateway.app import Catalogue
from gateway.ledger.memory import MemoryLedger
from tests.support.clock import FakeClock
from tests.support.scripted_gateway import ScriptedGateway


@pytest.fixture
def scripted(catalogue: Catalogue) -> ScriptedGateway:
    """The unified API, wired."""
    return ScriptedGateway(catalogue, MemoryLedger(), FakeClock())
