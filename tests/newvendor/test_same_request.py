"""A vendor with one request for several actions: the status of the job tells which of them is meant."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from gateway.client import Client, ProblemError
from gateway.sandbox.faults import Fault, FaultKind
from gateway.startup.serve import Running

INSTALLED = "bell_desk"
VENDOR, CONNECTION = "bell-desk", "bell-sandbox"
MEANT = [
    pytest.param("C1", "RINGING", "cancel", "OVER", id="cancel"),
    pytest.param("C2", "TALKING", "complete", "WRAPPING", id="complete"),
    pytest.param("C3", "WRAPPING", "close", "OVER", id="close"),
]
"""The call, its state, the action that its state makes of the request, and the state after it."""


def end(desk: Running, call: str, connection: str = CONNECTION, **headers: str) -> requests.Response:
    """A request of the vendor's own client to end a call."""
    url = f"{desk.url}/native/{VENDOR}/{connection}/calls/{call}?office=main"
    return requests.delete(url, headers={"X-Bell-Key": desk.access_key, **headers}, timeout=20)


def acts(desk: Running, vendor: str = VENDOR) -> list[tuple[str, str | None, str | None]]:
    """The actions that reached the vendor, with the states before and after."""
    return [
        (each.job_action.action, each.before, each.after)
        for each in desk.sandbox.vendor(vendor).log()
        if each.job_action is not None
    ]


@pytest.mark.parametrize(("call", "state", "action", "after"), MEANT)
def test_the_state_tells_what_a_client_means(desk: Running, call: str, state: str, action: str, after: str) -> None:
    """The request of the vendor's own client is the action that the call allows, and is recorded as that."""
    answer = end(desk, call)
    assert (answer.status_code, acts(desk)) == (204, [(action, state, after)])
    with Client(desk.url, desk.api_key) as client:
        assert client.job_action(answer.headers["jobgate-job-action"]).action == action


def test_a_call_that_is_over_allows_none(desk: Running) -> None:
    """The client gets its vendor's refusal, and an unknown call is unknown."""
    assert (end(desk, "C4").status_code, end(desk, "C9").json()["why"]) == (409, "none")
    assert acts(desk) == []


@pytest.mark.parametrize(("call", "state", "action", "after"), MEANT)
def test_an_action_is_only_sent_where_the_request_means_it(
    desk: Running, client: Client, call: str, state: str, action: str, after: str
) -> None:
    """The vendor would carry out whichever its state allows: what the caller did not ask for is refused before."""
    for other in {"cancel", "complete", "close"} - {action}:
        with pytest.raises(ProblemError) as refused:
            client.act(other, CONNECTION, call)
        assert (refused.value.code, refused.value.outcome) == ("wrong-state", "not_sent")
        with pytest.raises(ProblemError, match=state):
            client.preview(other, CONNECTION, call)
    assert acts(desk) == []
    done = client.act(action, CONNECTION, call)
    assert done.job is not None
    assert (done.job.vendor_status, acts(desk)) == (after, [(action, state, after)])


@pytest.mark.parametrize("named", [{"X-Bell-Request": "r-1"}, {"Idempotency-Key": "r-1"}], ids=["client", "key"])
def test_a_repeated_request_is_the_same_action(desk: Running, named: dict[str, str]) -> None:
    """A request that ended the talk and is sent again does not end the wrap-up: it is answered as the first was."""
    first, again = end(desk, "C2", **named), end(desk, "C2", **named)
    assert (first.status_code, again.status_code) == (204, 204)
    assert again.headers["idempotent-replayed"] == "true"
    assert acts(desk) == [("complete", "TALKING", "WRAPPING")]


def test_the_steps_of_a_termination_share_the_request(desk: Running, client: Client) -> None:
    """A dry run shows both steps with the same request, although the call does not allow the second one yet."""
    plan = client.terminate(CONNECTION, "C2", dry_run=True)
    assert [step.action for step in plan.steps] == ["complete", "close"]
    assert acts(desk) == []
    assert client.terminate(CONNECTION, "C2").outcome == "applied"
    assert acts(desk) == [("complete", "TALKING", "WRAPPING"), ("close", "WRAPPING", "OVER")]


def test_another_request_is_another_action(desk: Running) -> None:
    """The same request under another name ends the wrap-up."""
    ended = [end(desk, "C2", **{"X-Bell-Request": name}).status_code for name in ("r-2", "r-3")]
    assert (ended, [action for action, _, _ in acts(desk)]) == ([204, 204], ["complete", "close"])


def test_a_lost_reply_is_found_out(desk: Running) -> None:
    """What the request was is known when its reply is lost: the state shows that it was done."""
    desk.sandbox.vendor(VENDOR).script(Fault(FaultKind.DROP_AFTER, operation_id="endCall"))
    assert end(desk, desk.sandbox.vendor(VENDOR).create_job("TALKING")).status_code == 204
    assert acts(desk) == [("complete", "TALKING", "WRAPPING")]


@pytest.mark.parametrize(
    ("status", "action", "after"),
    [("queued", "cancel", "cancelled"), ("assigned", "complete", "completed"), ("completed", "close", "closed")],
)
def test_jobs_of_others_tell_it_too(desk: Running, status: str, action: str, after: str) -> None:
    """On another vendor's job the request is the first of its actions that this vendor's job allows."""
    job = desk.sandbox.vendor("azure-job-router").create_job(status)
    assert end(desk, job, "azure-sandbox").status_code == 204
    assert acts(desk, "azure-job-router") == [(action, status, after)]


def test_an_action_that_the_other_vendor_lacks_is_not_meant(desk: Running) -> None:
    """Vonage has only cancel of the three: an ended job of Vonage's is in the wrong state, and nothing else."""
    vendor = desk.sandbox.vendor("vonage-contact-center")
    assert end(desk, vendor.create_job("Running"), "vonage-sandbox").status_code == 204
    refused: Any = end(desk, vendor.create_job("Completed"), "vonage-sandbox")
    assert (refused.status_code, refused.json()["why"]) == (409, "state")
    assert [each[0] for each in acts(desk, "vonage-contact-center") if each[1] != each[2]] == ["cancel"]
