"""Schemathesis' stateful walk along the links of the document, through the life of a batch."""

from __future__ import annotations

import json
import os
from collections import Counter
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.config import SchemathesisConfig

import gateway.kit.schemathesis_hooks  # noqa: F401 - registers what is to be known of our documents
from gateway.app import Catalogue
from gateway.client import Client
from gateway.startup.serve import running
from tests.support.patience import wait_until

CONNECTION, VENDOR, STATUS = "azure-sandbox", "azure-job-router", "queued"
WALKS = (
    ("createBatch", "getBatch", "confirmBatch", "pauseBatch", "resumeBatch"),
    ("createBatch", "getBatch", "abortBatch", "getBatchReport"),
)
"""The operations of each walk, all of which have to succeed in it. One that may abort seldom gets to anything else."""
EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "")
# `make fuzz` walks more often, and each time by other ways.
HOW_OFTEN = settings(
    max_examples=int(EXAMPLES or 40),
    stateful_step_count=12,
    phases=(Phase.generate,),
    derandomize=not EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
CONFIGURATION = {"generation": {"mode": "positive"}, "phases": {"stateful": {"inference": {"algorithms": []}}}}
"""Requests that fit the document, and no links but its own."""
FIRST = "RANDOM__POST_batches"
"""The only step that needs no link: a new batch."""


@pytest.mark.timeout(600)
def test_links_take_a_batch_through_its_life(catalogue: Catalogue, tmp_path: Path) -> None:
    """Led by the links alone, Schemathesis creates, confirms, pauses, resumes and aborts batches, and reads reports.

    Only the body of a new batch is not its own: a job that is there, and a time to begin that does not come.
    """
    with running(catalogue=catalogue, state_folder=tmp_path) as stack, Client(stack.url, stack.api_key) as client:
        configuration = SchemathesisConfig.from_dict(CONFIGURATION)
        document = schemathesis.openapi.from_url(f"{stack.url}/openapi.json", config=configuration)
        document.config.update(base_url=f"{stack.url}/v1")
        for operations in WALKS:
            answers: Counter[tuple[str, int]] = Counter()
            machine: Any = document.include(operation_id=list(operations)).as_state_machine()

            class Walk(machine):  # type: ignore[misc]
                """The walk of a caller who may do all of it."""

                seen = answers

                def before_call(self, case: Any) -> None:
                    """Authenticate, and name a job in a new batch."""
                    case.headers = {"Authorization": f"Bearer {stack.api_key}"}
                    if name_of(case) == "createBatch":
                        jobs = [{"connection": CONNECTION, "jobId": stack.sandbox.vendor(VENDOR).create_job(STATUS)}]
                        new = {"action": "cancel", "reason": "a walk", "select": {"jobs": jobs}}
                        case.body = {**new, "notBefore": "2100-01-01T00:00:00Z"}

                def after_call(self, response: Any, case: Any) -> None:
                    """Count the answer. Wait while a new batch is prepared, and until one that is aborted has ended."""
                    super().after_call(response, case)
                    self.seen[name_of(case), response.status_code] += 1
                    if name_of(case) in {"createBatch", "abortBatch"} and is_success(response.status_code):
                        batch = json.loads(response.content)["id"]
                        wait_until(lambda: client.batch(batch).state not in {"preparing", "aborting"})

            for rule in machine.root_rules - {FIRST}:
                setattr(Walk, rule, None)
            Walk.run(settings=HOW_OFTEN)
            assert {name for name, status in answers if is_success(status)} == {*operations}, answers


def is_success(status: int) -> bool:
    """True for a status of success."""
    return status < HTTPStatus.MULTIPLE_CHOICES


def name_of(case: Any) -> str:
    """The operation of a request, as the document names it."""
    return str(case.operation.definition.raw["operationId"])
