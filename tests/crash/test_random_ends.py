"""`kill -9` again and again while clients are at work: the short form here, the long one by `make chaos`.

The long form has two gateways on each ledger, and other troubles: vendors that fail, gateways that stand still, a full
disk under SQLite, and a PostgreSQL that lets nobody in.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest

from tests.crash.gateways import World
from tests.crash.oracle import broken_parts, violations
from tests.crash.storm import ROUNDS, SEED, Breakable, Storm
from tests.support.crashing import FULL_DISK, Haste
from tests.support.databases import PostgreSQL

ENDS = {"sqlite": 20, "postgresql": 6}


@dataclass(frozen=True)
class Disk:
    """The disk that the gateways of a world keep their ledger on. It can be full."""

    world: World

    def fail(self) -> None:
        """Let no file of theirs grow any more."""
        for gateway in self.world.fleet:
            gateway.limit_files(FULL_DISK)

    def mend(self) -> None:
        """Let them grow again."""
        for gateway in self.world.fleet:
            gateway.limit_files(None)


@dataclass(frozen=True)
class Server:
    """A server of databases. It can turn everybody away."""

    server: PostgreSQL
    address: str
    # Two changes of one database at the same time are refused.
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fail(self) -> None:
        """End all connections to the ledger's database, and let nobody in any more."""
        with self.lock:
            self.server.cut_off(self.address)

    def mend(self) -> None:
        """Let everybody in again."""
        with self.lock:
            self.server.let_in(self.address)


def storage_of(kind: str, world: World, address: str, request: pytest.FixtureRequest) -> Breakable:
    """Where a ledger is kept."""
    return Disk(world) if kind == "sqlite" else Server(request.getfixturevalue("postgresql"), address)


@pytest.fixture
def haste() -> Haste:
    """In the short form there is no time to leave actions alone for as long as the product does."""
    return Haste() if ROUNDS else Haste(lease_seconds=1.0)


@pytest.mark.timeout(900 + 30 * ROUNDS)
def test_no_end_loses_or_repeats_an_action(
    a_world: World, address: str, kind: str, request: pytest.FixtureRequest
) -> None:
    """However often gateways are killed, nothing acknowledged is lost, nothing sent twice, and all settled soon."""
    storm = Storm(a_world, storage_of(kind, a_world, address, request) if ROUNDS else None)
    a_world.start(2 if ROUNDS or kind == "postgresql" else 1)
    storm.rage(ROUNDS or ENDS[kind])
    records, calls, tally = a_world.records(), a_world.calls(), storm.tally
    answers = sum(len(wish.answers) for wish in a_world.wishes)
    print(f"{kind}, seed {SEED}: {dict(tally.ends)}, {dict(tally.troubles)}")  # noqa: T201 - `make chaos` shows it
    print(f"{len(a_world.wishes)} actions, {answers} answers, {len(records)} records, {len(calls)} calls")  # noqa: T201
    print(f"settled at most {max(tally.settled):.1f} s after the last start")  # noqa: T201
    assert violations(a_world.wishes, records, calls) == []
    assert broken_parts(address) == []
    if not ROUNDS:  # no vendor has failed, so there is no other reason for anything not to be done
        assert {wish.answers[-1].outcome for wish in a_world.wishes if wish.keys} == {"applied"}
