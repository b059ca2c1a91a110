"""What every test may use: the documents, compiled once, and a gateway with its sandbox, running."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest

from gateway.app import Catalogue
from gateway.client import Client
from gateway.startup.serve import Running, running
from tests.support import documents
from tests.support.canaries import Watch
from tests.support.databases import PostgreSQL, postgresql_server

pytest_plugins = ["tests.support.sampling"]


@pytest.fixture(scope="session", autouse=True)
def no_settings_of_others(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test sees the settings of whoever runs it: neither variables of theirs nor a jobgate.toml that lies about."""
    empty = tmp_path_factory.mktemp("settings") / "empty.toml"
    empty.touch()
    with pytest.MonkeyPatch.context() as patch:
        for name in [each for each in os.environ if each.upper().startswith("JOBGATE_")]:
            patch.delenv(name)
        patch.setenv("JOBGATE_CONFIG", str(empty))
        yield


@pytest.fixture(scope="session", autouse=True)
def watch() -> Iterator[Watch]:
    """Looks for secrets in every record that is logged while the tests run."""
    handler = Watch()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


@pytest.fixture(autouse=True)
def nothing_leaks(watch: Watch) -> Iterator[None]:
    """Whatever a test is about: the product logs no secret (answers are looked at where they are received)."""
    watch.hits.clear()
    yield
    assert watch.hits == []


@pytest.fixture(scope="session", autouse=True)
def documents_are_understood_once() -> Iterator[None]:
    """It costs little to make many gateways."""
    with documents.understood_once():
        yield


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """The unified API and every installed vendor."""
    return documents.installed()


@pytest.fixture(scope="session")
def stack(catalogue: Catalogue) -> Iterator[Running]:
    """A gateway and its sandbox on free ports."""
    with running(catalogue=catalogue) as started:
        yield started


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL server."""
    with postgresql_server() as started:
        yield started


@pytest.fixture
def client(stack: Running) -> Iterator[Client]:
    """A client of the running gateway; every vendor's jobs are as at the start."""
    for vendor in stack.gateway.directory.vendors:
        stack.sandbox.vendor(vendor).reset()
    with Client(stack.url, stack.api_key) as made:
        yield made
