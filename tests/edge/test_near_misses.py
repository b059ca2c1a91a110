"""Requests for addresses that nearly match are answered with the nearest existing one."""

from __future__ import annotations

import pytest

from tests.support.edge import Edge
from tests.support.vendors import AZURE_JOB, VONAGE_JOB

JOB = f"/v1/connections/contoso-prod/jobs/{AZURE_JOB}"
ACTIONS = "/cancel or /close or /complete or /discard or /pause or /restart or /terminate or /unassign"
AZURE = "/native/azure-job-router"
NEAR: dict[str, tuple[str, str, int, str]] = {
    "an action that there is not": ("POST", f"{JOB}/stop", 404, ACTIONS),
    "an action written as Azure does": ("POST", f"{JOB}:cancel", 405, ACTIONS),
    "another version": (
        "POST",
        f"{JOB}/cancel".replace("/v1", "/v2"),
        404,
        "/v1/connections/{connection}/jobs/{jobId}/",
    ),
    "no version": ("GET", "/connections", 404, "Did you mean /v1/connections?"),
    "one part more": ("GET", f"/api{JOB}", 404, "Did you mean /v1/connections/{connection}/jobs/{jobId}?"),
    "a list with another name": ("GET", "/v1/connections/contoso-prod/tasks", 404, "/health or /jobs"),
    "an action of Azure's": (
        "POST",
        f"{AZURE}/contoso-prod/routing/jobs/{AZURE_JOB}:stop",
        405,
        "Did you mean a path that ends with :cancel?",
    ),
    "Azure's without the connection": (
        "POST",
        f"{AZURE}/routing/jobs/{AZURE_JOB}:cancel",
        404,
        f"Did you mean {AZURE}/{{connection}}/routing/jobs/{{jobId}}:cancel?",
    ),
    "Azure's at the root": (
        "GET",
        f"/routing/jobs/{AZURE_JOB}",
        404,
        f"Did you mean {AZURE}/{{connection}}/routing/jobs/",
    ),
    "Vonage's at the root": (
        "GET",
        "/interactions/jobs",
        404,
        "/native/vonage-contact-center/{connection}/interactions",
    ),
}


@pytest.mark.parametrize(("method", "path", "status", "text"), NEAR.values(), ids=NEAR.keys())
def test_what_there_is_is_told(edge: Edge, method: str, path: str, status: int, text: str) -> None:
    """The refusal names existing addresses in the dialect's own shape, and repeats only texts of the document."""
    answer = edge.ask(method, path)
    assert answer.status == status
    assert text in answer.body.decode()
    assert AZURE_JOB not in answer.body.decode()


def test_an_action_that_a_vendor_has_not_is_told_with_those_that_it_has(edge: Edge) -> None:
    """The refusal of an unknown action lists the actions of the vendor's document."""
    path = f"/native/vonage-contact-center/vonage-emea/interactions/jobs/{VONAGE_JOB}/stop"
    answer = edge.ask("POST", path, headers=[("Accept", "application/vnd.newvoicemedia.v1+json")])
    assert answer.status == 400
    assert all(action in answer.body.decode() for action in ("cancel", "pause", "restart"))


@pytest.mark.parametrize("path", ["/nowhere", "/v1/a/b/c/d", "/", "/native/x/y", "/v1/connections//jobs"])
def test_where_nothing_is_near_nothing_is_guessed(edge: Edge, path: str) -> None:
    """An address that resembles none is answered as before."""
    answer = edge.ask("DELETE", path)
    assert "Perhaps" not in answer.body.decode()
    assert "instead" not in answer.body.decode()
