"""Events as they are stored: the kind in a column, the rest as JSON in which only what is said stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter

from gateway.domain.record import Concluded, Event, JobActionRecord, Read, Requested, Sent

_KINDS = {Requested: "requested", Sent: "sent", Read: "read", Concluded: "concluded"}
_ADAPTERS: Mapping[str, TypeAdapter[Any]] = {name: TypeAdapter(kind) for kind, name in _KINDS.items()}
BEGINNING = _KINDS[Requested]
"""The kind of the first event of every record."""


def written(event: Event) -> tuple[str, str]:
    """Kind and content of an event."""
    kind = _KINDS[type(event)]
    return kind, _ADAPTERS[kind].dump_json(event, exclude_defaults=True).decode()


def read(kind: str, content: str) -> Event:
    """The event of this kind and content."""
    event: Event = _ADAPTERS[kind].validate_json(content)
    return event


def record_of(record_id: str, stored: Iterable[tuple[str, str]]) -> JobActionRecord:
    """A record of its stored events (kind and content), in their order."""
    requested, *later = (read(kind, content) for kind, content in stored)
    if not isinstance(requested, Requested):
        raise TypeError(f"the first event of job action {record_id} is not its request")
    return JobActionRecord(record_id, requested, tuple(later))
