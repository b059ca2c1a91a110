"""JSON, read so strictly that whoever reads it later sees the same thing.

Refused beside what RFC 8259 refuses: duplicate names, NaN and infinities, lone surrogates, numbers of many digits, deep
nesting. Each is something that two readers take differently, or that costs more than it is worth.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

from gateway.domain.model import Json
from gateway.edge.limits import Limits


class StrictJsonError(ValueError):
    """The text is no acceptable JSON; the message says why and holds nothing of the text."""


def parse(content: bytes, limits: Limits) -> Json:
    """The value of a JSON text in UTF-8. Raises StrictJsonError."""
    try:
        value: Json = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_int=lambda text: int(_short(text, limits)),
            parse_float=lambda text: _finite(float(_short(text, limits))),
        )
    except UnicodeDecodeError:
        raise StrictJsonError("is not UTF-8") from None
    except RecursionError:
        raise StrictJsonError(f"nests deeper than {limits.json_depth} levels") from None
    except json.JSONDecodeError as error:
        raise StrictJsonError(f"is not JSON, from character {error.pos} on") from None
    if _is_deeper(value, limits.json_depth):
        raise StrictJsonError(f"nests deeper than {limits.json_depth} levels")
    _check_surrogates(value, content)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise StrictJsonError("has an object with a duplicate name")
    return members


def _refuse_constant(_: str) -> NoReturn:
    raise StrictJsonError("has a number that is not finite")


def _short(text: str, limits: Limits) -> str:
    if sum(character.isdigit() for character in text) > limits.json_digits:
        raise StrictJsonError(f"has a number of more than {limits.json_digits} digits")
    return text


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise StrictJsonError("has a number that is not finite")
    return number


def _is_deeper(value: Json, levels: int) -> bool:
    """Whether arrays and objects nest deeper; looks no further than that, however deep they are."""
    if not isinstance(value, (Mapping, list)):
        return False
    children = value.values() if isinstance(value, Mapping) else value
    return levels == 0 or any(_is_deeper(child, levels - 1) for child in children)


def _check_surrogates(value: Json, content: bytes) -> None:
    if b"\\u" not in content:
        return
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise StrictJsonError("has half of a surrogate pair") from None
