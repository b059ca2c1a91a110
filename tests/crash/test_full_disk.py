"""A disk that is full when an action is asked for, and has room again soon after."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.crash.deployment import CANCEL, Deployment
from tests.crash.oracle import broken_parts, violations
from tests.crash.storm import Breakable
from tests.support.crashing import FULL_DISK
from tests.support.databases import PostgreSQL


@pytest.fixture
def disk(deployment: Deployment, kind: str, request: pytest.FixtureRequest) -> Breakable:
    """The disk of the ledger. PostgreSQL, which has its write-ahead log there too, ends without room for it."""
    if kind == "sqlite":
        return GatewayDisk(deployment)
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return ServerDisk(server)


@dataclass(frozen=True)
class GatewayDisk:
    """The disk of a SQLite file, which the gateway writes."""

    deployment: Deployment

    def fail(self) -> None:
        """Leave no room."""
        self.deployment.fleet[0].limit_files(FULL_DISK)

    def mend(self) -> None:
        """Give room again."""
        self.deployment.fleet[0].limit_files(None)


@dataclass(frozen=True)
class ServerDisk:
    """The disk of a PostgreSQL server."""

    server: PostgreSQL

    def fail(self) -> None:
        """Leave no room."""
        self.server.fill_disk(log_too=True)

    def mend(self) -> None:
        """Give room again."""
        self.server.free_disk()


@pytest.mark.parametrize("with_key", [True, False], ids=["with-key", "without-key"])
def test_a_full_disk_leaves_no_half_of_a_record(
    deployment: Deployment, address: str, disk: Breakable, with_key: bool
) -> None:
    """Without room nothing is sent and the answer is 503; with room again all is whole, and no restart is needed."""
    deployment.start()
    assert deployment.ask(deployment.want(CANCEL)) is not None
    disk.fail()
    refused = deployment.want(CANCEL, with_key=with_key)
    answer = deployment.ask(refused)
    assert answer is not None
    assert (answer.status, answer.code, answer.outcome) == (503, "ledger-unavailable", "not_sent")
    disk.mend()
    deployment.ask_again()
    done = deployment.ask(deployment.want(CANCEL))
    assert done is not None
    assert (done.status, done.outcome) == (200, "applied")
    deployment.settle()
    assert violations(deployment.wanted_actions, deployment.records(), deployment.calls()) == []
    assert broken_parts(address) == []
