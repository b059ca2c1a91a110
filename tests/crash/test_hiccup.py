"""A vendor that fails just when somebody wants to know what came of an action that a crash left behind."""

from __future__ import annotations

import pytest

from gateway.sandbox.faults import Fault, FaultKind
from gateway.settings.settings import LedgerSettings
from tests.crash.gateways import CANCEL, World
from tests.support.crashing import Crash, Haste, Point


@pytest.fixture
def haste() -> Haste:
    """Where the job does not tell, it is read again as seldom as in the product."""
    return Haste(lease_seconds=1.0, repeat_seconds=LedgerSettings().repeat_seconds)


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_a_reading_that_fails_is_made_again_soon(a_world: World) -> None:
    """One failure of the vendor does not keep an action from being settled within 30 s of the restart."""
    a_world.start()
    wish = a_world.wish(CANCEL)
    a_world.fleet[0].kill()
    a_world.restart(crash=Crash(Point.AFTER_REPLY, job_id=wish.job_id))
    assert a_world.ask(wish) is None
    a_world.sandbox.vendor(CANCEL.vendor).script(Fault(FaultKind.STATUS, operation_id="getJob"))
    a_world.restart()
    a_world.settle()
    (record,) = a_world.records()
    assert (record.outcome, record.settled_by) == ("applied", "reading")
