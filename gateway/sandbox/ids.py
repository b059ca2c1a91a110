"""Ids for simulated jobs, in the form of a vendor's own ids."""

from __future__ import annotations

import re
import uuid
from random import Random

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://jobgate.invalid/sandbox")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_SHORTEST = 8
"""Characters that are enough for ids to differ."""

_DIGITS, _LOWER, _UPPER = "0123456789", "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ENDS = tuple(
    (re.compile(f"[{characters}]*$"), characters)
    for characters in (
        *(_DIGITS, f"{_DIGITS}abcdef", f"{_DIGITS}ABCDEF"),
        *(_DIGITS + _LOWER, _DIGITS + _UPPER, _DIGITS + _LOWER + _UPPER),
    )
)
"""The ends of an id that may differ from job to job, each with its characters, the most special first."""


def id_like(example: str, seed: str) -> str:
    """An id in the form of an example: a UUID, or the same beginning and an end of the same characters.

    The end is as long as the example's, or a little longer if that could not be unique. The same arguments always give
    the same id.
    """
    if _UUID.fullmatch(example):
        return str(uuid.uuid5(_NAMESPACE, seed))
    ends = [(match[0], characters) for end, characters in _ENDS if (match := end.search(example))]
    long = (each for each in ends if len(each[0]) >= _SHORTEST)
    some = (each for each in ends if each[0])
    end, characters = next(long, None) or next(some, None) or ("", _DIGITS)
    letters = Random(f"{_NAMESPACE}/{seed}").choices(characters, k=max(len(end), _SHORTEST))  # noqa: S311 - no secret
    first = letters[0].replace("0", characters[1])  # an integer begins with another digit
    return example[: len(example) - len(end)] + first + "".join(letters[1:])
