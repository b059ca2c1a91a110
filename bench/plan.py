"""The plan of a run: its sections, and the order of measurements."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

Item = TypeVar("Item")

EVERYONE = (
    *("jobgate", "jobgate-without-ledger", "floor"),
    *("connexion-flask", "connexion-async", "fastapi", "prism", "express", "fastify"),
)


@dataclass(frozen=True)
class Section:
    """Contenders that are compared at several numbers of connections, with a vendor that answers after `delay`."""

    name: str
    title: str
    about: str
    delay: float
    connections: tuple[int, ...]
    contenders: tuple[str, ...]


AT_ONCE = Section(
    "at-once",
    "A vendor that answers immediately",
    "The cost of the contender itself: at 64 connections its core is always busy.",
    0.0,
    (1, 16, 64),
    (*EVERYONE, "straight"),
)
AFTER_50_MS = Section(
    "after-50-ms",
    "A vendor that answers after 50 ms",
    "64 connections allow at most 1,280 requests per second, and 1,000 connections 20,000.",
    0.05,
    (64, 1_000),
    EVERYONE,
)
AFTER_100_MS = Section(
    "after-100-ms",
    "A vendor that answers after 100 ms",
    "64 connections allow at most 640 requests per second, and 1,000 connections 10,000.",
    0.1,
    (64, 1_000),
    EVERYONE,
)
A_THOUSAND = Section(
    "a-thousand",
    "A thousand connections",
    "The vendor answers immediately, so the CPU is the limit.",
    0.0,
    (1_000,),
    ("jobgate", "jobgate-without-ledger", "floor"),
)
EXTRAS = Section(
    "extras",
    "The cost of Jobgate's ledger, keys, dialects, signatures and access log",
    "The vendor answers immediately.",
    0.0,
    (64,),
    (
        *("jobgate", "jobgate-without-ledger", "jobgate-keys", "jobgate-native", "jobgate-postgresql"),
        *("jobgate-signing", "jobgate-access-log"),
    ),
)
SECTIONS = (AT_ONCE, AFTER_50_MS, AFTER_100_MS, A_THOUSAND, EXTRAS)


@dataclass(frozen=True)
class Plan:
    """The plan of a run. Every contender is warmed up in each section before the first round."""

    sections: tuple[Section, ...]
    seconds: int
    rounds: int
    warm_up: int

    @property
    def contenders(self) -> tuple[str, ...]:
        """All contenders in the sections, each once."""
        return tuple(dict.fromkeys(name for section in self.sections for name in section.contenders))

    @property
    def length(self) -> int:
        """The number of measurements."""
        return self.rounds * sum(len(each.connections) * len(each.contenders) for each in self.sections)


def chosen(only: Collection[str], without: Collection[str]) -> tuple[Section, ...]:
    """The sections with the contenders in `only` (all if it is empty), without the names in `without`."""
    kept = (_chosen(section, only, without) for section in SECTIONS if section.name not in without)
    return tuple(section for section in kept if section.contenders)


def _chosen(section: Section, only: Collection[str], without: Collection[str]) -> Section:
    names = (name for name in section.contenders if (not only or name in only) and name not in without)
    return replace(section, contenders=tuple(names))


@dataclass(frozen=True)
class Point:
    """One measurement to make."""

    round: int
    connections: int
    contender: str


def points(section: Section, rounds: int) -> Iterator[Point]:
    """All measurements of a section. Each round has every contender once and starts with a different one."""
    for number in range(rounds):
        for connections in section.connections:
            for contender in rotated(section.contenders, number * len(section.contenders) // rounds):
                yield Point(number, connections, contender)


def rotated(items: Sequence[Item], by: int) -> Sequence[Item]:
    """The items, rotated to the left by `by` positions."""
    return [*items[by:], *items[:by]]
