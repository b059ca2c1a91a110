"""Advice to send again: given only if it is harmless."""

from __future__ import annotations

from dataclasses import replace

import pytest
import requests

from gateway.domain.errors import catalogue
from gateway.edge.html_pages import problem_page
from gateway.sandbox.faults import Fault, FaultKind
from gateway.startup.serve import Running

VENDOR = "azure-job-router"
JOB = "2f8a35c1-6f0b-4a3c-9d5e-0c1b7a9e4d08"
FAULTS = {
    "dropped after it was applied": Fault(FaultKind.DROP_AFTER),
    "error": Fault(FaultKind.STATUS, status=503, retry_after="60"),
    "malformed": Fault(FaultKind.MALFORMED),
}


@pytest.mark.parametrize("fault", list(FAULTS.values()), ids=list(FAULTS))
def test_an_action_that_may_have_been_applied_is_not_to_be_sent_again(fault: Fault, stack: Running) -> None:
    """Where the outcome is unknown, the answer is no failure that a client would mend, and says where to look."""
    sandbox = stack.sandbox.vendor(VENDOR)
    sandbox.reset()
    cancel = stack.gateway.directory.vendors[VENDOR].specification.actions["cancel"].operation
    sandbox.script(replace(fault, operation_id=cancel.operation_id))
    answer = asked(stack, "POST", f"/{JOB}/cancel")
    assert (answer.status_code, answer.json()["outcome"]) == (202, "unknown")
    assert "retryable" not in answer.json()
    # When to look at the record; the vendor's own hint is about sending the action again.
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["location"] == f"/v1/job-actions/{answer.json()['id']}"


def test_a_read_may_be_sent_again(stack: Running) -> None:
    """The same failure of a read does no harm when it is tried again, and the vendor's hint is passed on."""
    sandbox = stack.sandbox.vendor(VENDOR)
    sandbox.reset()
    # Not a read of one job, which the gateway itself may be making to learn what came of an action.
    listing = stack.gateway.directory.vendors[VENDOR].specification.list_read
    assert listing is not None
    sandbox.script(replace(FAULTS["error"], operation_id=listing.operation.operation_id))
    answer = asked(stack, "GET", "")
    assert (answer.json()["retryable"], answer.headers["retry-after"]) == (True, "60")
    assert "outcome" not in answer.json()


def asked(stack: Running, method: str, target: str) -> requests.Response:
    """A request about the jobs of the simulated vendor."""
    address = f"{stack.url}/v1/connections/azure-sandbox/jobs{target}"
    return requests.request(method, address, headers={"Authorization": f"Bearer {stack.api_key}"}, timeout=20)


@pytest.mark.parametrize("kind", catalogue(), ids=lambda kind: kind.code)
def test_advice_never_contradicts_itself(kind: type) -> None:
    """A page that tells to read the job first does not call the action worth sending again."""
    page = problem_page(kind)
    if "Read the job before" in page:
        assert "| a read yes, an action no |" in page
