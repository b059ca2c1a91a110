"""The filter for jobs: what fits, what does not, and what does not show whether it does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.domain.finding import JobFilter
from gateway.domain.model import Job, StatusPair

NOW = datetime(2026, 1, 5, 10, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


def job(status: str = "queued", vendor_status: str = "WAITING", **members: Any) -> Job:
    """A job of the connection `desk`."""
    given: dict[str, Any] = {"timestamps": {}, **members}
    return Job(
        id="1",
        connection="desk",
        vendor="desk",
        status=StatusPair(status, vendor_status),
        final=False,
        allowed_actions=(),
        blocked_actions=(),
        vendor_object={},
        **given,
    )


def created(at: str) -> Job:
    """A job that was created at this time."""
    return job(timestamps={"createdAt": at, "enqueuedAt": "2026-01-05T10:29:59Z"})


@pytest.mark.parametrize(
    ("conditions", "found", "answer"),
    [
        ({}, job(), True),
        ({"connections": ()}, job(), False),
        ({"connections": ("other",)}, job(), False),
        ({"statuses": ("running", "queued")}, job(), True),
        ({"statuses": ("running",)}, job(), False),
        ({"statuses": ("running",)}, job("unknown"), None),
        ({"statuses": ("unknown",)}, job("unknown"), True),
        ({"vendor_statuses": ("WAITING",)}, job(), True),
        ({"vendor_statuses": ("waiting",)}, job(), False),
        ({"queue": "support"}, job(queue="support"), True),
        ({"queue": "support"}, job(queue="sales"), False),
        ({"queue": "support"}, job(), False),
        ({"type": "chat"}, job(type="chat"), True),
        ({"type": "chat"}, job(type="voice"), False),
        ({"older_than": HOUR}, created("2026-01-05T09:30:00Z"), True),
        ({"older_than": HOUR}, created("2026-01-05T09:30:01Z"), False),
        ({"older_than": HOUR}, created("2026-01-05T11:29:59+02:00"), True),
        ({"older_than": HOUR}, created("0001-01-01T00:00:00+23:59"), True),
        ({"older_than": HOUR}, job(timestamps={"enqueuedAt": "2026-01-05T09:00:00Z"}), True),
        ({"older_than": HOUR}, job(timestamps={"scheduledAt": "2026-01-05T09:00:00Z"}), None),
        ({"older_than": HOUR, "queue": "support"}, job(), False),
        ({"older_than": HOUR, "statuses": ("running",)}, job("unknown"), None),
    ],
)
def test_a_job_fits_if_it_meets_every_condition(conditions: dict[str, Any], found: Job, answer: bool | None) -> None:
    """A job that does not show its status or age may fit, unless another condition shows that it does not."""
    assert JobFilter(**{"connections": ("desk",), **conditions}).fits(found, NOW) is answer
