"""A trial of a vendor: every check of the chosen suites, and what came of each."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic

from gateway.app import Catalogue
from gateway.kit.checks import Check
from gateway.kit.names import SUITES
from gateway.kit.stand import Stand, stand_for
from gateway.kit.suites import MAKERS
from gateway.settings.settings import LedgerSettings, Settings
from gateway.startup.serve import running

FIRST_LOOK_SECONDS = 0.02
"""Seconds until the job of an action is read that the simulator has only accepted: it is carried out at once."""


@dataclass(frozen=True)
class Result:
    """The result of a check. `failure` says where, what, and how to mend it; None if the check passed."""

    suite: str
    check: Check
    seconds: float
    failure: str | None


@dataclass(frozen=True)
class Row:
    """The results of a suite in numbers."""

    suite: str
    checks: int
    passed: int
    failed: int
    seconds: float


def checks_of(catalogue: Catalogue, vendor: str, suites: Collection[str]) -> list[tuple[str, Check]]:
    """The checks of the chosen suites, each with the name of its suite."""
    chosen = [name for name in SUITES if name in suites]
    return [(name, check) for name in chosen for check in MAKERS[name](catalogue, catalogue.vendors[vendor])]


def try_vendor(catalogue: Catalogue, vendor: str, suites: Collection[str], examples: int) -> Iterator[Result]:
    """Run the checks one by one, on a gateway and a sandbox of their own. Each finds the vendors as at the start."""
    with running(catalogue=catalogue, settings=settings()) as started, stand_for(started, vendor, examples) as stand:
        for suite, check in checks_of(catalogue, vendor, suites):
            stand.reset()
            began = monotonic()
            failure = failure_of(check, stand)
            yield Result(suite, check, monotonic() - began, failure)


def settings() -> Settings:
    """The settings of the gateway of a trial: mostly the defaults, whatever this user's settings are."""
    usual = LedgerSettings()
    ledger = usual.model_copy(update={"confirm_seconds": (FIRST_LOOK_SECONDS, *usual.confirm_seconds)})
    return Settings.model_construct(rate_limit="none", ledger=ledger)


def failure_of(check: Check, stand: Stand) -> str | None:
    """Run a check. Returns what failed, and what the gateway logged about it; None if the check passed."""
    with logged() as lines:
        try:
            check.run(stand)
        except Exception as error:  # noqa: BLE001 - whatever an adapter raises is its failure, not the kit's
            return "\n".join([explained(error), *(f"logged: {line}" for line in dict.fromkeys(lines))])
    return None


def explained(error: Exception) -> str:
    """The text of an error. Hypothesis adds the smallest example that fails."""
    said = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
    return "\n".join([said, *getattr(error, "__notes__", ())])


class Lines(logging.Handler):
    """Keeps the warnings and errors that are logged."""

    def __init__(self) -> None:
        """Start without lines."""
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record. The hook of an adapter that fails is named in one."""
        self.lines.append(record.getMessage())


@contextmanager
def logged() -> Iterator[list[str]]:
    """The lines that the gateway logs until the block ends."""
    handler = Lines()
    logging.getLogger("gateway").addHandler(handler)
    try:
        yield handler.lines
    finally:
        logging.getLogger("gateway").removeHandler(handler)


def rows_of(results: Collection[Result]) -> list[Row]:
    """The table of all suites with a result, and their sum."""
    suites = [name for name in SUITES if any(each.suite == name for each in results)]
    return [
        *(row_of(name, [each for each in results if each.suite == name]) for name in suites),
        row_of("all", results),
    ]


def row_of(name: str, results: Collection[Result]) -> Row:
    """The row of a suite."""
    failed = sum(each.failure is not None for each in results)
    return Row(name, len(results), len(results) - failed, failed, round(sum(each.seconds for each in results), 1))
