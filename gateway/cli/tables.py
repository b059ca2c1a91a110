"""Tables for the terminal. Their cells are never cut."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import typer

Row = Mapping[str, object]


def show_rows(rows: Sequence[Row], *, as_json: bool) -> None:
    """Print rows with the same names: as JSON, as a table, or one by one if the terminal is too narrow."""
    if as_json:
        typer.echo(json.dumps(rows, indent=2, default=_as_json))
    elif rows:
        texts = [{name.replace("_", " "): _as_text(value) for name, value in row.items()} for row in rows]
        for line in _lines(texts):
            typer.echo(line.rstrip())


def show_row(row: Row, *, as_json: bool) -> None:
    """Print one row: as JSON, or each value on a line of its own."""
    if as_json:
        typer.echo(json.dumps(row, indent=2, default=_as_json))
        return
    widest = max(map(len, row)) + 2
    for name, value in row.items():
        typer.echo(f"{name.replace('_', ' '):<{widest}}{_as_text(value)}")


def _lines(rows: Sequence[Mapping[str, str]]) -> Iterator[str]:
    names = list(rows[0])
    widths = [max(len(name), *(len(row[name]) for row in rows)) + 2 for name in names]
    if _is_terminal() and sum(widths) - 2 > shutil.get_terminal_size().columns:
        widest = max(map(len, names)) + 2
        for row in rows:
            yield from (f"{name:<{widest}}{text}" for name, text in row.items())
            yield ""
        return
    for texts in (names, *(row.values() for row in rows)):
        yield "".join(f"{text:<{width}}" for text, width in zip(texts, widths, strict=True))


def _is_terminal() -> bool:
    return sys.stdout.isatty()


def _as_text(value: object) -> str:
    """A value as text for people."""
    if value is None:
        return "never"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _as_json(value: object) -> str:
    """A value as a JSON string; a time in ISO 8601."""
    return value.isoformat() if isinstance(value, datetime) else str(value)
