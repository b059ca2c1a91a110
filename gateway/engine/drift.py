"""Contract drift: replies of a vendor that depart from the vendor's own document.

A departure is not an error if the reply can be understood. Each one is counted, and each kind is logged once: it shows
that the document or the vendor has changed.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gateway.domain.vocabulary import LONGEST_DEPARTURE, LONGEST_PLACE, MOST_DEPARTURES
from gateway.engine.wire import VendorReply
from gateway.specs.operations import Operation
from gateway.telemetry.metrics import DEPARTURES

log = logging.getLogger(__name__)

MOST_PER_REPLY = 10
"""Most departures in the body of one reply that are counted."""

_NUMBER = re.compile(r"(?<=/)[0-9]+(?=/|\Z)")
_STRANGE = re.compile(r"[^ -~]")


@dataclass(frozen=True, slots=True)
class Departure:
    """A kind of departure: the reply, the place in it (a JSON pointer; `*` is any item of an array), and the rule."""

    operation_id: str
    status: int
    place: str
    detail: str


class Drift:
    """The departures of one connection since the gateway started."""

    def __init__(self, connection: str) -> None:
        """Start without departures."""
        self._connection = connection
        DEPARTURES.begin(connection)
        self._kinds: Counter[Departure] = Counter()
        self.count = 0

    @property
    def kinds(self) -> Mapping[Departure, int]:
        """Number of departures of each kind."""
        return self._kinds

    def look_at(self, operation: Operation, reply: VendorReply) -> None:
        """Compare a reply with the vendor's document, and count its departures."""
        if is_as_documented(operation, reply):
            return
        for departure in self._departures(operation, reply):
            self.count += 1
            DEPARTURES.add(self._connection)
            if departure not in self._kinds and len(self._kinds) < MOST_DEPARTURES:
                log.warning(
                    "%s: a reply departs from the vendor's document: %s %d %s %s",
                    *(self._connection, departure.operation_id, departure.status, departure.place, departure.detail),
                )
                self._kinds[departure] = 0
            if departure in self._kinds:
                self._kinds[departure] += 1

    def _departures(self, operation: Operation, reply: VendorReply) -> tuple[Departure, ...]:
        try:
            return tuple(departures(operation, reply))
        except ValueError:  # the validator goes no deeper than 255 levels (jsonschema-rs 0.60.3)
            return (Departure(operation.operation_id, reply.status, "/body", "is nested too deeply to be compared"),)


def is_as_documented(operation: Operation, reply: VendorReply) -> bool:
    """True for a JSON reply without a departure, as nearly all are. False leaves it to `departures`."""
    documented = operation.response(reply.http.status)
    validator = None if documented is None else documented.bodies.get(reply.http.headers.get("content-type", ""))
    if validator is None or reply.body is None:
        return False
    try:
        return validator.is_valid(reply.body)
    except ValueError:
        return False


def departures(operation: Operation, reply: VendorReply) -> Iterator[Departure]:
    """Yield each departure of a reply from the document: in its status, its media type or its body."""

    def departure(place: str, detail: str) -> Departure:
        shown = _STRANGE.sub("?", _NUMBER.sub("*", place))[:LONGEST_PLACE]
        return Departure(operation.operation_id, reply.status, shown, detail[:LONGEST_DEPARTURE])

    documented = operation.response(reply.status)
    if documented is None:
        yield departure("/status", "is not documented")
        return
    if not documented.bodies or not reply.http.content:
        if bool(documented.bodies) != bool(reply.http.content):
            yield departure("/body", "is missing" if documented.bodies else "is not documented")
        return
    media_type = reply.http.headers.get("content-type", "").partition(";")[0].strip().lower()
    validator = documented.bodies.get(media_type)
    if validator is None:
        yield departure("/header/content-type", f"is not {' or '.join(documented.bodies)}")
        validator = next(iter(documented.bodies.values()))
    if not reply.is_json:
        yield departure("/body", "is not JSON")
    elif not validator.is_valid(reply.body):
        for error in validator.errors(reply.body)[:MOST_PER_REPLY]:
            yield departure(f"/body{error.pointer}", error.detail)
