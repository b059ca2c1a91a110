"""The jobs of a simulated vendor, which change by the transition table of its document.

Nothing runs in the background: transitions that are due are made at the next access to a job.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gateway.domain.adapter import Simulate
from gateway.domain.entity_tags import entity_tag
from gateway.domain.model import JobAction, Json, Result
from gateway.domain.vocabulary import Meaning
from gateway.sandbox.examples import Examples, VendorJob, next_version
from gateway.sandbox.refusal import Refusal
from gateway.specs.vendor import VendorSpecification

FIRST_VERSION = '"1"'
"""The version of a new job, if the vendor's jobs have no place for one."""
ANY_VERSION = "*"
"""The precondition that each job fulfils (RFC 9110, 13.1.1)."""

Now = Callable[[], datetime]
"""Returns the current time, with a time zone."""


@dataclass(frozen=True)
class Deferred:
    """A job action accepted for a later time."""

    at: datetime
    job_action: JobAction


@dataclass(frozen=True)
class Entry:
    """A job, the time since which it has its status, its version, and an action deferred to a later time."""

    job: VendorJob
    since: datetime
    version: Json = FIRST_VERSION
    deferred: Deferred | None = None


@dataclass(frozen=True)
class Change:
    """The vendor statuses before and after a job action, and the job after it."""

    before: str
    after: str
    job: VendorJob


class Simulator:
    """The jobs of one vendor account. Safe to use from several threads."""

    def __init__(
        self,
        specification: VendorSpecification,
        simulate: Simulate | None,
        now: Now,
        clock_seconds: Callable[[], float | None],
    ) -> None:
        """Start without jobs. `simulate` comes from the adapter; `clock_seconds` returns the present setting."""
        self.examples = Examples(specification)
        self._specification = specification
        self._simulate = simulate
        self._now = now
        self._clock_seconds = clock_seconds
        self._entries: dict[str, Entry] = {}
        self._lock = threading.RLock()

    def restart(self, jobs: Iterable[VendorJob]) -> None:
        """Replace all jobs by these."""
        now = self._now()
        with self._lock:
            self._entries = {self.examples.id_of(job): self._new(job, now) for job in jobs}

    def restart_clock(self) -> None:
        """Count the time that jobs spend in their status from now."""
        now = self._now()
        with self._lock:
            self._entries = {key: replace(each, since=now) for key, each in self._entries.items()}

    def jobs(self) -> tuple[VendorJob, ...]:
        """All jobs, oldest first."""
        with self._lock:
            present = map(self._present, tuple(self._entries))
            return tuple(entry.job for entry in present if entry is not None)

    def job(self, job_id: str) -> VendorJob:
        """One job. Raises Refusal (unknown-job)."""
        return self._settled(job_id).job

    def version(self, job_id: str) -> Json:
        """The version of a job, which every change makes another. Raises Refusal (unknown-job)."""
        return self._settled(job_id).version

    def add(self, job: VendorJob) -> None:
        """Add a job. Raises ValueError if its id is taken."""
        job_id = self.examples.id_of(job)
        with self._lock:
            if job_id in self._entries:
                raise ValueError("A job with this id already exists.")
            self._entries[job_id] = self._new(job, self._now())

    def move(self, job_id: str, status: str) -> VendorJob:
        """Put a job into a status, whatever its present one. Raises Refusal (unknown-job)."""
        with self._lock:
            moved = self._moved(self._settled(job_id), status, self._now())
            self._entries[job_id] = moved
            return moved.job

    def chosen(self, asked: Sequence[JobAction]) -> JobAction:
        """Of several actions with the same request, the one that the job allows now; otherwise the first."""
        with suppress(Refusal):
            status = self.examples.status_of(self.job(asked[0].job_id))
            return next((each for each in asked if self._specification.allows(each.action, status)), asked[0])
        return asked[0]

    def perform(self, job_action: JobAction) -> Change:
        """Carry out a job action.

        Raises Refusal: unknown-job if the job, or a part of it that the action names, does not exist; changed if it has
        another version than the action names; wrong-state if the transition table does not allow the action.
        """
        mapping = self._specification.actions[job_action.action]
        with self._lock:
            entry = self._settled(job_action.job_id)
            before = self.examples.status_of(entry.job)
            if job_action.version not in {None, ANY_VERSION, entity_tag(entry.version)}:
                raise Refusal(Meaning.CHANGED, before=before)
            if before not in mapping.from_statuses:
                raise Refusal(Meaning.WRONG_STATE, before=before)
            # Done even if it is deferred, so that an impossible action is refused now.
            done = self._done(entry, job_action, self._now())
            at = _moment(job_action.parameters.get(mapping.deferred_by or ""))
            if at is not None and at > self._now():
                done = replace(entry, deferred=Deferred(at, job_action))
            self._entries[job_action.job_id] = done
            if mapping.result is Result.GONE:
                del self._entries[job_action.job_id]
            return Change(before, self.examples.status_of(done.job), done.job)

    def _settled(self, job_id: str) -> Entry:
        """The job after all changes that are due. Raises Refusal (unknown-job)."""
        with self._lock:
            entry = self._present(job_id)
            if entry is None:
                raise Refusal(Meaning.UNKNOWN_JOB)
            return entry

    def _present(self, job_id: str) -> Entry | None:
        """The job after all changes that are due; None if there is none, or it was deleted after its end."""
        if job_id not in self._entries:
            return None
        entry = self._after_transitions(self._after_deferred(self._entries[job_id]))
        self._entries[job_id] = entry
        return None if self._is_gone(entry) else entry

    def _is_gone(self, entry: Entry) -> bool:
        """True if the vendor deletes ended jobs, and the clock has given this one its time."""
        seconds = self._clock_seconds()
        is_over = self._specification.status(self.examples.status_of(entry.job)).final
        is_deleted = self._specification.deletes_ended_jobs and is_over and seconds is not None
        return is_deleted and entry.since + timedelta(seconds=seconds or 0) <= self._now()

    def _after_deferred(self, entry: Entry) -> Entry:
        deferred = entry.deferred
        if deferred is None or deferred.at > self._now():
            return entry
        due = replace(entry, deferred=None)
        if not self._allows(due, deferred.job_action):
            return due
        return self._done(due, deferred.job_action, deferred.at)

    def _allows(self, entry: Entry, job_action: JobAction) -> bool:
        return self._specification.allows(job_action.action, self.examples.status_of(entry.job))

    def _after_transitions(self, entry: Entry) -> Entry:
        seconds = self._clock_seconds()
        while seconds is not None and entry.since + timedelta(seconds=seconds) <= self._now():
            following = self.next_statuses(self.examples.status_of(entry.job))
            if not following:
                break
            entry = self._moved(entry, following[0], entry.since + timedelta(seconds=seconds))
        return entry

    def next_statuses(self, status: str) -> tuple[str, ...]:
        """The statuses to which the system transitions lead from this one."""
        return tuple(to for origin, to in self._specification.transitions if origin == status)

    def _moved(self, entry: Entry, status: str, at: datetime) -> Entry:
        return self._changed(entry, self.examples.moved(entry.job, status), at, entry.deferred)

    def _done(self, entry: Entry, job_action: JobAction, at: datetime) -> Entry:
        status = self._specification.actions[job_action.action].to_status
        job = self.examples.with_status(entry.job, status)
        try:
            done = self._simulate(deepcopy(job), job_action, at) if self._simulate else job
        except LookupError as error:
            before = self.examples.status_of(entry.job)
            raise Refusal(Meaning.UNKNOWN_JOB, before=before) from error
        return self._changed(entry, done, at)

    def _new(self, job: VendorJob, at: datetime) -> Entry:
        version = self.examples.version_of(job)
        return Entry(job, at, FIRST_VERSION if version is None else version)

    def _changed(self, entry: Entry, job: VendorJob, at: datetime, deferred: Deferred | None = None) -> Entry:
        version = next_version(entry.version)
        return Entry(self.examples.with_version(job, version), at, version, deferred)


def _moment(value: Json) -> datetime | None:
    """A date-time of the vendor's API; None for one that Python cannot represent, such as a leap second."""
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
