"""`kill -9` again and again while clients are at work: the short form here, the long one by `make chaos`.

The long form has two gateways on each ledger, and other troubles: vendors that fail, gateways that stand still, a full
disk under SQLite, and a PostgreSQL that lets nobody in.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest

from tests.crash.deployment import Deployment
from tests.crash.oracle import broken_parts, violations
from tests.crash.storm import ROUNDS, SEED, Breakable, Storm
from tests.support.crashing import FULL_DISK, ReconciliationTimes
from tests.support.databases import PostgreSQL
from tests.support.sampling import amount

ENDS = {"sqlite": amount(whole=20, sample=8), "postgresql": amount(whole=6, sample=3)}


@dataclass(frozen=True)
class Disk:
    """The disk that the gateways of a deployment keep their ledger on. It can be full."""

    deployment: Deployment

    def fail(self) -> None:
        """Let no file of theirs grow any more."""
        for gateway in self.deployment.fleet:
            gateway.limit_files(FULL_DISK)

    def mend(self) -> None:
        """Let them grow again."""
        for gateway in self.deployment.fleet:
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


def storage_of(kind: str, deployment: Deployment, address: str, request: pytest.FixtureRequest) -> Breakable:
    """Where a ledger is kept."""
    return Disk(deployment) if kind == "sqlite" else Server(request.getfixturevalue("postgresql"), address)


@pytest.fixture
def times() -> ReconciliationTimes:
    """In the short form there is no time to leave actions alone for as long as the product does."""
    return ReconciliationTimes() if ROUNDS else ReconciliationTimes(lease_seconds=1.0)


@pytest.mark.timeout(900 + 30 * ROUNDS)
def test_no_end_loses_or_repeats_an_action(
    deployment: Deployment, address: str, kind: str, request: pytest.FixtureRequest
) -> None:
    """However often gateways are killed, nothing acknowledged is lost, nothing sent twice, and all settled soon."""
    storm = Storm(deployment, storage_of(kind, deployment, address, request) if ROUNDS else None)
    deployment.start(2 if ROUNDS or kind == "postgresql" else 1)
    storm.rage(ROUNDS or ENDS[kind])
    records, calls, tally = deployment.records(), deployment.calls(), storm.tally
    answers = sum(len(wanted.answers) for wanted in deployment.wanted_actions)
    print(f"{kind}, seed {SEED}: {dict(tally.ends)}, {dict(tally.troubles)}")  # noqa: T201 - `make chaos` shows it
    print(f"{len(deployment.wanted_actions)} actions, {answers} answers, {len(records)} records, {len(calls)} calls")  # noqa: T201
    print(f"settled at most {max(tally.settled):.1f} s after the last start")  # noqa: T201
    assert violations(deployment.wanted_actions, records, calls) == []
    assert broken_parts(address) == []
    if not ROUNDS:  # no vendor has failed, so there is no other reason for anything not to be done
        assert {wanted.answers[-1].outcome for wanted in deployment.wanted_actions if wanted.keys} == {"applied"}
