"""Fixtures of the crash tests: a ledger in each kind of database, and a deployment around it."""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from gateway.app import Catalogue
from tests.crash.deployment import Deployment, deployed
from tests.crash.storm import SEED
from tests.support import crashing
from tests.support.crashing import ForkServer, ReconciliationTimes
from tests.support.databases import KINDS, new_address


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """A process that starts gateways."""
    with crashing.fork_server() as started:
        yield started


@pytest.fixture(scope="session")
def context() -> ForkServerContext:
    """The context whose process forks nodes: it has loaded everything."""
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(["tests.crash.batch_node"])
    return made


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """A kind of database."""
    chosen: str = request.param
    return chosen


@pytest.fixture
def address(kind: str, request: pytest.FixtureRequest) -> str:
    """The address of a new ledger."""
    return new_address(kind, request)


@pytest.fixture
def times() -> ReconciliationTimes:
    """How soon the gateways reconcile. A slow machine has enough time for a call."""
    return ReconciliationTimes(vendor_seconds=5.0, lease_seconds=0.5)


@pytest.fixture
def deployment(
    catalogue: Catalogue, fork_server: ForkServer, address: str, tmp_path: Path, times: ReconciliationTimes
) -> Iterator[Deployment]:
    """A deployment with a new ledger; no gateway is started yet."""
    chance = random.Random(SEED)  # noqa: S311 - a test that can be repeated must not be unpredictable
    with deployed(catalogue, fork_server, address, tmp_path, chance, times) as made:
        yield made
