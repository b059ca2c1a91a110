"""Whether to send again: advised only where it can do no harm."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests

from gateway.domain.errors import catalogue
from gateway.edge.pages import problem_page
from gateway.sandbox.faults import Fault, FaultKind
from gateway.serving import Running

JOB = "2f8a35c1-6f0b-4a3c-9d5e-0c1b7a9e4d08"
FAULTS: dict[str, Callable[[], Fault]] = {
    "dropped after it was applied": lambda: Fault(FaultKind.DROP_AFTER),
    "error": lambda: Fault(FaultKind.STATUS, status=503, retry_after="9"),
    "malformed": lambda: Fault(FaultKind.MALFORMED),
}


@pytest.mark.parametrize("fault", list(FAULTS.values()), ids=list(FAULTS))
def test_an_action_that_may_have_been_applied_is_not_to_be_sent_again(
    fault: Callable[[], Fault], stack: Running
) -> None:
    """Where the outcome is unknown, nothing in the answer invites a client to send the action once more."""
    sandbox = stack.sandbox.vendor("azure-job-router")
    sandbox.reset()
    sandbox.script(fault())
    answer = asked(stack, "POST", f"{JOB}/cancel")
    assert answer.json()["outcome"] == "unknown"
    assert answer.json()["retryable"] is False
    assert "retry-after" not in answer.headers


def test_a_read_may_be_sent_again(stack: Running) -> None:
    """The same failure of a read does no harm when it is tried again, and the vendor's hint is passed on."""
    sandbox = stack.sandbox.vendor("azure-job-router")
    sandbox.reset()
    sandbox.script(Fault(FaultKind.STATUS, status=503, retry_after="9"))
    answer = asked(stack, "GET", JOB)
    assert (answer.json()["retryable"], answer.headers["retry-after"]) == (True, "9")
    assert "outcome" not in answer.json()


def asked(stack: Running, method: str, target: str) -> requests.Response:
    """A request about a job of the simulated vendor."""
    address = f"{stack.url}/v1/connections/azure-sandbox/jobs/{target}"
    return requests.request(method, address, headers={"Authorization": f"Bearer {stack.api_key}"}, timeout=20)


@pytest.mark.parametrize("kind", catalogue(), ids=lambda kind: kind.code)
def test_advice_never_contradicts_itself(kind: type) -> None:
    """A page that tells to read the job first does not call the action worth sending again."""
    page = problem_page(kind)
    if "Read the job before" in page:
        assert "| a read yes, an action no |" in page
