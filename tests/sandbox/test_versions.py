"""Versions of simulated jobs: every change makes another, in the form of the document's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.domain.model import JobAction, Json
from gateway.sandbox.examples import next_version
from gateway.sandbox.refusal import Refusal
from gateway.sandbox.simulator import Simulator
from gateway.specs.vendor import VendorSpecification
from tests.sandbox.fixtures import VendorClient


@pytest.mark.parametrize(
    ("version", "following"),
    [
        (3, 4),
        ('"1"', '"2"'),
        ('"9"', '"10"'),
        ('"00000004-0000"', '"00000005-0000"'),
        ('W/"a-09"', 'W/"a-10"'),
        ("abc", "abc1"),
    ],
)
def test_the_next_version_has_the_same_form(version: Json, following: Json) -> None:
    """Its first number is one higher: a number stays a number, and a text keeps its width."""
    assert next_version(version) == following


def test_every_change_makes_another_version(clients: dict[str, VendorClient]) -> None:
    """A move and an action each change the version in the job; a read does not."""
    azure = clients["azure-job-router"]
    job_id = azure.vendor.create_job("created")
    seen = [azure.vendor.job(job_id)["etag"]]
    azure.vendor.set_status(job_id, "queued")
    seen.append(azure.vendor.job(job_id)["etag"])
    assert azure.perform("cancel", job_id).status == 200
    seen += [azure.vendor.job(job_id)["etag"], azure.vendor.job(job_id)["etag"]]
    assert len(set(seen)) == 3
    assert seen[2] == seen[3]


def test_the_clock_deletes_ended_jobs_of_a_vendor_that_does_so() -> None:
    """After the clock's time in a final status a job is unknown, and in no list; without a clock it stays."""
    specification = VendorSpecification.load(Path(__file__).parents[1] / "newvendor/slow_desk.yaml")
    now, seconds = [datetime(2026, 1, 5, tzinfo=UTC)], [30.0]
    for clock_seconds, left in ((None, 1), (seconds[0], 0)):
        simulator = Simulator(specification, None, lambda: now[0], lambda clock_seconds=clock_seconds: clock_seconds)  # type: ignore[misc]
        simulator.add({"number": "S-1", "state": "open", "version": 3})
        simulator.perform(JobAction("cancel", "S-1", version='"3"'))
        assert len(simulator.jobs()) == 1
        now[0] += timedelta(seconds=30)
        assert len(simulator.jobs()) == left
        if not left:
            with pytest.raises(Refusal, match="unknown-job"):
                simulator.job("S-1")
