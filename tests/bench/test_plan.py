"""What is measured, and in which order."""

from __future__ import annotations

from collections import Counter

from bench.contenders import CONTENDERS
from bench.plan import AT_ONCE, SECTIONS, Plan, chosen, points


def test_everybody_takes_part() -> None:
    """Every contender of the table is in a section, and every name in a section is in the table."""
    assert {name for section in SECTIONS for name in section.contenders} == {each.name for each in CONTENDERS}


def test_each_round_has_every_contender_once() -> None:
    """Contenders take turns: in each round, and at each number of connections, each is measured once."""
    made = list(points(AT_ONCE, 3))
    times = Counter((point.round, point.connections, point.contender) for point in made)
    assert len(made) == len(times) == 3 * len(AT_ONCE.connections) * len(AT_ONCE.contenders)
    assert [point.round for point in made] == sorted(point.round for point in made)


def test_each_round_begins_with_another() -> None:
    """Nobody is always first, and nobody always comes after the same rest."""
    size = len(AT_ONCE.contenders) * len(AT_ONCE.connections)
    first = [point.contender for point in points(AT_ONCE, 3)][::size]
    assert first == [AT_ONCE.contenders[0], AT_ONCE.contenders[3], AT_ONCE.contenders[6]]


def test_only_some() -> None:
    """Sections keep the contenders that are wanted, in their order; a section without any is left out."""
    kept = {section.name: section.contenders for section in chosen(["floor", "jobgate-access-log"], ())}
    assert kept == {
        "at-once": ("floor",),
        "after-50-ms": ("floor",),
        "after-100-ms": ("floor",),
        "a-thousand": ("floor",),
        "extras": ("jobgate-access-log",),
    }


def test_without_some() -> None:
    """Sections and contenders are left out by their names."""
    kept = chosen((), ["a-thousand", "prism"])
    assert [section.name for section in kept] == ["at-once", "after-50-ms", "after-100-ms", "extras"]
    assert all("prism" not in section.contenders for section in kept)


def test_length() -> None:
    """The number of measurements is that of the points."""
    plan = Plan(SECTIONS, 1, 2, 1)
    assert plan.length == sum(len(list(points(section, 2))) for section in SECTIONS)
