"""Guard rails: the limits beyond which a batch stops by itself, judged after each group of items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.domain.batches import FAILED, ItemOutcome, Limits, Progress, Why

FIRST_JUDGED = 20
"""Number of items from which a share of errors is judged."""
FEWEST_ERRORS = 5
"""Errors that are allowed in any case, unless a request asks for less."""


@dataclass(frozen=True)
class GuardRails:
    """The limits of the settings. Those of a request can only be narrower.

    `max_share` is the largest share of the connections' jobs that a batch acts on without being told that it may.
    `max_errors` below 1 is a share of the items, but at least `FEWEST_ERRORS`; from 1 up it is a number.
    """

    max_items: int = 1_000
    max_share: float = 0.2
    max_errors: float = 0.05
    max_unknown: int = 3

    def items(self, limits: Limits) -> int:
        """The most items that a batch can act on."""
        return self.max_items if limits.max_items is None else min(self.max_items, limits.max_items)

    def share(self, limits: Limits) -> float:
        """The largest share of the jobs that a batch acts on without being told that it may."""
        return self.max_share if limits.max_share is None else min(self.max_share, limits.max_share)

    def errors(self, limits: Limits, done: int) -> float:
        """The most errors among so many items."""
        ours = max(FEWEST_ERRORS, allowance(self.max_errors, done))
        return ours if limits.max_errors is None else min(ours, allowance(limits.max_errors, done))

    def unknown(self, limits: Limits) -> int:
        """The most unknown outcomes."""
        return self.max_unknown if limits.max_unknown is None else min(self.max_unknown, limits.max_unknown)


def allowance(wanted: float, done: int) -> float:
    """The number of errors that a limit allows among so many items."""
    if wanted >= 1:
        return wanted
    return wanted * done if done >= FIRST_JUDGED else float("inf")


def tripped(rails: GuardRails, limits: Limits, progress: Progress, forgiven: Mapping[str, int]) -> Why | None:
    """The guard rail that a batch has hit since somebody last resumed it, None if it has hit none."""
    seen = {name: number - forgiven.get(name, 0) for name, number in progress.outcomes.items()}
    unknown = seen.get(ItemOutcome.UNKNOWN, 0)
    most = rails.unknown(limits)
    if unknown > most:
        return Why(f"{unknown} outcomes are unknown; at most {most} may be.", "maxUnknown")
    errors = sum(seen.get(each, 0) for each in FAILED)
    done = errors + unknown + seen.get(ItemOutcome.APPLIED, 0)
    allowed = rails.errors(limits, done)
    if errors > allowed:
        return Why(f"{errors} of {done} items failed; at most {allowed:g} may.", "maxErrors")
    return None


def too_many(rails: GuardRails, limits: Limits, count: int) -> Why | None:
    """The guard rail that a prepared batch has hit, None if it has hit none."""
    most = rails.items(limits)
    if count <= most:
        return None
    return Why(f"It would act on {count} jobs; at most {most} are allowed. Choose fewer jobs.", "maxItems")
