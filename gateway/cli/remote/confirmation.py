"""The question before something happens to several jobs: its answer is their number."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, TextIO

import typer

from gateway.cli.exit_codes import ExitCode
from gateway.cli.shared import Failure

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask. Needs --expect if it is about more than one job.")]
Expect = Annotated[
    int | None,
    typer.Option(min=0, help="With --yes: the number of jobs that there must be; with any other, nothing is done."),
]


def confirm(question: str, count: int, *, yes: bool, expect: int | None) -> None:
    """Ask for the number of jobs; for a single one, for `y`. Raises Failure unless the answer is right."""
    if expect is not None and expect != count:
        raise Failure(f"nothing was done: {expect} expected, and there would be {count}", ExitCode.REFUSED)
    if yes:
        if count > 1 and expect is None:
            raise Failure("nothing was done: --yes needs --expect with the number of jobs", ExitCode.REFUSED)
        return
    right = str(count) if count > 1 else "y"
    with terminal() as answers:
        ask = f"{question}? Type {right} to go on: "
        say_inline(ask)
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
