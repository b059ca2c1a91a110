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
    _check_depth(value, content, limits)
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
    if len(text) > limits.json_digits + 5:  # sign, point and exponent beside the digits
        raise StrictJsonError(f"has a number of more than {limits.json_digits} digits")
    return text


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise StrictJsonError("has a number that is not finite")
    return number


def _check_depth(value: Json, content: bytes, limits: Limits) -> None:
    if content.count(b"{") + content.count(b"[") > limits.json_depth and _depth(value) > limits.json_depth:
        raise StrictJsonError(f"nests deeper than {limits.json_depth} levels")


def _depth(value: Json) -> int:
    children = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, children), default=0) if isinstance(value, (Mapping, list)) else 0


def _check_surrogates(value: Json, content: bytes) -> None:
    if b"\\u" not in content:
        return
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise StrictJsonError("has half of a surrogate pair") from None
