"""Suggestions for names that are misspelt, wherever one of a known list is to be written."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def closest(written: object, known: Iterable[str]) -> str | None:
    """The known name that was probably meant; None where none is like it."""
    names = {each.lower(): each for each in known}
    found = get_close_matches(str(written).lower(), names, n=1, cutoff=0.6)
    return names[found[0]] if found else None


def did_you_mean(written: object, known: Iterable[str]) -> str:
    """The name that was probably meant, and all that are known, as in `did you mean oauth? Known: oauth.`."""
    names = list(known)
    likely = closest(written, names)
    known_names = f"nown: {', '.join(names) or 'none'}."
    return f"did you mean {likely}? K{known_names}" if likely else f"k{known_names}"
