"""Refusals of a job action say what became of it, however early they come."""

from __future__ import annotations

import pytest
import requests

from gateway.startup.serve import Running

ACTION = "v1/connections/azure-sandbox/jobs/8780b28c-7079-4de1-9143-4d369289e958/close"
REFUSED = {
    "no key": (ACTION, {"headers": {}}),
    "wrong key": (ACTION, {"headers": {"Authorization": "Bearer wrong"}}),
    "other scheme": (ACTION, {"headers": {"Authorization": "Basic eDp5"}}),
    "malformed body": (ACTION, {"json": {"note": 7}}),
    "wrong media type": (ACTION, {"data": "<xml/>"}),
    "unknown connection": (ACTION.replace("azure-sandbox", "nowhere"), {}),
    "unsupported action": (ACTION.replace("close", "pause"), {}),
}


@pytest.mark.parametrize(("path", "options"), list(REFUSED.values()), ids=list(REFUSED))
def test_a_refused_action_was_not_sent(path: str, options: dict[str, object], stack: Running) -> None:
    """Whatever stops an action before the vendor is called, the problem says that nothing was sent."""
    known = {"headers": {"Authorization": f"Bearer {stack.api_key}"}}
    reply = requests.post(f"{stack.url}/{path}", timeout=20, **(known | options))  # type: ignore[arg-type]
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["outcome"] == "not_sent"


@pytest.mark.parametrize("path", ["v1/connections/nowhere", "v1/connections/azure-sandbox/jobs/nothing", "v1/nothing"])
def test_a_refused_read_has_no_outcome(path: str, stack: Running) -> None:
    """A problem that is not about a job action says nothing of outcomes."""
    reply = requests.get(f"{stack.url}/{path}", headers={"Authorization": f"Bearer {stack.api_key}"}, timeout=20)
    assert reply.status_code == 404
    assert "outcome" not in reply.json()
