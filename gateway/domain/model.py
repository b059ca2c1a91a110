"""The data model: jobs, job actions, and the requests and replies of vendors, as immutable values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Generic, TypeVar

from msgspec import Struct
from typing_extensions import TypeAliasType

Json = TypeAliasType("Json", "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None")
"""A JSON value, as the standard library parses it."""

Item = TypeVar("Item")


class Effect(StrEnum):
    """The effect at the vendor of sending a request again.

    `read`: it changes nothing. `repeatable`: the result is the same as of one request. `once`: the result can differ,
    so the request must not be sent twice.
    """

    READ = "read"
    REPEATABLE = "repeatable"
    ONCE = "once"


class Result(StrEnum):
    """The meaning of a vendor's reply of success to an action.

    `done`: the action was carried out. `job`: so it was, and the reply is the job. `accepted`: the vendor will carry it
    out, and the job shows when it has. `gone`: it was carried out, and the vendor has deleted the job.
    """

    DONE = "done"
    JOB = "job"
    ACCEPTED = "accepted"
    GONE = "gone"


class Outcome(StrEnum):
    """The known result of an action at the vendor; `unknown` if it may have happened.

    `partial`: some steps towards the end of a job were carried out, and it has not ended.
    """

    APPLIED = "applied"
    PARTIAL = "partial"
    REJECTED = "rejected"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"


BURST_SHARE = 0.1
"""The share of a quota that can be used at one moment."""


class Quota(Struct, frozen=True):
    """The number of requests that a vendor accepts within any period of `seconds`.

    A token bucket enforces it. The bucket holds a part of the quota (`burst`) and is refilled with the rest during
    `seconds` (`rate`), so it never admits more than the quota, whenever the vendor's period starts.
    """

    requests: int
    seconds: float

    @property
    def burst(self) -> int:
        """The number of requests that can be sent at one moment."""
        return max(1, int(self.requests * BURST_SHARE))

    @property
    def rate(self) -> float:
        """The number of requests that can be sent each second."""
        return (self.requests - self.burst + 1) / self.seconds

    def shared_by(self, processes: int) -> Quota:
        """The share of each of `processes` processes."""
        return Quota(max(1, self.requests // processes), self.seconds)


class JobAction(Struct, frozen=True, omit_defaults=True):
    """A request to apply one action to one job; lenses encode and decode it.

    `parameters` holds the caller's parameters by the names of the unified API (`note`, `closeAt`). The action is
    carried out only while the job has `version`, an entity tag; None: whatever its version.
    """

    action: str
    job_id: str
    parameters: Mapping[str, Any] = {}
    version: str | None = None


class VendorRequest(Struct, frozen=True):
    """A call of one documented operation of a vendor, before it is serialized.

    `path`, `query` and `header` map parameter names of the vendor's document to values; `body` is the JSON body, None
    for a request without one. `written_query` is a query string from the vendor itself, such as in a next link, and is
    sent unchanged; `query` then holds its parsed values.
    """

    operation_id: str
    path: Mapping[str, Json] = {}
    query: Mapping[str, Json] = {}
    header: Mapping[str, Json] = {}
    body: Json = None
    written_query: str | None = None

    def parts(self) -> dict[str, Json]:
        """The request as one value `{path, query, header, body}`, for lenses and schemas."""
        parts: dict[str, Json] = {"path": self.path, "query": self.query, "header": self.header}
        if self.body is not None:
            parts["body"] = self.body
        return parts


class HttpRequest(Struct, frozen=True):
    """The exact HTTP request: it is signed and sent without changes."""

    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes = b""


class HttpReply(Struct, frozen=True):
    """An HTTP reply as received: `headers` by lower-case name, `content` after content decoding."""

    status: int
    headers: Mapping[str, str] = {}
    content: bytes = b""


class StatusPair(Struct, frozen=True, omit_defaults=True):
    """A job's status in Jobgate's words, and the vendor's own word for it."""

    status: str
    vendor_status: str


class BlockedAction(Struct, frozen=True):
    """An action that a job does not allow now, with the reason, for people."""

    action: str
    reason: str


class Job(Struct, frozen=True):
    """A vendor's job in the unified API. `vendor_object` is the vendor's own JSON.

    `version` is an entity tag (RFC 9110, 8.8.3), None if the vendor has none: it differs after each change of the job.
    `queue` and `type` are the vendor's id of its queue, and the vendor's word for its type or channel.
    """

    id: str
    connection: str
    vendor: str
    status: StatusPair
    final: bool
    allowed_actions: tuple[str, ...]
    blocked_actions: tuple[BlockedAction, ...]
    timestamps: Mapping[str, str]
    vendor_object: Mapping[str, Json]
    version: str | None = None
    queue: str | None = None
    type: str | None = None


class VendorResponse(Struct, frozen=True, omit_defaults=True):
    """A vendor's answer, reduced to the parts that can be stored and shown."""

    vendor: str
    status: int | None = None
    code: str | None = None
    message: str | None = None
    request_id: str | None = None


class ActionWarning(Struct, frozen=True, omit_defaults=True):
    """Something that the caller should know although the action was carried out."""

    code: str
    parameter: str
    detail: str


class DryRun(Struct, frozen=True):
    """The request that an action would send. Credentials in its headers are redacted.

    `found` holds the parameters that Jobgate found for the caller.
    """

    request: HttpRequest
    warnings: tuple[ActionWarning, ...]
    found: Mapping[str, Any] = {}


class Page(Struct, Generic[Item], frozen=True):
    """A part of a list, and the cursor of the next part; None on the last one.

    `left_out` is the number of items that may be wanted, but do not tell.
    """

    items: tuple[Item, ...]
    next_cursor: str | None = None
    left_out: int = 0
