"""Statuses that no member of a vendor's job holds: each follows from rules, `derivedStatus` in the document.

    - is: closed
      when: {body.endedAt: present}
    - is: open

The rules are tried in order, and the first whose tests all hold counts. The last has no tests. A status depends only on
the values at the places that the rules test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from typing import Any

from gateway.domain.model import Json
from gateway.domain.times import parse_date_time
from gateway.specs.lens import Parts, Place

Test = Callable[[Json, Parts], bool]
"""Returns True if a value, of these parts, passes. Any JSON is taken, since a vendor's reply may hold any."""


@dataclass(frozen=True)
class Rule:
    """A status, and the tests that all hold for a job in it. `places` are those that the tests look at."""

    status: str
    tests: Mapping[Place, Test]
    places: tuple[Place, ...]

    def holds(self, parts: Parts) -> bool:
        """True if all tests hold."""
        return all(test(place.get(parts), parts) for place, test in self.tests.items())

    def needed(self, parts: Parts) -> dict[Place, Json]:
        """The values that the tests need, of a job for which they hold. Of a list, one element that is enough."""
        found = ((place, place.get(parts), test) for place, test in self.tests.items())
        return {place: _enough(value, test, parts) for place, value, test in found if value is not None}


@dataclass(frozen=True)
class Derivation:
    """The rules for the status of a vendor's jobs."""

    rules: tuple[Rule, ...]

    @classmethod
    def compile(cls, rules: Iterable[Mapping[str, Any]]) -> Derivation:
        """Compile a `derivedStatus`."""
        return cls(tuple(_rule(rule["is"], rule.get("when", {})) for rule in rules))

    @property
    def statuses(self) -> tuple[str, ...]:
        """The statuses that the rules can give."""
        return tuple(dict.fromkeys(rule.status for rule in self.rules))

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """The places that the rules look at, an object before its members."""
        places = dict.fromkeys(place for rule in self.rules for place in rule.places)
        return tuple(sorted(places, key=lambda place: len(place.keys)))

    def status_of(self, parts: Parts) -> str:
        """The status of a job, with the job object as the body. Never raises, whatever the vendor sent."""
        return self._rule_for(parts).status

    def shown_by(self, parts: Parts) -> Iterator[Mapping[Place, Json]]:
        """Yield the values that show the status of a job: those that its rule needs, then all that the rules test."""
        yield self._rule_for(parts).needed(parts)
        found = ((place, place.get(parts)) for place in self.places)
        yield {place: value for place, value in found if value is not None}

    def put(self, parts: dict[str, Any], values: Mapping[Place, Json]) -> None:
        """Make `values` the only ones at the places that the rules test."""
        for place in self.places:
            if place in values:
                place.put(parts, values[place])
            elif not any(place.is_within(other) for other in values):
                remove(place, parts)

    def _rule_for(self, parts: Parts) -> Rule:
        return next((rule for rule in self.rules if rule.holds(parts)), self.rules[-1])


def remove(place: Place, parts: Mapping[str, Any]) -> None:
    """Remove the value at a place, if there is one."""
    around = Place(place.location, place.keys[:-1]).get(parts)
    if isinstance(around, dict):
        around.pop(place.keys[-1], None)


def _rule(status: str, when: Mapping[str, Any]) -> Rule:
    tests = {Place.parse(place): _test(test) for place, test in when.items()}
    compared = (Place.parse(test["laterThan"]) for test in when.values() if "laterThan" in test)
    return Rule(status, tests, (*tests, *compared))


def _test(written: str | Mapping[str, Any]) -> Test:
    if isinstance(written, str):
        return _SIMPLE[written]
    ((kind, argument),) = written.items()
    return _WITH_ARGUMENT[kind](argument)


def _is_present(value: Json, _: Parts) -> bool:
    return value is not None


def _is_absent(value: Json, _: Parts) -> bool:
    return value is None


def _equal(allowed: Sequence[Json]) -> Test:
    return lambda value, _: any(_is_same(value, each) for each in allowed)


def _is_same(value: Json, other: Json) -> bool:
    """True if two values are equal in JSON, in which true is not 1."""
    return value == other and isinstance(value, bool) == isinstance(other, bool)


def _later_than(place: str) -> Test:
    return partial(_is_later, Place.parse(place))


def _is_later(place: Place, value: Json, parts: Parts) -> bool:
    time, other = _moment(value), place.get(parts)
    if time is None or other is None:
        return time is not None
    earlier = _moment(other)
    if isinstance(time, datetime) or isinstance(earlier, datetime):
        return isinstance(time, datetime) and isinstance(earlier, datetime) and earlier < time
    return earlier is not None and earlier < time


def _moment(value: Json) -> datetime | float | None:
    """A time: a text of RFC 3339, or a number; None for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    try:
        return parse_date_time(value) if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None


def _some(tests: Mapping[str, Any]) -> Test:
    rule = _rule("", {f"body.{place}": test for place, test in tests.items()})
    return lambda value, _: isinstance(value, list) and any(rule.holds({"body": each}) for each in value)


def _enough(value: Json, test: Test, parts: Parts) -> Json:
    """The value itself; of a list, one element if it is enough for the test."""
    alone = ([each] for each in value) if isinstance(value, list) else iter(())
    return next((each for each in alone if test(each, parts)), value)


_SIMPLE: Mapping[str, Test] = {"present": _is_present, "absent": _is_absent}
_WITH_ARGUMENT: Mapping[str, Callable[[Any], Test]] = {"equal": _equal, "laterThan": _later_than, "some": _some}
