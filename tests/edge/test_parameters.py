"""Parameters of path, query and header: typed as the document says, and every mistake told at once (C19)."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.edge import CANCEL, JSON, MARK, Edge

JOBS = "/v1/connections/contoso-prod/jobs"

NUMBERS = [
    "+5",
    "-1",
    "0",
    "201",
    "5.0",
    "5.5",
    "5e0",
    "0x5",
    "05",
    "5_0",
    " 5",
    "5 ",
    "",
    "five",
    "NaN",
    "Infinity",
    "true",
    "null",
    "9" * 21,
    "9" * 5_000,
    "\N{ARABIC-INDIC DIGIT FIVE}",
    "\N{FULLWIDTH DIGIT FIVE}",
    "\N{SUPERSCRIPT TWO}",
    "5,6",
    "[5]",
    f"{MARK}",
]


@pytest.mark.parametrize("text", NUMBERS)
@pytest.mark.parametrize("target", [JOBS, "/v1/job-actions"])
def test_only_plain_whole_numbers_are_numbers(edge: Edge, target: str, text: str) -> None:
    """An integer is ASCII digits within its bounds; signs, other digits, spaces and points are refused."""
    problem = edge.refused("malformed-request", lambda: edge.ask("GET", f"{target}?limit={quote(text)}"))
    assert [error["pointer"] for error in problem["errors"]] == ["/query/limit"]


@pytest.mark.parametrize("limit", [1, 5, 200])
def test_numbers_within_bounds_are_taken(edge: Edge, limit: int) -> None:
    """Numbers at the bounds are accepted."""
    assert edge.ask("GET", f"{JOBS}?limit={limit}").status == 200
    assert edge.transport.requests[-1].url.endswith(f"maxpagesize={limit}")


@pytest.mark.parametrize("text", ["TRUE", "True", "1", "yes", "on", "", "tru", "true ", "0", "null", MARK])
def test_only_true_and_false_are_booleans(edge: Edge, text: str) -> None:
    """A boolean in any other form is refused, so that an intended dry run is never carried out."""
    problem = edge.refused("malformed-request", lambda: edge.ask("POST", f"{CANCEL}?dryRun={quote(text)}"))
    assert [error["pointer"] for error in problem["errors"]] == ["/query/dryRun"]


@pytest.mark.parametrize(("text", "dry"), [("true", True), ("false", False), (None, False)])
def test_true_false_and_nothing(edge: Edge, text: str | None, dry: bool) -> None:
    """A dry run is one where it is asked for."""
    response = edge.ask("POST", CANCEL + ("" if text is None else f"?dryRun={text}"))
    assert response.json.get("dryRun", False) is dry


@pytest.mark.parametrize(
    ("query", "pointers"),
    [
        ("limit=5&limit=6", {"/query/limit"}),
        ("limit=5&limit=5", {"/query/limit"}),
        ("limit=5&%6cimit=5", {"/query/limit"}),
        ("Limit=5", {"/query"}),
        (f"{MARK}%20=1", {"/query"}),
        ("status=nonsense", {"/query/status"}),
        ("status=Queued", {"/query/status"}),
        ("status=queued%0A", {"/query"}),
        ("include=everything", {"/query/include"}),
        ("cursor=", {"/query/cursor"}),
        ("cursor=a.b", {"/query/cursor"}),
        ("cursor=" + "a" * 8_193, {"/query/cursor"}),
        ("limit=0&status=x&include=y", {"/query/include", "/query/limit", "/query/status"}),
        ("limit=0&limit=0&x=1", {"/query", "/query/limit"}),
        ("limit[]=5", {"/query"}),
        ("limit%00=5", {"/query"}),
    ],
)
def test_queries_that_do_not_fit(edge: Edge, query: str, pointers: set[str]) -> None:
    """Repeated, unknown and unfit parameters are refused, each with its place, all in one answer."""
    problem = edge.refused("malformed-request", lambda: edge.ask("GET", f"{JOBS}?{query}"))
    assert {error["pointer"] for error in problem["errors"]} == pointers


STATUSES = ("pending", "scheduled", "queued", "running", "paused")
ENDS = ("completed", "closed", "cancelled", "failed", "unknown")


@pytest.mark.parametrize(("word", "meant"), [("stuck", None), ("Paused", "paused"), ("QUEUED", "queued"), ("", None)])
def test_a_status_that_there_is_not(edge: Edge, word: str, meant: str | None) -> None:
    """The refusal lists every status, says which one differs only in its case, and where vendors' own words are."""
    problem = edge.refused("malformed-request", lambda: edge.ask("GET", f"{JOBS}?status={word}"))
    listed = ", ".join(f'"{status}"' for status in STATUSES + ENDS)
    meaning = f'; write it as "{meant}"' if meant else ""
    hint = "; for a vendor's own word, GET /v1/vendors/{vendor} shows the one of this API"
    assert problem["errors"] == [{"pointer": "/query/status", "detail": f"is not one of {listed}{meaning}{hint}"}]
    assert listed in problem["detail"]


@pytest.mark.parametrize("name", ["status", "outcome"])
def test_every_refused_word_comes_with_those_that_there_are(edge: Edge, name: str) -> None:
    """Nothing is left out of a list of allowed values, whatever the parameter."""
    problem = edge.refused("malformed-request", lambda: edge.ask("GET", f"/v1/job-actions?{name}=nonsense"))
    assert problem["errors"][0]["detail"].count('"') >= 8
    assert "other candidates" not in str(problem)


@pytest.mark.parametrize("cursor", ["A", "AAAA", "____", "eyJhIjoxfQ", "bnVsbA", "W10", "a" * 8_192, "MDEy" * 500])
@pytest.mark.parametrize("target", [JOBS, "/v1/connections/vonage-emea/jobs", "/v1/job-actions"])
def test_a_cursor_that_nobody_gave(edge: Edge, target: str, cursor: str) -> None:
    """A cursor that is well-formed and means nothing is refused as one, never with a 5xx."""
    edge.refused("unknown-cursor", lambda: edge.ask("GET", f"{target}?cursor={cursor}"))


@pytest.mark.parametrize(
    ("target", "pointer"),
    [
        ("/v1/vendors/Azure", "/path/vendor"),
        ("/v1/vendors/azure_job_router", "/path/vendor"),
        (f"/v1/vendors/{'a' * 64}", "/path/vendor"),
        ("/v1/vendors/%C3%A9", "/path/vendor"),
        ("/v1/connections/9", "/path/connection"),
        (f"/v1/connections/{MARK}/jobs", "/path/connection"),
        (f"{JOBS}/{'a' * 257}", "/path/jobId"),
        (f"/v1/job-actions/{MARK}", "/path/id"),
        ("/v1/job-actions/019B8D2F-0000-7000-8000-00000000000G", "/path/id"),
        ("/v1/job-actions/019b8d2f0000700080000000000000001", "/path/id"),
    ],
)
def test_paths_that_do_not_fit(edge: Edge, target: str, pointer: str) -> None:
    """A name or id that cannot be one is refused by its place."""
    problem = edge.refused("malformed-request", lambda: edge.ask("GET", target))
    assert {error["pointer"] for error in problem["errors"]} == {pointer}


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("/v1/vendors/nobody", "unknown-vendor"),
        ("/v1/connections/nobody", "unknown-connection"),
        ("/v1/connections/nobody/jobs", "unknown-connection"),
        ("/v1/connections/nobody/jobs/7", "unknown-connection"),
        ("/v1/job-actions/019b8d2f-0000-7000-8000-ffffffffffff", "unknown-job-action"),
        ("/v1/nobody", "unknown-path"),
        ("/v1/connections/contoso-prod/jobs/7/cancel/again", "unknown-path"),
    ],
)
def test_names_that_nobody_has(edge: Edge, target: str, code: str) -> None:
    """A valid name of something that does not exist gets 404 with a code for what is missing."""
    assert edge.refused(code, lambda: edge.ask("GET", target))["status"] == 404


def test_a_header_that_does_not_fit(edge: Edge) -> None:
    """A header that the document declares is held against it."""
    headers = [("Prefer", "x" * 257)]
    problem = edge.refused("malformed-request", lambda: edge.ask("POST", CANCEL, headers=headers))
    assert [error["pointer"] for error in problem["errors"]] == ["/header/Prefer"]


def test_all_mistakes_are_told_at_once(edge: Edge) -> None:
    """Path, query, header and body are checked together: one answer names what is wrong with each."""
    how: dict[str, Any] = {
        "headers": [("Prefer", "x" * 300), ("Content-Type", "application/json")],
        "body": b'{"note":7,"other":1}',
    }
    target = f"/v1/connections/{MARK}/jobs/7/cancel?dryRun=perhaps"
    problem = edge.refused("malformed-request", lambda: edge.ask("POST", target, **how))
    assert {error["pointer"] for error in problem["errors"]} == {
        "/path/connection",
        "/query/dryRun",
        "/header/Prefer",
        "/body",
        "/body/note",
    }


def test_a_hundred_mistakes_are_enough(edge: Edge) -> None:
    """An answer stays small, and as the document has it, however many mistakes are made."""
    names = "&".join(f"name{number}=1" for number in range(1_000))
    members = json.dumps({f"member{number}": 1 for number in range(3_000)}).encode()
    for how in ({"target": f"{CANCEL}?{names}"}, {"target": CANCEL, "body": members, "headers": [JSON]}):
        problem = edge.refused("malformed-request", lambda: edge.ask("POST", **how))  # noqa: B023 - at once
        assert len(json.dumps(problem)) < 4_096
