"""A fail-over of PostgreSQL in the middle of a batch: no job is acted on twice, and no item is lost."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from gateway.ledger.audit import verify
from gateway.ledger.database import Database
from tests.crash.batch_node import FileVendor
from tests.crash.storm import SEED
from tests.crash.test_batches import JOBS, ROUNDS, Storm, check, client, new_batch, outcome_of
from tests.support.patience import PATIENCE, eventually
from tests.support.replication import Pair, replicated

TIMES = 20 if ROUNDS > 60 else 1
"""Number of fail-overs: in `make chaos`, at many moments of a batch."""


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A primary and its standby."""
    with replicated() as made:
        yield made


async def fail_over(pair: Pair, storm: Storm) -> None:
    """Let the standby take over while a batch runs; the vendor's count tells what came of it."""
    async with client(storm) as gateway, asyncio.timeout(4 * PATIENCE):
        batch = await new_batch(gateway.batches)  # type: ignore[arg-type]
        moment = storm.chance.randint(1, JOBS - 1)

        async def is_come() -> bool:
            return len(FileVendor(storm.memory).asked()) >= moment

        await eventually(is_come)
        await asyncio.to_thread(pair.fail_over)
        ended = await outcome_of(gateway, batch, storm, 0)
        await check(gateway, ended, FileVendor(storm.memory).asked())


@pytest.mark.parametrize("number", range(TIMES))
def test_no_item_is_sent_twice_or_lost(pair: Pair, tmp_path: Path, context: ForkServerContext, number: int) -> None:
    """With an address of both servers, two nodes go on at the standby, without a restart."""
    memory = tmp_path / "vendor.txt"
    memory.touch()
    storm = Storm(pair.address, memory, context, random.Random(SEED + number), None)  # noqa: S311 - it must be repeatable
    storm.begin()
    try:
        asyncio.run(fail_over(pair, storm))
    finally:
        storm.end()
    database = Database.at(pair.address)
    try:
        assert verify(database).finding is None
    finally:
        database.dispose()
