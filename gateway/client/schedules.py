"""Schedules, and the windows in which actions are allowed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict, Unpack

from .batches import Why
from .exchange import Exchange, key_header, path_of
from .values import because, converted, members_of


@dataclass(frozen=True)
class SkippedOccurrence:
    """A time at which a schedule made no batch, and the reason."""

    at: datetime
    reason: str


@dataclass(frozen=True)
class Schedule:
    """A schedule. `state` is `active`, `paused`, `ended` or `deleted`. `batch` has the API's names.

    `skipped` is the number of occurrences that made no batch, `last_batch` the id of the newest batch.
    """

    id: str
    name: str
    caller: str
    state: str
    catch_up: str
    start_within: str
    expect_at_most: int
    batch: Mapping[str, Any]
    created_at: datetime
    next_occurrences: tuple[datetime, ...]
    skipped: int
    run_at: datetime | None = None
    cron: str | None = None
    time_zone: str | None = None
    last_batch: str | None = None
    last_skipped: SkippedOccurrence | None = None
    why: Why | None = None
    replayed: bool = False


@dataclass(frozen=True)
class SchedulePreview:
    """The preview of a schedule: its next times, and the number of jobs that it would find now, if that is known."""

    start_within: str
    next_occurrences: tuple[datetime, ...]
    found: int | None = None


@dataclass(frozen=True)
class ScheduledAction:
    """An action that a schedule does at its time, since the vendor cannot wait itself (`emulated`)."""

    scheduled: str
    schedule: Schedule
    replayed: bool = False


@dataclass(frozen=True)
class Window:
    """A time in which actions are allowed (`allow`) or not (`deny`), whether it is open, and when that changes."""

    name: str
    kind: str
    connections: tuple[str, ...]
    actions: tuple[str, ...]
    cron: str
    time_zone: str
    duration: str
    open: bool
    changes_at: datetime | None = None


class ScheduleOptions(TypedDict, total=False):
    """The options of a new schedule: `run_at`, or `cron` with `time_zone`. `start_within` is as in `PT5M`."""

    run_at: datetime
    cron: str
    time_zone: str
    catch_up: str
    start_within: str
    expect_at_most: int


class Schedules(Exchange):
    """The calls about schedules and windows."""

    def create_schedule(
        self,
        name: str,
        batch: Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
        **options: Unpack[ScheduleOptions],
    ) -> Schedule:
        """Create a schedule of a `batch`, which has the API's names: `action`, `reason`, `select`, `limits` …."""
        body = {**members_of(options), "name": name, "batch": batch}
        reply = self._call("POST", path_of("schedules"), json=body, headers=key_header(idempotency_key))
        return converted(Schedule, reply)

    def preview_schedule(
        self, name: str, batch: Mapping[str, Any], **options: Unpack[ScheduleOptions]
    ) -> SchedulePreview:
        """The preview of a schedule. Nothing is created."""
        body = {**members_of(options), "name": name, "batch": batch}
        reply = self._call("POST", path_of("schedules"), params={"dryRun": "true"}, json=body)
        return converted(SchedulePreview, reply)

    def schedules(self, *, limit: int | None = None) -> Iterator[Schedule]:
        """The schedules of this API key, newest first; at most `limit`."""
        return self._list(Schedule, path_of("schedules"), limit)

    def schedule(self, schedule_id: str) -> Schedule:
        """One schedule."""
        return self._get(Schedule, path_of("schedules", schedule_id))

    def pause_schedule(self, schedule_id: str, reason: str | None = None) -> Schedule:
        """Let a schedule make no batches for the time being."""
        return self._command(Schedule, "schedules", schedule_id, "pause", body=because(reason))

    def resume_schedule(self, schedule_id: str, reason: str | None = None) -> Schedule:
        """Let a schedule make batches again, from its next time on."""
        return self._command(Schedule, "schedules", schedule_id, "resume", body=because(reason))

    def delete_schedule(self, schedule_id: str) -> Schedule:
        """Let a schedule make no more batches, for good."""
        return converted(Schedule, self._call("DELETE", path_of("schedules", schedule_id)))

    def windows(self) -> tuple[Window, ...]:
        """The windows in the settings of the gateway."""
        return tuple(self._list(Window, path_of("windows")))
