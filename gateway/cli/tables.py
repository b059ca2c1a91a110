"""Tables that commands print: nothing in them is ever cut."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

import typer

Row = Mapping[str, object]


def show_rows(rows: Sequence[Row], *, as_json: bool, whole: str = "id") -> None:
    """Print rows that have the same names: as JSON, or as a table that a terminal folds where it is too narrow.

    What stands under `whole` is never folded, so that it can be copied.
    """
    if as_json:
        typer.echo(json.dumps(rows, indent=2, default=_as_json))
    elif rows:
        _show_table(rows, whole)


def _show_table(rows: Sequence[Row], whole: str) -> None:
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    names = list(rows[0])
    columns = (Column(name.replace("_", " "), overflow="fold", no_wrap=name == whole) for name in names)
    table = Table(*columns, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*(Text(_as_text(row[name])) for name in names))
    console = Console()
    if console.is_terminal:
        console.print(table)
        return
    width = console.measure(table, options=console.options.update(width=1_000_000)).maximum
    for line in Console(width=width, color_system=None).render_lines(table, pad=False):
        typer.echo("".join(segment.text for segment in line).rstrip())


def _as_text(value: object) -> str:
    """A value as people read it."""
    if value is None:
        return "never"
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _as_json(value: object) -> str:
    """A time, as JSON has it."""
    return value.isoformat() if isinstance(value, datetime) else str(value)
