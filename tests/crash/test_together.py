"""Gateways that share a ledger, at the moment at which they are most in each other's way: when all of them are new."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.crash.deployment import CANCEL, Deployment
from tests.crash.oracle import broken_parts, violations
from tests.support.sampling import amount

SIZE = 4
TIMES = amount(whole=4, sample=2)


def test_gateways_that_start_together_all_do_their_work(deployment: Deployment, address: str) -> None:
    """The first actions of gateways that share a ledger, asked for at the same moment, are done like any other."""
    deployment.start(SIZE)
    for _ in range(TIMES):
        deployment.renew()
        wanted_actions = [deployment.want(CANCEL) for _ in range(SIZE)]
        with ThreadPoolExecutor(SIZE) as pool:
            answers = [*pool.map(deployment.ask, wanted_actions)]
        assert {(each.status, each.outcome) for each in answers if each} == {(200, "applied")}
    assert violations(deployment.wanted_actions, deployment.records(), deployment.calls()) == []
    assert broken_parts(address) == []
