"""Lenses: mappings that work in both directions.

A lens assigns values of Jobgate's vocabulary to places in a vendor's message:

    path.jobId: job.id                                        copy
    path.action: {const: cancel}                              const
    body.reason: {from: parameters.reason, map: {a: b}}       enum map, one to one
    body.priority: {from: parameters.priority, default: 1}    default

`decode(encode(values)) == values` for all values that the lens carries; a value that equals its default counts as left
out. There are no other operators: anything more complex is a named function of the adapter.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.domain.model import Json

Parts = Mapping[str, Json]
"""A message as one value: `{path, query, header, body}`."""


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
    """The place of a value in a message: `body.error.code`."""

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
                return None
            node = _header(node, key) if self.location == "header" else node.get(key)
        return node  # type: ignore[no-any-return]

    def is_within(self, other: Place) -> bool:
        """True if this is the other place, or a part of what stands there."""
        return self.location == other.location and self._spelling[: len(other.keys)] == other._spelling

    @property
    def _spelling(self) -> tuple[str, ...]:
        return tuple(key.lower() for key in self.keys) if self.location == "header" else self.keys

    def put(self, parts: dict[str, Any], value: Json) -> None:
        """Set the value at this place, and add the objects around it."""
        node = parts.setdefault(self.location, {})
        for key in self.keys[:-1]:
            node = node.setdefault(key, {})
        node[self.keys[-1]] = value

    def remove(self, parts: dict[str, Any]) -> None:
        """Remove the value at this place, which is in an object of its own."""
        del Place(self.location, self.keys[:-1]).get(parts)[self.keys[-1]]  # type: ignore[union-attr]


def _header(headers: Mapping[str, Json], name: str) -> Json:
    """The value of a header, whose name is case-insensitive (RFC 9110, 5.1). Most messages use lower case already."""
    name = name.lower()
    if name in headers:
        return headers[name]
    return next((value for key, value in headers.items() if key.lower() == name), None)


@dataclass(frozen=True, slots=True)
class Rule:
    """One place in a message, and the value that belongs there."""

    place: Place
    source: str | None
    const: Json = None
    mapping: Mapping[str, str] = field(default_factory=dict)
    default: Json = None

    @classmethod
    def compile(cls, place: str, source: str | Mapping[str, Any]) -> Rule:
        """Compile one entry of an `x-job-action` mapping."""
        if isinstance(source, str):
            return cls(Place.parse(place), source)
        return cls(
            Place.parse(place), source.get("from"), source.get("const"), source.get("map", {}), source.get("default")
        )

    def encode(self, values: Mapping[str, Json]) -> Json:
        """The value to write at the place; None: nothing. Raises UnmappableValue if the map does not have it."""
        if self.source is None:
            return self.const
        value = values.get(self.source)
        if value is None:
            return self.default
        return self._map(value) if self.mapping else value

    def decode(self, found: Json) -> Json:
        """The value that was encoded as `found`. Raises LensMismatch if this rule never writes that."""
        if self.source is None:
            if str(found) != str(self.const):
                raise LensMismatch(self.place, f"is not {self.const!r}")
            return None
        if found is None or found == self.default:
            return None
        return self._unmap(found) if self.mapping else found

    def _map(self, value: Json) -> str:
        if value not in self.mapping:
            raise UnmappableValue(str(self.source), tuple(self.mapping))
        return self.mapping[str(value)]

    def _unmap(self, found: Json) -> str:
        names = [name for name, written in self.mapping.items() if written == found]
        if not names:
            raise LensMismatch(self.place, f"is not one of {', '.join(self.mapping.values())}")
        return names[0]


@dataclass(frozen=True, slots=True)
class Lens:
    """A mapping between values, by their names, and a message."""

    rules: tuple[Rule, ...]

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
        """One value of a message; None if the message does not have it, or the lens does not carry it."""
        for rule in self.rules:
            if rule.source == source:
                return rule.decode(rule.place.get(parts))
        return None

    def may_fit(self, parts: Parts, locations: Collection[str]) -> bool:
        """True if no constant of the lens at these locations contradicts the message. Missing values do not count."""
        constants = (rule for rule in self.rules if rule.source is None and rule.place.location in locations)
        found = ((rule.const, rule.place.get(parts)) for rule in constants)
        return all(value is None or str(value) == str(const) for const, value in found)

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
        return [place for place, value in values_of(parts) if not self.carries(place) and not self._holds(place, value)]

    def _holds(self, place: Place, value: Json) -> bool:
        """True for an object without members that has a carried place in it: nothing of it is lost."""
        return value == {} and self.carries_of(place)

    def encode(self, values: Mapping[str, Json]) -> dict[str, Any]:
        """The message that carries the values. Raises UnmappableValue if a map does not have one of them."""
        parts: dict[str, Any] = {}
        for rule in self.rules:
            written = rule.encode(values)
            if written is not None:
                rule.place.put(parts, written)
        return parts

    def decode(self, parts: Parts) -> dict[str, Json]:
        """The values that a message carries. Raises LensMismatch if a constant or a mapped value differs."""
        found = [(rule.source, rule.decode(rule.place.get(parts))) for rule in self.rules]
        return {source: value for source, value in found if source is not None and value is not None}


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
