"""Values of header fields, read as RFC 9110 (5.6) writes them: lists and parameters, in quotes or without."""

from __future__ import annotations

import re
from collections.abc import Iterator

# Quotes that are not closed go on to the end, so that no text takes long to read.
_QUOTED = r'"(?:[^"\\]|\\.?)*(?:"|\Z)'
_MEMBER = re.compile(rf'(?:[^,"]|{_QUOTED})+', re.DOTALL)
_PART = re.compile(rf'(?:[^;"]|{_QUOTED})+', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)")
_FULL_WEIGHT = re.compile(r"q=1(\.0{0,3})?")


def members(text: str) -> Iterator[str]:
    """The members of a list, without those that are empty; a comma in quotes is none between two."""
    return (each.strip(" \t") for each in _MEMBER.findall(text) if each.strip(" \t"))


def parts(member: str) -> list[str]:
    """A member and its parameters, which semicolons separate."""
    return [each.strip(" \t") for each in _PART.findall(member)]


def named(part: str) -> tuple[str, str]:
    """Name, in lower case, and value of a part such as `wait="5"`; the value is empty where there is none."""
    name, _, value = part.partition("=")
    return name.strip(" \t").lower(), unquoted(value.strip(" \t"))


def unquoted(text: str) -> str:
    """What a text says that may be in quotes."""
    return _ESCAPED.sub(r"\1", text[1:-1]) if text[:1] == text[-1:] == '"' and len(text) > 1 else text


def canonical_media_range(text: str) -> str:
    """A media type, or a list of them, in lower case, and without blanks and the weight that counts anyway (12.5.1)."""
    return ", ".join(";".join(_canonical_parts(each)) for each in members(text))


def _canonical_parts(member: str) -> Iterator[str]:
    kind, *parameters = parts(member)
    yield kind.lower()
    for name, value in map(named, parameters):
        written = f"{name}={value}"
        if not _FULL_WEIGHT.fullmatch(written):
            yield written
