"""Batches: one action on many jobs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict, Unpack

from .exchange import Exchange, key_header, path_of
from .statuses import StatusPair
from .values import because, converted, members_of

OF_BATCHES = frozenset({"expected_count", "idempotency_key"})
"""The options of a new batch that are not members of its body."""


@dataclass(frozen=True)
class Manifest:
    """The frozen list of a batch's jobs: its digest, the number to be acted on, and the number by verdict.

    For a batch made by a filter, `share` is the part of the connections' jobs that will be acted on, and `left_out` the
    number of jobs that may be wanted, but do not show it.
    """

    digest: str
    count: int
    verdicts: Mapping[str, int]
    share: float | None = None
    left_out: int = 0


@dataclass(frozen=True)
class BatchProgress:
    """The number of a batch's items in all and by outcome, and how fast it goes on."""

    items: int
    outcomes: Mapping[str, int]
    active_seconds: float
    rate_per_second: float | None = None
    eta_seconds: float | None = None


@dataclass(frozen=True)
class Why:
    """The reason for the state of a batch, and the caller whose doing it was."""

    detail: str
    code: str | None = None
    by: str | None = None
    connection: str | None = None


@dataclass(frozen=True)
class BatchReport:
    """The SHA-256 of a batch's report as JSON Lines, and its number of items."""

    sha256: str
    items: int


@dataclass(frozen=True)
class Selected:
    """The way in which the jobs of a batch were selected: `jobs`, `filter` or `pages`."""

    kind: str
    filter: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Batch:
    """One action on many jobs."""

    id: str
    caller: str
    state: str
    action: str
    parameters: Mapping[str, str]
    reason: str
    labels: Mapping[str, str]
    select: Selected
    limits: Mapping[str, Any]
    priority: int
    created_at: datetime
    changed_at: datetime
    progress: BatchProgress
    outcome: str | None = None
    not_before: datetime | None = None
    deadline: datetime | None = None
    confirm_until: datetime | None = None
    manifest: Manifest | None = None
    confirmed_by: str | None = None
    confirmed_at: datetime | None = None
    approval: str | None = None
    why: Why | None = None
    redrive_of: str | None = None
    schedule: str | None = None
    report: BatchReport | None = None
    replayed: bool = False

    @property
    def is_ended(self) -> bool:
        """True if nothing more will happen to it."""
        return self.state in {"completed", "aborted", "expired"}


@dataclass(frozen=True)
class BatchItem:
    """A job of a batch: the verdict about it, and what has become of it."""

    position: int
    connection: str
    job_id: str
    verdict: str
    outcome: str
    status_seen: StatusPair | None = None
    job_action: str | None = None
    problem: str | None = None
    detail: str | None = None


class BatchOptions(TypedDict, total=False):
    """The options of a new batch, as the API describes them. `limits` have the API's names, such as `maxErrors`."""

    parameters: Mapping[str, str]
    labels: Mapping[str, str]
    limits: Mapping[str, float]
    priority: int
    not_before: datetime
    deadline: datetime
    expected_count: int
    idempotency_key: str


class BatchConditions(TypedDict, total=False):
    """The conditions that wanted batches meet. `label` is `name=value`."""

    state: Sequence[str]
    connection: str
    label: str
    caller: str


class Batches(Exchange):
    """The calls about batches."""

    def create_batch(
        self,
        action: str,
        reason: str,
        *,
        jobs: Iterable[tuple[str, str]] | None = None,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - the API's word
        **options: Unpack[BatchOptions],
    ) -> Batch:
        """Create a batch of `jobs`, pairs of a connection and a job's id, or of those that a `filter` finds.

        The filter has the API's names, such as `olderThan`. Without both, jobs are added with `add_to_batch`. Raises
        ValueError for both.
        """
        if jobs is not None and filter is not None:
            raise ValueError("Select the jobs of a batch by `jobs` or by `filter`, not by both.")
        body = members_of({name: each for name, each in options.items() if name not in OF_BATCHES})
        if options.get("expected_count") is not None:
            body["confirm"] = {"expectedCount": options["expected_count"]}
        if jobs is not None:
            body["select"] = {"jobs": _references(jobs)}
        else:
            body["select"] = {"pages": True} if filter is None else {"filter": filter}
        body |= {"action": action, "reason": reason}
        headers = key_header(options.get("idempotency_key"))
        return converted(Batch, self._call("POST", path_of("batches"), json=body, headers=headers))

    def batches(self, *, limit: int | None = None, **conditions: Unpack[BatchConditions]) -> Iterator[Batch]:
        """The batches of this API key that meet all `conditions`, newest first; at most `limit`."""
        return self._list(Batch, path_of("batches"), limit, **members_of(conditions))

    def batch(self, batch_id: str) -> Batch:
        """One batch."""
        return self._get(Batch, path_of("batches", batch_id))

    def batch_items(
        self, batch_id: str, *, verdict: str | None = None, outcome: str | None = None, limit: int | None = None
    ) -> Iterator[BatchItem]:
        """The items of a batch, in their order."""
        return self._list(BatchItem, path_of("batches", batch_id, "items"), limit, verdict=verdict, outcome=outcome)

    def add_to_batch(self, batch_id: str, page: int, jobs: Iterable[tuple[str, str]]) -> Batch:
        """Add a page of jobs, pairs of a connection and a job's id. A page that is sent twice counts once."""
        path = path_of("batches", batch_id, "items")
        return converted(Batch, self._call("POST", path, params={"page": str(page)}, json=_references(jobs)))

    def prepare_batch(self, batch_id: str) -> Batch:
        """Prepare a batch whose jobs are all added."""
        return self._command(Batch, "batches", batch_id, "prepare")

    def confirm_batch(self, batch_id: str, digest: str, count: int, share: float | None = None) -> Batch:
        """Confirm a batch by the digest and the count of its manifest; by its share too if that is large."""
        shown = members_of({"manifest_digest": digest, "count": count, "share": share})
        return self._command(Batch, "batches", batch_id, "confirm", body=shown)

    def pause_batch(self, batch_id: str, reason: str | None = None) -> Batch:
        """Send nothing more for the time being."""
        return self._command(Batch, "batches", batch_id, "pause", body=because(reason))

    def resume_batch(self, batch_id: str, reason: str | None = None) -> Batch:
        """Let a batch that is paused or stopped go on."""
        return self._command(Batch, "batches", batch_id, "resume", body=because(reason))

    def abort_batch(self, batch_id: str, reason: str | None = None) -> Batch:
        """Send nothing more, for good."""
        return self._command(Batch, "batches", batch_id, "abort", body=because(reason))

    def break_glass(self, batch_id: str, digest: str, count: int, reason: str, *, ticket: str | None = None) -> Batch:
        """Begin a small batch in an emergency, without approval. Another owner has to review it."""
        said = members_of({"manifest_digest": digest, "count": count, "reason": reason, "ticket": ticket})
        return self._command(Batch, "batches", batch_id, "break-glass", body=said)

    def redrive_batch(self, batch_id: str, reason: str | None = None, *, idempotency_key: str | None = None) -> Batch:
        """Make a new batch of what was not sent, or refused in a way that may pass."""
        return self._command(
            Batch, "batches", batch_id, "redrive", body=because(reason), headers=key_header(idempotency_key)
        )

    def batch_report(self, batch_id: str, format: str = "ndjson") -> Iterator[bytes]:  # noqa: A002 - the API's word
        """The report of a batch that has ended, in pieces: `ndjson` or `csv`. Raises ClientError."""
        return self.download(("batches", batch_id, "report"), query={"format": format})


def _references(jobs: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """Jobs as the API names them."""
    return [{"connection": connection, "jobId": job_id} for connection, job_id in jobs]
