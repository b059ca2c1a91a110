"""Values for lenses, generated from the schemas of the places where they stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from gateway.domain.model import Json
from gateway.domain.times import canonical_date_time
from gateway.domain.vocabulary import Source
from gateway.specs.lens import Lens, Place, Rule

LONGEST = 200
"""Most characters of a generated text."""

Schemas = Callable[[Place], Mapping[str, Any]]


def values_of(lens: Lens, schemas: Schemas) -> st.SearchStrategy[dict[str, Json]]:
    """Values that a lens can carry. Those that identify a job are always there."""
    rules: dict[str, Rule] = {}
    for rule in lens.rules:
        if rule.source is not None and (rule.mapping or rule.source not in rules):
            rules[rule.source] = rule
    each = {source: _of_rule(rule, schemas(rule.place)) for source, rule in rules.items()}
    needed = {source: each.pop(source) for source in (Source.JOB_ID,) if source in each}
    return st.fixed_dictionaries(needed, optional=each)


def _of_rule(rule: Rule, schema: Mapping[str, Any]) -> st.SearchStrategy[Json]:
    if rule.mapping:
        return st.sampled_from(sorted(rule.mapping)).filter(lambda value: rule.mapping[value] != rule.default)
    if rule.unit is not None:
        return TIMES
    until = rule.until
    return of_schema(schema).filter(lambda value: value != rule.default and (until is None or until not in str(value)))


def of_schema(schema: Mapping[str, Any]) -> st.SearchStrategy[Json]:
    """Values of a schema; texts if it says nothing."""
    if "enum" in schema:
        return st.sampled_from(list(schema["enum"]))
    return _OF_TYPES.get(schema.get("type", "string"), _texts)(schema)


def _integers(schema: Mapping[str, Any]) -> st.SearchStrategy[Json]:
    return st.integers(schema.get("minimum", -(2**31)), schema.get("maximum", 2**31))


def _numbers(schema: Mapping[str, Any]) -> st.SearchStrategy[Json]:
    return st.floats(schema.get("minimum", -1e9), schema.get("maximum", 1e9), allow_nan=False)


def _lists(schema: Mapping[str, Any]) -> st.SearchStrategy[Json]:
    return st.lists(of_schema(schema.get("items", {})), min_size=1, max_size=min(schema.get("maxItems", 3), 3))


def _texts(schema: Mapping[str, Any]) -> st.SearchStrategy[Json]:
    if schema.get("format") == "date-time":
        return TIMES
    if schema.get("format") == "uuid":
        return st.uuids().map(str)
    if "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=False).filter(lambda text: "\n" not in text)
    least, most = schema.get("minLength", 1), min(schema.get("maxLength", LONGEST), LONGEST)
    return st.text(UNICODE, min_size=max(1, least), max_size=max(1, most))


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNICODE = st.characters(exclude_categories=["Cs"])
ASCII = st.characters(min_codepoint=33, max_codepoint=126)
TEXTS = st.text(UNICODE, min_size=1, max_size=LONGEST)
TIMES: st.SearchStrategy[Json] = st.integers(0, 7_000_000_000_000).map(
    lambda milliseconds: canonical_date_time((EPOCH + timedelta(milliseconds=milliseconds)).isoformat())
)
"""Times to the millisecond, as every form of a time can hold them."""
_OF_TYPES: Mapping[str, Callable[[Mapping[str, Any]], st.SearchStrategy[Json]]] = {
    "integer": _integers,
    "number": _numbers,
    "boolean": lambda _: st.booleans(),
    "array": _lists,
    "object": lambda _: st.dictionaries(st.text(ASCII, min_size=1), TEXTS, min_size=1, max_size=3),
}
"""The values of each JSON type, from the rest of the schema."""
