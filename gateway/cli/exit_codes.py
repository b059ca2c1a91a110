"""The exit codes of all commands."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum


class ExitCode(IntEnum):
    """The end of a command. Scripts branch on it."""

    DONE = 0
    USAGE = 1
    NOT_APPLIED = 2
    REFUSED = 3
    NEEDS_APPROVAL = 4
    UNKNOWN = 5
    UNREACHABLE = 6
    DETACHED = 130


MEANINGS: Mapping[ExitCode, str] = {
    ExitCode.DONE: "All was applied: every action, and every check that the command makes.",
    ExitCode.USAGE: "The command, the settings or the request was wrong, or the key may not do this. Nothing was done.",
    ExitCode.NOT_APPLIED: "Some actions were not applied, or a check failed.",
    ExitCode.REFUSED: "A guard rail stopped it, or it was not confirmed.",
    ExitCode.NEEDS_APPROVAL: "A second person has to approve it.",
    ExitCode.UNKNOWN: "Everything was sent, and some outcomes are unknown.",
    ExitCode.UNREACHABLE: "The gateway, or for `keys` and `audit` the ledger, cannot be reached.",
    ExitCode.DETACHED: "Ctrl-C: what was begun goes on in the gateway.",
}
"""Every exit code, for the documentation."""

OUTCOMES: Mapping[str, ExitCode] = {"applied": ExitCode.DONE, "unknown": ExitCode.UNKNOWN}
"""The exit codes of outcomes of a job action; every other outcome is NOT_APPLIED."""


def of_outcome(outcome: str | None) -> ExitCode:
    """The exit code for the outcome of a job action; None is one that is still to come."""
    return ExitCode.UNKNOWN if outcome is None else OUTCOMES.get(outcome, ExitCode.NOT_APPLIED)
