"""The table of operations: a stale one stops no command, so that `jobgate docs` can renew it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.cli import operations as table


@pytest.fixture
def stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A table from before `getOverview` was an operation."""
    rows = json.loads(table.TABLE.read_bytes())
    del rows["getOverview"]
    file = tmp_path / "operations.json"
    file.write_text(json.dumps(rows), encoding="utf-8")
    monkeypatch.setattr(table, "TABLE", file)
    table.operations.cache_clear()
    yield
    table.operations.cache_clear()


@pytest.mark.usefixtures("stale")
def test_an_operation_that_the_table_lacks_is_read_from_the_document() -> None:
    """A command can name an operation before `make docs` has put it into the table."""
    assert "getOverview" not in table.operations()
    assert table.operation("getOverview").path == "/overview"
    assert table.operation("getCaller").path == "/caller"


def test_an_operation_of_nobody_is_named() -> None:
    """A slip in a command says what is missing where, and how to mend it."""
    with pytest.raises(LookupError, match=r"specs/gateway.yaml has no operation getNothing: add it, or correct"):
        table.operation("getNothing")
