"""Entity tags (RFC 9110, 8.8.3): the form in which Jobgate shows the version of a job."""

from __future__ import annotations

import re
from typing import Final

LONGEST_ENTITY_TAG: Final = 256
"""Longest entity tag, in characters."""

_ENTITY_TAG = re.compile(r'(W/)?"[\x21\x23-\x7e]*"')
_OPAQUE = re.compile(r"[\x21\x23-\x7e]+")


def is_entity_tag(text: str) -> bool:
    """True for one entity tag; false for a list of them, and for `*`."""
    return _ENTITY_TAG.fullmatch(text) is not None


def entity_tag(version: object) -> str | None:
    """A vendor's version as an entity tag: as it is if it is one, else in quotes.

    None if there is no version, or none that a tag can hold.
    """
    text = str(version) if isinstance(version, str | int) and not isinstance(version, bool) else ""
    tag = text if is_entity_tag(text) else f'"{text}"' if _OPAQUE.fullmatch(text) else None
    return tag if tag is not None and len(tag) <= LONGEST_ENTITY_TAG else None
