"""SECURITY.md names tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = sorted(set(re.findall(r"`(tests/[a-z_/]+\.py)(?:::(\w+))?`", (ROOT / "SECURITY.md").read_text("utf-8"))))


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_each_promise_has_its_test(file: str, name: str) -> None:
    """Each test that SECURITY.md names exists."""
    text = (ROOT / file).read_text("utf-8")
    assert re.search(rf"def {name}\(", text) if name else text


def test_every_promise_names_one() -> None:
    """No row of a table is without a test, and each risk of the OWASP list has a row."""
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    rows = [
        line for line in text.splitlines() if line.startswith("| ") and not re.match(r"\| (---|promise|risk) ", line)
    ]
    assert [row for row in rows if "`tests/" not in row] == []
    assert [f"| API{number} " in text for number in range(1, 11)] == [True] * 10
