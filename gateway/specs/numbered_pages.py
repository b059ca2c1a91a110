"""Pages of lists in a vendor's format: jobs, the counts beside them, and what leads to the next page."""

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
    """A page of jobs: its number from 1, the most jobs that it can have, and the `total` of jobs on all pages."""

    jobs: Sequence[Mapping[str, Json]]
    number: int
    limit: int
    total: int


def numbered_page(read: ReadMapping, part: Part) -> Mapping[str, Json]:
    """The body of a reply with one page of jobs."""
    counts: dict[str, Json] = {
        Source.PAGE_NUMBER: part.number,
        Source.PAGE_LIMIT: part.limit,
        Source.PAGE_COUNT: len(part.jobs),
        Source.PAGE_TOTAL: part.total,
    }
    last = math.ceil(part.total / part.limit)
    return page_body(read, part.jobs, counts, {read.last_page: last})


def page_body(
    read: ReadMapping,
    jobs: Sequence[Mapping[str, Json]],
    counts: Mapping[str, Json],
    others: Mapping[Place | None, Json],
) -> Mapping[str, Json]:
    """The body of a reply with one page of jobs. `others` are the values that stand at places of their own."""
    reply = read.reply.encode(counts)
    put_if_placed(read.items, reply, list(jobs))
    for place, value in others.items():
        put_if_placed(place, reply, value)
    body: Mapping[str, Json] = reply["body"]
    return body


def put_if_placed(place: Place | None, parts: dict[str, Any], value: Json) -> None:
    """Set the value, if there is one and the document has a place for it."""
    if place is not None and value is not None:
        place.put(parts, value)
