"""Lists that are paged by number, as vendors answer them: the jobs, and the counts beside them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from gateway.domain.model import Json
from gateway.specs.document import Document
from gateway.specs.lens import Place
from gateway.specs.vendor import ReadMapping


@dataclass(frozen=True)
class Part:
    """A part of the jobs that were asked for: their `total`, and where the part lies in them."""

    jobs: Sequence[Mapping[str, Json]]
    number: int
    limit: int
    total: int


COUNTS: Mapping[str, Callable[[Part], int]] = MappingProxyType(
    {
        "page": lambda part: part.number,
        "pageNumber": lambda part: part.number,
        "pageSize": lambda part: part.limit,
        "pageCount": lambda part: len(part.jobs),
        "total": lambda part: part.total,
        "totalCount": lambda part: part.total,
    }
)
"""Members that stand beside the number of the last page in many APIs."""


def numbered_page(document: Document, read: ReadMapping, part: Part) -> Mapping[str, Json]:
    """The reply's body with a part of the jobs."""
    reply: dict[str, Any] = {}
    put(read.items, reply, list(part.jobs))
    for place, count in _counts(document, read):
        put(place, reply, count(part))
    put(read.last_page, reply, math.ceil(part.total / part.limit))
    body: Mapping[str, Json] = reply["body"]
    return body


def put(place: Place | None, parts: dict[str, Any], value: Json) -> None:
    """Set the value at a place, where there is one."""
    if place is not None:
        place.put(parts, value)


def _counts(document: Document, read: ReadMapping) -> list[tuple[Place, Callable[[Part], int]]]:
    """The documented members beside the number of the last page that we can fill."""
    if read.last_page is None:
        return []
    *parents, _ = read.last_page.keys
    schema = _success_schema(document, read)
    for key in parents:
        schema = document.resolve(schema.get("properties", {}).get(key, {}))
    known = sorted(COUNTS.keys() & schema.get("properties", {}).keys())
    return [(Place("body", (*parents, name)), COUNTS[name]) for name in known]


def _success_schema(document: Document, read: ReadMapping) -> Mapping[str, Any]:
    operation = document.content["paths"][read.operation.path][read.operation.method.lower()]
    response = document.resolve(operation["responses"]["200"])
    schema: Mapping[str, Any] = document.resolve(next(iter(response["content"].values()))["schema"])
    return schema
