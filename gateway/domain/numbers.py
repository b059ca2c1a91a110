"""Numbers that others write. One that is out of range is as if it were not there; none raises."""

from __future__ import annotations

import math
import re

_DIGITS = re.compile(r"[0-9]+")
_FIRST_TIME, _LAST_TIME = 0, 253_402_300_799
"""Seconds since 1970: the years that a date can have end with 9999."""


def up_to(most: int, text: str) -> int | None:
    """The whole number of a text of ASCII digits, at most `most`; None where the text is something else.

    However many digits there are: Python refuses to read more than 4,300 of them.
    """
    if not _DIGITS.fullmatch(text):
        return None
    digits = text.lstrip("0")
    return most if len(digits) > len(str(most)) else min(int(digits or "0"), most)


def number(value: object) -> float | None:
    """A finite number of a JSON text, also one that is written as a string; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        read = float(value)
    except (ValueError, OverflowError):
        return None
    return read if math.isfinite(read) else None


def whole(value: object) -> int | None:
    """A whole number of a JSON text: 3 and 3.0 are the same (JSON Schema 2020-12, 6.1.1). None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value


def seconds_since_1970(value: object) -> float | None:
    """A NumericDate (RFC 7519, 2): a JSON number of a year that there is. None where the value is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if _FIRST_TIME <= value <= _LAST_TIME else None
