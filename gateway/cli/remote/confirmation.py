"""The question before something happens to several jobs: its answer is their number."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, TextIO

import typer

from gateway.cli.exit_codes import ExitCode
from gateway.cli.shared import Failure


@dataclass(frozen=True)
class Consent:
    """The options of a command about its jobs: not to ask, their number, and their share of those in question."""

    yes: bool = False
    expect: int | None = None
    share: float | None = None


Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask. Needs --expect if it is about more than one job.")]
Expect = Annotated[
    int | None,
    typer.Option(min=0, help="With --yes: the number of jobs that there must be; with any other, nothing is done."),
]
Share = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="The largest share of the jobs in question that may be acted on, if it is more than the gateway allows "
        "without being told so.",
    ),
]


def confirm(question: str, count: int, consent: Consent) -> None:
    """Ask for the number of jobs; for a single one, for `y`. Raises Failure unless the answer is right."""
    if consent.expect not in {None, count}:
        raise Failure(f"nothing was done: {consent.expect} expected, and there would be {count}", ExitCode.REFUSED)
    if not consent.yes:
        ask(question, str(count) if count > 1 else "y")
    elif count > 1 and consent.expect is None:
        raise Failure("nothing was done: --yes needs --expect with the number of jobs", ExitCode.REFUSED)


def ask(question: str, right: str) -> None:
    """Ask a person to type something. Raises Failure if it is not typed, or if there is no terminal."""
    with terminal() as answers:
        say_inline(f"{question}? Type {right} to go on: ")
        if answers.readline().strip() != right:
            raise Failure("nothing was done: it was not confirmed", ExitCode.REFUSED)


@contextmanager
def terminal() -> Iterator[TextIO]:
    """Where a person types, also if standard input has the jobs. Raises Failure without a terminal."""
    if sys.stdin.isatty():
        yield sys.stdin
        return
    try:
        typed = open("/dev/tty", encoding="utf-8") if sys.stderr.isatty() else None  # noqa: PTH123, SIM115 - below
    except OSError:
        typed = None
    if typed is None:
        raise Failure(
            "nothing was done: there is no terminal to confirm it at. Look at it with --dry-run, then use --yes "
            "--expect N.",
            ExitCode.REFUSED,
        )
    with typed:
        yield typed


def say_inline(text: str) -> None:
    """Print a question, and stay in its line."""
    typer.echo(text, err=True, nl=False)
