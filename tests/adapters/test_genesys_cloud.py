"""Genesys Cloud's functions: which agents and media of a conversation an action applies to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from adapters.genesys_cloud import agent_has_left, agents_at_work, parkable_media, simulate
from gateway.domain.model import JobAction

NOW, LATER = "2026-01-05T09:30:00.000Z", "2026-01-05T09:40:00.000Z"
CONNECTED: dict[str, Any] = {"purpose": "agent", "connectedTime": NOW}
WAITING: dict[str, Any] = {**CONNECTED, "endTime": LATER, "wrapupRequired": True}


def conversation(*participants: dict[str, Any]) -> dict[str, Any]:
    """A conversation with these participants, numbered from 1."""
    return {"participants": [{"id": str(number), **each} for number, each in enumerate(participants, 1)]}


@pytest.mark.parametrize(
    ("participants", "found"),
    [
        ([CONNECTED], ("1",)),
        ([{**CONNECTED, "purpose": "user"}], ("1",)),
        ([CONNECTED, CONNECTED], ("1", "2")),
        ([{**CONNECTED, "endTime": None}], ("1",)),
        ([{**CONNECTED, "purpose": "customer"}], ()),
        ([{"purpose": "agent"}], ()),
        ([{"purpose": "agent", "endTime": LATER, "wrapupRequired": True}], ()),
        ([WAITING, CONNECTED], ("2",)),
        ([WAITING], ("1",)),
        ([{**WAITING, "wrapupSkipped": False}], ("1",)),
        ([{**WAITING, "wrapupSkipped": True}], ()),
        ([{**WAITING, "wrapup": {"code": "c"}}], ()),
        ([{**WAITING, "endAcwTime": LATER}], ()),
        ([{**WAITING, "wrapupRequired": False}], ()),
        ([], ()),
    ],
)
def test_agents_at_work(participants: list[dict[str, Any]], found: tuple[str, ...]) -> None:
    """Those who are connected; if none is, those who have to wrap up and have not."""
    assert agents_at_work(conversation(*participants)) == found


@pytest.mark.parametrize(
    ("participants", "found"),
    [
        ([{**CONNECTED, "emails": [{"state": "connected"}]}], ("emails",)),
        ([{**CONNECTED, "messages": [{"state": "disconnected"}, {"state": "parked"}]}], ("messages",)),
        (
            [{**CONNECTED, "messages": [{"state": "parked"}], "emails": [{"state": "connected"}]}],
            ("emails", "messages"),
        ),
        ([{**CONNECTED, "calls": [{"state": "connected"}]}], ()),
        ([{"purpose": "customer", "emails": [{"state": "connected"}]}], ()),
        ([{**CONNECTED, "emails": [{}]}], ()),
    ],
)
def test_parkable_media(participants: list[dict[str, Any]], found: tuple[str, ...]) -> None:
    """The media in which an agent writes or has parked, as they are in the path."""
    assert parkable_media(conversation(*participants)) == found


@pytest.mark.parametrize(("named", "left"), [("1", True), ("2", False), ("3", None), (None, None)])
def test_whether_an_agent_has_left(named: str | None, left: bool | None) -> None:
    """The named participant counts, and no other; a conversation without it shows nothing."""
    asked = JobAction("complete", "c", {} if named is None else {"assignmentId": named})
    assert agent_has_left(conversation(WAITING, CONNECTED, {"purpose": "customer", "endTime": LATER}), asked) is left


@pytest.mark.parametrize(
    "strange", [{}, {"participants": None}, {"participants": {}}, {"participants": [None, 1, "a"]}]
)
def test_a_strange_conversation_has_no_agents(strange: dict[str, Any]) -> None:
    """Anything but a list of participants has none."""
    assert agents_at_work(strange) == ()
    assert parkable_media(strange) == ()


def test_an_agent_who_is_not_there_is_unknown() -> None:
    """The simulator refuses an action on a participant whom the conversation does not have."""
    job, now = conversation(CONNECTED), datetime(2026, 1, 5, tzinfo=UTC)
    assert simulate(job, JobAction("complete", "c", {"assignmentId": "1"}), now) is job
    assert simulate(job, JobAction("cancel", "c", {}), now) is job
    with pytest.raises(LookupError):
        simulate(job, JobAction("complete", "c", {"assignmentId": "2"}), now)
