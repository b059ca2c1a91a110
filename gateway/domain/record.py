"""The record of a job action: an append-only list of events.

The state of a job action (its status, its outcome, its attempts) is derived from the events.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from gateway.domain.errors import Explanation, JobgateError, catalogue
from gateway.domain.model import ActionWarning, JobAction, Outcome, StatusPair, VendorResponse
from gateway.domain.vocabulary import TERMINATE


class JobActionStatus(StrEnum):
    """The state of a job action. `unsettled`: its outcome is unknown."""

    IN_PROGRESS = "in_progress"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNSETTLED = "unsettled"


STATUSES: Mapping[Outcome | None, JobActionStatus] = {
    None: JobActionStatus.IN_PROGRESS,
    Outcome.APPLIED: JobActionStatus.SUCCEEDED,
    Outcome.PARTIAL: JobActionStatus.FAILED,
    Outcome.REJECTED: JobActionStatus.FAILED,
    Outcome.NOT_SENT: JobActionStatus.FAILED,
    Outcome.UNKNOWN: JobActionStatus.UNSETTLED,
}
"""The status of a job action for each outcome; None: there is no outcome yet."""


class SettledBy(StrEnum):
    """The way in which an outcome became certain. `gave-up`: it did not, and the job is not read any more."""

    VENDOR_REPLY = "vendor-reply"
    NOTHING_SENT = "nothing-sent"
    READING = "reading"
    GAVE_UP = "gave-up"


class Origin(Struct, frozen=True, omit_defaults=True):
    """The origin of a request: the client's address, Jobgate's id of the request, and the client's `traceparent`.

    `trace_parent` is the header of W3C Trace Context, as received.
    """

    address: str | None = None
    request_id: str | None = None
    trace_parent: str | None = None

    @property
    def trace_id(self) -> str | None:
        """The client's trace id, 32 hexadecimal digits."""
        return None if self.trace_parent is None else self.trace_parent.split("-")[1]


NOBODY = Origin()
"""The origin of a job action that did not come from a client's request."""


class ProblemNote(Struct, frozen=True, omit_defaults=True):
    """The problem with which a job action failed, as its caller received it."""

    code: str
    detail: str
    explanation: Explanation = Explanation()


class Requested(Struct, frozen=True, omit_defaults=True):
    """A caller requested a job action, and Jobgate accepted the request.

    `keeps_refusals`: the key is kept for the answer even if the action was refused. `signature` is the name made from
    the request's signature; it is always kept for the answer. `parent` is the id of the termination of which this
    action is a step. `labels` are the caller's own words by their names, such as the number of an incident.
    """

    at: datetime
    caller: str
    connection: str
    vendor: str
    job_action: JobAction
    warnings: tuple[ActionWarning, ...] = ()
    origin: Origin = NOBODY
    idempotency_key: str | None = None
    keeps_refusals: bool = True
    signature: str | None = None
    parent: str | None = None
    labels: Mapping[str, str] = {}

    @property
    def is_termination(self) -> bool:
        """True if it stands for the steps that end a job, and is sent to no vendor itself."""
        return self.job_action.action == TERMINATE

    @property
    def is_named(self) -> bool:
        """True if the same request, sent again, waits for the conclusion of this one."""
        return self.idempotency_key is not None or self.signature is not None


class Sent(Struct, frozen=True, omit_defaults=True):
    """The action is about to be sent to the vendor. `found` holds parameters that Jobgate found for the caller."""

    at: datetime
    found: Mapping[str, Any] = {}


class Read(Struct, frozen=True, omit_defaults=True):
    """The job was read, to find out what happened or before it is deleted: its status, or the code of the problem."""

    at: datetime
    job: StatusPair | None = None
    problem: str | None = None


class Step(Struct, frozen=True, omit_defaults=True):
    """A step of a termination: the job action with this id. `outcome` is None while it is in progress."""

    id: str
    action: str
    outcome: Outcome | None = None


class Concluded(Struct, frozen=True, omit_defaults=True):
    """A conclusion about the outcome. A later conclusion replaces an earlier one.

    `settled_by` is None while the outcome is unknown and the job will be read again. `job` is the job's status
    afterwards, `vendor_response` the vendor's answer to the action; if the action failed, the problem holds both.
    `steps` are those of a termination; `already_so`: the job had ended before, and nothing was done.
    """

    at: datetime
    outcome: Outcome
    settled_by: SettledBy | None = None
    job: StatusPair | None = None
    vendor_response: VendorResponse | None = None
    problem: ProblemNote | None = None
    steps: tuple[Step, ...] = ()
    already_so: bool = False

    @property
    def answer(self) -> VendorResponse | None:
        """The vendor's answer to the action, None if there was none."""
        response = self.problem.explanation.vendor if self.problem else self.vendor_response
        return response if response and response.status else None

    @property
    def job_afterwards(self) -> StatusPair | None:
        """The job's status afterwards, None if it is not known."""
        state = self.problem.explanation.job if self.problem else None
        return state.status if state else self.job


Event: TypeAlias = Requested | Sent | Read | Concluded


class JobActionRecord(Struct, frozen=True):
    """A job action with its events so far, in order. The first event is the request, the others are in `later`."""

    id: str
    requested: Requested
    later: tuple[Event, ...] = ()

    def __len__(self) -> int:
        """The number of events."""
        return 1 + len(self.later)

    def with_event(self, event: Event) -> JobActionRecord:
        """The record after one more event."""
        return JobActionRecord(self.id, self.requested, (*self.later, event))

    @property
    def sent(self) -> tuple[Sent, ...]:
        """The attempts to send the action, oldest first."""
        return tuple(event for event in self.later if isinstance(event, Sent))

    @property
    def readings(self) -> tuple[Read, ...]:
        """The readings of the job, oldest first."""
        return tuple(event for event in self.later if isinstance(event, Read))

    @property
    def conclusion(self) -> Concluded | None:
        """The latest conclusion, None while the action is in progress."""
        for event in reversed(self.later):
            if isinstance(event, Concluded):
                return event
        return None

    @property
    def outcome(self) -> Outcome | None:
        """The known outcome at the vendor, None while the action is in progress."""
        conclusion = self.conclusion
        return conclusion.outcome if conclusion else None

    @property
    def status(self) -> JobActionStatus:
        """The state of the job action."""
        conclusion = self.conclusion
        return STATUSES[conclusion.outcome if conclusion else None]

    @property
    def is_settled(self) -> bool:
        """True if the job need not be read any more to find out what happened."""
        conclusion = self.conclusion
        return conclusion is not None and conclusion.settled_by is not None

    @property
    def completed_at(self) -> datetime | None:
        """The time at which the job action was settled, None if it is not."""
        conclusion = self.conclusion
        return conclusion.at if conclusion and conclusion.settled_by else None

    @property
    def job_action(self) -> JobAction:
        """The requested job action, with the parameters that Jobgate found."""
        asked = self.requested.job_action
        found = {name: value for event in self.sent for name, value in event.found.items()}
        return replace(asked, parameters={**asked.parameters, **found}) if found else asked

    @property
    def step(self) -> Step:
        """The record as a step of a termination."""
        return Step(self.id, self.requested.job_action.action, self.outcome)

    @property
    def problem(self) -> ProblemNote | None:
        """The problem with which the job action failed, None if it did not."""
        conclusion = self.conclusion
        return conclusion.problem if conclusion else None

    @property
    def vendor_response(self) -> VendorResponse | None:
        """The vendor's answer to the action, None if there was none."""
        conclusion = self.conclusion
        return conclusion.answer if conclusion else None

    @property
    def job(self) -> StatusPair | None:
        """The job's status afterwards, None if it is not known."""
        conclusion = self.conclusion
        return conclusion.job_afterwards if conclusion else None

    @property
    def releases_key(self) -> bool:
        """True if the idempotency key is released, so that the same request, sent again, is a new one.

        That is so if the action failed and can safely be retried, or if it was refused and its key does not keep
        refusals (`Requested.keeps_refusals`).
        """
        conclusion = self.conclusion
        if conclusion is None or conclusion.settled_by is None or conclusion.problem is None:
            return False
        is_refused = conclusion.settled_by in {SettledBy.VENDOR_REPLY, SettledBy.NOTHING_SENT}
        return problem_of(self).may_be_retried or (is_refused and not self.requested.keeps_refusals)


class HeldKey(Struct, frozen=True):
    """An idempotency key of a caller, held for one job action until `expires_at`.

    `fingerprint` identifies the content of the request: the same key with another fingerprint is an error of the
    caller.
    """

    caller: str
    key: str
    fingerprint: bytes
    expires_at: datetime


class SignedName(Struct, frozen=True):
    """A name made from a request's signature, valid until `expires_at`. No client can choose such a name as its key."""

    name: str
    expires_at: datetime


class Holder(Struct, frozen=True):
    """The current holder of a key: a record, and the fingerprint of its request."""

    record: JobActionRecord
    fingerprint: bytes


class Selection(Struct, frozen=True):
    """The conditions that wanted records meet; None: any value. `since` and `until` are inclusive.

    `label` is the name and the value of one of their labels.
    """

    caller: str | None = None
    connection: str | None = None
    job_id: str | None = None
    action: str | None = None
    status: JobActionStatus | None = None
    outcome: Outcome | None = None
    since: datetime | None = None
    until: datetime | None = None
    label: tuple[str, str] | None = None


class Overtaken(Exception):
    """Another process has added an event first. `record` is the record as it is now."""

    def __init__(self, record: JobActionRecord) -> None:
        """Carry the present record."""
        super().__init__(record.id)
        self.record = record


_KINDS = {kind.code: kind for kind in catalogue()}


def problem_of(record: JobActionRecord) -> JobgateError:
    """The problem of a failed job action, the same each time a caller asks. Raises ValueError if it did not fail."""
    note = record.problem
    if note is None:
        raise ValueError(f"job action {record.id} did not fail")
    problem = _KINDS[note.code](note.detail, note.explanation)
    return problem.explain(outcome=record.outcome, job_action=record.id)


class Tally(Struct, frozen=True):
    """The numbers of what has not ended: job actions with an unknown outcome, the oldest's id, and batches by state.

    `approvals` is the number of approvals and reviews, of anybody, that nobody has decided.
    """

    unknown: int = 0
    oldest: str | None = None
    batches: Mapping[str, int] = {}
    approvals: int = 0
