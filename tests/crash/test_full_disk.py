"""A disk that is full when an action is asked for, and has room again soon after."""

from __future__ import annotations

import pytest

from tests.crash.gateways import CANCEL, World
from tests.crash.oracle import broken_parts, violations
from tests.support.crashing import FULL_DISK


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("with_key", [True, False], ids=["with-key", "without-key"])
def test_a_full_disk_leaves_no_half_of_a_record(a_world: World, address: str, with_key: bool) -> None:
    """Without room nothing is sent and the answer is 503; with room again all is whole, and no restart is needed."""
    a_world.start()
    (gateway,) = a_world.fleet
    assert a_world.ask(a_world.wish(CANCEL)) is not None
    gateway.limit_files(FULL_DISK)
    refused = a_world.wish(CANCEL, with_key=with_key)
    answer = a_world.ask(refused)
    assert answer is not None
    assert (answer.status, answer.code, answer.outcome) == (503, "ledger-unavailable", "not_sent")
    gateway.limit_files(None)
    a_world.ask_again()
    done = a_world.ask(a_world.wish(CANCEL))
    assert done is not None
    assert (done.status, done.outcome) == (200, "applied")
    a_world.settle()
    assert violations(a_world.wishes, a_world.records(), a_world.calls()) == []
    assert broken_parts(address) == []
