"""The forms of output: data on standard output, talk on standard error, nothing that acts on a terminal."""

from __future__ import annotations

import csv
import io
import json

import pytest

from gateway.cli.exit_codes import ExitCode
from gateway.cli.output import Format, show_list, show_one
from tests.cli.fixtures import ask
from tests.client.stub import PROBLEM, Reply, Stub

ROWS: list[dict[str, object]] = [
    {"id": "a", "job": {"vendorStatus": "queued"}, "names": ["x", "y"], "more": True},
    {"id": 'b,"\n', "job": None, "names": [], "more": False},
]
COLUMNS = ("id", "job.vendorStatus", "names")


def printed(capsys: pytest.CaptureFixture[str], output: Format) -> str:
    """The rows in a form."""
    show_list(ROWS, COLUMNS, output)
    return capsys.readouterr().out


def test_json_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON and lines of JSON have every member, as the gateway sent it."""
    assert json.loads(printed(capsys, Format.JSON)) == ROWS
    assert [json.loads(line) for line in printed(capsys, Format.NDJSON).splitlines()] == ROWS


def test_csv_can_be_read_back(capsys: pytest.CaptureFixture[str]) -> None:
    """CSV has a header and the columns, and keeps commas, quotes and line ends (RFC 4180)."""
    read = list(csv.reader(io.StringIO(printed(capsys, Format.CSV), newline="")))
    assert read == [["id", "job.vendorStatus", "names"], ["a", "queued", "x y"], ['b,"\n', "", ""]]


def test_a_table_cannot_act_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters in what a vendor or a caller wrote are shown as escapes."""
    for output in (Format.TABLE, Format.JSON):
        show_one({"note": "\x1b]0;owned\x07\x9b2J\nnext"}, output)
        shown = capsys.readouterr().out.removesuffix("\n")
        assert not set(shown) & set("\x1b\x07\x9b") or output is Format.JSON
        assert "\x1b" not in shown
        assert "\x07" not in shown


def test_a_problem_cannot_act_on_a_terminal(stub: Stub) -> None:
    """The same holds for the detail of a problem."""
    body = {"type": "t", "title": "T", "status": 409, "code": "c", "retryable": False, "requestId": "r"}
    stub.answers(Reply({**body, "detail": "\x1b[2Jgone"}, 409, {"Content-Type": PROBLEM}))
    said = ask(stub, "vendors", "list")
    assert (said.exit_code, "\\x1b[2Jgone" in said.stderr, said.stdout) == (ExitCode.USAGE, True, "")


def test_lists_are_read_to_their_end(stub: Stub) -> None:
    """All pages are printed, or as many items as `--limit` says, in pages that are no larger."""
    stub.answers({"items": [{"name": "a"}], "nextCursor": "n"}, {"items": [{"name": "b"}], "nextCursor": None})
    assert ask(stub, "vendors", "list", "-o", "csv").stdout == "name,title,apiVersion\na,,\nb,,\n"
    assert [each.query for each in stub.received] == [{}, {"cursor": "n"}]
    stub.answers({"items": [{"name": "a"}, {"name": "b"}], "nextCursor": "n"})
    said = ask(stub, "connections", "list", "--limit", "1", "-o", "ndjson")
    assert said.stdout == '{"name": "a"}\n'
    assert stub.received[-1].query == {"limit": "1"}
