"""Canonical forms of values that can be written in several ways, chosen by the schema of the value.

A UUID is the same in any case (RFC 9562, 4), a time in any offset (RFC 3339, 5.6), 3.0 the integer 3 (JSON Schema). The
code behind the edge and the engine only sees canonical forms. A value whose schema is just a text stays unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from gateway.domain.model import Json
from gateway.domain.numbers import whole
from gateway.domain.times import canonical_date_time
from gateway.specs.document import Document

Form = Callable[[Json], Json]
"""Returns the canonical form of a value. Any other value stays unchanged, for a validator to refuse."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_SAMPLES = ("0b7c51f0-9d6e-4c52-8d53-5d2f3c1a7e02", "ffffffff-ffff-ffff-ffff-ffffffffffff")
_NEARLY = (
    "",
    "0b7c51f0",
    "0b7c51f09d6e4c528d535d2f3c1a7e02",
    "0b7c51f0-9d6e-4c52-8d53-5d2f3c1a7e0g",
    f"{_SAMPLES[0]}0",
)


def form_of(schema: Mapping[str, Any]) -> Form | None:
    """The canonical form for values of a schema; None if each value is its own."""
    if schema.get("type") == "integer":
        return canonical_integer
    if schema.get("type") != "string":
        return None
    if schema.get("format") == "date-time":
        return canonical_time
    if schema.get("format") == "uuid" or _is_pattern_of_uuids(schema.get("pattern", "")):
        return canonical_uuid
    return None


def canonical_integer(value: Json) -> Json:
    """A whole number without a decimal point; anything else unchanged."""
    number = whole(value)
    return value if number is None else number


def canonical_time(value: Json) -> Json:
    """A `date-time` in UTC; anything else unchanged."""
    return canonical_date_time(value) if isinstance(value, str) else value


def canonical_uuid(value: Json) -> Json:
    """A UUID in lower case, as RFC 9562 writes it; anything else unchanged."""
    return value.lower() if isinstance(value, str) and _UUID.fullmatch(value) else value


def schema_at(document: Document, schema: Any, keys: tuple[str, ...]) -> Mapping[str, Any]:
    """The schema of a member of an object; empty if the document has none."""
    schema = document.resolve(schema)
    for key in keys:
        members = [document.resolve(each) for each in (schema, *schema.get("allOf", ()))]
        named = (each["properties"][key] for each in members if key in each.get("properties", {}))
        schema = document.resolve(next(named, {}))
    return schema if isinstance(schema, Mapping) else {}


@lru_cache(maxsize=256)
def _is_pattern_of_uuids(pattern: str) -> bool:
    """True if the pattern allows UUIDs, at least in lower case, and none of the texts that are nearly one."""
    try:
        takes = re.compile(pattern).search
    except re.error:
        return False
    return bool(pattern) and all(map(takes, _SAMPLES)) and not any(map(takes, _NEARLY))
