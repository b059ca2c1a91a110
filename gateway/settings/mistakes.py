"""Mistakes in settings, each as its key and its remedy. Values are not shown: one of them can be a secret."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gateway.domain.suggestions import closest, did_you_mean
from gateway.settings.environment import suggested_key, variable
from gateway.settings.tree import located

_TEXT = "write a string in quotes"
_NUMBER = "write a number"
_WHOLE = "write a whole number"
_BOOLEAN = "write true or false"
KINDS = 'write kind = "client-credentials", "basic", "bearer", "api-key", "aws-signature" or "signature"'
_TABLE = "write a table, such as [server]; in an environment variable, write a JSON object"

WORDS: Mapping[str, str] = {
    "missing": "is missing",
    "string_pattern_mismatch": "use lower-case letters, digits and hyphens, and begin with a letter",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_type": _WHOLE,
    "int_from_float": _WHOLE,
    "float_parsing": _NUMBER,
    "float_type": _NUMBER,
    "finite_number": _NUMBER,
    "bool_parsing": _BOOLEAN,
    "bool_type": _BOOLEAN,
    "string_type": _TEXT,
    "path_type": _TEXT,
    "time_delta_parsing": "write a duration of ISO 8601, such as PT8H or P1D",
    "dict_type": _TABLE,
    "model_type": _TABLE,
    "model_attributes_type": _TABLE,
    "tuple_type": 'write a list, such as ["a", "b"]; in an environment variable too',
}
"""The remedy for each error type of pydantic. Placeholders are filled from the context of the error."""


@dataclass(frozen=True)
class Mistake:
    """A mistake at a key. A vague one is left out if another at or below the same key says more."""

    path: tuple[str, ...]
    mend: str
    type: str
    is_vague: bool = False

    def __str__(self) -> str:
        """The key, the remedy, and the environment variable if the key is set by one."""
        key = ".".join(self.path)
        name = variable(key)
        return f"{key}: {self.mend}{f' (in {name})' if name in os.environ else ''}"


def mistakes_of(error: ValidationError, *place: str) -> list[Mistake]:
    """The mistakes that pydantic found below a place, each once."""
    found = [_mistake(each, (*place, *each["loc"])) for each in error.errors()]
    return [each for each in found if not (each.is_vague and _is_said_otherwise(each, found))]


def _is_said_otherwise(mistake: Mistake, found: Iterable[Mistake]) -> bool:
    depth = len(mistake.path)
    return any(each is not mistake and each.path[:depth] == mistake.path for each in found)


def _mistake(error: ErrorDetails, place: Sequence[int | str]) -> Mistake:
    path, siblings = located(place)
    kind, context = error["type"], error.get("ctx", {})
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        path = (*path, "kind")
    is_choice = any(str(each).startswith("literal[") for each in place)
    if kind == "model_type" and not is_choice and place[-1:] == ("QuotaSettings",):
        return Mistake(path, 'write { requests = 1000, seconds = 10 }, or "none"', kind)
    # Vague: pydantic counts only valid items of a list, and reports every choice of a union if none fits.
    return Mistake(path, _mend(error, path, siblings, context), kind, is_choice or kind == "too_short")


def _mend(error: ErrorDetails, path: Sequence[str], siblings: Sequence[str], context: Mapping[str, Any]) -> str:
    kind = error["type"]
    if kind == "extra_forbidden":
        return _no_such_setting(path, siblings)
    if kind in {"literal_error", "enum"}:
        return _one_of(error["input"], context["expected"])
    if kind == "union_tag_invalid":
        return _one_of(context["tag"], context["expected_tags"])
    if kind == "union_tag_not_found":
        return f"is missing; {KINDS}"
    if kind == "value_error":
        return str(context["error"])
    return WORDS.get(kind, "has an invalid value").format(**context)


def _no_such_setting(path: Sequence[str], siblings: Sequence[str]) -> str:
    likely = closest(path[-1], siblings) or suggested_key(".".join(path))
    return f"there is no such setting; {f'did you mean {likely}?' if likely else 'docs/limits.md lists the settings'}"


def _one_of(written: object, expected: str) -> str:
    """The remedy for a value that is none of a set of words. Pydantic gives them as `'a', 'b' or 'c'`."""
    return did_you_mean(written, [each.strip(" '") for each in expected.replace(" or ", ",").split(",")])
