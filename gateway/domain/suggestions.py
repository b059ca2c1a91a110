"""Suggestions for misspelt names from a known list."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def closest(written: object, known: Iterable[str]) -> str | None:
    """The known name most similar to `written`; None if no name is similar enough."""
    names = {each.lower(): each for each in known}
    found = get_close_matches(str(written).lower(), names, n=1, cutoff=0.6)
    return names[found[0]] if found else None


def did_you_mean(written: object, known: Iterable[str]) -> str:
    """A suggestion followed by all known names, as in `did you mean oauth? Known: oauth.`."""
    names = list(known)
    likely = closest(written, names)
    known_names = f"nown: {', '.join(names) or 'none'}."
    return f"did you mean {likely}? K{known_names}" if likely else f"k{known_names}"
