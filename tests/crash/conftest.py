"""What the tests of crashes share: a ledger in each kind of database, and a world around it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.app import Catalogue
from tests.crash.gateways import World, world
from tests.crash.storm import SEED
from tests.support import crashing
from tests.support.crashing import Haste, Nursery
from tests.support.databases import KINDS, new_address


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """A process that starts gateways."""
    with crashing.nursery() as started:
        yield started


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
def haste() -> Haste:
    """How soon the gateways find out what nobody told. A slow machine has time enough for a call."""
    return Haste(vendor_seconds=5.0, lease_seconds=0.5)


@pytest.fixture
def a_world(catalogue: Catalogue, nursery: Nursery, address: str, tmp_path: Path, haste: Haste) -> Iterator[World]:
    """A world with a new ledger; no gateway is started yet."""
    chance = random.Random(SEED)  # noqa: S311 - a test that can be repeated must not be unpredictable
    with world(catalogue, nursery, address, tmp_path, chance, haste) as made:
        yield made
