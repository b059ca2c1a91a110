"""The catalogue of problems: the tree at the top of its file is the one that the code has."""

from __future__ import annotations

import re

import pytest

from gateway.domain import errors
from gateway.domain.errors import JobgateError, catalogue

DRAWN = dict(re.findall(r"─ (\w+) +(\d{3})\b", errors.__doc__ or ""))


@pytest.mark.parametrize("kind", catalogue(), ids=lambda kind: kind.code)
def test_every_problem_is_drawn(kind: type[JobgateError]) -> None:
    """A reader of the tree finds every problem there, with its HTTP status."""
    assert DRAWN[kind.__name__] == str(kind.status)


def test_nothing_else_is_drawn() -> None:
    """A problem that was removed or renamed leaves the tree."""
    assert sorted(DRAWN) == sorted(kind.__name__ for kind in catalogue())
