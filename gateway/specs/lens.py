"""Lenses: mappings that work in both directions.

A lens assigns values of Jobgate's vocabulary to places in a vendor's message:

    path.jobId: job.id                                        copy
    path.action: {const: cancel}                              const
    body.reason: {from: parameters.reason, map: {a: b}}       enum map, one to one
    body.priority: {from: parameters.priority, default: 1}    default
    body.end: {from: parameters.closeAt, as: epoch-seconds}   a time as a number
    header.x-error: {from: error.code, until: ":"}            a text up to a separator

`decode(encode(values)) == values` for all values that the lens carries; a value that equals its default counts as left
out, and a time is the same in its canonical form. There are no other operators: anything more complex is a named
function of the adapter.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

from gateway.domain.model import Json
from gateway.domain.times import epoch_of, time_of_epoch

Parts = Mapping[str, Json]
"""A message as one value: `{path, query, header, body}`."""

UNITS: Mapping[str, int] = {"epoch-seconds": 1_000_000, "epoch-milliseconds": 1_000}
"""The forms of a time as a number (`as`), each with the microseconds in its unit."""
FIRST = "0"
"""The key of the first element of a list. A list that is written has no other: vendors put one error into a list."""


class LensMismatch(Exception):
    """A message cannot be decoded with this lens. `place` is where it differs, and the text names it."""

    def __init__(self, place: Place, reason: str) -> None:
        """Name the place, and how it differs."""
        super().__init__(f"{place} {reason}")
        self.place = place


class UnmappableValue(Exception):
    """A value is not in the lens's map. `source` is the name of the value, `allowed` lists the allowed values."""

    def __init__(self, source: str, allowed: tuple[str, ...]) -> None:
        """Store the name of the value, and the allowed values."""
        super().__init__(f"{source} is not one of {', '.join(allowed)}")
        self.source = source
        self.allowed = allowed


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a value in a message: `body.error.code`. In `body.errors.0.code`, `0` is the first of a list."""

    location: str
    keys: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Place:
        """Parse the dotted form."""
        location, *keys = text.split(".")
        return cls(location, tuple(keys))

    def __str__(self) -> str:
        """The dotted form."""
        return ".".join((self.location, *self.keys))

    def get(self, parts: Parts) -> Json:
        """The value at this place; None if there is none."""
        node: Any = parts.get(self.location)
        for key in self.keys:
            if not isinstance(node, dict) and not isinstance(node, Mapping):
                node = node[0] if isinstance(node, list) and node and key == FIRST else None
            else:
                node = _header(node, key) if self.location == "header" else node.get(key)
        return node  # type: ignore[no-any-return]

    def is_within(self, other: Place) -> bool:
        """True if this is the other place, or a part of what stands there."""
        return self.location == other.location and self._spelling[: len(other.keys)] == other._spelling

    @property
    def _spelling(self) -> tuple[str, ...]:
        return tuple(key.lower() for key in self.keys) if self.location == "header" else self.keys

    def put(self, parts: dict[str, Any], value: Json) -> None:
        """Set the value at this place, and add the objects and lists around it."""
        node: Any = parts.setdefault(self.location, {})
        for key, inner in pairwise(self.keys):
            around: Any = [] if inner == FIRST else {}
            node = _only(node, around) if isinstance(node, list) else node.setdefault(key, around)
        if isinstance(node, list):
            node[:] = [value]
        else:
            node[self.keys[-1]] = value

    def remove(self, parts: dict[str, Any]) -> None:
        """Remove the value at this place, which is in an object of its own."""
        del Place(self.location, self.keys[:-1]).get(parts)[self.keys[-1]]  # type: ignore[union-attr]


def _only(elements: list[Any], otherwise: Any) -> Any:
    """The only element of a list, which is added if the list is empty."""
    if not elements:
        elements.append(otherwise)
    return elements[0]


def _header(headers: Mapping[str, Json], name: str) -> Json:
    """The value of a header, whose name is case-insensitive (RFC 9110, 5.1). Most messages use lower case already."""
    name = name.lower()
    if name in headers:
        return headers[name]
    for key, value in headers.items():
        if key.lower() == name:
            return value
    return None


@dataclass(frozen=True, slots=True)
class Rule:
    """One place in a message, and the value that belongs there.

    `unit` is the number of microseconds in 1, if the value is a time that the message holds as a number. `until` ends
    the text that is read. `is_bound` if the constant is a value of the connection.
    """

    place: Place
    source: str | None
    const: Json = None
    mapping: Mapping[str, str] = field(default_factory=dict)
    default: Json = None
    unit: int | None = None
    until: str | None = None
    is_bound: bool = False

    @classmethod
    def compile(cls, place: str, source: str | Mapping[str, Any]) -> Rule:
        """Compile one entry of an `x-job-action` mapping."""
        if isinstance(source, str):
            return cls(Place.parse(place), source)
        return cls(
            Place.parse(place),
            source.get("from"),
            source.get("const"),
            source.get("map", {}),
            source.get("default"),
            UNITS.get(source.get("as", "")),
            source.get("until"),
        )

    @property
    def names_the_account(self) -> bool:
        """True for a constant that tells one account from another: a value of the connection, or a part of the path."""
        return self.source is None and (self.is_bound or self.place.location == "path")

    @property
    def is_a_choice(self) -> bool:
        """True for a constant in the body that tells no account from another: in a read, it is Jobgate's choice."""
        return self.source is None and self.place.location == "body" and not self.names_the_account

    def bound(self, values: Mapping[str, Json]) -> Rule:
        """The rule with a constant instead of its source or its default, if that is one of the values.

        Raises UnmappableValue.
        """
        if self.source in values:
            return Rule(self.place, None, const=self.encode(values), is_bound=True)
        if isinstance(self.default, str) and self.default in values:
            return replace(self, default=values[self.default])
        return self

    def allows(self, found: Json) -> bool:
        """True if `found` is the constant of this rule. Scalars are compared as texts, since a path has only texts."""
        if isinstance(self.const, list | dict):
            return found == self.const
        return str(found) == str(self.const)

    def encode(self, values: Mapping[str, Json]) -> Json:
        """The value to write at the place; None: nothing. Raises UnmappableValue if the message cannot hold it."""
        if self.source is None:
            return self.const
        value = values.get(self.source)
        if value is None:
            return self.default
        if self.unit is not None:
            return self._number(value, self.unit)
        return self._map(value) if self.mapping else value

    def decode(self, found: Json) -> Json:
        """The value that was encoded as `found`. Raises LensMismatch if this rule never writes that."""
        if self.source is None:
            if not self.allows(found):
                raise LensMismatch(self.place, f"is not {self.const!r}")
            return None
        if self.until is not None and isinstance(found, str):
            found = found.partition(self.until)[0]
        if found is None or found == self.default:
            return None
        if self.unit is not None:
            return self._time(found, self.unit)
        return self._unmap(found) if self.mapping else found

    def _number(self, value: Json, unit: int) -> Json:
        number = epoch_of(value, unit) if isinstance(value, str) else None
        if number is None:
            raise UnmappableValue(str(self.source), ("a date-time of RFC 3339",))
        return number

    def _time(self, found: Json, unit: int) -> str:
        time = time_of_epoch(found, unit)
        if time is None:
            raise LensMismatch(self.place, "is not a time, as a number since 1970")
        return time

    def _map(self, value: Json) -> str:
        if value not in self.mapping:
            raise UnmappableValue(str(self.source), tuple(self.mapping))
        return self.mapping[str(value)]

    def _unmap(self, found: Json) -> str:
        names = [name for name, written in self.mapping.items() if written == found]
        if not names:
            raise LensMismatch(self.place, f"is not one of {', '.join(self.mapping.values())}")
        return names[0]


@dataclass(frozen=True)
class Lens:
    """A mapping between values, by their names, and a message."""

    rules: tuple[Rule, ...]

    @cached_property
    def _steps(self) -> tuple[_Step, ...]:
        """The rules as steps of writing."""
        return tuple(map(_step, self.rules))

    @cached_property
    def _readings(self) -> tuple[tuple[Rule, str | None], ...]:
        """The rules, each with the key of its value if that is read as it is written."""
        return tuple((rule, _plain_key(rule)) for rule in self.rules)

    @cached_property
    def _rules_by_source(self) -> Mapping[str, tuple[Rule, ...]]:
        """The rules of each value."""
        return {source: tuple(each for each in self.rules if each.source == source) for source in self.sources}

    @classmethod
    def compile(cls, *mappings: Mapping[str, Any]) -> Lens:
        """Compile mappings of a document; later ones add to earlier ones."""
        return cls(tuple(Rule.compile(place, source) for mapping in mappings for place, source in mapping.items()))

    @property
    def sources(self) -> frozenset[str]:
        """The names of all values that the lens carries."""
        return frozenset(rule.source for rule in self.rules if rule.source is not None)

    def place_of(self, source: str) -> Place | None:
        """The place of a value; None if the lens does not carry it."""
        return next((rule.place for rule in self.rules if rule.source == source), None)

    def read(self, source: str, parts: Parts) -> Json:
        """One value of a vendor's reply; None if it is not there or cannot be read, or the lens does not carry it."""
        value = None
        for rule in self._rules_by_source.get(source, ()):
            written = rule.place.get(parts)
            if written is not None:
                with suppress(LensMismatch):
                    found = rule.decode(written)
                    value = value if found is None else found
        return value

    def may_fit(self, parts: Parts, locations: Collection[str]) -> bool:
        """True if no constant of the lens at these locations contradicts the message. Missing values do not count."""
        constants = (rule for rule in self.rules if rule.source is None and rule.place.location in locations)
        return not any(_contradicts(rule, parts) for rule in constants)

    def is_for_another_account(self, parts: Parts) -> bool:
        """True if the message names another account: in its path, or by a value of the connection."""
        return any(_contradicts(rule, parts) for rule in self._account_rules)

    @property
    def names_the_account(self) -> bool:
        """True if each message of the lens names the account that it is for."""
        return bool(self._account_rules)

    @cached_property
    def _account_rules(self) -> tuple[Rule, ...]:
        """The constants that tell one account from another."""
        return tuple(rule for rule in self.rules if rule.names_the_account)

    @property
    def choices(self) -> Lens:
        """The part of the lens that holds the constants in the body."""
        return Lens(tuple(rule for rule in self.rules if rule.is_a_choice))

    @property
    def without_choices(self) -> Lens:
        """The lens without the constants in the body."""
        return Lens(tuple(rule for rule in self.rules if not rule.is_a_choice))

    def contradicted(self, parts: Parts) -> list[Place]:
        """The places at which the message has another value than a constant of the lens."""
        return [rule.place for rule in self.rules if rule.source is None and _contradicts(rule, parts)]

    def bound(self, values: Mapping[str, Json]) -> Lens:
        """The lens with constants instead of these values. Raises UnmappableValue if a map does not have one."""
        return Lens(tuple(rule.bound(values) for rule in self.rules))

    @property
    def constants(self) -> frozenset[tuple[Place, str]]:
        """The constants as texts, with their places."""
        return frozenset((rule.place, str(rule.const)) for rule in self.rules if rule.source is None)

    def carries(self, place: Place) -> bool:
        """True if the value at a place is, or is a part of, one that the lens has a rule for."""
        return any(place.is_within(rule.place) for rule in self.rules)

    def carries_of(self, place: Place) -> bool:
        """True if the lens carries the value at a place, or any part of it."""
        return any(place.is_within(rule.place) or rule.place.is_within(place) for rule in self.rules)

    def source_at(self, location: str, key: str) -> str | None:
        """The name of the value at or below `location.key`: `path`, `jobId` gives `job.id`."""
        found = (rule.source for rule in self.rules if (rule.place.location, rule.place.keys[0]) == (location, key))
        return next(found, None)

    def not_carried(self, parts: Parts) -> list[Place]:
        """The places of all values of a message that are lost when it is read with this lens."""
        if self._carries_whole(parts):
            return []
        return [place for place, value in values_of(parts) if not self.carries(place) and not self._holds(place, value)]

    def _carries_whole(self, parts: Parts) -> bool:
        """True if each member of a message has a rule of its own, as in nearly all messages. False says nothing."""
        for location, members in parts.items():
            if not isinstance(members, dict) or not members.keys() <= self._whole_members.get(location, _NO_MEMBERS):
                return False
        return True

    @cached_property
    def _whole_members(self) -> Mapping[str, frozenset[str]]:
        """The keys, by location, that a rule carries with everything below them."""
        places = [rule.place for rule in self.rules if len(rule.place.keys) == 1]
        locations = {each.location for each in places}
        return {name: frozenset(each.keys[0] for each in places if each.location == name) for name in locations}

    def _holds(self, place: Place, value: Json) -> bool:
        """True for an object without members that has a carried place in it: nothing of it is lost."""
        return value == {} and self.carries_of(place)

    def encode(self, values: Mapping[str, Json]) -> dict[str, Any]:
        """The message that carries the values. Raises UnmappableValue if a map does not have one of them."""
        parts: dict[str, Any] = {}
        for location, key, source, const, rule in self._steps:
            written = const if source is None else values.get(source) if rule is None else rule.encode(values)
            if written is None:
                continue
            if not isinstance(key, str):
                key.put(parts, written)
            elif location in parts:
                parts[location][key] = written
            else:
                parts[location] = {key: written}
        return parts

    def decode(self, parts: Parts) -> dict[str, Json]:
        """The values that a message carries. Raises LensMismatch if a constant or a mapped value differs."""
        found: dict[str, Json] = {}
        for rule, key in self._readings:
            members = None if key is None else parts.get(rule.place.location)
            if key is not None and isinstance(members, dict):
                value = members.get(key)
            else:
                value = rule.decode(rule.place.get(parts))
            if rule.source is not None and value is not None:
                found[rule.source] = value
        return found

    def legible(self, parts: Parts) -> dict[str, Json]:
        """The values of a vendor's reply that can be read. What does not fit its rule is left out, and never fails."""
        found: dict[str, Json] = {}
        for rule in self.rules:
            try:
                value = rule.decode(rule.place.get(parts))
            except LensMismatch:
                continue
            if rule.source is not None and value is not None:
                found[rule.source] = value
        return found


_NO_MEMBERS: frozenset[str] = frozenset()

_Step = tuple[str, str | Place, str | None, Json, Rule | None]
"""The location, the only key in it or else the place, the source or else the constant, the rule of converted values."""


def _step(rule: Rule) -> _Step:
    """A rule as a step of writing. A value that is written as it is needs no rule."""
    key = rule.place.keys[0] if len(rule.place.keys) == 1 else rule.place
    is_copy = rule.unit is None and not rule.mapping and rule.default is None
    return rule.place.location, key, rule.source, rule.const, None if is_copy else rule


def _plain_key(rule: Rule) -> str | None:
    """The key of a value that stands as it is in an object of the message; None if the rule has to read it."""
    place = rule.place
    if rule.source is None or len(place.keys) > 1 or place.location == "header":
        return None
    is_converted = rule.mapping or any(each is not None for each in (rule.unit, rule.default, rule.until))
    return None if is_converted else place.keys[0]


def _contradicts(rule: Rule, parts: Parts) -> bool:
    """True if the message has another value at the place of a constant. A missing value does not count."""
    found = rule.place.get(parts)
    return found is not None and not rule.allows(found)


def values_of(parts: Parts) -> Iterator[tuple[Place, Json]]:
    """Every value of a message with its place. An object with members is what its members are."""
    for location, value in parts.items():
        if value != {}:
            yield from _values_at(Place(location, ()), value)


def _values_at(place: Place, value: Json) -> Iterator[tuple[Place, Json]]:
    if not isinstance(value, Mapping) or not value:
        yield place, value
        return
    for key, member in value.items():
        yield from _values_at(Place(place.location, (*place.keys, key)), member)
