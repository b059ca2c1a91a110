"""The Python client of the unified API.

It needs only `requests`, so this folder can be copied into any project:

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

from .approvals import Approval, ApprovalDecision, ApprovalPlan, ApprovalPolicy, BreakGlass, Notice
from .batches import (
    Batch,
    BatchConditions,
    BatchItem,
    BatchOptions,
    BatchProgress,
    BatchReport,
    Manifest,
    Selected,
    Why,
)
from .client import Client
from .errors import ClientError, FieldError, GatewayUnreachable, JobState, ProblemError, UnexpectedReply
from .job_actions import (
    ActionWarning,
    AssignmentOptions,
    Attempt,
    CloseOptions,
    DryRun,
    JobAction,
    JobActionConditions,
    JobActionProblem,
    Options,
    Origin,
    PlannedStep,
    Reading,
    Step,
    TerminationPlan,
    VendorRequest,
)
from .jobs import BlockedAction, ConnectionCount, FoundJobs, Job, JobConditions, JobCount, UnreadConnection
from .keys import ApiKey
from .schedules import Schedule, ScheduledAction, ScheduleOptions, SchedulePreview, SkippedOccurrence, Window
from .statuses import StatusPair, VendorResponse
from .vendors import Capability, Connection, ParameterSupport, ReadSupport, Vendor, VendorStatus, WaysToEnd

__all__ = [
    "ActionWarning",
    "ApiKey",
    "Approval",
    "ApprovalDecision",
    "ApprovalPlan",
    "ApprovalPolicy",
    "AssignmentOptions",
    "Attempt",
    "Batch",
    "BatchConditions",
    "BatchItem",
    "BatchOptions",
    "BatchProgress",
    "BatchReport",
    "BlockedAction",
    "BreakGlass",
    "Capability",
    "Client",
    "ClientError",
    "CloseOptions",
    "Connection",
    "ConnectionCount",
    "DryRun",
    "FieldError",
    "FoundJobs",
    "GatewayUnreachable",
    "Job",
    "JobAction",
    "JobActionConditions",
    "JobActionProblem",
    "JobConditions",
    "JobCount",
    "JobState",
    "Manifest",
    "Notice",
    "Options",
    "Origin",
    "ParameterSupport",
    "PlannedStep",
    "ProblemError",
    "ReadSupport",
    "Reading",
    "Schedule",
    "ScheduleOptions",
    "SchedulePreview",
    "ScheduledAction",
    "Selected",
    "SkippedOccurrence",
    "StatusPair",
    "Step",
    "TerminationPlan",
    "UnexpectedReply",
    "UnreadConnection",
    "Vendor",
    "VendorRequest",
    "VendorResponse",
    "VendorStatus",
    "WaysToEnd",
    "Why",
    "Window",
]
