"""What the tests of the edge share: one gateway behind a real server, for all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.app import Catalogue
from tests.support.edge import Edge, serving
from tests.support.problems import Problems


@pytest.fixture(scope="session")
def problems(catalogue: Catalogue) -> Problems:
    """The check of problems against the document of the API."""
    return Problems(catalogue)


@pytest.fixture(scope="session")
def edge(catalogue: Catalogue) -> Iterator[Edge]:
    """A gateway that serves on loopback."""
    with serving(catalogue) as served:
        yield served
