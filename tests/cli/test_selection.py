"""Jobs are selected by id, from standard input, or by a filter; never by accident."""

from __future__ import annotations

import json

import pytest

from gateway.cli.exit_codes import ExitCode
from tests.cli.fixtures import ask, batch, sent
from tests.client.stub import Reply, Stub

A, B = {"connection": "c", "jobId": "a"}, {"connection": "d", "jobId": "b"}


@pytest.mark.parametrize(
    ("arguments", "typed"),
    [
        (["c/a", "d/b"], None),
        (["-"], "c/a\n\n d/b \n"),
        (["-"], f"{json.dumps(A)}\n{json.dumps(B)}\n"),
        (["-"], '{"id": "a", "connection": "c", "status": "queued"}\n{"id": "b", "connection": "d"}\n'),
        (["-", "--connection", "c"], "a\nd/b\n"),
    ],
)
def test_jobs_are_written_in_several_ways(stub: Stub, arguments: list[str], typed: str | None) -> None:
    """CONNECTION/ID, an id with one `--connection`, and the lines of JSON that other commands print."""
    stub.answers(Reply(batch("preparing"), 202), batch("expired"))
    ask(stub, "batches", "create", "cancel", *arguments, "--reason", "r", typed=typed)
    assert sent(stub, "/batches")["select"] == {"jobs": [A, B]}


@pytest.mark.parametrize(
    ("arguments", "typed", "told"),
    [
        ([], None, "which jobs?"),
        (["--connection", "c"], None, "which jobs?"),
        (["--status", "queued"], None, "a filter needs --connection"),
        (["c/a", "--connection", "c", "--status", "queued"], None, "not both"),
        (["a"], None, "has no connection"),
        (["a", "--connection", "c", "--connection", "d"], None, "has no connection"),
        (["-"], "", "standard input has no job"),
        (["-"], "c/a\nb\n", "line 2 of standard input has no connection"),
        (["-"], '{"id": 1, "connection": "c"}\n', "line 1 of standard input is not a JSON object"),
        (["-"], "{\n", "line 1 of standard input is not a JSON object"),
        (["c/a", "--older-than", "1h30", "--connection", "c"], None, "write a duration"),
        (["c/."], None, "not a valid id"),
    ],
)
def test_a_doubtful_selection_is_refused(stub: Stub, arguments: list[str], typed: str | None, told: str) -> None:
    """What selects nothing, everything, or in two ways is refused before anything is asked."""
    said = ask(stub, "jobs", "cancel", *arguments, "--reason", "r", typed=typed)
    assert (said.exit_code, told in " ".join(said.stderr.split()), stub.received) == (ExitCode.USAGE, True, [])
