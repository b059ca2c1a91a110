"""Everything that can go wrong, once: the class is the kind of problem, its docstring the page about it.

    JobgateError
    ├── CallerError                  the request cannot be carried out as it is; nothing reached the vendor
    │   ├── MalformedRequest             400
    │   ├── IdempotencyKeyMissing        400
    │   ├── Unauthenticated              401
    │   ├── Forbidden                    403
    │   ├── UnknownPath                  404
    │   ├── UnknownVendor                404
    │   ├── UnknownConnection            404
    │   ├── UnknownJobAction             404
    │   ├── MethodNotAllowed             405
    │   ├── RequestTooSlow               408
    │   ├── AmbiguousParameter           409
    │   ├── IdempotencyKeyInUse          409
    │   ├── RequestTooLarge              413
    │   ├── TargetTooLong                414
    │   ├── UnsupportedMediaType         415
    │   ├── Misdirected                  421
    │   ├── UnknownCursor                422
    │   ├── ActionNotSupported           422
    │   ├── ParameterNotSupported        422
    │   ├── ValueNotSupported            422
    │   ├── IdempotencyKeyReused         422
    │   ├── TooManyRequests              429
    │   └── HeaderFieldsTooLarge         431
    ├── VendorRejected               the vendor answered, and refused
    │   ├── UnknownJob                   404
    │   ├── WrongState                   409
    │   ├── VendorRefused                422
    │   ├── VendorThrottled              429
    │   ├── VendorDeniedAccess           502
    │   └── NotCarriedOut                502   it did not tell, and the job shows that it did nothing
    ├── VendorFailed                 the vendor did not do its part
    │   ├── VendorUnreachable            503   nothing was sent
    │   ├── VendorError                  502   it answered with an error of its own
    │   ├── VendorUnavailable            503   it answered that it cannot serve now
    │   ├── VendorReplyNotUnderstood     502   it answered, and the answer makes no sense
    │   └── VendorTimedOut               504   it did not answer in time
    ├── ConnectionSuspended          503   it failed so often that it is left alone for a while
    ├── ConnectionBusy               503   there was no turn for the request in time
    ├── IssuerUnavailable            503   the issuer of tokens did not tell its keys
    ├── LedgerUnavailable            503   the record could not be written or read
    ├── LedgerOutdated               503   the ledger is older than its newest checkpoint
    ├── Interrupted                  503   the gateway stopped before anything was sent
    └── GatewayError                 500   a fault of Jobgate itself

Each docstring is in three parts, which the page and the catalogue in docs/problems show as they are:
what it means, what happened at the vendor, and how to mend it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from msgspec import Struct
from msgspec.structs import replace

from gateway.domain.model import Outcome, StatusPair, VendorResponse
from gateway.domain.vocabulary import Meaning


class FieldError(Struct, frozen=True, omit_defaults=True):
    """One place of a request that does not fit. `pointer` is a JSON pointer into {path, query, header, body}."""

    pointer: str
    detail: str


class JobState(Struct, frozen=True, omit_defaults=True):
    """The state of a job that explains a refusal, with what the job does allow."""

    status: StatusPair
    allowed_actions: tuple[str, ...]


class Explanation(Struct, frozen=True, omit_defaults=True):
    """What a problem carries beside its sentence. Only what is known is set.

    `allow`, `retry_after` (in seconds) and `replayed` (this was said before) go into headers, the rest into the body.
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
    """A problem of a catalogued kind.

    `detail` is a sentence for people: what, where, and how to mend it. It never holds a value that the
    caller or a vendor sent as a secret. `explanation` holds what programs may want.
    """

    code: ClassVar[str]
    title: ClassVar[str]
    status: ClassVar[int]
    retryable: ClassVar[bool] = False
    outcome: ClassVar[Outcome] = Outcome.NOT_SENT
    meaning: ClassVar[Meaning | None] = None
    """The meaning as which a vendor's own API tells it; None where its HTTP status does."""
    replies: ClassVar[frozenset[Meaning]] = frozenset()
    """The meanings of a vendor's reply that are certainly this problem."""

    def __init__(self, detail: str, explanation: Explanation | None = None) -> None:
        """Say what went wrong, in a sentence and, for programs, in an explanation."""
        super().__init__(detail)
        self.detail = detail
        self.explanation = explanation or Explanation()

    def explain(self, **known: object) -> JobgateError:
        """Add to this error's explanation; gives the error itself, to be raised."""
        self.explanation = replace(self.explanation, **known)
        return self

    @property
    def may_be_retried(self) -> bool:
        """Whether the same request may succeed later, and cannot do harm: an action that may have been applied can."""
        return self.retryable and self.explanation.outcome is not Outcome.UNKNOWN


class CallerError(JobgateError):
    """The request cannot be carried out as it is."""


class MalformedRequest(CallerError):
    """The request does not fit the API's document: a parameter or the body is missing, misspelt or out of bounds.

    Nothing was sent to the vendor.

    `errors` names every place with a JSON pointer and says what is wrong there. Mend each and send it again.
    """

    code, title, status = "malformed-request", "Malformed request", 400
    meaning = Meaning.INVALID_REQUEST


class IdempotencyKeyMissing(CallerError):
    """Actions on jobs of this connection need an idempotency key.

    Nothing was sent to the vendor.

    Send a header `Idempotency-Key` with a value of its own for each action, such as a new UUID, and the same value
    whenever you send that action again.
    """

    code, title, status = "idempotency-key-missing", "Idempotency key missing", 400
    meaning = Meaning.INVALID_REQUEST


class Unauthenticated(CallerError):
    """The request carries no valid API key.

    Nothing was sent to the vendor.

    Send the key as `Authorization: Bearer <key>`, once. `jobgate serve --sandbox` prints a key when it starts.
    """

    code, title, status = "unauthenticated", "Not authenticated", 401
    meaning = Meaning.UNAUTHENTICATED


class Forbidden(CallerError):
    """The caller is known, and may not do this.

    Nothing was sent to the vendor.

    The detail names the scope that is missing. Whoever runs the gateway can give it to the API key, or the issuer to
    the token.
    """

    code, title, status = "forbidden", "Forbidden", 403
    meaning = Meaning.FORBIDDEN


class UnknownPath(CallerError):
    """There is no such address in this API.

    Nothing was sent to the vendor.

    Compare the path with the documentation page at `/docs`. Ids and names must be percent-encoded.
    """

    code, title, status = "unknown-path", "Unknown path", 404


class UnknownVendor(CallerError):
    """No adapter for a vendor of this name is installed.

    Nothing was sent to the vendor.

    `GET /v1/vendors` lists the vendors that this gateway knows.
    """

    code, title, status = "unknown-vendor", "Unknown vendor", 404


class UnknownConnection(CallerError):
    """No connection of this name is configured.

    Nothing was sent to the vendor.

    `GET /v1/connections` lists the connections.
    """

    code, title, status = "unknown-connection", "Unknown connection", 404


def no_such_connection() -> UnknownConnection:
    """The problem that a connection is which is not there, or not for this caller: the two look the same."""
    return UnknownConnection("No connection of this name is configured. GET /v1/connections lists those that are.")


class UnknownJobAction(CallerError):
    """There is no record of a job action with this id.

    Nothing was sent to the vendor.

    `GET /v1/job-actions` lists the records. One is deleted after its retention, where that is set.
    """

    code, title, status = "unknown-job-action", "Unknown job action", 404


class MethodNotAllowed(CallerError):
    """The address exists and does not take this method.

    Nothing was sent to the vendor.

    The `Allow` header of the answer lists the methods that it takes.
    """

    code, title, status = "method-not-allowed", "Method not allowed", 405


class RequestTooSlow(CallerError):
    """The request, or its body, did not arrive in time.

    Nothing was sent to the vendor.

    Send the request at once, and as much of a body as it announces.
    """

    code, title, status, retryable = "request-too-slow", "Request too slow", 408, True
    meaning = Meaning.INVALID_REQUEST


class AmbiguousParameter(CallerError):
    """A parameter was left out, and the job does not tell which value is meant.

    The job was read; nothing else was sent to the vendor.

    Choose one of `candidates` and send the parameter. Where there are none, the job has nothing to act on.
    """

    code, title, status = "ambiguous-parameter", "Ambiguous parameter", 409


class IdempotencyKeyInUse(CallerError):
    """A request with the same idempotency key is being worked on.

    The vendor was not asked for this request; it may be asked for the other one.

    Send the same request again after `Retry-After` seconds: it gets the answer of the first.
    """

    code, title, status, retryable = "idempotency-key-in-use", "Idempotency key in use", 409, True


class RequestTooLarge(CallerError):
    """The request's body is larger than this gateway takes.

    Nothing was sent to the vendor.

    Shorten the body. No action needs one of this size.
    """

    code, title, status = "request-too-large", "Request too large", 413
    meaning = Meaning.INVALID_REQUEST


class TargetTooLong(CallerError):
    """The path and query of the request are longer than this gateway takes.

    Nothing was sent to the vendor.

    Shorten them. A cursor is sent as it came, and no other parameter needs this length.
    """

    code, title, status = "target-too-long", "Target too long", 414
    meaning = Meaning.INVALID_REQUEST


class UnsupportedMediaType(CallerError):
    """The request's body is not of a media type that the operation takes.

    Nothing was sent to the vendor.

    Send JSON with `Content-Type: application/json`, in UTF-8 and without a content encoding; or no body.
    """

    code, title, status = "unsupported-media-type", "Unsupported media type", 415
    meaning = Meaning.INVALID_REQUEST


class Misdirected(CallerError):
    """The request is for another host than this gateway answers for.

    Nothing was sent to the vendor.

    Call the gateway by a name that it knows, or have whoever runs it add the name to `trusted_hosts` of `[server]`.
    """

    code, title, status = "misdirected", "Misdirected request", 421


class UnknownCursor(CallerError):
    """The cursor is not one that this list gave.

    Nothing was sent to the vendor.

    Start again without a cursor, and then send `nextCursor` as it came. A cursor belongs to the list that gave it.
    """

    code, title, status = "unknown-cursor", "Unknown cursor", 422


class ActionNotSupported(CallerError):
    """The vendor of this connection has no such action.

    Nothing was sent to the vendor.

    `supported` lists the actions that it has; `GET /v1/vendors/{vendor}` tells more about each.
    """

    code, title, status = "action-not-supported", "Action not supported by this vendor", 422


class ParameterNotSupported(CallerError):
    """The vendor of this connection cannot carry a parameter of the request, and leaving it out changes what happens.

    Nothing was sent to the vendor.

    Leave the parameter out. `supported` lists those that the vendor carries for this action. Notes and dispositions
    that a vendor cannot carry are recorded with a warning, and refused only with `Prefer: handling=strict`.
    """

    code, title, status = "parameter-not-supported", "Parameter not supported by this vendor", 422


class ValueNotSupported(CallerError):
    """The request fits this API, and one of its values is none that the vendor of this connection can take.

    Nothing was sent to the vendor.

    `errors` names the place. A vendor may want its ids in a form of its own, or only some words for a disposition:
    where it has a list, `supported` is that list.
    """

    code, title, status = "value-not-supported", "Value not supported by this vendor", 422


class IdempotencyKeyReused(CallerError):
    """The idempotency key was used before, for another request.

    Nothing was sent to the vendor for this request.

    Use a new key for each action. A key stands for one action on one job of one connection, with its parameters.
    """

    code, title, status = "idempotency-key-reused", "Idempotency key used for another request", 422


class TooManyRequests(CallerError):
    """The caller sends more requests than it may.

    Nothing was sent to the vendor.

    Send it again after `Retry-After` seconds. The header `RateLimit` of each answer says how many requests are left.
    """

    code, title, status, retryable = "too-many-requests", "Too many requests", 429, True
    meaning = Meaning.THROTTLED


class HeaderFieldsTooLarge(CallerError):
    """The request has more header fields, or larger ones, than this gateway takes.

    Nothing was sent to the vendor.

    Leave out what this API does not read, such as cookies.
    """

    code, title, status = "header-fields-too-large", "Header fields too large", 431
    meaning = Meaning.INVALID_REQUEST


class VendorRejected(JobgateError):
    """The vendor answered, and refused."""

    outcome = Outcome.REJECTED


class UnknownJob(VendorRejected):
    """The vendor has no job with this id in this connection.

    The vendor was asked and changed nothing.

    Check the id, and that the job lives in this connection: jobs are never looked for elsewhere.
    """

    code, title, status = "unknown-job", "Unknown job", 404
    meaning, replies = Meaning.UNKNOWN_JOB, frozenset({Meaning.UNKNOWN_JOB})


class WrongState(VendorRejected):
    """The job is in a status that does not allow this action.

    The vendor refused the action; or the job had to be read first, and told. Nothing was changed.

    `job` holds the status the job is in and the actions that it allows. Somebody else may have been faster.
    """

    code, title, status = "wrong-state", "Job in the wrong state", 409
    meaning = Meaning.WRONG_STATE


class VendorRefused(VendorRejected):
    """The vendor refused the request although it fits the vendor's document and the job's status.

    The vendor answered with an error, and changed nothing.

    `vendor` holds the vendor's own status, code and message. What it objects to is usually named there.
    """

    code, title, status = "vendor-refused", "Refused by the vendor", 422


class VendorThrottled(VendorRejected):
    """The vendor's request limit is reached.

    The vendor turned the request away before acting on it.

    Send it again after `Retry-After` seconds where the answer has that header, and after some time where not.
    """

    code, title, status, retryable = "vendor-throttled", "Throttled by the vendor", 429, True
    meaning, replies = Meaning.THROTTLED, frozenset({Meaning.THROTTLED})


class VendorDeniedAccess(VendorRejected):
    """The vendor does not accept the credentials of this connection, or they may not do this.

    The vendor refused the request, and changed nothing.

    This is for whoever runs the gateway: check the connection's credentials, their scope, and the clock.
    """

    code, title, status = "vendor-denied-access", "Access denied by the vendor", 502
    replies = frozenset({Meaning.UNAUTHENTICATED, Meaning.FORBIDDEN})


class NotCarriedOut(VendorRejected):
    """The vendor did not tell what became of the action, and the job, read afterwards, shows that nothing did.

    The request may have reached the vendor, which had time to act on it and did not.

    Send it again, with a new idempotency key, if it is still wanted.
    """

    code, title, status = "not-carried-out", "Not carried out by the vendor", 502


class VendorFailed(JobgateError):
    """The vendor did not do its part."""

    outcome = Outcome.UNKNOWN
    retryable = True


class VendorUnreachable(VendorFailed):
    """No connection to the vendor could be made.

    Nothing was sent to the vendor.

    The detail says why: its name was not found, the connection was refused, its certificate is not trusted. Send it
    again later. If it lasts, `jobgate connections test` and the log tell whoever runs the gateway the host and port.
    """

    diagnosis: str | None = None
    """Host, port and cause, for operators only."""
    code, title, status, outcome = "vendor-unreachable", "Vendor unreachable", 503, Outcome.NOT_SENT


class VendorError(VendorFailed):
    """The vendor answered with an error of its own.

    It is not known whether an action took effect: `outcome` says `unknown`.

    Read the job before sending an action again.
    """

    code, title, status = "vendor-error", "Vendor error", 502


class VendorUnavailable(VendorFailed):
    """The vendor answered that it cannot serve requests at the moment.

    It is not known whether an action took effect: `outcome` says `unknown`.

    Send a read again after `Retry-After` seconds. Read the job before sending an action again.
    """

    code, title, status = "vendor-unavailable", "Vendor unavailable", 503


class VendorReplyNotUnderstood(VendorFailed):
    """The vendor's reply broke off, or is nothing that its document describes.

    It is not known whether an action took effect: `outcome` says `unknown`.

    Read the job before sending an action again. If it lasts, tell whoever runs the gateway.
    """

    code, title, status = "vendor-reply-not-understood", "Vendor's reply not understood", 502


class VendorTimedOut(VendorFailed):
    """The vendor did not answer in time.

    It is not known whether an action took effect: `outcome` says `unknown`.

    Read the job before sending an action again.
    """

    code, title, status = "vendor-timed-out", "Vendor timed out", 504


class ConnectionSuspended(JobgateError):
    """The last requests of this connection all failed, so Jobgate leaves the vendor alone for a while.

    Nothing was sent to the vendor.

    Send it again after `Retry-After` seconds. `GET /v1/connections/{connection}/health` shows how the connection does.
    """

    code, title, status, retryable = "connection-suspended", "Connection suspended", 503, True


class ConnectionBusy(JobgateError):
    """More is asked of this connection than it may send, and there was no turn for this request in time.

    Nothing was sent to the vendor.

    Send it again after `Retry-After` seconds, and fewer at once. The limits are settings of whoever runs the gateway,
    or the vendor's own quota.
    """

    code, title, status, retryable = "connection-busy", "Connection busy", 503, True


class IssuerUnavailable(JobgateError):
    """The OpenID Connect issuer did not tell its keys, so no token of it can be checked.

    Nothing was sent to the vendor.

    Send it again later, or use an API key. If it lasts, whoever runs the gateway should look at `[openid]`.
    """

    code, title, status, retryable = "issuer-unavailable", "Issuer unavailable", 503, True


class LedgerUnavailable(JobgateError):
    """The ledger, in which every job action is recorded first, cannot be written or read.

    Without a record nothing is sent. Where an action had been sent before the ledger failed, `outcome` is `unknown`:
    what came of it is recorded as soon as that is possible.

    Send it again later. If it lasts, whoever runs the gateway should see to its database: space, access, network.
    """

    code, title, status, retryable = "ledger-unavailable", "Ledger unavailable", 503, True


class LedgerOutdated(JobgateError):
    """The ledger was put back from an older backup, or is another one than it was, so keys may be forgotten.

    Nothing was sent. A request that was carried out before could be carried out a second time, since its record may be
    among those that are lost. What is recorded can be read.

    Whoever runs the gateway puts back the newest ledger, or compares the lost time with the vendors and then starts it
    with `--accept-restored-ledger`. Send the request again after that.
    """

    code, title, status = "ledger-outdated", "Ledger outdated", 503


class Interrupted(JobgateError):
    """The gateway stopped while it worked on this action.

    Nothing was sent to the vendor; or `outcome` is `unknown`, and the job will be read to learn what came of it.

    Where nothing was sent, send it again. Otherwise look at the record of the job action.
    """

    code, title, status, retryable = "interrupted", "Interrupted", 503, True


class GatewayError(JobgateError):
    """A fault of Jobgate itself.

    `outcome`, where it is given, says whether something was sent to the vendor.

    Tell whoever runs the gateway, with the `requestId`: the log has the details under it.
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
    """Whether the HTTP status of an invalid request says more than the one a vendor has for all of them."""
    return kind.meaning is Meaning.INVALID_REQUEST and kind.status != Meaning.INVALID_REQUEST.usual_status
