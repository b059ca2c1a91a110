"""An operator's day at a terminal: find 300 stuck jobs over two vendors, act on them, watch, and prove what was done.

It is typed as a person types it, and has the two minutes that a person has.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.app import Catalogue
from gateway.cli.exit_codes import ExitCode
from gateway.client import Client
from gateway.startup.serve import Running, running
from tests.cli.fixtures import at_a_terminal, seen_until
from tests.support.commands import jobgate
from tests.support.patience import PATIENCE

NAMES = ("connection", "vendor-status")
STUCK = {"azure-job-router": ("azure-sandbox", "queued"), "vonage-contact-center": ("vonage-sandbox", "Running")}
"""The connection and the status of the stuck jobs, by vendor."""
FILTER = [f"--{name}={value}" for each in STUCK.values() for name, value in zip(NAMES, each, strict=True)]
MANY = 300
REASON = ("--reason", "The queues of incident INC-43 are stuck", "--label", "incident=INC-43")


@pytest.fixture
def stuck(catalogue: Catalogue, tmp_path: Path) -> Iterator[Running]:
    """A gateway with its own ledger. 300 jobs are stuck at two vendors."""
    with running(catalogue=catalogue, state_folder=tmp_path) as started:
        with Client(started.url, started.api_key) as client:
            for vendor, (connection, status) in STUCK.items():
                there = sum(each.vendor_status == status for each in client.jobs(connection))
                for _ in range(MANY // len(STUCK) - there):
                    started.sandbox.vendor(vendor).create_job(status)
        yield started


@pytest.mark.timeout(120, func_only=True)
def test_the_operators_day(stuck: Running, tmp_path: Path) -> None:
    """300 jobs at two vendors are found, ended once each, watched to the end, and accounted for, in two minutes."""
    environment = {"JOBGATE_URL": stuck.url, "JOBGATE_KEY": stuck.api_key}

    found = json.loads(jobgate(tmp_path, "jobs", "count", *FILTER, "-o", "json", environment=environment).stdout)
    assert (found["count"], found["isComplete"]) == (MANY, True)

    command = ("jobs", "terminate", *FILTER, *REASON, "--output", "json")
    with at_a_terminal(stuck.url, stuck.api_key, tmp_path, *command) as (process, master):
        assert "300  will act" in seen_until(master, f"Terminate {MANY} jobs? Type {MANY} to go on: ")
        os.write(master, f"{MANY}\n".encode())
        share = re.findall(
            "Type ([0-9]+%) to go on", seen_until(master, "% to go on: ")
        )  # more than a guard rail allows
        os.write(master, f"{share[-1]}\n".encode())
        seen_until(master, f"{MANY} of {MANY}")
        printed, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == ExitCode.DONE
    batch = json.loads(printed)
    assert (batch["outcome"], batch["progress"]["outcomes"]["applied"]) == ("all_applied", MANY)

    report = jobgate(tmp_path, "batches", "report", batch["id"], environment=environment)
    assert (report.returncode, "as the batch has noted it" in report.stderr) == (ExitCode.DONE, True)
    lines = [json.loads(line) for line in report.stdout.splitlines()]
    assert Counter(each["outcome"] for each in lines) == {"applied": MANY}
    assert sorted(Counter(each["connection"] for each in lines).values()) == [MANY // 2, MANY // 2]
    assert jobgate(tmp_path, "jobs", "list", *FILTER, "-o", "ndjson", environment=environment).stdout == ""
    for vendor in STUCK:  # what the vendors saw is what the report says
        acted = [each.job_action.job_id for each in stuck.sandbox.vendor(vendor).log() if each.job_action is not None]
        reported = (each["jobId"] for each in lines if each["connection"] == STUCK[vendor][0])
        assert Counter(acted) == dict.fromkeys(reported, 1)

    proof = jobgate(tmp_path, "audit", "verify", environment={"JOBGATE_STATE_FOLDER": str(tmp_path)})
    assert (proof.returncode, proof.stdout.startswith("whole: ")) == (ExitCode.DONE, True), proof.stderr
