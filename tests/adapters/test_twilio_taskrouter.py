"""Twilio TaskRouter: what an action leaves in a simulated task beside its status."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from adapters.twilio_taskrouter import simulate
from gateway.domain.model import JobAction

TASK = "WTaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
NOON = datetime(2026, 1, 5, 12, 0, 0, 999_999, tzinfo=UTC)


def test_the_reason_is_kept() -> None:
    """The note of an action is the reason in the task; without one, the reason stays as it was."""
    job = {"sid": TASK, "assignment_status": "canceled", "reason": None}
    canceled = simulate(job, JobAction("cancel", TASK, {"note": "waiting too long"}), NOON)
    assert canceled == {**job, "reason": "waiting too long", "date_updated": "2026-01-05T12:00:00Z"}
    assert simulate(canceled, JobAction("close", TASK), NOON)["reason"] == "waiting too long"


def test_times_are_of_utc_in_whole_seconds() -> None:
    """The time of a change has the form of the vendor's examples, wherever the clock stands."""
    elsewhere = NOON.astimezone(timezone(timedelta(hours=2)))
    assert simulate({}, JobAction("complete", TASK), elsewhere)["date_updated"] == "2026-01-05T12:00:00Z"
