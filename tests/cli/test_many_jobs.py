"""Several jobs become a batch: previewed, confirmed by their number, watched, and never begun by accident."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.exit_codes import ExitCode
from gateway.cli.remote import bulk
from tests.cli.fixtures import (
    DIGEST,
    ID,
    ITEMS,
    STUB_KEY,
    ask,
    asked,
    at_a_terminal,
    batch,
    ended,
    seen_until,
    sent,
)
from tests.client.stub import PROBLEM, Reply, Stub
from tests.support.patience import PATIENCE

CANCEL = ("jobs", "cancel", "c/a", "c/b", "d/x", "--reason", "stuck")
CREATED = Reply(batch("preparing"), 202)


def test_it_is_previewed_confirmed_and_watched(stub: Stub) -> None:
    """Preview with counts by verdict, confirmation by digest and count, progress, and the end on standard output."""
    running = batch("running", progress={"items": 3, "outcomes": {"pending": 1, "applied": 2}, "activeSeconds": 1})
    stub.answers(CREATED, batch(), ITEMS, batch("ready"), running, ended())
    said = ask(stub, *CANCEL, "--label", "incident=INC-43", "--yes", "--expect", "3", "--output", "json")
    assert said.exit_code == ExitCode.DONE, said.stderr
    assert json.loads(said.stdout) == ended()
    assert "cancel: 3 jobs will be acted on" in said.stderr
    assert "3  will act" in said.stderr
    assert "running: 2 of 3" in said.stderr
    assert sent(stub, "/batches") == {
        "action": "cancel",
        "parameters": {},
        "reason": "stuck",
        "labels": {"incident": "INC-43"},
        "select": {
            "jobs": [
                {"connection": "c", "jobId": "a"},
                {"connection": "c", "jobId": "b"},
                {"connection": "d", "jobId": "x"},
            ]
        },
    }
    assert sent(stub, f"/batches/{ID}/confirm") == {"manifestDigest": DIGEST, "count": 3}


def test_a_filter_is_a_batch(stub: Stub) -> None:
    """The conditions go to the gateway, which finds the jobs; durations are written as people do."""
    stub.answers(CREATED, batch(), ITEMS, batch("ready"), ended())
    options = ("--connection", "c", "--connection", "d", "--status", "queued", "--older-than", "1h", "--queue", "q")
    said = ask(stub, "jobs", "close", *options, "--disposition-code", "x", "--reason", "r", "--yes", "--expect", "3")
    assert said.exit_code == ExitCode.DONE, said.stderr
    new = sent(stub, "/batches")
    assert new["select"] == {
        "filter": {"connections": ["c", "d"], "statuses": ["queued"], "olderThan": "PT3600S", "queue": "q"}
    }
    assert new["parameters"] == {"dispositionCode": "x"}


def test_what_does_not_fit_into_one_request_is_added_in_pages(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every job is in exactly one page, in the order in which it was written."""
    monkeypatch.setattr(bulk, "MOST_BYTES", 100)
    jobs = [f"c/{number:030}" for number in range(3)]
    stub.answers(Reply(batch("collecting"), 202), *[batch("collecting")] * 3, batch(), ITEMS, batch("aborted"))
    ask(stub, "jobs", "cancel", "-", "--reason", "r", "--dry-run", typed="\n".join(jobs))
    assert sent(stub, "/batches")["select"] == {"pages": True}
    pages = [each for each in stub.received if each.path.endswith("/items") and each.method == "POST"]
    assert [each.query["page"] for each in pages] == ["1", "2", "3"]
    added = [job["jobId"] for each in pages for job in json.loads(each.content)]
    assert added == [each.removeprefix("c/") for each in jobs]
    assert ("POST", f"/batches/{ID}/prepare") in asked(stub)


@pytest.mark.parametrize(("number", "pages"), [(1_000, []), (1_001, [1_000, 1])])
def test_more_jobs_than_a_batch_names_are_added_in_pages(stub: Stub, number: int, pages: list[int]) -> None:
    """A request names as many jobs as the document allows; more are added in pages, however short their ids are."""
    jobs = [f"c/{each}" for each in range(number)]
    collecting = [*[batch("collecting")] * len(pages), batch()] if pages else []
    stub.answers(Reply(batch("collecting"), 202) if pages else CREATED, *collecting, batch(), ITEMS, batch("aborted"))
    ask(stub, "jobs", "cancel", "-", "--reason", "r", "--dry-run", typed="\n".join(jobs))
    select = sent(stub, "/batches")["select"]
    assert len(select.get("jobs", ())) == (0 if pages else number)
    assert select.get("pages", False) == bool(pages)
    added = [
        json.loads(each.content) for each in stub.received if each.path.endswith("/items") and each.method == "POST"
    ]
    assert [*map(len, added)] == pages


def test_a_dry_run_sends_nothing(stub: Stub) -> None:
    """The preview is shown, nothing is confirmed, and the batch that held the jobs is given up."""
    stub.answers(CREATED, batch(), ITEMS, batch("aborted"))
    said = ask(stub, *CANCEL, "--dry-run")
    assert (said.exit_code, "3 jobs will be acted on" in said.stderr) == (0, True)
    assert [path for method, path in asked(stub) if method == "POST"] == ["/batches", f"/batches/{ID}/abort"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "there is no terminal to confirm it at"),
        (("--yes",), "--yes needs --expect"),
        (("--yes", "--expect", "4"), "4 expected, and there would be 3"),
        (("--expect", "4"), "4 expected, and there would be 3"),
    ],
)
def test_nothing_is_done_without_the_right_number(stub: Stub, options: tuple[str, ...], told: str) -> None:
    """Without a terminal, `--yes` and the right number are needed; else nothing is confirmed, and no job is held."""
    stub.answers(CREATED, batch(), ITEMS, batch("aborted"))
    said = ask(stub, *CANCEL, *options)
    assert (said.exit_code, told in said.stderr, said.stdout) == (ExitCode.REFUSED, True, "")
    assert [path for method, path in asked(stub) if method == "POST"] == ["/batches", f"/batches/{ID}/abort"]


@pytest.mark.parametrize(("typed", "code"), [("3", ExitCode.DONE), ("y", ExitCode.REFUSED), ("4", ExitCode.REFUSED)])
def test_a_person_types_the_number(stub: Stub, tmp_path: Path, typed: str, code: ExitCode) -> None:
    """At a terminal the number of jobs is asked for, and nothing else is a yes."""
    stub.answers(CREATED, batch(), ITEMS, *([batch("ready"), ended()] if typed == "3" else [batch("aborted")]))
    with at_a_terminal(stub.url, STUB_KEY, tmp_path, *CANCEL) as (process, master):
        seen_until(master, "Cancel 3 jobs? Type 3 to go on: ")
        os.write(master, f"{typed}\n".encode())
        assert process.wait(PATIENCE) == code
    confirmed = ("POST", f"/batches/{ID}/confirm") in asked(stub)
    assert confirmed == (typed == "3")


def test_ctrl_c_detaches(stub: Stub, tmp_path: Path) -> None:
    """Ctrl-C ends the watching, says how to come back, and aborts nothing."""
    stub.answers(CREATED, batch(), ITEMS, *[batch("running")] * 1_000)
    with at_a_terminal(stub.url, STUB_KEY, tmp_path, *CANCEL, "--yes", "--expect", "3") as (process, master):
        seen_until(master, "0 of 3")
        process.send_signal(signal.SIGINT)
        seen = seen_until(master, "batches abort")
        assert process.wait(PATIENCE) == ExitCode.DETACHED
    assert f"jobgate batches watch {ID}" in seen
    assert ("POST", f"/batches/{ID}/abort") not in asked(stub)


def test_a_terminal_keeps_the_end(stub: Stub, tmp_path: Path) -> None:
    """The bar goes, and what became of the batch stays, in the line that a pipe gets."""
    stub.answers(batch("running"), ended())
    with at_a_terminal(stub.url, STUB_KEY, tmp_path, "batches", "watch", ID) as (process, master):
        assert seen_until(master, "completed: 3 of 3 · 3 applied\r\n")
        process.communicate(timeout=PATIENCE)
        assert process.returncode == ExitCode.DONE


@pytest.mark.parametrize(
    ("last", "code", "told"),
    [
        (ended(), ExitCode.DONE, ""),
        (ended("some_applied", applied=2, rejected=1), ExitCode.NOT_APPLIED, "1 rejected"),
        (ended("some_applied", applied=2, unknown=1), ExitCode.UNKNOWN, "1 unknown"),
        (batch("stopped", why={"code": "maxUnknown", "detail": "3 unknown"}), ExitCode.REFUSED, "batches resume"),
        (batch("awaiting_approval", approval=ID), ExitCode.NEEDS_APPROVAL, f"jobgate approvals show {ID}"),
        (batch("paused", why={"detail": "the vendor asked"}), ExitCode.NOT_APPLIED, "the vendor asked"),
        (batch("aborted"), ExitCode.NOT_APPLIED, ""),
        (batch("expired"), ExitCode.NOT_APPLIED, ""),
    ],
)
def test_the_exit_code_says_how_it_ended(stub: Stub, last: dict[str, Any], code: ExitCode, told: str) -> None:
    """0 all applied, 2 some not, 3 a guard rail, 4 a second person, 5 unknown outcomes."""
    stub.answers(batch("running"), last)
    said = ask(stub, "batches", "watch", ID)
    assert (said.exit_code, told in said.stderr) == (code, True)


def test_jobs_that_could_not_be_acted_on_count(stub: Stub) -> None:
    """If all that was sent was applied, but a job was not found, not all was applied."""
    manifest = {"digest": DIGEST, "count": 2, "verdicts": {"will_act": 2, "not_found": 1}}
    stub.answers(ended() | {"manifest": manifest})
    assert ask(stub, "batches", "watch", ID).exit_code == ExitCode.NOT_APPLIED


def test_a_gateway_that_is_restarted_is_asked_again(stub: Stub) -> None:
    """A call that fails while a batch is watched is tried again."""
    stub.answers(batch("running"), Reply(dropped=True), batch("running"), ended())
    assert ask(stub, "batches", "watch", ID).exit_code == ExitCode.DONE


def test_nothing_to_do_needs_no_confirmation(stub: Stub) -> None:
    """A batch of jobs that are already as they should be ends by itself, and the exit code is 0."""
    nothing = {"digest": DIGEST, "count": 0, "verdicts": {"already_so": 3}}
    stub.answers(CREATED, ended(skipped=3) | {"manifest": nothing}, ITEMS)
    assert ask(stub, *CANCEL).exit_code == ExitCode.DONE


def test_a_dry_run_with_nothing_to_do_aborts_nothing(stub: Stub) -> None:
    """A batch that has ended, since none of its jobs needs the action, is shown as it is."""
    stub.answers(CREATED, ended(), ITEMS)
    said = ask(stub, *CANCEL, "--dry-run", "--output", "json")
    assert (said.exit_code, json.loads(said.stdout)) == (ExitCode.DONE, ended())
    assert ("POST", f"/batches/{ID}/abort") not in asked(stub)


def test_a_large_share_is_confirmed_by_itself(stub: Stub, tmp_path: Path) -> None:
    """If the guard rail asks for the share, a person types it too; a program names it with `--share`."""
    whole = batch(manifest={"digest": DIGEST, "count": 3, "verdicts": {"will_act": 3}, "share": 0.75})
    body = {"type": "t", "title": "T", "status": 409, "code": "manifest-differs", "retryable": False, "requestId": "r"}
    refused = Reply(body, 409, {"Content-Type": PROBLEM})
    stub.answers(CREATED, whole, ITEMS, refused, batch("ready"), ended())
    with at_a_terminal(stub.url, STUB_KEY, tmp_path, *CANCEL) as (process, master):
        seen_until(master, "Type 3 to go on: ")
        os.write(master, b"3\n")
        seen_until(master, "Type 75% to go on: ")
        os.write(master, b"75%\n")
        assert process.wait(PATIENCE) == ExitCode.DONE
    bodies = [json.loads(each.content) for each in stub.received if each.path.endswith("/confirm")]
    assert [each.get("share") for each in bodies] == [None, 0.75]
    stub.answers(CREATED, whole, ITEMS, refused, batch("aborted"))
    said = ask(stub, *CANCEL, "--yes", "--expect", "3")
    assert (said.exit_code, "Add --share 0.75." in said.stderr) == (ExitCode.REFUSED, True)
    stub.answers(CREATED, whole, ITEMS, batch("ready"), ended())
    assert ask(stub, *CANCEL, "--yes", "--expect", "3", "--share", "0.8").exit_code == ExitCode.DONE


def test_many_need_a_reason(stub: Stub) -> None:
    """More than one job without a reason is refused before anything is asked."""
    said = ask(stub, "jobs", "cancel", "c/a", "c/b")
    assert (said.exit_code, "--reason" in said.stderr, stub.received) == (ExitCode.USAGE, True, [])


def test_detach_does_not_wait(stub: Stub) -> None:
    """With `--detach` a confirmed batch is left to itself."""
    stub.answers(CREATED, batch(), ITEMS, batch("ready"))
    said = ask(stub, *CANCEL, "--yes", "--expect", "3", "--detach")
    assert f"jobgate batches watch {ID}" in said.stderr
    assert asked(stub)[-1] == ("POST", f"/batches/{ID}/confirm")
    assert said.exit_code == ExitCode.DONE
