"""The jobs that a command is about: by their ids, from arguments or standard input, or by a filter."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from gateway.cli.exit_codes import ExitCode
from gateway.cli.operations import Member, operation
from gateway.cli.options import python_name
from gateway.cli.shared import Failure

STANDARD_INPUT = "-"

Jobs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="JOB",
        help="Jobs as CONNECTION/ID, or as ID with --connection. `-` reads them from standard input: one in each line, "
        "or lines of JSON with `connection` and `id` or `jobId`, such as the other commands print.",
        show_default=False,
    ),
]


def conditions() -> dict[str, Member]:
    """The conditions on jobs, as `findJobs` has them: they are options of the commands that select jobs."""
    found = operation("findJobs").query
    return {name: each for name, each in found.items() if python_name(name, each) in _filter()}


def _filter() -> dict[str, str]:
    """The names of the same conditions in the filter of a batch, by those of the options."""
    members = operation("createBatch").body["select"].members["filter"].members
    return {python_name(name, each): name for name, each in members.items()}


@dataclass(frozen=True)
class Selection:
    """The selected jobs: `jobs` by connection and id, or else those that meet `filter`."""

    jobs: Sequence[Mapping[str, str]] = ()
    filter: Mapping[str, Any] = field(default_factory=dict)


def selection(written: Sequence[str] | None, given: Mapping[str, Any]) -> Selection:
    """The jobs that arguments and options select. Raises Failure if they select none, or all, or in two ways."""
    wanted = filter_of(given)
    connections = wanted.get("connections", [])
    narrowing = wanted.keys() - {"connections"}
    if written and narrowing:
        raise Failure("name jobs, or filter them by their status or age; not both", ExitCode.USAGE)
    if written:
        return Selection(jobs=tuple(_references(written, connections)))
    if not narrowing:
        raise Failure(
            "which jobs? Name them, read them from standard input with `-`, or filter with --connection and one of "
            "--status, --vendor-status, --older-than, --queue and --type",
            ExitCode.USAGE,
        )
    if not connections:
        raise Failure("a filter needs --connection; it can be repeated", ExitCode.USAGE)
    return Selection(filter=wanted)


def filter_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The conditions among the options that were given, as the API has them."""
    names, offered = _filter(), conditions()
    return {names[python_name(name, offered[name])]: value for name, value in given.items() if name in offered}


def one(written: str, connections: Sequence[str]) -> Mapping[str, str]:
    """One job by its id, or by connection and id. Raises Failure."""
    return _reference(written, connections, "the job")


def _references(written: Iterable[str], connections: Sequence[str]) -> Iterator[Mapping[str, str]]:
    for each in written:
        if each != STANDARD_INPUT:
            yield _reference(each, connections, "a job")
            continue
        found = [(number, line.strip()) for number, line in enumerate(sys.stdin, 1) if line.strip()]
        if not found:
            raise Failure("standard input has no job", ExitCode.USAGE)
        for number, line in found:
            yield _reference(line, connections, f"line {number} of standard input")


def _reference(text: str, connections: Sequence[str], place: str) -> Mapping[str, str]:
    """A job as `connection/id`, as an id, or as JSON. No vendor has ids with slashes."""
    if text.startswith("{"):
        return _from_json(text, place)
    connection, slash, job_id = text.rpartition("/")
    if slash and connection:
        return {"connection": connection, "jobId": job_id}
    if len(connections) != 1:
        raise Failure(f"{place} has no connection: write CONNECTION/ID, or one --connection", ExitCode.USAGE)
    return {"connection": connections[0], "jobId": text}


def _from_json(text: str, place: str) -> Mapping[str, str]:
    try:
        row = json.loads(text)
        found = {"connection": row["connection"], "jobId": row["jobId"] if "jobId" in row else row["id"]}
    except (ValueError, TypeError, KeyError):
        found = {}
    if not found or not all(isinstance(each, str) for each in found.values()):
        raise Failure(f"{place} is not a JSON object with `connection` and `id` or `jobId`", ExitCode.USAGE)
    return found
