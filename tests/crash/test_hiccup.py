"""A vendor that fails while the outcome of an action is read after a crash."""

from __future__ import annotations

import pytest

from gateway.sandbox.faults import Fault, FaultKind
from gateway.settings.settings import LedgerSettings
from tests.crash.deployment import CANCEL, Deployment
from tests.support.crashing import Crash, Point, ReconciliationTimes


@pytest.fixture
def times() -> ReconciliationTimes:
    """Where the job does not tell, it is read again as seldom as in the product."""
    return ReconciliationTimes(lease_seconds=1.0, repeat_seconds=LedgerSettings().repeat_seconds)


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_a_reading_that_fails_is_made_again_soon(deployment: Deployment) -> None:
    """One failure of the vendor does not keep an action from being settled within 30 s of the restart."""
    deployment.start()
    wanted = deployment.want(CANCEL)
    deployment.fleet[0].kill()
    deployment.restart(crash=Crash(Point.AFTER_REPLY, job_id=wanted.job_id))
    assert deployment.ask(wanted) is None
    deployment.sandbox.vendor(CANCEL.vendor).script(Fault(FaultKind.STATUS, operation_id="getJob"))
    deployment.restart()
    deployment.settle()
    (record,) = deployment.records()
    assert (record.outcome, record.settled_by) == ("applied", "reading")
