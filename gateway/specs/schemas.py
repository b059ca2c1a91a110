"""The schemas of a document as compiled validators, and the defaults in them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jsonschema_rs

from gateway.domain.errors import FieldError
from gateway.domain.suggestions import closest
from gateway.domain.times import is_date_time
from gateway.specs.document import Document, pointer

MOST_ERRORS = 100
"""Most errors in one refusal."""
MOST_NAMES = 10
"""Most unknown members of one object that an error names."""
MOST_VALUES = 50
"""Most allowed values that an error lists."""
LONGEST_GUESS = 64
"""Longest text for which an error suggests the closest of the allowed values."""

FORMATS = {"date-time": is_date_time}
"""Formats that Jobgate checks itself: jsonschema-rs takes `*+,-./` for digits (0.60.3)."""

HINT = "x-hint"
"""Our extension of schemas and parameters: what to write instead of a value that does not fit."""
FORM = (jsonschema_rs.ValidationErrorKind.Pattern, jsonschema_rs.ValidationErrorKind.Format)
"""The kinds of errors in whose place a hint can stand."""

_PRINTABLE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


class Validator:
    """A compiled schema. Its messages name the broken rule, never the value."""

    def __init__(self, document: Document, schema: Mapping[str, Any]) -> None:
        """Compile `schema`, whose references are local to `document`."""
        self._document, self._schema = document, schema
        whole = document.schemas.complete(schema)
        self._compiled = jsonschema_rs.validator_for(whole, validate_formats=True, formats=FORMATS, mask="the value")
        self.is_valid: Callable[[object], bool] = self._compiled.is_valid
        """True if the value is valid. This is faster than `errors`."""

    def errors(self, value: object) -> tuple[FieldError, ...]:
        """An error for each place that is not valid."""
        found = (self._error(error) for error in self._compiled.iter_errors(value))
        return tuple(dict.fromkeys(error for error, _ in zip(found, range(MOST_ERRORS), strict=False)))

    def _error(self, error: jsonschema_rs.ValidationError) -> FieldError:
        """The error at one place. If its schema has a hint, the hint stands there instead of a regular expression."""
        hint = self._hint(error.schema_path) if isinstance(error.kind, FORM) else None
        return FieldError(pointer(*error.instance_path), f"has another form; {hint}") if hint else field_error(error)

    def _hint(self, place: Sequence[str | int]) -> str | None:
        node: Any = self._document.content if place[0] == "components" else self._schema
        for key in place[:-1]:
            node = node[int(key)] if isinstance(node, list) else node.get(key, {})
        hint: str | None = node.get(HINT)
        return hint


def field_error(error: jsonschema_rs.ValidationError) -> FieldError:
    """The error at one place, in words that contain nothing of the value."""
    kind = error.kind
    keys = list(error.instance_path)
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Required):
        return FieldError(pointer(*keys, kind.property), "is required")
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.AdditionalProperties):
        names = [name if _PRINTABLE_NAME.fullmatch(name) else "a name" for name in kind.unexpected[:MOST_NAMES]]
        more = f" (and {len(kind.unexpected) - MOST_NAMES} more)" if len(kind.unexpected) > MOST_NAMES else ""
        return FieldError(pointer(*keys), f"{', '.join(names)}{more} is not known here")
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.PropertyNames):
        return FieldError(pointer(*keys), f"has a name that {field_error(kind.error).detail}")
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Enum):
        return FieldError(pointer(*keys), not_one_of(kind.options, error.instance))
    return FieldError(pointer(*keys), error.message.removeprefix("the value "))


def not_one_of(values: Sequence[Any], given: object) -> str:
    """Message for a value that is not one of `values`. It suggests the one that only differs in case, or is closest."""
    listed = ", ".join(json.dumps(each) for each in values[:MOST_VALUES])
    more = f" (and {len(values) - MOST_VALUES} more)" if len(values) > MOST_VALUES else ""
    folded = given.casefold() if isinstance(given, str) else None
    meant = next((each for each in values if isinstance(each, str) and each.casefold() == folded), None)
    if meant is not None:
        return f"is not one of {listed}{more}; write it as {json.dumps(meant)}"
    near = _closest(values, given)
    return f"is not one of {listed}{more}" + (f"; the closest is {json.dumps(near)}" if near is not None else "")


def _closest(values: Sequence[Any], given: object) -> str | None:
    if not isinstance(given, str) or len(given) > LONGEST_GUESS:
        return None
    return closest(given, (each for each in values if isinstance(each, str)))


def has_default(document: Document, schema: Any, seen: frozenset[int] = frozenset()) -> bool:
    """True if values of the schema can have members with defaults."""
    schema = document.resolve(schema)
    if not isinstance(schema, Mapping) or id(schema) in seen:
        return False
    members = schema.get("properties", {}).values()
    if any("default" in document.resolve(member) for member in members):
        return True
    below = [*members, schema.get("items"), *schema.get("allOf", ())]
    return any(has_default(document, each, seen | {id(schema)}) for each in below)


def with_defaults(document: Document, schema: Any, value: Any) -> Any:
    """The value with the defaults of the members that it leaves out, at every level."""
    schema = document.resolve(schema)
    for part in schema.get("allOf", ()):
        value = with_defaults(document, part, value)
    if isinstance(value, list):
        return [with_defaults(document, schema.get("items", {}), each) for each in value]
    if not isinstance(value, Mapping):
        return value
    members = {name: document.resolve(member) for name, member in schema.get("properties", {}).items()}
    left_out = {name: member["default"] for name, member in members.items() if "default" in member}
    complete = {**left_out, **value}
    return {
        name: with_defaults(document, members[name], each) if name in members else each
        for name, each in complete.items()
    }
