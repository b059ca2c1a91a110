"""Tables that narrow screens can show."""

from __future__ import annotations

from markupsafe import Markup

from gateway.console.tables import labelled

HEAD = '<tr><th scope="col"><input></th><th scope="col">Job</th><th scope="col" class="num">Mine &amp; yours</th></tr>'


def test_each_cell_has_the_name_of_its_column() -> None:
    """In every row, a cell has the text of its column, and none where the column has no text or there is no column."""
    row = '<tr><td><input></td><th scope="row">{}</th><td class="num">{}</td><td>more</td></tr>'
    told = labelled(Markup(HEAD + row.format("a", "1") + row.format("b", "2")))  # noqa: S704 - the text above
    labels = '<tr><td><input></td><th scope="row" data-label="Job">{}</th>'
    labels += '<td data-label="Mine &amp; yours" class="num">{}</td><td>more</td></tr>'
    assert told == HEAD + labels.format("a", "1") + labels.format("b", "2")


def test_a_cell_over_several_columns_has_no_name() -> None:
    """A sentence in the place of rows is in no column."""
    head = '<tr><th scope="col">Job</th><th scope="col">Queue</th></tr>'
    for cell in ('<td colspan="2">', '<td class="none" colspan="2">'):
        row = f"<tr>{cell}There is none.</td></tr>"
        assert labelled(Markup(head + row)) == head + row  # noqa: S704 - the text above
