"""The gateway on which every vendor is tried."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.app import Catalogue
from gateway.kit import trial
from gateway.startup.serve import Running, running


@pytest.fixture(scope="session")
def stack(catalogue: Catalogue) -> Iterator[Running]:
    """A gateway and its sandbox, as `jobgate vendor test` has them."""
    with running(catalogue=catalogue, settings=trial.settings()) as started:
        yield started
