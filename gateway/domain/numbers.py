"""Parsing of numbers from outside. None of these functions raises: an unusable number is None."""

from __future__ import annotations

import math
import re

_DIGITS = re.compile(r"[0-9]+")
_FIRST_TIME, _LAST_TIME = 0, 253_402_300_799
"""Seconds since 1970. A `datetime` ends with the year 9999."""


def up_to(most: int, text: str) -> int | None:
    """Parse ASCII digits as a whole number; a larger one counts as `most`. None for any other text.

    The number of digits is not limited, although Python's `int` refuses more than 4,300.
    """
    if not _DIGITS.fullmatch(text):
        return None
    digits = text.lstrip("0")
    return most if len(digits) > len(str(most)) else min(int(digits or "0"), most)


def number(value: object) -> float | None:
    """A finite number from JSON, which can also be written as a string. None for any other value."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        read = float(value)
    except (ValueError, OverflowError):
        return None
    return read if math.isfinite(read) else None


def whole(value: object) -> int | None:
    """A whole number from JSON: 3 and 3.0 are the same (JSON Schema 2020-12, 6.1.1). None for any other value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value


def seconds_since_1970(value: object) -> float | None:
    """A NumericDate (RFC 7519, 2): seconds since 1970, up to the year 9999. None for any other value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if _FIRST_TIME <= value <= _LAST_TIME else None
