"""What the tests of schedules share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.app import Catalogue
from tests.schedules.fixtures import Desk
from tests.support.problems import Problems


@pytest.fixture(scope="session")
def problems(catalogue: Catalogue) -> Problems:
    """The check of problems against the document of the API."""
    return Problems(catalogue)


@pytest.fixture
async def desk(catalogue: Catalogue, tmp_path: Path) -> AsyncIterator[Desk]:
    """A gateway with a database."""
    made = Desk(catalogue, tmp_path, batches={"max_share": 1.0})
    await made.ledger.start()
    yield made
    await made.ledger.close()
