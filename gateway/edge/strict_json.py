"""Strict JSON, which every later reader understands in the same way.

Beyond RFC 8259 it refuses duplicate names, NaN and infinities, lone surrogates, numbers with many digits, and deep
nesting. Parsers differ about each of these, or it costs too much to parse.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from gateway.domain.model import Json
from gateway.edge.limits import Limits


class StrictJsonError(ValueError):
    """The text is not acceptable JSON. The message says why, and contains nothing of the text."""


class StrictJson:
    """A reader of JSON texts."""

    def __init__(self, limits: Limits) -> None:
        """Read within `limits`."""
        self._depth = limits.json_depth
        self._digits = limits.json_digits
        self._decoder = json.JSONDecoder(
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_int=lambda text: int(self._short(text)),
            parse_float=lambda text: _finite(float(self._short(text))),
        )

    def parse(self, content: bytes) -> Json:
        """Parse a JSON text in UTF-8. Raises StrictJsonError."""
        try:
            value: Json = self._decoder.decode(content.decode("utf-8"))
        except UnicodeDecodeError:
            raise StrictJsonError("is not UTF-8") from None
        except RecursionError:
            raise self._too_deep() from None
        except json.JSONDecodeError as error:
            raise StrictJsonError(f"is not JSON: error at character {error.pos}") from None
        if content.count(b"{") + content.count(b"[") > self._depth and _is_deeper(value, self._depth):
            raise self._too_deep()
        if b"\\u" in content:
            _check_surrogates(value)
        return value

    def _short(self, text: str) -> str:
        if sum(character.isdigit() for character in text) > self._digits:
            raise StrictJsonError(f"has a number with more than {self._digits} digits")
        return text

    def _too_deep(self) -> StrictJsonError:
        return StrictJsonError(f"is nested deeper than {self._depth} levels")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise StrictJsonError("has an object with a duplicate name")
    return members


def _refuse_constant(_: str) -> NoReturn:
    raise StrictJsonError("has a number that is not finite")


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise StrictJsonError("has a number that is not finite")
    return number


def _is_deeper(value: Json, levels: int) -> bool:
    """True if arrays and objects are nested deeper than `levels`. Does not descend further."""
    if not isinstance(value, (dict, list)):
        return False
    children = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(child, levels - 1) for child in children)


def _check_surrogates(value: Json) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise StrictJsonError("has a lone surrogate") from None
