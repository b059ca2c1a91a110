"""Actions on jobs, and their records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypedDict, Unpack, overload

from .exchange import Exchange, key_header, path_of, prefer_header, version_header
from .schedules import ScheduledAction
from .statuses import StatusPair, VendorResponse
from .values import Kind, converted, members_of


@dataclass(frozen=True)
class ActionWarning:
    """Something to know although the action was carried out, such as a `recorded-only` parameter."""

    code: str
    parameter: str
    detail: str


@dataclass(frozen=True)
class JobActionProblem:
    """The problem with which a job action failed."""

    code: str
    detail: str


@dataclass(frozen=True)
class Origin:
    """The origin of a request: the client's address, the gateway's id of the request, the client's trace id."""

    address: str | None = None
    request_id: str | None = None
    trace_id: str | None = None


@dataclass(frozen=True)
class Attempt:
    """An attempt to send an action to the vendor."""

    sent_at: datetime


@dataclass(frozen=True)
class Reading:
    """A read of the job to find out what happened: its status, or the code of the problem if the read failed."""

    at: datetime
    job: StatusPair | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Step:
    """A step of a termination: the job action with this id."""

    id: str
    action: str
    outcome: str | None = None


@dataclass(frozen=True)
class JobAction:
    """The record of a job action. `job` is the job's status afterwards, as the vendor documents it.

    `status` is `in_progress`, `succeeded`, `failed` or `unsettled`; `outcome` is `applied`, `partial`, `rejected`,
    `not_sent` or `unknown`. `settled_by` says how the outcome became certain: `vendor-reply`, `nothing-sent`,
    `reading`, or `gave-up` if it did not. `version` is the one that the request named with `if_match`. `replayed`:
    this is the answer to an earlier request with the same idempotency key. A termination has `steps`, each a job action
    whose `parent` it is; `already_so`: the job had ended before. `scheduled` is `native` if the vendor was asked to
    wait until a time.
    """

    id: str
    caller: str
    connection: str
    vendor: str
    job_id: str
    action: str
    parameters: Mapping[str, Any]
    status: str
    warnings: tuple[ActionWarning, ...]
    requested_at: datetime
    origin: Origin
    attempts: tuple[Attempt, ...]
    readings: tuple[Reading, ...]
    version: str | None = None
    idempotency_key: str | None = None
    outcome: str | None = None
    job: StatusPair | None = None
    settled_by: str | None = None
    completed_at: datetime | None = None
    vendor_response: VendorResponse | None = None
    problem: JobActionProblem | None = None
    replayed: bool = False
    parent: str | None = None
    steps: tuple[Step, ...] = ()
    already_so: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    scheduled: str | None = None


@dataclass(frozen=True)
class VendorRequest:
    """A request to a vendor as it would be sent. Credentials in its headers are replaced by `[redacted]`."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: str | None = None


@dataclass(frozen=True)
class DryRun:
    """The request that an action would send, with the warnings about it.

    `scheduled` says who would wait until its time: `native`, the vendor; `emulated`, Jobgate.
    """

    vendor_request: VendorRequest
    warnings: tuple[ActionWarning, ...]
    scheduled: str | None = None


@dataclass(frozen=True)
class PlannedStep:
    """A step that a termination would take, and the status that it leads to.

    `vendor_request` is None if the request depends on the reply to the step before.
    """

    action: str
    to: StatusPair
    warnings: tuple[ActionWarning, ...]
    vendor_request: VendorRequest | None = None


@dataclass(frozen=True)
class TerminationPlan:
    """The steps that would end a job in its present status; `already_so`: it has ended. `job` is None if it is gone."""

    steps: tuple[PlannedStep, ...]
    already_so: bool
    job: StatusPair | None = None


class Options(TypedDict, total=False):
    """Options of every action. None counts as left out.

    `disposition_code` is the outcome of the job in your own words, `note` the reason for the action. With `strict`, the
    gateway refuses a parameter that the vendor does not accept, instead of recording it with a warning. With
    `if_match`, the `version` of the job as you have read it, the vendor refuses the action if the job has changed. An
    `idempotency_key`, such as `str(uuid.uuid4())`, makes it safe to send the action again: with the same key it gets
    the same answer and reaches the vendor once. If the result is not known immediately, the gateway waits for it for up
    to `wait` seconds, at most 60. `labels` are words of your own, such as `{"incident": "INC-43"}`, by which
    `job_actions` finds the record.
    """

    disposition_code: str | None
    note: str | None
    labels: Mapping[str, str] | None
    strict: bool
    if_match: str | None
    idempotency_key: str | None
    wait: int | None


class AssignmentOptions(Options, total=False):
    """The further option of actions on an assignment: which one, where the job has several."""

    assignment_id: str | None


class CloseOptions(AssignmentOptions, total=False):
    """The further option of closing: a time (with its time zone) instead of now."""

    close_at: datetime | None


ABOUT_THE_REQUEST = {"strict", "if_match", "idempotency_key", "wait"}
"""The options that are not parameters of the action."""


class JobActionConditions(TypedDict, total=False):
    """Conditions for job actions. `since` and `until`, with their time zones, limit the time of the request.

    `parent` is the id of a termination, for its steps; `label` is a label as `name=value`.
    """

    connection: str | None
    job_id: str | None
    action: str | None
    status: str | None
    outcome: str | None
    since: datetime | None
    until: datetime | None
    parent: str | None
    label: str | None


class JobActions(Exchange):
    """The calls that act on jobs, and read what became of it."""

    def cancel(self, connection: str, job_id: str, **options: Unpack[Options]) -> JobAction:
        """Cancel a job."""
        return self.act("cancel", connection, job_id, **options)

    @overload
    def close(self, connection: str, job_id: str, **options: Unpack[AssignmentOptions]) -> JobAction: ...

    @overload
    def close(
        self, connection: str, job_id: str, *, close_at: datetime | None, **options: Unpack[AssignmentOptions]
    ) -> JobAction | ScheduledAction: ...

    def close(self, connection: str, job_id: str, **options: Unpack[CloseOptions]) -> JobAction | ScheduledAction:
        """Close a job. Without `assignment_id` the gateway finds the assignment, if only one can be closed.

        With `close_at`, the vendor closes it then; or a schedule does, if the vendor cannot wait itself.
        """
        return self._acted("close", connection, job_id, options)

    def pause(self, connection: str, job_id: str, **options: Unpack[Options]) -> JobAction:
        """Pause a job."""
        return self.act("pause", connection, job_id, **options)

    def restart(self, connection: str, job_id: str, **options: Unpack[Options]) -> JobAction:
        """Restart a job."""
        return self.act("restart", connection, job_id, **options)

    def complete(self, connection: str, job_id: str, **options: Unpack[AssignmentOptions]) -> JobAction:
        """Complete a job: the work is done, and its wrap-up begins."""
        return self.act("complete", connection, job_id, **options)

    def unassign(self, connection: str, job_id: str, **options: Unpack[AssignmentOptions]) -> JobAction:
        """Give a job back to the queue."""
        return self.act("unassign", connection, job_id, **options)

    def discard(self, connection: str, job_id: str, **options: Unpack[Options]) -> JobAction:
        """Discard a job by the last means that its vendor has. Work and data can be lost."""
        return self.act("discard", connection, job_id, **options)

    @overload
    def terminate(
        self,
        connection: str,
        job_id: str,
        *,
        mode: str = ...,
        dry_run: Literal[False] = ...,
        **options: Unpack[Options],
    ) -> JobAction: ...

    @overload
    def terminate(
        self, connection: str, job_id: str, *, mode: str = ..., dry_run: Literal[True], **options: Unpack[Options]
    ) -> TerminationPlan: ...

    def terminate(
        self,
        connection: str,
        job_id: str,
        *,
        mode: str = "graceful",
        dry_run: bool = False,
        **options: Unpack[Options],
    ) -> JobAction | TerminationPlan:
        """End a job, whatever its status, by the gentlest way that its vendor documents.

        The mode `forced` can discard the job, with which work can be lost. With `dry_run`, return the steps instead.
        """
        path = path_of("connections", connection, "jobs", job_id, "terminate")
        if dry_run:
            return self._post(TerminationPlan, path, options, {"mode": mode}, dryRun="true")
        return self._post(JobAction, path, options, {"mode": mode})

    @overload
    def act(self, action: str, connection: str, job_id: str, **options: Unpack[AssignmentOptions]) -> JobAction: ...

    @overload
    def act(
        self,
        action: str,
        connection: str,
        job_id: str,
        *,
        close_at: datetime | None,
        **options: Unpack[AssignmentOptions],
    ) -> JobAction | ScheduledAction: ...

    def act(
        self, action: str, connection: str, job_id: str, **options: Unpack[CloseOptions]
    ) -> JobAction | ScheduledAction:
        """Apply the action with this name in the capability matrix. With `close_at`, it can become a schedule."""
        return self._acted(action, connection, job_id, options)

    def preview(self, action: str, connection: str, job_id: str, **options: Unpack[CloseOptions]) -> DryRun:
        """The request that an action would send to the vendor. Nothing is changed."""
        return self._post(DryRun, path_of("connections", connection, "jobs", job_id, action), options, dryRun="true")

    def job_actions(
        self, *, limit: int | None = None, **conditions: Unpack[JobActionConditions]
    ) -> Iterator[JobAction]:
        """The job actions of this API key that meet all `conditions`, newest first; at most `limit`.

        Pages are requested while you iterate.
        """
        return self._list(JobAction, path_of("job-actions"), limit, **members_of(conditions))

    def job_action(self, job_action_id: str, *, wait: int | None = None) -> JobAction:
        """One job action; with `wait`, once its outcome is certain or after so many seconds, at most 60."""
        path = path_of("job-actions", job_action_id)
        return converted(JobAction, self._call("GET", path, wait=wait, headers=prefer_header(strict=False, wait=wait)))

    def _acted(self, action: str, connection: str, job_id: str, options: CloseOptions) -> JobAction | ScheduledAction:
        reply = self._sent(path_of("connections", connection, "jobs", job_id, action), options)
        is_emulated = isinstance(reply, dict) and "schedule" in reply
        return converted(ScheduledAction, reply) if is_emulated else converted(JobAction, reply)

    def _post(
        self, kind: type[Kind], path: str, options: Options, more: Mapping[str, object] | None = None, **query: str
    ) -> Kind:
        return converted(kind, self._sent(path, options, more, **query))

    def _sent(self, path: str, options: Options, more: Mapping[str, object] | None = None, **query: str) -> Any:
        wait = options.get("wait")
        headers = prefer_header(strict=options.get("strict", False), wait=wait) | key_header(
            options.get("idempotency_key")
        )
        headers |= version_header(options.get("if_match"))
        parameters = members_of({name: value for name, value in options.items() if name not in ABOUT_THE_REQUEST})
        parameters |= more or {}
        # Without parameters there is no body, not an empty object.
        return self._call("POST", path, wait=wait, params=query, json=parameters or None, headers=headers)
