"""Formatting of figures and tables for the pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

MISSED = "**missed**"
"""The verdict on a target that is not met."""


def verdict(*, is_met: bool, is_quiet: bool = True) -> str:
    """The verdict on a target. There is none if other programs had the cores, whatever was reached."""
    if not is_quiet:
        return "not judged: other programs had the cores"
    return "met" if is_met else MISSED


def is_any_missed(rows: Iterable[Sequence[str]]) -> bool:
    """True if the last cell of a row says that a target is missed."""
    return any(row[-1] == MISSED for row in rows)


def counted(number: int, noun: str) -> str:
    """A number with its noun: `1 round`, `3 rounds`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def ranged(ratios: Sequence[float], unit: str = "") -> str:
    """The median of sorted ratios, with the lowest and the highest."""
    return f"{median(ratios):.2f}{unit} ({ratios[0]:.2f} to {ratios[-1]:.2f})"


def milliseconds(value: float) -> str:
    """A latency with its significant places; `-` for 0, which means that nothing was answered."""
    if not value:
        return "-"
    return f"{value:.2f} ms" if value < 10 else f"{value:,.0f} ms"  # noqa: PLR2004 - not a quantity of anything


def table(head: Iterable[str], rows: Iterable[Iterable[str]], sides: str = "") -> str:
    """A Markdown table. `sides` has a colon for each column of text and a hyphen for each of numbers."""
    columns = list(head)
    rules = ["---:" if side == "-" else "---" for side in sides.ljust(len(columns), ":")]
    return "\n".join(f"| {' | '.join(line)} |" for line in [columns, rules, *rows])
