"""The beginning of a batch: at its time and not before, and of those on one connection one at a time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from gateway.app import Catalogue
from gateway.batches.running import Runner
from gateway.ledger.audit import export, verify
from gateway.ledger.database import Database
from tests.batches.conftest import House, database_of, house_at, queued
from tests.support.clock import FakeClock
from tests.support.databases import KINDS, new_address

ROUNDS = 5
"""The number of pairs of batches that two nodes begin at the same moment."""


@pytest.fixture(params=KINDS)
async def nodes(request: pytest.FixtureRequest, catalogue: Catalogue) -> AsyncIterator[tuple[House, House]]:
    """Two gateways over one database of each kind, at one vendor."""
    address, clock = new_address(request.param, request), FakeClock()
    one = house_at(catalogue, Database.at(address), clock)
    two = house_at(catalogue, Database.at(address), clock, one.vendor)
    for each in (one, two):
        await each.gateway.ledger.start()
    yield one, two
    for each in (one, two):
        await each.gateway.close()


async def test_a_batch_begins_at_its_time(house: House) -> None:
    """A confirmed batch with `notBefore` is ready and sends nothing until then; at that moment it begins."""
    begins = house.clock.now() + timedelta(hours=1)
    new = await house.create(*queued(house, 2), notBefore=begins.isoformat())
    batch = await house.go_on_until(new, "awaiting_confirmation")
    await house.confirm(batch)
    await house.go_on()
    house.clock.advance((begins - house.clock.now()).total_seconds() - 1)
    await house.go_on()
    assert (await house.ask("GET", f"/batches/{batch['id']}")).json["state"] == "ready"
    assert not house.vendor.asked
    house.clock.advance(1)
    await house.go_on()
    assert (await house.ask("GET", f"/batches/{batch['id']}")).json["state"] == "completed"
    assert set(house.vendor.asked.values()) == {1}


async def test_two_nodes_run_one_batch_of_a_connection(nodes: tuple[House, House]) -> None:
    """Two nodes that begin two batches of one connection at the same moment run one of them; the other one waits."""
    one, two = nodes
    pair = await ready(one)
    one.vendor.may_answer.clear()
    going = asyncio.gather(*(runner.work(lease) for runner, lease in await leases(nodes)))
    await one.vendor.is_asked.wait()
    for _ in range(3):
        # Within the lease, so that neither takes the batch of the other over.
        one.clock.advance(2)
        await asyncio.gather(*(each.go_on() for each in nodes))
        assert sorted([await state(two, each) for each in pair]) == ["ready", "running"]
    one.vendor.may_answer.set()
    await going
    for each in pair:
        await two.go_on_until(each, "completed")
    assert (len(one.vendor.asked), set(one.vendor.asked.values())) == (4, {1})


async def test_the_chain_shows_one_running_batch_at_a_time(nodes: tuple[House, House]) -> None:
    """However often two nodes begin batches of one connection, each begins after the one before it has ended."""
    one, two = nodes
    for number in range(ROUNDS):
        pair = await ready(one, 4 * number)
        await asyncio.gather(*(runner.work(lease) for runner, lease in await leases(nodes)))
        for each, node in zip(pair, (one, two), strict=True):
            await node.go_on_until(each, "completed")
    database = database_of(one)
    told = [each for each in map(json.loads, export(database)) if each["kind"] == "state"]
    changes = [each["told"]["state"] for each in told if each["told"]["state"] in {"running", "completed"}]
    assert changes == ["running", "completed"] * (2 * ROUNDS)
    assert verify(database).finding is None


async def ready(house: House, first: int = 0) -> list[Mapping[str, Any]]:
    """Two batches of two jobs each, on one connection, that can begin."""
    new = [await house.create(*queued(house, 2, first + 2 * number)) for number in range(2)]
    pair = [await house.go_on_until(each, "awaiting_confirmation") for each in new]
    for each in pair:
        assert (await house.confirm(each)).json["state"] == "ready"
    return pair


async def leases(nodes: tuple[House, House]) -> list[tuple[Runner, Any]]:
    """The runner of each node, with the lease of one batch that is due."""
    found = []
    for each in map(runner_of, nodes):
        (lease,) = await each.store.take(1)
        found.append((each, lease))
    return found


def runner_of(house: House) -> Runner:
    """The runner of a node."""
    assert house.gateway.batch_runner is not None
    return house.gateway.batch_runner


async def state(house: House, batch: Mapping[str, Any]) -> Any:
    """The state of a batch, as a node shows it."""
    return (await house.ask("GET", f"/batches/{batch['id']}")).json["state"]
