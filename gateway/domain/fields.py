"""Parsing of header field values by RFC 9110 (5.6): lists and parameters, quoted or not."""

from __future__ import annotations

import re
from collections.abc import Iterator

# An unclosed quote extends to the end of the text, so that matching takes linear time.
_QUOTED = r'"(?:[^"\\]|\\.?)*(?:"|\Z)'
_MEMBER = re.compile(rf'(?:[^,"]|{_QUOTED})+', re.DOTALL)
_PART = re.compile(rf'(?:[^;"]|{_QUOTED})+', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)")
_FULL_WEIGHT = re.compile(r"q=1(\.0{0,3})?")


def members(text: str) -> Iterator[str]:
    """The members of a list, without empty ones. A comma in quotes does not separate members."""
    return (each.strip(" \t") for each in _MEMBER.findall(text) if each.strip(" \t"))


def parts(member: str) -> list[str]:
    """Split a member at its semicolons into its value and its parameters."""
    return [each.strip(" \t") for each in _PART.findall(member)]


def named(part: str) -> tuple[str, str]:
    """The name, in lower case, and the value of a part such as `wait="5"`; without a value, an empty text."""
    name, _, value = part.partition("=")
    return name.strip(" \t").lower(), unquoted(value.strip(" \t"))


def unquoted(text: str) -> str:
    """The text without its quotes and escapes, if it has quotes."""
    return _ESCAPED.sub(r"\1", text[1:-1]) if text[:1] == text[-1:] == '"' and len(text) > 1 else text


def canonical_media_range(text: str) -> str:
    """A media type, or a list of them, in lower case, without blanks and without the default weight `q=1` (12.5.1)."""
    return ", ".join(";".join(_canonical_parts(each)) for each in members(text))


def _canonical_parts(member: str) -> Iterator[str]:
    kind, *parameters = parts(member)
    yield kind.lower()
    for name, value in map(named, parameters):
        written = f"{name}={value}"
        if not _FULL_WEIGHT.fullmatch(written):
            yield written
