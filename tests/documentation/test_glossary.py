"""The glossary: each word has one meaning, and a place in the code."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = re.findall(
    r"^\| ([^|]+) \| [^|]+ \| (`[^|]+`) \|$", (ROOT / "docs/glossary.md").read_text("utf-8"), re.MULTILINE
)
PLACES = [place for _, cell in ROWS for place in re.findall(r"`([^`]+)`", cell)]


def test_every_word_is_there_once() -> None:
    """A word that has two rows would have two meanings."""
    words = [word for word, _ in ROWS]
    assert len(words) > 20
    assert sorted(words) == sorted(set(words))


@pytest.mark.parametrize("place", PLACES)
def test_every_word_is_in_the_code(place: str) -> None:
    """The glossary names things as the code does."""
    module, _, name = place.rpartition(".")
    assert hasattr(import_module(module), name)


def test_every_row_is_read() -> None:
    """A row that the test cannot read would not be checked."""
    lines = [line for line in (ROOT / "docs/glossary.md").read_text("utf-8").splitlines() if line.startswith("| ")]
    assert len(ROWS) == len(lines) - len(["head", "rule"])
