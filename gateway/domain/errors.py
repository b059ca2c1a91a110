"""Every kind of problem: a class for each, whose docstring is its page in the documentation.

    JobgateError
    ├── CallerError                  the request cannot be carried out as it is; nothing reached the vendor
    │   ├── MalformedRequest             400
    │   ├── IdempotencyKeyMissing        400
    │   ├── Unauthenticated              401
    │   ├── Forbidden                    403
    │   ├── ApprovalRequired             403
    │   ├── NotAnApprover                403
    │   ├── UnknownPath                  404
    │   ├── UnknownVendor                404
    │   ├── UnknownConnection            404
    │   ├── UnknownJobAction             404
    │   ├── UnknownBatch                 404
    │   ├── UnknownSchedule              404
    │   ├── UnknownApproval              404
    │   ├── MethodNotAllowed             405
    │   ├── RequestTooSlow               408
    │   ├── AmbiguousParameter           409
    │   ├── IdempotencyKeyInUse          409
    │   ├── WrongBatchState              409
    │   ├── ManifestDiffers              409
    │   ├── BatchTooLarge                409
    │   ├── WrongScheduleState           409
    │   ├── WindowClosed                 409
    │   ├── ApprovalClosed               409
    │   ├── PlanChanged                  409
    │   ├── BreakGlassRefused            409
    │   ├── RequestTooLarge              413
    │   ├── TargetTooLong                414
    │   ├── UnsupportedMediaType         415
    │   ├── Misdirected                  421
    │   ├── UnknownCursor                422
    │   ├── ActionNotSupported           422
    │   ├── ParameterNotSupported        422
    │   ├── ValueNotSupported            422
    │   ├── ListNotSupported             422
    │   ├── InvalidSchedule              422
    │   ├── PreconditionNotSupported     422
    │   ├── IdempotencyKeyReused         422
    │   ├── TooManyRequests              429
    │   └── HeaderFieldsTooLarge         431
    ├── VendorRejected               the vendor answered, and refused
    │   ├── UnknownJob                   404
    │   ├── WrongState                   409
    │   ├── JobChanged                   412   it is not the version that the request named
    │   ├── VendorRefused                422
    │   ├── VendorThrottled              429
    │   ├── VendorDeniedAccess           502
    │   └── NotCarriedOut                502   it reported no result, and the job shows that it did nothing
    ├── VendorFailed                 the vendor gave no usable answer
    │   ├── VendorUnreachable            503   nothing was sent
    │   ├── VendorError                  502   it answered with a server error
    │   ├── VendorUnavailable            503   it answered that it cannot serve requests now
    │   ├── VendorReplyNotUnderstood     502   its answer cannot be understood
    │   └── VendorTimedOut               504   it did not answer in time
    ├── NotConfirmed                 504   the vendor accepted the action, and has not reported its end
    ├── ConnectionSuspended          503   it failed so often that no requests are sent for a while
    ├── ConnectionBusy               503   the request waited too long for its turn
    ├── IssuerUnavailable            503   the issuer's keys could not be fetched
    ├── LedgerUnavailable            503   the ledger could not be written or read
    ├── LedgerOutdated               503   the ledger does not match its newest checkpoint
    ├── NotEnded                     409   a job was to be terminated, and no further step is taken
    ├── Interrupted                  503   the gateway stopped before anything was sent
    ├── AdapterFailed                500   a function of the vendor's adapter broke its promise
    └── GatewayError                 500   a fault of Jobgate itself

Each docstring of a problem has three paragraphs, which its page in docs/problems shows unchanged: what the problem
means, what happened at the vendor, and how to fix it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from msgspec import Struct
from msgspec.structs import replace

from gateway.domain.model import Outcome, StatusPair, VendorResponse
from gateway.domain.vocabulary import Meaning


class FieldError(Struct, frozen=True, omit_defaults=True):
    """One invalid place in a request. `pointer` is a JSON pointer into {path, query, header, body}."""

    pointer: str
    detail: str


class JobState(Struct, frozen=True, omit_defaults=True):
    """The job's status, which explains a refusal, and the actions that the job allows."""

    status: StatusPair
    allowed_actions: tuple[str, ...]


class Explanation(Struct, frozen=True, omit_defaults=True):
    """The details of a problem beside its sentence. Unknown members keep their defaults.

    `allow`, `retry_after` (in seconds) and `replayed` (a repeated earlier answer) become headers; the others become
    members of the body.
    """

    errors: tuple[FieldError, ...] = ()
    vendor: VendorResponse | None = None
    job: JobState | None = None
    supported: tuple[str, ...] | None = None
    candidates: tuple[str, ...] | None = None
    allow: tuple[str, ...] = ()
    retry_after: int | None = None
    outcome: Outcome | None = None
    job_action: str | None = None
    replayed: bool = False


class JobgateError(Exception):
    """A problem of one kind in the catalogue.

    `detail` is a sentence for people: what is wrong, where, and how to fix it. It never contains a secret of the caller
    or of a vendor. `explanation` holds the details for programs.
    """

    code: ClassVar[str]
    title: ClassVar[str]
    status: ClassVar[int]
    retryable: ClassVar[bool] = False
    outcome: ClassVar[Outcome] = Outcome.NOT_SENT
    meaning: ClassVar[Meaning | None] = None
    """The meaning by which a native API chooses its answer to this problem. None: the HTTP status decides."""
    replies: ClassVar[frozenset[Meaning]] = frozenset()
    """The meanings of a vendor's reply that always become this problem."""

    def __init__(self, detail: str, explanation: Explanation | None = None) -> None:
        """Describe the problem: a sentence for people, and an explanation for programs."""
        super().__init__(detail)
        self.detail = detail
        self.explanation = explanation or Explanation()

    def explain(self, **known: object) -> JobgateError:
        """Set members of the explanation, and return this error, ready to be raised."""
        self.explanation = replace(self.explanation, **known)
        return self

    @property
    def may_be_retried(self) -> bool:
        """True if the same request can succeed later and is safe: the action cannot already have been applied."""
        return self.retryable and self.explanation.outcome is not Outcome.UNKNOWN


class CallerError(JobgateError):
    """The request cannot be carried out as it is."""


class MalformedRequest(CallerError):
    """The request does not match the API's document: a parameter or the body is missing, misspelt or out of bounds.

    Nothing was sent to the vendor.

    `errors` lists every invalid place as a JSON pointer, with the reason. Correct them all and send the request again.
    """

    code, title, status = "malformed-request", "Malformed request", 400
    meaning = Meaning.INVALID_REQUEST


class IdempotencyKeyMissing(CallerError):
    """This connection requires an idempotency key for every action.

    Nothing was sent to the vendor.

    Send an `Idempotency-Key` header. Use a new value, such as a UUID, for each action, and the same value whenever you
    send that action again.
    """

    code, title, status = "idempotency-key-missing", "Idempotency key missing", 400
    meaning = Meaning.INVALID_REQUEST


class Unauthenticated(CallerError):
    """The request carries no valid credential: no API key, no token, and on a vendor's own API no signature either.

    Nothing was sent to the vendor.

    Send an API key or a token as `Authorization: Bearer <key>`, once. `jobgate serve --sandbox` prints a key when it
    starts. The log of the gateway says why a credential was refused.
    """

    code, title, status = "unauthenticated", "Not authenticated", 401
    meaning = Meaning.UNAUTHENTICATED


class Forbidden(CallerError):
    """The caller is authenticated but lacks the scope for this request.

    Nothing was sent to the vendor.

    The detail names the missing scope. The gateway's operator can add it to the API key, or the issuer to the token.
    """

    code, title, status = "forbidden", "Forbidden", 403
    meaning = Meaning.FORBIDDEN


class ApprovalRequired(CallerError):
    """A policy of this gateway asks for a second person's approval of this action.

    Nothing was sent to the vendor.

    Create a batch, of one job if need be, and confirm it: the batch then waits until others have approved it. The
    detail names the policy. In an emergency, a caller with the scope `batches:break-glass` can begin a small batch
    without approval.
    """

    code, title, status = "approval-required", "Approval required", 403
    meaning = Meaning.FORBIDDEN


class NotAnApprover(CallerError):
    """This caller cannot decide about the request for approval.

    Nothing was sent to the vendor.

    The owner of the request cannot decide about it, whichever of the owner's keys is used. The policies in the settings
    name those who can; after an emergency, any other owner can review it.
    """

    code, title, status = "not-an-approver", "Not an approver of this request", 403


class UnknownPath(CallerError):
    """The API has nothing at this path.

    Nothing was sent to the vendor.

    Compare the path with the documentation at `/docs`. Ids and names in a path must be percent-encoded.
    """

    code, title, status = "unknown-path", "Unknown path", 404


class UnknownVendor(CallerError):
    """No adapter for a vendor with this name is installed.

    Nothing was sent to the vendor.

    `GET /v1/vendors` lists the vendors that this gateway knows.
    """

    code, title, status = "unknown-vendor", "Unknown vendor", 404


class UnknownConnection(CallerError):
    """No connection with this name is configured, or the caller's scopes do not include it.

    Nothing was sent to the vendor.

    `GET /v1/connections` lists the connections that the caller can use.
    """

    code, title, status = "unknown-connection", "Unknown connection", 404


def no_such_connection() -> UnknownConnection:
    """The problem for a missing connection, and for one that the caller may not use: the two look the same."""
    return UnknownConnection("No connection of this name is configured. GET /v1/connections lists those that are.")


class UnknownJobAction(CallerError):
    """There is no job action with this id, or it belongs to another caller.

    Nothing was sent to the vendor.

    `GET /v1/job-actions` lists the job actions that the caller can see. If the gateway has a retention time, older ones
    are deleted.
    """

    code, title, status = "unknown-job-action", "Unknown job action", 404


class UnknownBatch(CallerError):
    """There is no batch with this id, or it belongs to another caller.

    Nothing was sent to the vendor.

    `GET /v1/batches` lists the batches that the caller can see. If the gateway has a retention time, older ones are
    deleted.
    """

    code, title, status = "unknown-batch", "Unknown batch", 404


class UnknownSchedule(CallerError):
    """There is no schedule of this id, or it belongs to another caller.

    Nothing was sent to the vendor.

    `GET /v1/schedules` lists the caller's schedules.
    """

    code, title, status = "unknown-schedule", "Unknown schedule", 404


class WrongBatchState(CallerError):
    """The batch is in a state that does not allow this.

    Nothing was changed.

    The detail names the state. Read the batch, and wait for the state that is needed: `ready` or `running` to pause,
    `awaiting_confirmation` to confirm, an ended one for its report.
    """

    code, title, status = "wrong-batch-state", "Wrong batch state", 409


class ManifestDiffers(CallerError):
    """The confirmation does not fit the manifest of the batch: its digest, its count, or its share of the jobs.

    Nothing was sent to the vendor.

    Read the batch and its items again. Confirm with `manifest.digest` and `manifest.count` as they are then, and with
    `manifest.share` if the batch acts on a larger share of the jobs than the settings allow without being told so.
    """

    code, title, status = "manifest-differs", "Manifest differs", 409


class BatchTooLarge(CallerError):
    """The batch would have more jobs than a batch can have.

    Nothing was sent to the vendor.

    Make several batches. The detail names the limit, which no setting raises.
    """

    code, title, status = "batch-too-large", "Batch too large", 409


class WrongScheduleState(CallerError):
    """The schedule is in a state that does not allow this.

    Nothing was sent to the vendor.

    Read the schedule: its `state` is `active` or `paused` as long as it makes batches. One that has ended or was
    deleted makes no more: create another one.
    """

    code, title, status = "wrong-schedule-state", "Schedule in the wrong state", 409


class WindowClosed(CallerError):
    """The settings do not allow this action at this time.

    Nothing was sent to the vendor.

    The detail names the window, and says when the action will be allowed; `Retry-After` has the seconds until then, but
    at most a day. `GET /v1/windows` lists the windows. A batch waits by itself until the action is allowed. In an
    emergency, a small batch can begin whatever the windows say, and is reviewed afterwards.
    """

    code, title, status, retryable = "window-closed", "Not allowed at this time", 409, True


class UnknownApproval(CallerError):
    """There is no approval with this id, or the caller has not asked for it and cannot decide about it.

    Nothing was sent to the vendor.

    `GET /v1/approvals` lists the approvals that the caller can see.
    """

    code, title, status = "unknown-approval", "Unknown approval", 404


class MethodNotAllowed(CallerError):
    """The path exists but does not accept this method.

    Nothing was sent to the vendor.

    The `Allow` header of the answer lists the methods that the path accepts.
    """

    code, title, status = "method-not-allowed", "Method not allowed", 405


class RequestTooSlow(CallerError):
    """The request, or its body, did not arrive in time.

    Nothing was sent to the vendor.

    Send the whole request without pauses. The body must be as long as `Content-Length` says.
    """

    code, title, status, retryable = "request-too-slow", "Request too slow", 408, True
    meaning = Meaning.INVALID_REQUEST


class AmbiguousParameter(CallerError):
    """A parameter was left out, and the job has several values for it, or none.

    The job was read; nothing else was sent to the vendor.

    Send the parameter with one of `candidates`. Without candidates, the job has nothing to which the action applies.
    """

    code, title, status = "ambiguous-parameter", "Ambiguous parameter", 409


class IdempotencyKeyInUse(CallerError):
    """An earlier request with the same idempotency key is still in progress.

    Nothing was sent to the vendor for this request. The earlier one may have reached the vendor.

    Send the same request again after `Retry-After` seconds. It then gets the answer to the earlier one.
    """

    code, title, status, retryable = "idempotency-key-in-use", "Idempotency key in use", 409, True


class ApprovalClosed(CallerError):
    """The approval is no longer open to this decision, or does not let the batch begin.

    Nothing was sent to the vendor.

    The detail says what became of it: it has been decided, it has expired, or the batch was aborted. Confirm a new
    batch to ask for approval again.
    """

    code, title, status = "approval-closed", "Approval closed", 409


class PlanChanged(CallerError):
    """The digest is not that of the plan that would be carried out.

    Nothing was sent to the vendor.

    Read the plan again, and decide about what it says now. A batch whose plan has changed since its approval needs a
    new one.
    """

    code, title, status = "plan-changed", "Plan changed", 409


class BreakGlassRefused(CallerError):
    """The batch cannot begin as an emergency.

    Nothing was sent to the vendor.

    An emergency has to be small: `[break_glass]` in the settings says how many jobs it may have, and for how long it
    may run. After an emergency that nobody has reviewed in time, its owner cannot begin another one: have another owner
    review it.
    """

    code, title, status = "break-glass-refused", "Emergency refused", 409


class RequestTooLarge(CallerError):
    """The request's body is larger than this gateway accepts.

    Nothing was sent to the vendor.

    Shorten the body. No action needs a body of this size.
    """

    code, title, status = "request-too-large", "Request too large", 413
    meaning = Meaning.INVALID_REQUEST


class TargetTooLong(CallerError):
    """The path and query of the request are longer than this gateway accepts.

    Nothing was sent to the vendor.

    Shorten them. If the request has a cursor, send it exactly as received. No other parameter needs this length.
    """

    code, title, status = "target-too-long", "Target too long", 414
    meaning = Meaning.INVALID_REQUEST


class UnsupportedMediaType(CallerError):
    """The operation does not accept the media type of the request's body.

    Nothing was sent to the vendor.

    Send JSON with `Content-Type: application/json`, in UTF-8 and without a content encoding, or send no body.
    """

    code, title, status = "unsupported-media-type", "Unsupported media type", 415
    meaning = Meaning.INVALID_REQUEST


class Misdirected(CallerError):
    """The request names a host that is not this gateway's.

    Nothing was sent to the vendor.

    Call the gateway by one of its configured names, or ask its operator to add this one to `trusted_hosts` in
    `[server]`.
    """

    code, title, status = "misdirected", "Misdirected request", 421


class UnknownCursor(CallerError):
    """The cursor does not come from this list.

    Nothing was sent to the vendor.

    Start again without a cursor, and send each `nextCursor` exactly as received. A cursor is valid only for the list
    that it came from.
    """

    code, title, status = "unknown-cursor", "Unknown cursor", 422


class ActionNotSupported(CallerError):
    """The vendor of this connection has no such action.

    Nothing was sent to the vendor.

    `supported` lists the actions that the vendor has. `GET /v1/vendors/{vendor}` describes each of them.
    """

    code, title, status = "action-not-supported", "Action not supported by this vendor", 422


class ParameterNotSupported(CallerError):
    """The vendor of this connection does not accept a parameter of the request, and the action would differ without it.

    Nothing was sent to the vendor.

    Leave the parameter out. `supported` lists the parameters that the vendor accepts for this action. If a vendor does
    not accept notes or dispositions, Jobgate records them with a warning, or refuses them with
    `Prefer: handling=strict`.
    """

    code, title, status = "parameter-not-supported", "Parameter not supported by this vendor", 422


class ValueNotSupported(CallerError):
    """The request is valid in this API, but the vendor of this connection does not accept one of its values.

    Nothing was sent to the vendor.

    `errors` names the place. A vendor can require its own format of ids, or accept only certain dispositions. If the
    vendor has a list of accepted values, `supported` holds it.
    """

    code, title, status = "value-not-supported", "Value not supported by this vendor", 422


class ListNotSupported(CallerError):
    """The vendor of this connection has no list of jobs.

    Nothing was sent to the vendor.

    Read each job by its id, as `GET /v1/connections/{connection}/jobs/{jobId}`. `GET /v1/vendors/{vendor}` tells which
    reads a vendor has.
    """

    code, title, status = "list-not-supported", "List of jobs not supported by this vendor", 422


class InvalidSchedule(CallerError):
    """The schedule has no time, or a time that cannot be.

    Nothing was sent to the vendor.

    `errors` names the place. `runAt` has to be in the future, `cron` needs five fields that meet at some time, and
    `timeZone` is a name of the IANA database. `runAt` and `cron` exclude each other. `?dryRun=true` shows the next
    times of a schedule without creating it.
    """

    code, title, status = "invalid-schedule", "Schedule not possible", 422


class PreconditionNotSupported(CallerError):
    """The vendor of this connection cannot check the precondition of the request with this action.

    Nothing was sent to the vendor: without its precondition, the action would be carried out whatever has become of the
    job.

    If the detail asks for one entity tag, send the `ETag` of the job as `If-Match`. Otherwise leave the header field
    out: the vendor still refuses the action if the job's status does not allow it.
    """

    code, title, status = "precondition-not-supported", "Precondition not supported by this vendor", 422


class IdempotencyKeyReused(CallerError):
    """The idempotency key was used before, for another request.

    Nothing was sent to the vendor for this request.

    Use a new key for each action. A key identifies one action on one job of one connection, with its parameters.
    """

    code, title, status = "idempotency-key-reused", "Idempotency key used for another request", 422


class TooManyRequests(CallerError):
    """The caller has exceeded its request limit.

    Nothing was sent to the vendor.

    Send the request again after `Retry-After` seconds. The `RateLimit` header of each answer shows the requests left.
    """

    code, title, status, retryable = "too-many-requests", "Too many requests", 429, True
    meaning = Meaning.THROTTLED


class HeaderFieldsTooLarge(CallerError):
    """The request has more header fields, or larger ones, than this gateway accepts.

    Nothing was sent to the vendor.

    Leave out header fields that this API does not read, such as cookies.
    """

    code, title, status = "header-fields-too-large", "Header fields too large", 431
    meaning = Meaning.INVALID_REQUEST


class VendorRejected(JobgateError):
    """The vendor did not carry out the request."""

    outcome = Outcome.REJECTED


class UnknownJob(VendorRejected):
    """The vendor has no job with this id in this connection.

    The vendor received a request and changed nothing.

    Check the id and the connection: Jobgate looks for a job in the named connection only.
    """

    code, title, status = "unknown-job", "Unknown job", 404
    meaning, replies = Meaning.UNKNOWN_JOB, frozenset({Meaning.UNKNOWN_JOB})


class WrongState(VendorRejected):
    """The job is in a status that does not allow this action.

    The vendor refused the action, or Jobgate read the job first and did not send the action. Nothing was changed.

    `job` holds the job's status and the actions that it allows. Another user may have changed the job in the meantime.
    """

    code, title, status = "wrong-state", "Job in the wrong status", 409
    meaning = Meaning.WRONG_STATE


class JobChanged(VendorRejected):
    """The job is no longer in the version that the request named in `If-Match`.

    The vendor compared the versions and changed nothing.

    Read the job, decide again, and send the action with the job's present `ETag` and a new idempotency key.
    """

    code, title, status = "job-changed", "Job changed", 412
    meaning, replies = Meaning.CHANGED, frozenset({Meaning.CHANGED})


class VendorRefused(VendorRejected):
    """The vendor refused the request, although it matches the vendor's document and the job's status.

    The vendor answered with an error and changed nothing.

    `vendor` holds the vendor's own HTTP status, code and message, which usually name the reason.
    """

    code, title, status = "vendor-refused", "Refused by the vendor", 422


class VendorThrottled(VendorRejected):
    """The vendor's request limit is reached.

    The vendor refused the request before acting on it.

    Send the request again after `Retry-After` seconds or, without that header, after a pause.
    """

    code, title, status, retryable = "vendor-throttled", "Throttled by the vendor", 429, True
    meaning, replies = Meaning.THROTTLED, frozenset({Meaning.THROTTLED})


class VendorDeniedAccess(VendorRejected):
    """The vendor does not accept the credentials of this connection, or they do not permit the request.

    The vendor refused the request and changed nothing.

    The gateway's operator should check the connection's credentials, their scope, and the gateway's clock.
    """

    code, title, status = "vendor-denied-access", "Access denied by the vendor", 502
    replies = frozenset({Meaning.UNAUTHENTICATED, Meaning.FORBIDDEN})


class NotCarriedOut(VendorRejected):
    """The vendor reported no result, and the job, read afterwards, shows that the action had no effect.

    The request may have reached the vendor, which had time to act on it and did not.

    If the action is still wanted, send it again with a new idempotency key.
    """

    code, title, status = "not-carried-out", "Not carried out by the vendor", 502


class VendorFailed(JobgateError):
    """The vendor gave no usable answer."""

    outcome = Outcome.UNKNOWN
    retryable = True


class VendorUnreachable(VendorFailed):
    """No connection to the vendor could be made.

    Nothing was sent to the vendor.

    The detail gives the cause: for example, the host name was not found, the connection was refused, or the certificate
    is not trusted. Send the request again later. If the problem lasts, the gateway's operator can find host and port in
    the log and with `jobgate config test`.
    """

    diagnosis: str | None = None
    """Host, port and cause, for the operator only."""
    code, title, status, outcome = "vendor-unreachable", "Vendor unreachable", 503, Outcome.NOT_SENT


class VendorError(VendorFailed):
    """The vendor answered with a server error.

    It is not known whether an action took effect: `outcome` says `unknown`.

    Read the job before sending an action again.
    """

    code, title, status = "vendor-error", "Vendor error", 502


class VendorUnavailable(VendorFailed):
    """The vendor answered that it cannot serve requests at present.

    It is not known whether an action took effect: `outcome` says `unknown`.

    Repeat a read after `Retry-After` seconds. Read the job before sending an action again.
    """

    code, title, status = "vendor-unavailable", "Vendor unavailable", 503


class VendorReplyNotUnderstood(VendorFailed):
    """The vendor's reply was cut off, or does not match the vendor's document.

    It is not known whether an action took effect: `outcome` says `unknown`.

    Read the job before sending an action again. If the problem lasts, tell the gateway's operator.
    """

    code, title, status = "vendor-reply-not-understood", "Vendor's reply not understood", 502


class VendorTimedOut(VendorFailed):
    """The vendor did not answer in time.

    It is not known whether an action took effect: `outcome` says `unknown`.

    Read the job before sending an action again.
    """

    code, title, status = "vendor-timed-out", "Vendor timed out", 504


class NotConfirmed(JobgateError):
    """The vendor accepted the action, and has not reported yet that it was carried out.

    Nothing failed. Such a vendor carries actions out after it has answered, so `outcome` says `unknown` until the job
    shows the end.

    Read the job action for its result, or send the same request again with the same idempotency key. Jobgate reads the
    job until it shows what happened.
    """

    code, title, status, outcome = "not-confirmed", "Accepted, not confirmed yet", 504, Outcome.UNKNOWN


class ConnectionSuspended(JobgateError):
    """The last requests of this connection all failed, so Jobgate sends no more of them for a while.

    Nothing was sent to the vendor.

    Send the request again after `Retry-After` seconds. `GET /v1/connections/{connection}/health` shows the state of the
    connection.
    """

    code, title, status, retryable = "connection-suspended", "Connection suspended", 503, True


class ConnectionBusy(JobgateError):
    """The connection has more requests than its limits allow, and this request waited too long for its turn.

    Nothing was sent to the vendor.

    Send the request again after `Retry-After` seconds, and send fewer at the same time. The limits come from the
    gateway's settings or from the vendor's quota.
    """

    code, title, status, retryable = "connection-busy", "Connection busy", 503, True


class IssuerUnavailable(JobgateError):
    """The keys of the OpenID Connect issuer could not be fetched, so its tokens cannot be verified.

    Nothing was sent to the vendor.

    Send the request again later, or use an API key. If the problem lasts, the gateway's operator should check
    `[openid]`.
    """

    code, title, status, retryable = "issuer-unavailable", "Issuer unavailable", 503, True


class LedgerUnavailable(JobgateError):
    """The ledger cannot be written or read. Jobgate records every job action there before it sends it.

    An action that cannot be recorded is not sent. If the ledger failed after the action was sent, `outcome` is
    `unknown`; Jobgate records the result as soon as the ledger works again.

    Send the request again later. If the problem lasts, the gateway's operator should check the database: disk space,
    permissions, network.
    """

    code, title, status, retryable = "ledger-unavailable", "Ledger unavailable", 503, True


class LedgerOutdated(JobgateError):
    """The ledger was restored from an older backup or replaced by another one, so idempotency keys may be lost.

    Nothing was sent to the vendor, since the request could be carried out a second time if its record is among the lost
    ones. Recorded job actions can still be read.

    The gateway's operator restores the newest ledger, or checks at the vendors what happened in the lost period and
    then starts the gateway with `--accept-restored-ledger`. After that, send the request again.
    """

    code, title, status = "ledger-outdated", "Ledger outdated", 503


class NotEnded(JobgateError):
    """The job was to be terminated and has not ended, and Jobgate takes no further step.

    `outcome` says what the steps did: `partial` if some of them were carried out, otherwise nothing was changed. The
    record of the termination lists them.

    If the vendor documents no way from the job's status to an end, the detail says so: wait until the status changes.
    Otherwise terminate the job again, with a new idempotency key: the rest is planned from its present status.
    """

    code, title, status = "not-ended", "Job not ended", 409


class Interrupted(JobgateError):
    """The gateway stopped while it was handling this action.

    If `outcome` is `not_sent`, nothing was sent to the vendor. If it is `unknown`, Jobgate will read the job to find
    out what happened.

    If nothing was sent, send the action again. Otherwise read the job action for its result.
    """

    code, title, status, retryable = "interrupted", "Interrupted", 503, True


class AdapterFailed(JobgateError):
    """A function of the vendor's adapter failed, or returned something else than its interface promises.

    If the answer has an `outcome`, it says whether something was sent to the vendor.

    The detail names the adapter, the function and the kind of failure. The gateway's operator finds the place in the
    adapter's code in the log, and reports it to the author of the adapter.
    """

    code, title, status = "adapter-failed", "Adapter failed", 500


class GatewayError(JobgateError):
    """A fault of Jobgate itself.

    If the answer has an `outcome`, it says whether something was sent to the vendor.

    Give the `requestId` to the gateway's operator, who finds the details under it in the log.
    """

    code, title, status = "gateway-error", "Gateway error", 500


def catalogue() -> tuple[type[JobgateError], ...]:
    """Every kind of problem, in the order of the tree above."""

    def leaves(kind: type[JobgateError]) -> Iterator[type[JobgateError]]:
        subclasses = kind.__subclasses__()
        if not subclasses:
            yield kind
        for subclass in subclasses:
            yield from leaves(subclass)

    return tuple(leaves(JobgateError))


def keeps_its_status(kind: type[JobgateError]) -> bool:
    """True if the HTTP status of this kind of invalid request is more specific than the vendor's general one."""
    return kind.meaning is Meaning.INVALID_REQUEST and kind.status != Meaning.INVALID_REQUEST.usual_status
