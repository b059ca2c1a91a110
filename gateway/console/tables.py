"""Tables for narrow screens: each cell carries the name of its column, which the style sheet shows beside it there."""

from __future__ import annotations

import re

from markupsafe import Markup

_COLUMN = re.compile(r'<th scope="col"[^>]*>(.*?)</th>', re.DOTALL)
_ROW = re.compile(r"<tr.*?</tr>", re.DOTALL)
_CELL = re.compile(r'<th scope="row"|<td(?![^>]* colspan)')
"""The beginning of a cell. One over several columns belongs to none of them."""


def labelled(table: Markup) -> Markup:
    """Add the name of its column to each cell in the rows of a table, as `data-label`. All values are escaped."""
    columns = [re.sub("<[^>]*>", "", each).strip() for each in _COLUMN.findall(table)]

    def with_labels(row: re.Match[str]) -> str:
        names = iter(columns)
        return _CELL.sub(lambda cell: _named(cell[0], next(names, "")), row[0])

    return Markup(_ROW.sub(with_labels, table))  # noqa: S704 - made of escaped text, and of nothing else


def _named(cell: str, column: str) -> str:
    return f'{cell} data-label="{column}"' if column else cell
