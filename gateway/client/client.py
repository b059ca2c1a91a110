"""The Python client of the unified API. It needs only `requests`, so the file can be copied into any project.

    with Client("http://127.0.0.1:8080", api_key) as client:
        job_action = client.cancel("azure-sandbox", "8780b28c-7079-4de1-9143-4d369289e958", note="Called back")

Every failure is a ClientError. Its `outcome` says what is known to have happened at the vendor:

    ClientError
    ├── ProblemError         the gateway answered with a problem (RFC 9457); branch on its `code`
    ├── UnexpectedReply      the answer is not one of the gateway's API
    └── GatewayUnreachable   there was no answer

The client never retries: the caller decides, by `outcome` and `retryable`. If it is unknown whether an action took
effect, sending it again is safe only with an `idempotency_key`. The client does not generate keys: choose one before
the first attempt, and send the same key with the same action.

An action whose result is not known yet is not a failure: its `outcome` is `unknown`, and the gateway finds out.
`job_action(id, wait=20)` waits for the result.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Self, TypedDict, TypeVar, Unpack, get_args, get_origin, get_type_hints, overload
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

OF_BATCHES = frozenset({"expected_count", "idempotency_key"})
"""The options of a new batch that are not members of its body."""
_PIECE = 65_536
"""Bytes of a report that are read at a time."""

SUCCESSES = (requests.codes.ok, requests.codes.accepted)

ANY_SUCCESS = (*SUCCESSES, requests.codes.created)
"""The statuses of success of all operations. Those with a method here do not answer 201."""

LARGEST_PAGE = 200
"""Largest page of the gateway's lists, in items."""

AUTHORITIES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
"""Environment variables with the file of trusted certificate authorities; the first one that is set is used."""

_is_sent: ContextVar[bool] = ContextVar("is_sent", default=False)
"""True if the first byte of the present request may have been sent."""

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class StatusPair:
    """A status in the words of the unified API, and in the vendor's own."""

    status: str
    vendor_status: str


@dataclass(frozen=True)
class VendorStatus(StatusPair):
    """A status that a vendor documents. `final`: no transition leads out of it."""

    final: bool


@dataclass(frozen=True)
class ParameterSupport:
    """Support of a parameter by a vendor: `native`, `recorded` (kept in the job action only) or `unsupported`."""

    name: str
    support: str


@dataclass(frozen=True)
class Capability:
    """Support of an action by a vendor: `native` or `unsupported`.

    For a native action, `effect` says what sending it again does (`read`, `repeatable` or `once`), `from_statuses` in
    which statuses it is allowed, and `to_status` to which status it leads. If it `deletes_job`, the job can be read no
    more.
    """

    action: str
    support: str
    parameters: tuple[ParameterSupport, ...]
    effect: str | None = None
    from_statuses: tuple[StatusPair, ...] = field(default=(), metadata={"member": "from"})
    to_status: StatusPair | None = field(default=None, metadata={"member": "to"})
    deletes_job: bool = False


@dataclass(frozen=True)
class ReadSupport:
    """A vendor's support for a read of jobs, `getJob` or `listJobs`: `native` or `unsupported`."""

    read: str
    support: str


@dataclass(frozen=True)
class WaysToEnd:
    """The actions by which a job in a status is terminated, for each mode; None: the vendor documents no way."""

    vendor_status: str
    graceful: tuple[str, ...] | None = None
    forced: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Vendor:
    """A vendor, with its row of the capability matrix. `documentation` is a URL."""

    name: str
    title: str
    api_version: str
    statuses: tuple[VendorStatus, ...]
    actions: tuple[Capability, ...]
    documentation: str | None = None
    reads: tuple[ReadSupport, ...] = ()
    terminate: tuple[WaysToEnd, ...] = ()


@dataclass(frozen=True)
class Connection:
    """A configured account at a vendor. `authentication` names the vendor's security scheme.

    `values` are those that the vendor has for each account, such as its region.
    """

    name: str
    vendor: str
    endpoint: str
    authentication: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BlockedAction:
    """An action that a job does not allow now, with the reason, for people."""

    action: str
    reason: str


@dataclass(frozen=True)
class Job:
    """A job. `vendor_object` is the vendor's own JSON, if it was requested.

    `version` differs after each change of the job. None: the vendor's jobs have no version. `queue` and `type` are the
    vendor's id of its queue, and the vendor's word for its type or channel.
    """

    id: str
    connection: str
    vendor: str
    status: str
    vendor_status: str
    final: bool
    allowed_actions: tuple[str, ...]
    blocked_actions: tuple[BlockedAction, ...]
    timestamps: Mapping[str, datetime]
    version: str | None = None
    vendor_object: Mapping[str, Any] | None = None
    queue: str | None = None
    type: str | None = None


@dataclass(frozen=True)
class UnreadConnection:
    """A connection that could not be read, or not to the end: the code of the problem, and its detail."""

    connection: str
    problem: str
    detail: str


@dataclass(frozen=True)
class FoundJobs:
    """A page of the jobs of several connections; `incomplete` names those that could not be read.

    `next_cursor` leads to the next page; None on the last. `left_out` jobs may be wanted, but do not show it.
    """

    items: tuple[Job, ...]
    incomplete: tuple[UnreadConnection, ...] = ()
    next_cursor: str | None = None
    left_out: int = 0


@dataclass(frozen=True)
class ConnectionCount:
    """The number of jobs of a connection, in all and by status. `left_out` jobs may be wanted, but do not show it."""

    connection: str
    count: int
    statuses: Mapping[str, int]
    left_out: int


@dataclass(frozen=True)
class JobCount:
    """The number of jobs of several connections. `is_complete`: every list was read, and no job was left out."""

    count: int
    is_complete: bool
    left_out: int
    connections: tuple[ConnectionCount, ...]
    incomplete: tuple[UnreadConnection, ...] = ()


@dataclass(frozen=True)
class ActionWarning:
    """Something to know although the action was carried out, such as a `recorded-only` parameter."""

    code: str
    parameter: str
    detail: str


@dataclass(frozen=True)
class VendorResponse:
    """The vendor's answer. Only problems have `name` (of the vendor) and `message`."""

    status: int | None = None
    code: str | None = None
    request_id: str | None = None
    name: str | None = None
    message: str | None = None


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


@dataclass(frozen=True)
class ApprovalPolicy:
    """A policy that applies: the number of owners who have to approve, of those who have, and patterns of who can."""

    name: str
    required: int
    given: int
    approvers: tuple[str, ...]


@dataclass(frozen=True)
class ApprovalDecision:
    """The decision of an owner: `approve`, `reject` or `review`."""

    owner: str
    caller: str
    decision: str
    at: datetime
    comment: str | None = None


@dataclass(frozen=True)
class ApprovalPlan:
    """The plan of a batch, as its approvers see it. `jobs` is the number of jobs by connection."""

    action: str
    parameters: Mapping[str, Any]
    reason: str
    manifest_digest: str
    jobs: Mapping[str, int]
    limits: Mapping[str, Any]
    not_before: datetime | None = None
    deadline: datetime | None = None
    schedule: str | None = None


@dataclass(frozen=True)
class BreakGlass:
    """Why a batch began without approval, and until when another owner has to review that."""

    reason: str
    review_until: datetime
    overdue: bool
    ticket: str | None = None


@dataclass(frozen=True)
class Approval:
    """A request for approval of a batch: its plan, what was decided, and until when.

    `state` is `pending`, `approved`, `rejected`, `expired`, `withdrawn` or `executed`; after an emergency, `review_due`
    or `reviewed`. A decision repeats the `digest`, which is that of the plan.
    """

    id: str
    state: str
    batch: str
    digest: str
    plan: ApprovalPlan
    requested_by: str
    requested_by_owner: str
    policies: tuple[ApprovalPolicy, ...]
    decisions: tuple[ApprovalDecision, ...]
    requested_at: datetime
    decide_until: datetime
    execute_until: datetime | None = None
    break_glass: BreakGlass | None = None


@dataclass(frozen=True)
class ApiKey:
    """A key of a caller, without its secret.

    `source` is `key_store` or `settings`, `state` is `valid`, `expired` or `revoked`. A key of the settings has the
    name of its caller as its `id`, and no times.
    """

    id: str
    source: str
    caller: str
    owner: str
    scopes: tuple[str, ...]
    access_key: bool
    state: str
    created_at: datetime | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None


@dataclass(frozen=True)
class FieldError:
    """One invalid place in a request. `pointer` is a JSON pointer into {path, query, header, body}."""

    pointer: str
    detail: str


@dataclass(frozen=True)
class JobState(StatusPair):
    """The job's status, which explains a problem, and the actions that the job allows."""

    allowed_actions: tuple[str, ...]


class ClientError(Exception):
    """A failed call. `detail` describes it; `outcome` is what is known to have happened, None for a reply without."""

    detail: str | None
    outcome: str | None

    def __post_init__(self) -> None:
        """Pass the values to Exception too; without them the error could not be unpickled."""
        super().__init__(*vars(self).values())

    def __str__(self) -> str:
        """The detail."""
        return str(self.detail)


@dataclass(eq=False)
class ProblemError(ClientError):
    """The gateway answered with a problem. Branch on `code`; the page at `type` says how to fix it.

    `retryable`: the same request can succeed later, after `retry_after` seconds if that is known. `job_action` is the
    id of the record, if there is one. `replayed`: this is the answer to an earlier request with the same key.
    """

    status: int
    code: str
    title: str
    type: str
    retryable: bool
    request_id: str
    detail: str | None = None
    outcome: str | None = None
    errors: tuple[FieldError, ...] = ()
    vendor: VendorResponse | None = None
    job: JobState | None = None
    supported: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()
    job_action: str | None = None
    retry_after: int | None = None
    replayed: bool = False

    def __str__(self) -> str:
        """The code and the detail."""
        return f"{self.code}: {self.detail or self.title}"


@dataclass(eq=False)
class UnexpectedReply(ClientError):
    """The answer is not one of the gateway's API, but of a proxy or another server. `status` is its HTTP status."""

    detail: str
    status: int
    outcome: str | None = "unknown"


@dataclass(eq=False)
class GatewayUnreachable(ClientError):
    """There was no answer. `outcome` is `not_sent` if no byte of the request was sent, otherwise `unknown`.

    For example, it is `not_sent` if the name was not found, the connection refused, or the certificate not trusted.
    """

    detail: str
    outcome: str | None


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


class JobConditions(TypedDict, total=False):
    """Conditions for jobs of several connections; all must be met, and of several words one. None counts as left out.

    `connections` default to all that the key may use. `statuses` are words of the unified API; `vendor_statuses`,
    `queue` and `type` are the vendors' own. Jobs are `older_than` a time if they have at least this age.
    """

    connections: Sequence[str] | None
    statuses: Sequence[str] | None
    vendor_statuses: Sequence[str] | None
    older_than: timedelta | None
    queue: str | None
    type: str | None


JOB_CONDITIONS = {"connections": "connection", "statuses": "status", "vendor_statuses": "vendorStatus"}
"""The API's names of conditions that can have several values."""


class AssignmentOptions(Options, total=False):
    """The further option of actions on an assignment: which one, where the job has several."""

    assignment_id: str | None


class CloseOptions(AssignmentOptions, total=False):
    """The further option of closing: a time (with its time zone) instead of now."""

    close_at: datetime | None


class Client:
    """A client of one gateway. It keeps connections open, so use it in a `with` block, and one in each thread.

    Every method that calls the gateway raises ClientError if the call fails.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        connect_seconds: float = 5.0,
        read_seconds: float = 30.0,
        verify: bool | str | Path | None = None,
    ) -> None:
        """Call the gateway at `url`, such as `http://127.0.0.1:8080`. Raises ValueError for an unusable argument.

        `connect_seconds` and `read_seconds` are the time limits for a connection and for an answer, in addition to the
        `wait` of a call.

        `verify` is a PEM file with the certificate of the authority that signed the gateway's, or with the gateway's
        own; or a folder of such files, as `openssl rehash` prepares it. True trusts the authorities of requests. False
        trusts any server, which can then read the key. If it is left out, the file named by REQUESTS_CA_BUNDLE,
        CURL_CA_BUNDLE or SSL_CERT_FILE is used, otherwise True.
        """
        if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", url):
            raise ValueError("Write the gateway's URL like http://127.0.0.1:8080, without user, query and fragment.")
        if not re.fullmatch(r"[\x21-\x7e]+", api_key):
            raise ValueError("An API key can have visible ASCII characters only.")
        self.url = url.rstrip("/")
        self._connect_seconds, self._read_seconds = connect_seconds, read_seconds
        self._session = requests.Session()
        # A proxy from the environment must not see the key, and a .netrc file must not replace it.
        self._session.trust_env = False
        self._session.verify = _trusted(verify)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter())
        self._session.headers.update({"Accept": "application/json", "Authorization": f"Bearer {api_key}"})

    def __repr__(self) -> str:
        """The URL, without the key."""
        return f"Client({self.url!r})"

    def __enter__(self) -> Self:
        """Use the client in a block."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close its connections."""
        self.disconnect()

    def disconnect(self) -> None:
        """Close the connections to the gateway. The next call opens a new one."""
        self._session.close()

    def vendors(self) -> tuple[Vendor, ...]:
        """Every vendor, with its row of the capability matrix."""
        return tuple(self._list(Vendor, _path("vendors")))

    def vendor(self, name: str) -> Vendor:
        """One vendor."""
        return self._get(Vendor, _path("vendors", name))

    def connections(self) -> tuple[Connection, ...]:
        """Every connection."""
        return tuple(self._list(Connection, _path("connections")))

    def connection(self, name: str) -> Connection:
        """One connection."""
        return self._get(Connection, _path("connections", name))

    def jobs(self, connection: str, *, status: str | None = None, limit: int | None = None) -> Iterator[Job]:
        """The jobs of a connection, or those in one status; at most `limit`. Pages are requested while you iterate."""
        return self._list(Job, _path("connections", connection, "jobs"), limit, status=status)

    def find_jobs(self, *, limit: int | None = None, **conditions: Unpack[JobConditions]) -> Iterator[FoundJobs]:
        """The pages of jobs of several connections that meet all `conditions`, with at most `limit` jobs each.

        Pages are requested while you iterate. Look at `incomplete` of each: a connection that fails does not raise.
        """
        query = {**_conditions(conditions), "limit": limit}
        more = True
        while more:
            page = self._get(FoundJobs, _path("jobs"), **query)
            yield page
            more = page.next_cursor is not None
            query["cursor"] = page.next_cursor

    def count_jobs(self, **conditions: Unpack[JobConditions]) -> JobCount:
        """The number of jobs of several connections that meet all `conditions`, by connection and status."""
        return self._get(JobCount, _path("jobs", "count"), **_conditions(conditions))

    def job(self, connection: str, job_id: str, *, include_vendor: bool = False) -> Job:
        """One job; with `include_vendor`, the vendor's own object too."""
        path = _path("connections", connection, "jobs", job_id)
        return self._get(Job, path, include="vendor" if include_vendor else None)

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
        path = _path("connections", connection, "jobs", job_id, "close")
        reply = self._sent(path, options)
        is_emulated = isinstance(reply, dict) and "schedule" in reply
        return _converted(ScheduledAction, reply) if is_emulated else _converted(JobAction, reply)

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
        path = _path("connections", connection, "jobs", job_id, "terminate")
        if dry_run:
            return self._post(TerminationPlan, path, options, {"mode": mode}, dryRun="true")
        return self._post(JobAction, path, options, {"mode": mode})

    def act(self, action: str, connection: str, job_id: str, **options: Unpack[CloseOptions]) -> JobAction:
        """Apply the action with this name in the capability matrix."""
        return self._post(JobAction, _path("connections", connection, "jobs", job_id, action), options)

    def preview(self, action: str, connection: str, job_id: str, **options: Unpack[CloseOptions]) -> DryRun:
        """The request that an action would send to the vendor. Nothing is changed."""
        return self._post(DryRun, _path("connections", connection, "jobs", job_id, action), options, dryRun="true")

    def job_actions(
        self, *, limit: int | None = None, **conditions: Unpack[JobActionConditions]
    ) -> Iterator[JobAction]:
        """The job actions of this API key that meet all `conditions`, newest first; at most `limit`.

        Pages are requested while you iterate.
        """
        return self._list(JobAction, _path("job-actions"), limit, **_members(conditions))

    def job_action(self, job_action_id: str, *, wait: int | None = None) -> JobAction:
        """One job action; with `wait`, once its outcome is certain or after so many seconds, at most 60."""
        path = _path("job-actions", job_action_id)
        return _converted(JobAction, self._call("GET", path, wait=wait, headers=_prefer(strict=False, wait=wait)))

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

        The filter has the API's names, such as `olderThan`. Without both, jobs are added with `add_to_batch`.
        """
        body = _members({name: each for name, each in options.items() if name not in OF_BATCHES})
        if options.get("expected_count") is not None:
            body["confirm"] = {"expectedCount": options["expected_count"]}
        if jobs is not None:
            body["select"] = {"jobs": _references(jobs)}
        else:
            body["select"] = {"pages": True} if filter is None else {"filter": filter}
        body |= {"action": action, "reason": reason}
        headers = _key(options.get("idempotency_key"))
        return _converted(Batch, self._call("POST", _path("batches"), json=body, headers=headers))

    def batches(self, *, limit: int | None = None, **conditions: Unpack[BatchConditions]) -> Iterator[Batch]:
        """The batches of this API key that meet all `conditions`, newest first; at most `limit`."""
        return self._list(Batch, _path("batches"), limit, **_members(conditions))

    def batch(self, batch_id: str) -> Batch:
        """One batch."""
        return self._get(Batch, _path("batches", batch_id))

    def batch_items(
        self, batch_id: str, *, verdict: str | None = None, outcome: str | None = None, limit: int | None = None
    ) -> Iterator[BatchItem]:
        """The items of a batch, in their order."""
        return self._list(BatchItem, _path("batches", batch_id, "items"), limit, verdict=verdict, outcome=outcome)

    def add_to_batch(self, batch_id: str, page: int, jobs: Iterable[tuple[str, str]]) -> Batch:
        """Add a page of jobs, pairs of a connection and a job's id. A page that is sent twice counts once."""
        path = _path("batches", batch_id, "items")
        return _converted(Batch, self._call("POST", path, params={"page": str(page)}, json=_references(jobs)))

    def prepare_batch(self, batch_id: str) -> Batch:
        """Prepare a batch whose jobs are all added."""
        return self._command(batch_id, "prepare")

    def confirm_batch(self, batch_id: str, digest: str, count: int, share: float | None = None) -> Batch:
        """Confirm a batch by the digest and the count of its manifest; by its share too if that is large."""
        shown = {"manifestDigest": digest, "count": count, "share": share}
        return self._command(batch_id, "confirm", {name: each for name, each in shown.items() if each is not None})

    def pause_batch(self, batch_id: str, reason: str | None = None) -> Batch:
        """Send nothing more for the time being."""
        return self._command(batch_id, "pause", _because(reason))

    def resume_batch(self, batch_id: str, reason: str | None = None) -> Batch:
        """Let a batch that is paused or stopped go on."""
        return self._command(batch_id, "resume", _because(reason))

    def abort_batch(self, batch_id: str, reason: str | None = None) -> Batch:
        """Send nothing more, for good."""
        return self._command(batch_id, "abort", _because(reason))

    def break_glass(self, batch_id: str, digest: str, count: int, reason: str, *, ticket: str | None = None) -> Batch:
        """Begin a small batch in an emergency, without approval. Another owner has to review it."""
        said = _members({"manifest_digest": digest, "count": count, "reason": reason, "ticket": ticket})
        return self._command(batch_id, "break-glass", said)

    def redrive_batch(self, batch_id: str, reason: str | None = None, *, idempotency_key: str | None = None) -> Batch:
        """Make a new batch of what was not sent, or refused in a way that may pass."""
        return self._command(batch_id, "redrive", _because(reason), _key(idempotency_key))

    def batch_report(self, batch_id: str, format: str = "ndjson") -> Iterator[bytes]:  # noqa: A002 - the API's word
        """The report of a batch that has ended, in pieces: `ndjson` or `csv`. Raises ClientError."""
        url = f"{self.url}/v1{_path('batches', batch_id, 'report')}"
        reply = self._send("GET", url, 0, {"params": {"format": format}, "stream": True})
        if reply.status_code != requests.codes.ok:
            raise _converted(ProblemError, _json(reply) | _from_headers(reply), reply.status_code)
        pieces: Iterator[bytes] = reply.iter_content(_PIECE)
        return pieces

    def _command(
        self,
        batch_id: str,
        verb: str,
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Batch:
        path = _path("batches", batch_id, verb)
        return _converted(Batch, self._call("POST", path, json=body or None, headers=headers))

    def create_schedule(
        self,
        name: str,
        batch: Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
        **options: Unpack[ScheduleOptions],
    ) -> Schedule:
        """Create a schedule of a `batch`, which has the API's names: `action`, `reason`, `select`, `limits` …."""
        body = {**_members(options), "name": name, "batch": batch}
        reply = self._call("POST", _path("schedules"), json=body, headers=_key(idempotency_key))
        return _converted(Schedule, reply)

    def preview_schedule(
        self, name: str, batch: Mapping[str, Any], **options: Unpack[ScheduleOptions]
    ) -> SchedulePreview:
        """The preview of a schedule. Nothing is created."""
        body = {**_members(options), "name": name, "batch": batch}
        reply = self._call("POST", _path("schedules"), params={"dryRun": "true"}, json=body)
        return _converted(SchedulePreview, reply)

    def schedules(self, *, limit: int | None = None) -> Iterator[Schedule]:
        """The schedules of this API key, newest first; at most `limit`."""
        return self._list(Schedule, _path("schedules"), limit)

    def schedule(self, schedule_id: str) -> Schedule:
        """One schedule."""
        return self._get(Schedule, _path("schedules", schedule_id))

    def pause_schedule(self, schedule_id: str, reason: str | None = None) -> Schedule:
        """Let a schedule make no batches for the time being."""
        path = _path("schedules", schedule_id, "pause")
        return _converted(Schedule, self._call("POST", path, json=_because(reason) or None))

    def resume_schedule(self, schedule_id: str, reason: str | None = None) -> Schedule:
        """Let a schedule make batches again, from its next time on."""
        path = _path("schedules", schedule_id, "resume")
        return _converted(Schedule, self._call("POST", path, json=_because(reason) or None))

    def delete_schedule(self, schedule_id: str) -> Schedule:
        """Let a schedule make no more batches, for good."""
        return _converted(Schedule, self._call("DELETE", _path("schedules", schedule_id)))

    def windows(self) -> tuple[Window, ...]:
        """The windows in the settings of the gateway."""
        return tuple(self._list(Window, _path("windows")))

    def api_keys(self, *, limit: int | None = None) -> Iterator[ApiKey]:
        """The keys of all callers, without their secrets: those of the key store, newest first; at most `limit`."""
        return self._list(ApiKey, _path("keys"), limit)

    def approvals(self, *states: str, limit: int | None = None) -> Iterator[Approval]:
        """The approvals that this key can see, newest first; with `states`, those in one of them; at most `limit`."""
        return self._list(Approval, _path("approvals"), limit, state=list(states) or None)

    def approval(self, approval_id: str) -> Approval:
        """One approval."""
        return self._get(Approval, _path("approvals", approval_id))

    def approve(self, approval: Approval, comment: str | None = None) -> Approval:
        """Approve the plan of an approval, as it was read."""
        return self._decide("approve", approval, comment)

    def reject(self, approval: Approval, comment: str | None = None) -> Approval:
        """Reject the plan of an approval."""
        return self._decide("reject", approval, comment)

    def review(self, approval: Approval, comment: str | None = None) -> Approval:
        """Note that an emergency was reviewed."""
        return self._decide("review", approval, comment)

    def _decide(self, decision: str, approval: Approval, comment: str | None) -> Approval:
        said = _members({"digest": approval.digest, "comment": comment})
        return _converted(Approval, self._call("POST", _path("approvals", approval.id, decision), json=said))

    def call(  # noqa: PLR0913 - the parts of a request
        self,
        method: str,
        segments: Sequence[str],
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | Sequence[Any] | None = None,
        idempotency_key: str | None = None,
        wait: int | None = None,
    ) -> dict[str, Any]:
        """Call an operation for which there is no method here; return the JSON of the reply.

        The path is that of the `segments` below `/v1`. Raises ValueError for a segment that no URL can keep.
        """
        headers = _prefer(strict=False, wait=wait) | _key(idempotency_key)
        content = {"params": query, "json": body or None, "headers": headers}
        return _json(self._successful(method, _path(*segments), wait, ANY_SUCCESS, **content))

    def pages(self, segments: Sequence[str], *, query: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        """The pages of a list for which there is no method here, as JSON. Raises as `call`.

        Each page is requested when you come to it. Its `leftOut` is that of the header field `Jobgate-Left-Out`.
        """
        cursor: Mapping[str, str] = {}
        while True:
            reply = self._successful("GET", _path(*segments), None, params={**(query or {}), **cursor})
            page = _json(reply)
            yield {**page, "leftOut": int(reply.headers.get("Jobgate-Left-Out", 0))}
            if page.get("nextCursor") is None:
                return
            cursor = {"cursor": page["nextCursor"]}

    def download(self, segments: Sequence[str], *, query: Mapping[str, Any] | None = None) -> Iterator[bytes]:
        """The body of a reply that is not JSON, such as a report, in pieces as they come. Raises as `call`."""
        headers = {"Accept": "*/*"}
        with self._successful("GET", _path(*segments), None, params=query, headers=headers, stream=True) as reply:
            try:
                yield from reply.iter_content(65_536)
            except (requests.RequestException, HTTPError, OSError) as error:
                raise _unreachable(self.url, error) from None

    def _get(self, kind: type[Kind], path: str, **query: Any) -> Kind:
        return _converted(kind, self._call("GET", path, params=query))

    def _post(
        self, kind: type[Kind], path: str, options: Options, more: Mapping[str, object] | None = None, **query: str
    ) -> Kind:
        return _converted(kind, self._sent(path, options, more, **query))

    def _sent(self, path: str, options: Options, more: Mapping[str, object] | None = None, **query: str) -> Any:
        wait = options.get("wait")
        headers = _prefer(strict=options.get("strict", False), wait=wait) | _key(options.get("idempotency_key"))
        headers |= _version(options.get("if_match"))
        parameters = _members({name: value for name, value in options.items() if name not in ABOUT_THE_REQUEST})
        parameters |= more or {}
        # Without parameters there is no body, not an empty object.
        return self._call("POST", path, wait=wait, params=query, json=parameters or None, headers=headers)

    def _list(self, kind: type[Kind], path: str, limit: int | None = None, **query: Any) -> Iterator[Kind]:
        size = None if limit is None else str(min(limit, LARGEST_PAGE))
        return islice(self._items(kind, path, {**query, "limit": size}), limit)

    def _items(self, kind: type[Kind], path: str, query: Mapping[str, Any]) -> Iterator[Kind]:
        more = True
        while more:
            page = _converted(_Page, self._call("GET", path, params=query))
            yield from (_converted(kind, each) for each in page.items)
            more = page.next_cursor is not None
            query = {**query, "cursor": page.next_cursor}

    def _call(self, method: str, path: str, *, wait: int | None = None, **content: Any) -> Any:
        """The JSON of a successful reply, with members from its headers. Raises ClientError."""
        reply = self._successful(method, path, wait, **content)
        return _json(reply) | _from_headers(reply)

    def _successful(
        self, method: str, path: str, wait: int | None, successes: Collection[int | None] = SUCCESSES, **content: Any
    ) -> requests.Response:
        """A reply with one of the statuses of success. Raises ClientError."""
        reply = self._send(method, f"{self.url}/v1{path}", wait or 0, content)
        if reply.status_code in successes or (method == "POST" and reply.status_code == requests.codes.created):
            return reply
        raise _converted(ProblemError, _json(reply) | _from_headers(reply), reply.status_code)

    def _send(self, method: str, url: str, wait: int, content: Mapping[str, Any]) -> requests.Response:
        timeout = self._connect_seconds, self._read_seconds + wait
        _is_sent.set(False)
        try:
            return self._session.request(method, url, timeout=timeout, allow_redirects=False, **content)
        except (requests.RequestException, HTTPError, OSError) as error:
            # Without a cause: a traceback with local variables would show the headers of the request.
            raise _unreachable(self.url, error) from None


class _HttpConnection(HTTPConnection):
    def send(self, data: Any) -> None:
        """Send a part of a request, and note after connecting that bytes may have been sent."""
        if self.sock is None:
            self.connect()
        _is_sent.set(True)
        super().send(data)


class _HttpsConnection(_HttpConnection, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


class _Adapter(HTTPAdapter):
    """The transport adapter of requests that sets `_is_sent` when it starts to send."""

    def init_poolmanager(self, *arguments: Any, **settings: Any) -> None:
        """Create the connection pools."""
        super().init_poolmanager(*arguments, **settings)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}


def _trusted(verify: bool | str | Path | None) -> bool | str:  # noqa: FBT001 - as requests has it
    """The trusted certificates, as `verify` of requests. Raises ValueError if the file does not exist."""
    name, value = "verify", verify
    if value is None:
        name, value = next(((each, os.environ[each]) for each in AUTHORITIES if os.environ.get(each)), (name, True))
    if isinstance(value, bool):
        return value
    if not Path(value).exists():
        raise ValueError(f"{name} names a file of certificates that does not exist: {value}")
    return str(value)


@dataclass(frozen=True)
class _Page:
    items: tuple[Any, ...]
    next_cursor: str | None = None


def _references(jobs: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """Jobs as the API names them."""
    return [{"connection": connection, "jobId": job_id} for connection, job_id in jobs]


def _because(reason: str | None) -> dict[str, object]:
    """The body of a command with a reason."""
    return {} if reason is None else {"reason": reason}


def _path(*segments: str) -> str:
    """A path of percent-encoded segments. Raises ValueError for empty and dot segments, which URLs do not keep."""
    for segment in segments:
        if segment in {"", ".", ".."}:
            raise ValueError(f"{segment!r} is not a valid id or name.")
    return "".join(f"/{quote(segment, safe='')}" for segment in segments)


def _prefer(*, strict: bool, wait: int | None) -> dict[str, str]:
    """The Prefer header (RFC 7240); empty without preferences."""
    preferences = ["handling=strict"] * strict + ([f"wait={wait}"] if wait else [])
    return {"Prefer": ", ".join(preferences)} if preferences else {}


def _key(key: str | None) -> dict[str, str]:
    """The Idempotency-Key header, a string of RFC 8941. Raises ValueError if a string cannot have such characters."""
    if key is None:
        return {}
    if not re.fullmatch("[ -~]{1,255}", key):
        raise ValueError("An idempotency key has 1 to 255 ASCII characters, without control characters.")
    return {"Idempotency-Key": '"' + re.sub(r'(["\\])', r"\\\1", key) + '"'}


def _version(tag: str | None) -> dict[str, str]:
    """The If-Match header. Raises ValueError if it is not the version of a job."""
    if tag is None:
        return {}
    if not re.fullmatch(r'(?:W/)?"[!#-~]*"', tag):
        raise ValueError("if_match takes the version of a job as it was read, an entity tag with its quotes.")
    return {"If-Match": tag}


def _members(given: Mapping[str, object]) -> dict[str, object]:
    """The given values, without None, under the API's names."""
    return {_camel(name): _member(value) for name, value in given.items() if value is not None}


def _member(value: object) -> object:
    """A parameter as a JSON value. Raises ValueError for a time without a time zone."""
    if isinstance(value, timedelta):
        return f"PT{round(value.total_seconds())}S"
    if not isinstance(value, datetime):
        return value
    if value.tzinfo is None:
        raise ValueError("A time needs a time zone, as in datetime(2030, 1, 1, tzinfo=UTC).")
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _conditions(given: JobConditions) -> dict[str, Any]:
    """The conditions for jobs as a query."""
    return {
        JOB_CONDITIONS.get(name, _camel(name)): _member(value) for name, value in given.items() if value is not None
    }


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def _json(reply: requests.Response) -> dict[str, Any]:
    """The JSON object of a reply. Raises UnexpectedReply if there is none."""
    try:
        return _converted(dict, reply.json(), reply.status_code)
    except (requests.JSONDecodeError, RecursionError):
        raise UnexpectedReply(f"The reply with status {reply.status_code} is not JSON.", reply.status_code) from None


def _from_headers(reply: requests.Response) -> dict[str, int | bool]:
    seconds = reply.headers.get("Retry-After", "")
    retry_after = {"retryAfter": int(seconds)} if re.fullmatch("[0-9]{1,9}", seconds) else {}
    left_out = {"leftOut": int(reply.headers["Jobgate-Left-Out"])} if "Jobgate-Left-Out" in reply.headers else {}
    return {**retry_after, **left_out, "replayed": reply.headers.get("Idempotent-Replayed") == "true"}


def _unreachable(url: str, error: Exception) -> GatewayUnreachable:
    if _is_sent.get():
        return GatewayUnreachable(f"No answer from {url}: {_reason(error)}", "unknown")
    return GatewayUnreachable(f"Nothing was sent to {url}: {_reason(error)}", "not_sent")


def _reason(error: Exception) -> str:
    """The root cause of an error, in words."""
    causes = [*_causes(error)]
    untrusted = next((each for each in causes if isinstance(each, ssl.SSLCertVerificationError)), None)
    if untrusted is not None:
        return f"its certificate is not trusted ({untrusted.verify_message}); name a trusted one with `verify`"
    said = next((each.strerror for each in causes if isinstance(each, OSError) and each.strerror), None)
    return said or str(causes[-1])


def _causes(error: object) -> Iterator[BaseException]:
    """An error of requests, then the errors of urllib3 and of the system inside it."""
    while isinstance(error, BaseException):
        yield error
        wrapped = (getattr(error, "reason", None), *error.args, error.__cause__)
        error = next((each for each in wrapped if isinstance(each, BaseException)), None)


def _converted(kind: type[Kind], value: Any, status: int = 200) -> Kind:
    """Convert a JSON value to `kind`. Raises UnexpectedReply if it does not match."""
    try:
        decoded: Kind = _decode(kind, value)
    except (TypeError, ValueError) as error:
        raise UnexpectedReply(f"The reply with status {status} is not Jobgate's: {error}", status) from None
    return decoded


def _decode(kind: Any, value: Any) -> Any:
    """Convert a JSON value to a type of the classes above. Raises TypeError or ValueError if it does not match."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return None if value is None else _decode(arguments[0], value)
    if origin is tuple:
        return tuple(_decode(arguments[0], each) for each in _checked(list, value))
    if origin is Mapping:
        return {name: _decode(arguments[1], each) for name, each in _checked(dict, value).items()}
    if kind is datetime:
        return datetime.fromisoformat(_checked(str, value))
    if is_dataclass(kind):
        return _decode_members(kind, _checked(dict, value))
    return _checked(kind, value)


def _decode_members(kind: Any, members: Mapping[str, Any]) -> Any:
    """Convert a JSON object to a dataclass. Unknown members are ignored, so that newer gateways work too."""
    hints = _hints(kind)
    names = {each.name: each.metadata.get("member", _camel(each.name)) for each in fields(kind)}
    return kind(**{name: _decode(hints[name], members[member]) for name, member in names.items() if member in members})


@cache
def _hints(kind: Any) -> Mapping[str, Any]:
    return get_type_hints(kind)


def _checked(kind: Any, value: Any) -> Any:
    if kind is not Any and not isinstance(value, kind):
        raise TypeError(f"{type(value).__name__} where {kind.__name__} was expected")
    return value
