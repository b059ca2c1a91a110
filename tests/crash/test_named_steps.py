"""A gateway that ends at a step of a job action: what is known of the action afterwards, and that it is done once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.crash.deployment import CANCEL, PAUSE, Deployment
from tests.crash.oracle import broken_parts, violations
from tests.support.crashing import Crash, Point

Known = Sequence[tuple[str, str]]
"""Outcome of each record, and how it became certain."""

AFTERWARDS: Mapping[Point, Known] = {
    Point.BEFORE_CLAIM: [],
    Point.AFTER_CLAIM: [("not_sent", "nothing-sent")],
    Point.AFTER_SENT: [("rejected", "reading")],
    Point.AFTER_REPLY: [("applied", "reading")],
    Point.BEFORE_SETTLE: [("applied", "reading")],
    Point.AFTER_SETTLE: [("applied", "vendor-reply")],
}
"""What is known of an action once it is settled, by where the gateway ended that worked on it."""

TOLD: Mapping[Point, tuple[int, str, bool]] = {
    Point.BEFORE_CLAIM: (200, "applied", False),
    Point.AFTER_CLAIM: (200, "applied", False),
    Point.AFTER_SENT: (502, "rejected", True),
}
"""What is answered to the same request with the same key: status, outcome, and whether it is what was known already."""


def test_an_end_at_any_step_loses_nothing_and_repeats_nothing(deployment: Deployment, address: str) -> None:
    """At whatever step a gateway ends, its action is settled correctly within 30 s of the restart and done once."""
    deployment.start()
    cut_off = [(point, deployment.want(kind_of_action)) for point in AFTERWARDS for kind_of_action in (CANCEL, PAUSE)]
    for point, wanted in cut_off:
        deployment.fleet[0].kill()
        # On a busy machine, the leases of the first end before the last of these gateways starts.
        deployment.restart(crash=Crash(point, job_id=wanted.job_id, reconciles=False))
        answered = deployment.ask(deployment.want(CANCEL))
        assert answered is not None
        assert (answered.status, answered.outcome) == (200, "applied")
        assert deployment.ask(wanted) is None
        deployment.fleet[0].wait_until_gone()
    # This one ends while it finds out what the others have left.
    deployment.restart(crash=Crash(Point.WHILE_SETTLING, on=3))
    ending = deployment.fleet[0]
    took = deployment.settle()
    assert not ending.is_alive
    records = deployment.records()
    for point, wanted in cut_off:
        known = [(each.outcome, each.settled_by) for each in records if each.job_id == wanted.job_id]
        assert known == AFTERWARDS[point], point
    deployment.ask_again()
    for point, wanted in cut_off:
        (told,) = wanted.answers
        assert (told.status, told.outcome, told.replayed) == TOLD.get(point, (200, "applied", True)), point
    assert deployment.ask_again() == 2
    assert violations(deployment.wanted_actions, deployment.records(), deployment.calls()) == []
    assert broken_parts(address) == []
    print(f"everything was settled {took:.1f} s after the last start")  # noqa: T201 - `make chaos` shows it
