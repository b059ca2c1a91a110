"""The report of a batch: a line for each item in the order of the request, as JSON Lines or CSV."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any

from gateway.domain.batches import Item, Report
from gateway.domain.encoding import dump_line
from gateway.ledger.batch_store import BatchStore
from gateway.ledger.batches import ItemSelection

COLUMNS = ("position", "connection", "jobId", "verdict", "outcome", "statusSeen", "jobAction", "problem", "detail")
"""The columns of a report, and the order of its members."""

Line = Mapping[str, Any]


def line_of(item: Item) -> Line:
    """The members of an item. Those without a value are left out."""
    seen = item.status_seen
    members = {
        "position": item.position,
        "connection": item.connection,
        "jobId": item.job_id,
        "verdict": item.verdict,
        "outcome": item.outcome,
        "statusSeen": None if seen is None else {"status": seen.status, "vendorStatus": seen.vendor_status},
        "jobAction": item.job_action,
        "problem": item.problem,
        "detail": item.detail,
    }
    return {name: value for name, value in members.items() if value is not None}


def as_ndjson(lines: Iterable[Line]) -> bytes:
    """Lines of JSON."""
    return b"".join(map(dump_line, lines))


def as_csv(lines: Iterable[Line]) -> bytes:
    """Rows of RFC 4180. A text that a spreadsheet would take for a formula begins with an apostrophe."""
    written = io.StringIO(newline="")
    rows = csv.writer(written)
    for line in lines:
        seen = line.get("statusSeen")
        values = {**line, "statusSeen": None if seen is None else seen["vendorStatus"]}
        rows.writerow([harmless(values.get(name)) for name in COLUMNS])
    return written.getvalue().encode()


def harmless(value: object) -> object:
    """The value of a cell, which no spreadsheet carries out."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


CSV_HEAD = (",".join(COLUMNS) + "\r\n").encode()
FORMATS: Mapping[str, tuple[str, bytes, Callable[[Iterable[Line]], bytes]]] = {
    "ndjson": ("application/x-ndjson", b"", as_ndjson),
    "csv": ("text/csv", CSV_HEAD, as_csv),
}
"""The media type of each format, its beginning, and its lines."""


async def content(store: BatchStore, batch: str, kind: str) -> AsyncIterator[bytes]:
    """The report of a batch, in pieces."""
    _, head, write = FORMATS[kind]
    if head:
        yield head
    async for items in store.pages(ItemSelection(batch, prepared=None)):
        yield write(map(line_of, items))


async def summary(store: BatchStore, batch: str) -> Report:
    """The hashes of the report of a batch."""
    hashes = {kind: hashlib.sha256(head) for kind, (_, head, _) in FORMATS.items()}
    number = 0
    async for items in store.pages(ItemSelection(batch, prepared=None)):
        lines = list(map(line_of, items))
        number += len(lines)
        for kind, (_, _, write) in FORMATS.items():
            hashes[kind].update(write(lines))
    return Report(hashes["ndjson"].hexdigest(), hashes["csv"].hexdigest(), number)
