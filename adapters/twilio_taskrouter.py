"""Twilio TaskRouter, tasks of a Workspace. Only the sandbox needs more than its document."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from gateway.domain.adapter import Adapter
from gateway.domain.model import JobAction, Json


def simulate(job: Mapping[str, Json], job_action: JobAction, now: datetime) -> Mapping[str, Json]:
    """An update changes more than the status: the task with the reason, and its time in whole seconds."""
    reason = job_action.parameters.get("note", job.get("reason"))
    return {**job, "reason": reason, "date_updated": f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"}


ADAPTER = Adapter(Path(__file__).parents[1] / "specs/vendors/twilio-taskrouter.yaml", simulate=simulate)
