"""What every test may use: the documents, compiled once, and a gateway with its sandbox, running."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from gateway.app import Catalogue
from gateway.client import Client
from gateway.kit.stand import Stand
from gateway.startup.serve import Running, running
from tests.support import documents
from tests.support.canaries import Watch
from tests.support.databases import PostgreSQL, postgresql_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytest_plugins = ["tests.support.sampling"]

# A shell starts what it runs in the background deaf to Ctrl-C, and so would be every program that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def no_settings_of_others(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hide the environment variables and the jobgate.toml of the person who runs the tests."""
    empty = tmp_path_factory.mktemp("settings") / "empty.toml"
    empty.touch()
    with pytest.MonkeyPatch.context() as patch:
        for name in [each for each in os.environ if each.upper().startswith("JOBGATE_")]:
            patch.delenv(name)
        patch.setenv("JOBGATE_CONFIG", str(empty))
        yield


@pytest.fixture(scope="session", autouse=True)
def watch() -> Iterator[Watch]:
    """A handler that looks for secrets in every log record of the tests."""
    handler = Watch()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


@pytest.fixture(autouse=True)
def nothing_leaks(watch: Watch) -> Iterator[None]:
    """In every test, the product logs no secret. `asgi.call` checks the answers."""
    watch.hits.clear()
    yield
    assert watch.hits == []


@pytest.fixture(scope="session", autouse=True)
def documents_are_understood_once() -> Iterator[None]:
    """Connexion reads each document once, so that many gateways cost little."""
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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, with an empty profile."""
    from tests.support.browser import chromium  # noqa: PLC0415 - slow to load, few tests need it

    with chromium() as started:
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


@pytest.fixture
def stand(request: pytest.FixtureRequest, stack: Running, client: Client) -> Stand:
    """The stand of the vendor that the test's `case` is about."""
    return Stand(stack, client, stack.gateway.catalogue.vendors[request.getfixturevalue("case").vendor])
