"""Fixtures that the tests of approvals share."""

from __future__ import annotations

import pytest

from gateway.app import Catalogue
from tests.support.problems import Problems


@pytest.fixture(scope="session")
def problems(catalogue: Catalogue) -> Problems:
    """The check of problems against the document of the API."""
    return Problems(catalogue)
