"""A gateway that ends at a step of a job action: what is known of the action afterwards, and that it is done once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.crash.gateways import CANCEL, PAUSE, World
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


def test_an_end_at_any_step_loses_nothing_and_repeats_nothing(a_world: World, address: str) -> None:
    """Wherever a gateway ends, its action is settled truly within 30 s of the restart, and then done once."""
    a_world.start()
    cut_off = [(point, a_world.wish(deed)) for point in AFTERWARDS for deed in (CANCEL, PAUSE)]
    for point, wish in cut_off:
        a_world.fleet[0].kill()
        a_world.restart(crash=Crash(point, job_id=wish.job_id))
        answered = a_world.ask(a_world.wish(CANCEL))
        assert answered is not None
        assert (answered.status, answered.outcome) == (200, "applied")
        assert a_world.ask(wish) is None
        a_world.fleet[0].wait_until_gone()
    # This one ends while it finds out what the others have left.
    a_world.restart(crash=Crash(Point.WHILE_SETTLING, on=3))
    ending = a_world.fleet[0]
    took = a_world.settle()
    assert not ending.is_alive
    records = a_world.records()
    for point, wish in cut_off:
        known = [(each.outcome, each.settled_by) for each in records if each.job_id == wish.job_id]
        assert known == AFTERWARDS[point], point
    a_world.ask_again()
    for point, wish in cut_off:
        (told,) = wish.answers
        assert (told.status, told.outcome, told.replayed) == TOLD.get(point, (200, "applied", True)), point
    assert a_world.ask_again() == 2
    assert violations(a_world.wishes, a_world.records(), a_world.calls()) == []
    assert broken_parts(address) == []
    print(f"everything was settled {took:.1f} s after the last start")  # noqa: T201 - `make chaos` shows it
