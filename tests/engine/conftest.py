"""What the tests of the engine share."""

from __future__ import annotations

import pytest

from gateway.app import Catalogue
from tests.support.problems import Problems
from tests.support.scripted_engine import MakeEngine, ScriptedEngine
from tests.support.transport import Line


@pytest.fixture(scope="session")
def problems(catalogue: Catalogue) -> Problems:
    """The check of problems against the document of the API."""
    return Problems(catalogue)


@pytest.fixture
def make_engine(catalogue: Catalogue) -> MakeEngine:
    """A function that wires an engine to a vendor that follows a script."""

    def make(*script: Line) -> ScriptedEngine:
        return ScriptedEngine(catalogue, script)

    return make
