"""The section about the short run: its figures beside those of the whole run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from bench.markdown import is_any_missed, table, verdict
from bench.results import Results
from bench.targets import Judged, judge

MOST_MINUTES = 5
MOST_DIFFERENCE = 0.1
"""The targets of the short run: its length, and the difference of its ratios from those of the whole run."""

WHY = """\
A measurement of one second shows the machine of that second: within a short run, the floor's own throughput differed by
a third from round to round. The ledger suffers most, since it also waits for the disk, and its log is new and grows.
Two short runs on a quiet machine were 24% and 22% below the whole run there. Tried: sections without a delay of the
vendor only, so that each has three rounds. Not tried: a longer warming up."""


@dataclass(frozen=True)
class Short:
    """A short run, and the minutes that it took with all that belongs to it."""

    minutes: float
    results: Results


_SHORT = TypeAdapter(Short)


def read(file: Path) -> Short | None:
    """The short run of a file, None if there is none."""
    return _SHORT.validate_json(file.read_bytes()) if file.exists() else None


def write(file: Path, short: Short) -> None:
    """Write a short run to a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(_SHORT.dump_json(short, indent=1) + b"\n")


def part(short: Short | None, whole: Results) -> Iterator[str]:
    """The section, as paragraphs."""
    if short is None:
        return
    yield "## The short run"
    is_in_time = short.minutes <= MOST_MINUTES
    yield (
        f"`{short.results.command}` took {short.minutes:.1f} minutes (target: at most {MOST_MINUTES},"
        f" {verdict(is_met=is_in_time)}). Its ratios are to differ from those of the whole run by at most"
        f" {MOST_DIFFERENCE:.0%}."
    )
    compared = list(rows(short.results, whole))
    yield table(("", "whole run", "short run", "difference", ""), compared)
    if is_any_missed(compared):
        yield WHY


def rows(short: Results, whole: Results) -> Iterator[tuple[str, ...]]:
    """A row for each ratio of which both runs have a figure."""
    for mine, theirs in zip(judge(short), judge(whole), strict=True):
        if mine.figure and theirs.figure:
            difference = mine.figure / theirs.figure - 1
            is_met = abs(difference) <= MOST_DIFFERENCE
            yield title(mine), theirs.reached, mine.reached, f"{difference:+.0%}", verdict(is_met=is_met)


def title(judged: Judged) -> str:
    """The name of a ratio."""
    return f"{judged.target.what}, {'with' if judged.target.with_ledger else 'without'} ledger"
