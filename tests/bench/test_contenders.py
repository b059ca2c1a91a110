"""The honesty check: every contender does the same work, and what would not is found out."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from bench.contenders import CONTENDERS, EVERYTHING, Contender, node_is_missing
from bench.processes import BenchError
from bench.servers import RunningVendor, running_vendor
from bench.verify import verify
from bench.work import JOB_ACTION, VENDOR_TARGET, WRONG_TYPE
from tests.support.tools import missing

BY_NAME = {each.name: each for each in CONTENDERS}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[RunningVendor]:
    """A vendor that answers at once."""
    with running_vendor(tmp_path, 0.0) as made:
        yield made


def check(place: RunningVendor, contender: Contender) -> None:
    """Serve a contender, and verify it."""
    with place.serving(contender) as server:
        verify(server, place.upstream)


LEDGERS = {"jobgate": 1, "jobgate-keys": 1, "jobgate-without-ledger": 0, "jobgate-postgresql": 0}
"""How many ledgers in files some contenders have."""


def family_of(name: str) -> str:
    """A program; Jobgate is measured with many settings."""
    return "jobgate" if name.startswith("jobgate") else name


@pytest.mark.sampled(0.3, kind=family_of)
@pytest.mark.parametrize("name", BY_NAME)
def test_does_the_same_work(place: RunningVendor, tmp_path: Path, name: str) -> None:
    """Exactly the vendor's documented request arrives at the vendor, and what must be refused does not.

    Each contender has its own ledger in a file, with the one job action in it; or no file at all.
    """
    contender = BY_NAME[name]
    reason = node_is_missing()
    if contender.needs_node and reason is not None:
        missing(reason)
    check(place, contender)
    if name in LEDGERS:
        files = list(tmp_path.rglob("ledger.db"))
        assert [file.parent.name for file in files] == [f"{name}-state"] * LEDGERS[name]
        assert [written(file) for file in files] == [[("cancel", "applied")]] * LEDGERS[name]


@pytest.mark.parametrize(
    ("name", "changes", "named"),
    [
        (
            "floor",
            {"refuses": (WRONG_TYPE,)},
            "class of the status for a body with a member of the wrong type: expected 4",
        ),
        ("floor", {"refuses": EVERYTHING}, "requests at the vendor for an unknown key: expected 0, found 1"),
        ("floor", {"answer": JOB_ACTION | {"outcome": "unknown"}}, "answer: expected {"),
        ("floor", {"target": "/v1/connections/bench/jobs/another/cancel"}, "found POST /routing/jobs/another:cancel?"),
        ("straight", {"target": VENDOR_TARGET.partition("?")[0]}, "request at the vendor: expected POST"),
        ("straight", {"target": "/last"}, "request at the vendor: expected POST"),
        ("fastapi", {"target": "/v1/elsewhere"}, "status: expected 200, found 404"),
    ],
)
def test_finds_out_who_does_not(place: RunningVendor, name: str, changes: dict[str, object], named: str) -> None:
    """A contender that does different work is not measured, and the message says what it does."""
    with pytest.raises(BenchError) as found:
        check(place, replace(BY_NAME[name], **changes))  # type: ignore[arg-type]
    assert f"{name} does not do the same work: " in str(found.value)
    assert named in str(found.value)


def written(file: Path) -> list[tuple[str, str]]:
    """The actions in a ledger, and what came of them."""
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute("SELECT action, outcome FROM job_actions").fetchall()


def test_says_why_one_does_not_start(place: RunningVendor) -> None:
    """If a contender ends instead of listening, the message contains its output."""
    with pytest.raises(BenchError, match=r"(?s)^floor: it did not start listening.*no such module"):
        check(place, replace(BY_NAME["floor"], command=("{bin}/python", "-c", "raise SystemExit('no such module')")))
