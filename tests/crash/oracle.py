"""The oracle: what must be true of answers, records and vendor calls after any crash."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select

from gateway.domain.errors import catalogue
from gateway.ledger.audit import verify
from gateway.ledger.database import Database
from gateway.ledger.events import events_of, read, record_of
from gateway.ledger.tables import events, job_actions

IN_USE = "idempotency-key-in-use"
NOT_CARRIED_OUT = "not-carried-out"
RETRYABLE = frozenset(kind.code for kind in catalogue() if kind.retryable)
_JOB_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Answer:
    """An answer to a client, with the id of the record in it."""

    status: int
    code: str | None = None
    record: str | None = None
    outcome: str | None = None
    retryable: bool = False
    replayed: bool = False

    @property
    def settles(self) -> str | None:
        """The final outcome that the client was told; None if it was told none."""
        return self.outcome if self.record and self.code != IN_USE and self.outcome != "unknown" else None


@dataclass
class WantedAction:
    """An action that a client wants on a job of its own, the keys that it used for it, and what it was told."""

    connection: str
    action: str
    job_id: str
    keys: list[str] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    @property
    def is_not_carried_out(self) -> bool:
        """Whether it is certain that nothing came of the last key, which stands for that from then on."""
        return bool(self.answers) and self.answers[-1].code == NOT_CARRIED_OUT

    @property
    def may_be_asked_again(self) -> bool:
        """Whether the outcome is unknown and sending again is harmless."""
        if not self.keys:
            return False
        last = self.answers[-1] if self.answers else None
        return last is None or last.settles is None or last.retryable or self.is_not_carried_out

    @property
    def is_refused(self) -> bool:
        """Whether the client was told that it is not done, and that it would not help to ask again."""
        return bool(self.answers) and not self.may_be_asked_again and self.answers[-1].outcome != "applied"


@dataclass(frozen=True)
class Record:
    """A job action as the gateway shows it."""

    id: str
    job_id: str
    action: str
    key: str | None
    status: str
    outcome: str | None
    settled_by: str | None
    requested_at: datetime
    attempts: int
    problem: str | None = None

    @property
    def releases_its_key(self) -> bool:
        """Whether the same request may be sent again with its key: it failed, and nothing came of it."""
        return self.status == "failed" and self.problem in RETRYABLE

    @classmethod
    def of(cls, shown: Mapping[str, Any]) -> Record:
        """The record in an answer of the API."""
        return cls(
            id=shown["id"],
            job_id=shown["jobId"],
            action=shown["action"],
            key=shown.get("idempotencyKey"),
            status=shown["status"],
            outcome=shown.get("outcome"),
            settled_by=shown.get("settledBy"),
            requested_at=datetime.fromisoformat(shown["requestedAt"]),
            attempts=len(shown["attempts"]),
            problem=shown.get("problem", {}).get("code"),
        )


@dataclass(frozen=True)
class Call:
    """A request for an action that reached a vendor, and whether the job was changed by it."""

    job_id: str
    at: datetime
    has_effect: bool


def job_in(path: str) -> str:
    """The job's id in the path of a vendor's API."""
    found = _JOB_ID.search(path)
    return found[0] if found else path


def violations(wanted_actions: Iterable[WantedAction], records: Sequence[Record], calls: Iterable[Call]) -> list[str]:
    """Every violation of the promises, as text."""
    calls_of: defaultdict[str, list[Call]] = defaultdict(list)
    records_of: defaultdict[str, list[Record]] = defaultdict(list)
    for call in calls:
        calls_of[call.job_id].append(call)
    for record in records:
        records_of[record.job_id].append(record)
    found = [f"a call that nobody asked for: {calls_of[each]}" for each in calls_of.keys() - records_of.keys()]
    for job_id, of_job in records_of.items():
        found += _of_job(of_job, calls_of[job_id])
    by_id = {record.id: record for record in records}
    for wanted in wanted_actions:
        found += _of_wanted(wanted, by_id)
        effects = sum(call.has_effect for call in calls_of[wanted.job_id])
        if effects > 1:
            found.append(f"done {effects} times: {wanted}")
        if wanted.keys and effects != 1 - wanted.is_refused:
            found.append(f"not done, although it was asked for until it was said to be done: {wanted}")
    return found


def _of_job(records: Sequence[Record], calls: Sequence[Call]) -> Iterator[str]:
    """What is wrong with the records of a job, oldest first. The calls between two of them are those of the first."""
    for position, record in enumerate(records, 1):
        after = records[position:]
        until = after[0].requested_at if after else None
        its = [each for each in calls if each.at >= record.requested_at and (until is None or each.at < until)]
        effects = sum(each.has_effect for each in its)
        if record.key in {each.key for each in after} and not record.releases_its_key:
            yield f"the same key was used once more: {record}"
        if record.status not in {"succeeded", "failed"}:
            yield f"not settled: {record}"
        if len(its) > record.attempts:
            yield f"{len(its)} calls, of which {record.attempts} are recorded: {record}"
        if record.outcome == "not_sent" and its:
            yield f"said not to be sent, and sent: {record}, {its}"
        if effects != (record.outcome == "applied"):
            yield f"done {effects} times, and recorded otherwise: {record}, {its}"
    if calls and calls[0].at < records[0].requested_at:
        yield f"sent before it was recorded: {records[0]}"


def _of_wanted(wanted: WantedAction, by_id: Mapping[str, Record]) -> Iterator[str]:
    """The violations in the answers to one wanted action."""
    for answer in wanted.answers:
        record = by_id.get(answer.record or "")
        if answer.record and record is None:
            yield f"acknowledged and lost: {answer} to {wanted}"
        if record and not is_of(record, wanted):
            yield f"the record of something else: {record} for {wanted}"
        if record and answer.settles and record.outcome != answer.settles:
            yield f"said to be {answer.settles}: {record}"
        if answer.code == "gateway-error":
            yield f"a fault of the gateway itself: {answer} to {wanted}"
        if answer.status < 300 and not answer.record:
            yield f"acknowledged without a record: {answer} to {wanted}"


def is_of(record: Record, wanted: WantedAction) -> bool:
    """Whether a record is of what a client wanted."""
    has_its_key = record.key in wanted.keys if wanted.keys else record.key is None
    return has_its_key and (record.job_id, record.action) == (wanted.job_id, wanted.action)


def broken_parts(address: str) -> list[str]:
    """The defects of the ledger: a broken chain, a missing event, an index that contradicts the events."""
    database = Database.at(address)
    try:
        verdict = verify(database)
        with database.reading.connect() as connection:
            rows = connection.execute(select(events).order_by(events.c.id)).mappings().all()
            index = connection.execute(select(job_actions)).mappings().all()
    finally:
        database.dispose()
    found = [str(verdict.finding)] if verdict.finding else []
    stored: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    lengths: Counter[str] = Counter()
    for row in rows:
        record_id = row["job_action_id"]
        if row["sequence"] != lengths[record_id]:
            found.append(f"after {lengths[record_id]} events comes {row}")
        lengths[record_id] += len(events_of(read(row["kind"], row["content"])))
        stored[record_id].append((row["kind"], row["content"]))
    for row in index:
        record = record_of(row["id"], stored.pop(row["id"], []))
        if (record.status, record.outcome) != (row["status"], row["outcome"]):
            found.append(f"the index has {row['status']} for {record}")
        if (row["due_at"] is None) != record.is_settled:
            found.append(f"nobody looks after what is not settled, or somebody after what is: {record}")
    return found + [f"events without a job action: {record_id}" for record_id in stored]
