"""The standard output of commands: a table for people; JSON, lines of JSON, or CSV for programs."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

Row = Mapping[str, Any]
"""An object of the API, or one that a command makes."""


class Format(StrEnum):
    """A form of output."""

    TABLE = "table"
    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"


Output = Annotated[
    Format,
    typer.Option(
        "--output", "-o", help="A table for people; JSON, a line of JSON for each item, or CSV (RFC 4180) for programs."
    ),
]


def show_list(rows: Iterable[Row], columns: Sequence[str], output: Format) -> None:
    """Print rows. JSON has whole rows, a table and CSV have the `columns`: names, or paths such as `job.status`."""
    if output is Format.JSON:
        _echo(json.dumps(list(rows), indent=2, ensure_ascii=False, default=_as_json))
    elif output is Format.NDJSON:
        for row in rows:  # as they come: a list may be long
            _echo(json.dumps(row, ensure_ascii=False, default=_as_json))
    elif output is Format.CSV:
        _write_csv(rows, columns)
    else:
        _echo_lines(_table([{_heading(path): as_text(at(row, path)) for path in columns} for row in rows]))


def show_one(row: Row, output: Format) -> None:
    """Print one object. A table and CSV have a line for each value, named by its path."""
    if output is Format.TABLE:
        _echo_lines(_pairs({_heading(path): as_text(value) for path, value in leaves(row)}))
    elif output is Format.CSV:
        _write_csv([{"name": path, "value": value} for path, value in leaves(row)], ("name", "value"))
    else:
        _echo(json.dumps(row, indent=2 if output is Format.JSON else None, ensure_ascii=False, default=_as_json))


def at(row: Any, path: str) -> Any:
    """The value at a path of names with dots between them; None if there is none."""
    for name in path.split("."):
        row = row.get(name) if isinstance(row, Mapping) else None
    return row


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The values inside an object that are no objects, each with its path. A list of plain values is one value."""
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from leaves(each, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
        for number, each in enumerate(value, 1):
            yield from leaves(each, f"{path}.{number}")
    else:
        yield path, value


def as_text(value: object) -> str:
    """A value as text for people, without characters that could control their terminal."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, list):
        return " ".join(map(as_text, value)) or "-"
    if isinstance(value, Mapping):
        return " ".join(f"{name}={as_text(each)}" for name, each in value.items()) or "-"
    return printable(str(value))


def printable(text: str) -> str:
    r"""A text with each control character as its escape, such as `\x1b`: what others wrote must not act."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)


def _write_csv(rows: Iterable[Row], columns: Sequence[str]) -> None:
    """Write CSV. A list is one cell, its elements with blanks between them."""
    _echo_csv(columns)
    for row in rows:
        _echo_csv([_cell(at(row, path)) for path in columns])


def _echo_csv(cells: Sequence[str]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(cells)
    typer.echo(text.getvalue(), nl=False)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return " ".join(map(_cell, value))
    return json.dumps(value, ensure_ascii=False, default=_as_json)


def _table(rows: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """The lines of a table, whose cells are never cut; one by one if the terminal is too narrow."""
    if not rows:
        return
    widths = [max(len(name), *(len(row[name]) for row in rows)) + 2 for name in rows[0]]
    if _is_terminal() and sum(widths) - 2 > shutil.get_terminal_size().columns:
        for row in rows:
            yield from _pairs(row)
            yield ""
        return
    for texts in (list(rows[0]), *(row.values() for row in rows)):
        yield "".join(f"{text:<{width}}" for text, width in zip(texts, widths, strict=True))


def _is_terminal() -> bool:
    return sys.stdout.isatty()


def _pairs(row: Mapping[str, str]) -> Iterator[str]:
    widest = max(map(len, row), default=0) + 2
    for name, text in row.items():
        yield f"{name:<{widest}}{text}"


def _heading(path: str) -> str:
    """The words of a path: `vendor status` for `vendorStatus`, `job status` for `job.status`."""
    return re.sub("([A-Z])", r" \1", path).replace(".", " ").replace("_", " ").lower()


def _echo_lines(lines: Iterable[str]) -> None:
    for line in lines:
        _echo(line.rstrip())


def _echo(text: str) -> None:
    typer.echo(text)


def _as_json(value: object) -> str:
    """A value as a JSON string; a time in ISO 8601."""
    return value.isoformat() if isinstance(value, datetime) else str(value)


def say(text: str) -> None:
    """Print a line for people on standard error, apart from the data."""
    typer.echo(text, err=True)
