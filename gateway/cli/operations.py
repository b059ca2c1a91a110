"""The operations of the unified API, from a table that `make docs` makes from `specs/gateway.yaml`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("operations.json")


@dataclass(frozen=True)
class Member:
    """A value that a query or a body accepts, or an object of such `members`. `most`: so many, if it is repeated."""

    type: str
    description: str = ""
    enum: tuple[str, ...] = ()
    default: Any = None
    minimum: float | None = None
    maximum: float | None = None
    format: str = ""
    required: bool = False
    repeated: bool = False
    most: int | None = None
    members: dict[str, Member] = field(default_factory=dict)


@dataclass(frozen=True)
class Operation:
    """An operation. `action` is the job action that it performs, if it performs one."""

    operation_id: str
    method: str
    path: str
    summary: str
    description: str
    action: str | None
    query: dict[str, Member]
    body: dict[str, Member]

    @property
    def help(self) -> str:
        """The text of a command that calls it. A bracket is one, and begins no style of Rich."""
        return f"{self.summary}.\n\n{self.description}".strip().replace("[", r"\[")

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The names of the parameters in its path."""
        return tuple(re.findall(r"\{(\w+)\}", self.path))

    def segments(self, *values: str) -> tuple[str, ...]:
        """The segments of its path, with the values of its parameters in their order."""
        filled = iter(values)
        return tuple(next(filled) if part[0] == "{" else part for part in self.path[1:].split("/"))


@cache
def operations() -> Mapping[str, Operation]:
    """Every operation by its operationId."""
    return _operations(TABLE.read_text("utf-8"))


@cache
def operations_of_the_document() -> Mapping[str, Operation]:
    """Every operation by its operationId, from `specs/gateway.yaml` itself, which takes much longer to read."""
    from gateway.documentation.operations import operation_table
    from gateway.specs.document import SPECIFICATIONS, load
    from gateway.specs.operations import Api

    return _operations(operation_table(Api.compile(load(SPECIFICATIONS / "gateway.yaml"))))


def operation(name: str) -> Operation:
    """The operation with this operationId.

    If the table does not have it yet, the document is read, so that `make docs` can bring the table up to date. Raises
    LookupError if the document does not have it either.
    """
    found = operations().get(name) or operations_of_the_document().get(name)
    if found is None:
        raise LookupError(f"specs/gateway.yaml has no operation {name}: add it, or correct the command that names it")
    return found


@cache
def actions() -> Mapping[str, Operation]:
    """The operations that act on a job, by the names of the actions."""
    return {each.action: each for each in operations().values() if each.action is not None}


def _operations(table: str) -> Mapping[str, Operation]:
    """The operations in the text of a table."""
    rows: dict[str, dict[str, Any]] = json.loads(table)
    return {
        name: Operation(operation_id=name, **row | {"query": _members(row["query"]), "body": _members(row["body"])})
        for name, row in rows.items()
    }


def _members(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Member]:
    return {name: _member(row) for name, row in rows.items()}


def _member(row: Mapping[str, Any]) -> Member:
    return Member(**{**row, "enum": tuple(row.get("enum", ())), "members": _members(row.get("members", {}))})
