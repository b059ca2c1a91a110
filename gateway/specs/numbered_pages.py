"""Lists that are paged by number, as vendors answer them: the jobs, and the counts beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.domain.model import Json
from gateway.domain.vocabulary import Source
from gateway.specs.lens import Place
from gateway.specs.vendor import ReadMapping


@dataclass(frozen=True)
class Part:
    """A part of the jobs that were asked for: their `total`, and where the part lies in them."""

    jobs: Sequence[Mapping[str, Json]]
    number: int
    limit: int
    total: int


def numbered_page(read: ReadMapping, part: Part) -> Mapping[str, Json]:
    """The reply's body with a part of the jobs."""
    counts: dict[str, Json] = {
        Source.PAGE_NUMBER: part.number,
        Source.PAGE_LIMIT: part.limit,
        Source.PAGE_COUNT: len(part.jobs),
        Source.PAGE_TOTAL: part.total,
    }
    reply = read.reply.encode(counts)
    put(read.items, reply, list(part.jobs))
    put(read.last_page, reply, math.ceil(part.total / part.limit))
    body: Mapping[str, Json] = reply["body"]
    return body


def put(place: Place | None, parts: dict[str, Any], value: Json) -> None:
    """Set the value at a place, where there is one."""
    if place is not None:
        place.put(parts, value)
