"""Genesys Cloud: the participants and media of a conversation to which an action applies."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway.domain.adapter import Adapter
from gateway.domain.model import JobAction, Json


def agents_at_work(conversation: Mapping[str, Json]) -> tuple[str, ...]:
    """Paths have the agent: the ids of those who are connected; if none is, of those who have not wrapped up."""
    present = [each for each in _agents(conversation) if each.get("connectedTime") is not None]
    connected = [each for each in present if each.get("endTime") is None]
    return tuple(each["id"] for each in connected or filter(_has_to_wrap_up, present))


def parkable_media(conversation: Mapping[str, Json]) -> tuple[str, ...]:
    """Paths have the medium: those in which an agent writes or has parked, as the path has them."""
    agents, states = _agents(conversation), ["connected", "parked"]
    media = {name: [one for agent in agents for one in _objects(agent.get(name))] for name in ("emails", "messages")}
    return tuple(name for name, found in media.items() if any(one.get("state") in states for one in found))


def agent_has_left(conversation: Mapping[str, Json], job_action: JobAction) -> bool | None:
    """The customer can stay: True if the agent of the action has left; None if there is no such participant."""
    named = job_action.parameters.get("assignmentId")
    left = (each.get("endTime") is not None for each in _agents(conversation) if each.get("id") == named)
    return next(left, None)


def simulate(conversation: Mapping[str, Json], job_action: JobAction, _: datetime) -> Mapping[str, Json]:
    """The path can have an agent who is not there: the conversation as it is. Raises LookupError for such an agent."""
    if job_action.parameters.keys() & {"assignmentId"} and agent_has_left(conversation, job_action) is None:
        raise LookupError("assignmentId")
    return conversation


def _agents(conversation: Mapping[str, Json]) -> tuple[Mapping[str, Any], ...]:
    participants = (each for each in _objects(conversation.get("participants")) if isinstance(each.get("id"), str))
    return tuple(each for each in participants if each.get("purpose") in ["agent", "user"])


def _objects(value: object) -> tuple[Mapping[str, Any], ...]:
    return tuple(each for each in value if isinstance(each, Mapping)) if isinstance(value, list) else ()


def _has_to_wrap_up(agent: Mapping[str, Any]) -> bool:
    return bool(agent.get("wrapupRequired")) and not any(map(agent.get, ("wrapup", "wrapupSkipped", "endAcwTime")))


ADAPTER = Adapter(
    Path(__file__).parents[1] / "specs/vendors/genesys-cloud.yaml",
    finders={"agents_at_work": agents_at_work, "parkable_media": parkable_media},
    evidence={"agent_has_left": agent_has_left},
    simulate=simulate,
)
