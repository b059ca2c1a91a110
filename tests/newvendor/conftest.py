"""A gateway and sandbox with one of the imaginary vendors installed: the one that the test module names."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.client import Client
from gateway.startup.serve import Running, running

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def started(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway and sandbox with the desk of the module's `INSTALLED` beside the built-in vendors."""
    name: str = request.module.INSTALLED
    folder = tmp_path_factory.mktemp(name)
    for file in (f"{name}.py", f"{name}.yaml"):
        shutil.copy(HERE / file, folder / file)
    shutil.copytree(HERE / f"{name}-1.0.dist-info", folder / f"{name}-1.0.dist-info")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.syspath_prepend(folder)
        monkeypatch.delitem(sys.modules, name, raising=False)
        with running() as it:
            yield it


@pytest.fixture
def desk(started: Running) -> Running:
    """The same, its vendors as they were at the start."""
    for name in started.gateway.catalogue.vendors:
        started.sandbox.vendor(name).reset()
    return started


@pytest.fixture
def client(desk: Running) -> Iterator[Client]:
    """A client of the unified API."""
    with Client(desk.url, desk.api_key) as made:
        yield made
