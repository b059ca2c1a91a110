"""A disk that is full when an action is asked for, and has room again soon after."""

from __future__ import annotations

import pytest

from tests.crash.deployment import CANCEL, Deployment
from tests.crash.oracle import broken_parts, violations
from tests.support.crashing import FULL_DISK


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("with_key", [True, False], ids=["with-key", "without-key"])
def test_a_full_disk_leaves_no_half_of_a_record(deployment: Deployment, address: str, with_key: bool) -> None:
    """Without room nothing is sent and the answer is 503; with room again all is whole, and no restart is needed."""
    deployment.start()
    (gateway,) = deployment.fleet
    assert deployment.ask(deployment.want(CANCEL)) is not None
    gateway.limit_files(FULL_DISK)
    refused = deployment.want(CANCEL, with_key=with_key)
    answer = deployment.ask(refused)
    assert answer is not None
    assert (answer.status, answer.code, answer.outcome) == (503, "ledger-unavailable", "not_sent")
    gateway.limit_files(None)
    deployment.ask_again()
    done = deployment.ask(deployment.want(CANCEL))
    assert done is not None
    assert (done.status, done.outcome) == (200, "applied")
    deployment.settle()
    assert violations(deployment.wanted_actions, deployment.records(), deployment.calls()) == []
    assert broken_parts(address) == []
