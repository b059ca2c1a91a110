"""Watching what a gateway does, until it has ended or waits for somebody. Ctrl-C ends the watching alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from gateway.cli.exit_codes import ExitCode
from gateway.cli.output import as_text, at, say
from gateway.cli.remote.calls import call

if TYPE_CHECKING:
    from gateway.client import Client

PREPARING = frozenset({"collecting", "preparing"})
"""The states of a batch before its manifest is there."""
GOING_ON = PREPARING | {"ready", "running", "pausing", "aborting", "finishing"}
"""The states of a batch that it leaves by itself."""
MOST_TRIES = 30
"""Failed calls in a row after which a gateway counts as gone."""
FIRST_SECONDS, MOST_SECONDS = 0.1, 1.0
"""The shortest and the longest time between two looks."""
LINE_SECONDS = 5.0
"""Time between two lines of progress where there is no terminal."""

Batch = Mapping[str, Any]


def until(client: Client, batch: Batch, states: frozenset[str], seen: Callable[[Batch], None]) -> Batch:
    """Read a batch until it is in none of these `states`; `seen` gets each reading. Return the last one.

    A gateway that is away for a while, as when it is restarted, is asked again. Raises ClientError.
    """
    pause, failed = FIRST_SECONDS, 0
    while batch["state"] in states:
        seen(batch)
        time.sleep(pause)
        pause = min(2 * pause, MOST_SECONDS)
        try:
            batch, failed = call(client, "getBatch", batch["id"]), 0
        except _unreachable():
            failed += 1
            if failed == MOST_TRIES:
                raise
    seen(batch)
    return batch


def watch(client: Client, batch: Batch) -> Batch:
    """Show the progress of a batch until it has ended or waits for somebody. Return it. Raises ClientError."""
    with detachable(f"jobgate batches watch {batch['id']}", f"jobgate batches abort {batch['id']}"), _bar() as show:
        return until(client, batch, GOING_ON, show)


@contextmanager
def detachable(come_back: str, stop: str | None = None) -> Iterator[None]:
    """Let Ctrl-C end the watching alone, and say how to come back. Raises typer.Exit then."""
    try:
        yield
    except KeyboardInterrupt:
        say(f"\nDetached: it goes on. Watch it again: {come_back}")
        if stop is not None:
            say(f"Stop it: {stop}")
        raise typer.Exit(ExitCode.DETACHED) from None


@contextmanager
def _bar() -> Iterator[Callable[[Batch], None]]:
    """A bar on the terminal, and its last state as a line; else a line now and then."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield _lines()
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[told]}", markup=False),
    )
    last = ""
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None, told="")

        def show(batch: Batch) -> None:
            nonlocal last
            last = _line(batch)
            done, total = _done(batch)
            bar.update(task, description=batch["state"], completed=done, total=total or None, told=told(batch))

        yield show
    say(last)


def _lines() -> Callable[[Batch], None]:
    """Say each new state at once, and new numbers every few seconds."""
    last: dict[str, Any] = {"state": None, "text": None, "at": 0.0}

    def show(batch: Batch) -> None:
        text, now = told(batch), time.monotonic()
        is_due = now - last["at"] >= LINE_SECONDS and text != last["text"]
        if batch["state"] != last["state"] or is_due:
            say(_line(batch))
            last.update(state=batch["state"], text=text, at=now)

    return show


def _line(batch: Batch) -> str:
    return f"{batch['state']}: {told(batch)}"


def told(batch: Batch) -> str:
    """The numbers of a batch, its rate and the time that is left, in words."""
    done, total = _done(batch)
    outcomes = {name: count for name, count in at(batch, "progress.outcomes").items() if name != "pending" and count}
    rate, left = at(batch, "progress.ratePerSecond"), at(batch, "progress.etaSeconds")
    parts = [
        f"{done} of {total}",
        ", ".join(f"{count} {name}" for name, count in outcomes.items()),
        "" if rate is None else f"{rate:.1f}/s",
        "" if left is None else f"{_clock(left)} left",
        as_text(at(batch, "why.detail") or ""),
    ]
    return " · ".join(each for each in parts if each)


def _done(batch: Batch) -> tuple[int, int]:
    total = at(batch, "progress.items")
    return total - at(batch, "progress.outcomes").get("pending", 0), total


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


def _unreachable() -> type[Exception]:
    from gateway.client import GatewayUnreachable

    return GatewayUnreachable
