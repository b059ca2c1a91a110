"""Findings of an audit, and how many rows it reads at once to get them."""

from __future__ import annotations

from dataclasses import dataclass

ROWS_AT_ONCE = 1_000
"""Most rows of the ledger that an audit holds in memory."""


@dataclass(frozen=True)
class Finding:
    """The first inconsistency of the ledger: in an event, in a segment, or outside the chain."""

    segment: int | None
    what: str
    event: int | None = None
    job_action: str | None = None

    def __str__(self) -> str:
        """The finding as a sentence."""
        if self.segment is None:
            return self.what
        at = f"segment {self.segment}" if self.event is None else f"segment {self.segment}, event {self.event}"
        of = f" (job action {self.job_action})" if self.job_action else ""
        return f"{at}{of}: {self.what}"
