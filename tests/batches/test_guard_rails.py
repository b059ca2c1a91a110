"""The guard rails: when a batch stops by itself."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from gateway.batches.guard_rails import GuardRails, too_many, tripped
from gateway.domain.batches import Limits, Progress

RAILS = GuardRails()
NO_LIMITS = Limits()


@pytest.mark.parametrize(
    ("outcomes", "limits", "code"),
    [
        ({"applied": 10, "rejected": 9}, NO_LIMITS, None),
        ({"applied": 14, "rejected": 6}, NO_LIMITS, "maxErrors"),
        ({"applied": 15, "rejected": 3, "not_sent": 1, "partial": 1}, NO_LIMITS, None),
        ({"applied": 190, "rejected": 10}, NO_LIMITS, None),
        ({"applied": 189, "rejected": 11}, NO_LIMITS, "maxErrors"),
        ({"applied": 1, "unknown": 3}, NO_LIMITS, None),
        ({"applied": 1, "unknown": 4}, NO_LIMITS, "maxUnknown"),
        ({"applied": 30, "skipped": 900, "pending": 900}, NO_LIMITS, None),
        ({"applied": 1, "rejected": 2}, Limits(max_errors=1), "maxErrors"),
        ({"applied": 19, "rejected": 1}, Limits(max_errors=0.01), "maxErrors"),
        ({"applied": 1, "unknown": 1}, Limits(max_unknown=0), "maxUnknown"),
        ({"applied": 100, "rejected": 100}, Limits(max_errors=1_000), "maxErrors"),
        ({"applied": 1, "unknown": 4}, Limits(max_unknown=1_000), "maxUnknown"),
    ],
)
def test_what_stops_a_batch(outcomes: Mapping[str, int], limits: Limits, code: str | None) -> None:
    """Errors are judged from the 20th item, doubts at once, and a request only narrows the settings."""
    why = tripped(RAILS, limits, Progress(outcomes), {})
    assert (None if why is None else why.code) == code


def test_a_resumed_batch_begins_to_count_anew() -> None:
    """What had failed before somebody resumed a batch does not stop it again."""
    seen = {"applied": 14, "rejected": 6}
    assert tripped(RAILS, NO_LIMITS, Progress(seen), seen) is None
    worse = {"applied": 20, "rejected": 26}
    assert tripped(RAILS, NO_LIMITS, Progress(worse), seen) is not None


def test_the_number_of_jobs_is_limited() -> None:
    """A batch acts on at most as many jobs as the settings and its request allow."""
    assert too_many(RAILS, NO_LIMITS, 1_000) is None
    assert too_many(RAILS, NO_LIMITS, 1_001) is not None
    assert too_many(RAILS, Limits(max_items=10), 11) is not None
    assert too_many(RAILS, Limits(max_items=5_000), 1_001) is not None
