"""A gateway that ends while it terminates a job: no step is lost or repeated, and none is begun later."""

from __future__ import annotations

from collections.abc import Mapping

from tests.crash.deployment import Deployment, JobActionKind
from tests.crash.oracle import broken_parts
from tests.support.crashing import Crash, Point

TERMINATE = JobActionKind("azure-job-router", "terminate", "assigned")

AFTERWARDS: Mapping[tuple[Point, int], tuple[str, list[tuple[str, str | None]]]] = {
    (Point.AFTER_CLAIM, 1): ("not_sent", []),
    (Point.AFTER_SENT, 1): ("rejected", [("complete", "rejected")]),
    (Point.AFTER_REPLY, 1): ("partial", [("complete", "applied")]),
    (Point.AFTER_SENT, 2): ("partial", [("complete", "applied"), ("close", "rejected")]),
    (Point.AFTER_REPLY, 2): ("applied", [("complete", "applied"), ("close", "applied")]),
}
"""The outcome of a termination and of its steps once settled, by the point, and which time it was reached."""


def test_an_end_between_steps_is_told_truly(deployment: Deployment, address: str) -> None:
    """Whatever was done at the vendor is what the records say, and no vendor is called after the restart."""
    deployment.start()
    cut_off = []
    for point, on in AFTERWARDS:
        # Without a key, only what was read of the job puts the record on the storage before the first step.
        wanted = deployment.want(TERMINATE, with_key=point is Point.AFTER_CLAIM)
        deployment.fleet[0].kill()
        deployment.restart(crash=Crash(point, on, wanted.job_id))
        assert deployment.ask(wanted) is None
        deployment.fleet[0].wait_until_gone()
        cut_off.append(wanted)
    deployment.restart()
    deployment.settle()
    records = deployment.records()
    calls = deployment.calls()
    for wanted, (outcome, steps) in zip(cut_off, AFTERWARDS.values(), strict=True):
        parent, *taken = [each for each in records if each.job_id == wanted.job_id]
        assert (parent.action, parent.outcome) == ("terminate", outcome)
        assert [(each.action, each.outcome) for each in taken] == steps
        effects = sum(each.has_effect for each in calls if each.job_id == wanted.job_id)
        assert effects == sum(done == "applied" for _, done in steps)
    assert broken_parts(address) == []
