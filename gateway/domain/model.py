"""The things that Jobgate talks about, as frozen data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Generic, TypeVar

from msgspec import Struct
from typing_extensions import TypeAliasType

Json = TypeAliasType("Json", "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None")
"""A JSON value as the standard library reads it."""

Item = TypeVar("Item")


class Effect(StrEnum):
    """What sending a request again does at the vendor."""

    READ = "read"
    REPEATABLE = "repeatable"
    ONCE = "once"


class Outcome(StrEnum):
    """What is known to have happened at the vendor."""

    APPLIED = "applied"
    REJECTED = "rejected"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"


BURST_SHARE = 0.1
"""How much of a quota may be used at one moment."""


class Quota(Struct, frozen=True):
    """How many requests a vendor takes in any `seconds`.

    It is kept by a token bucket. One that holds a part of the quota and gets the rest in `seconds` never lets through
    more than the quota, wherever the vendor begins to count.
    """

    requests: int
    seconds: float

    @property
    def burst(self) -> int:
        """How many may be sent at one moment."""
        return max(1, int(self.requests * BURST_SHARE))

    @property
    def rate(self) -> float:
        """How many may be sent each second."""
        return (self.requests - self.burst + 1) / self.seconds

    def shared_by(self, processes: int) -> Quota:
        """The part of each of so many processes."""
        return Quota(max(1, self.requests // processes), self.seconds)


class JobAction(Struct, frozen=True, omit_defaults=True):
    """The request to apply one action to one job; what a lens encodes and decodes.

    `parameters` holds what the caller gave, by the names of the unified API (`note`, `closeAt`).
    """

    action: str
    job_id: str
    parameters: Mapping[str, Any] = {}


class VendorRequest(Struct, frozen=True):
    """A call of one documented operation of a vendor, before it is put on the wire.

    `path`, `query` and `header` map parameter names of the vendor's document to values; `body` is
    the JSON body, None where there is none. `written_query` is a query that the vendor itself wrote, which goes out as
    it is; `query` is then what it says.
    """

    operation_id: str
    path: Mapping[str, Json] = {}
    query: Mapping[str, Json] = {}
    header: Mapping[str, Json] = {}
    body: Json = None
    written_query: str | None = None

    def parts(self) -> dict[str, Json]:
        """The request as one value, as lenses read it and schemas check it."""
        parts: dict[str, Json] = {"path": self.path, "query": self.query, "header": self.header}
        return parts if self.body is None else parts | {"body": self.body}


class HttpRequest(Struct, frozen=True):
    """The exact request on the wire: what is signed is what is sent."""

    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes = b""


class HttpReply(Struct, frozen=True):
    """A reply as it came: `headers` by lower-case name, `content` decoded from its encoding."""

    status: int
    headers: Mapping[str, str] = {}
    content: bytes = b""


class StatusPair(Struct, frozen=True, omit_defaults=True):
    """A status in Jobgate's words and in the vendor's own."""

    status: str
    vendor_status: str


class BlockedAction(Struct, frozen=True):
    """An action that a job does not allow now, and why, for people to read."""

    action: str
    reason: str


class Job(Struct, frozen=True):
    """A vendor's job as Jobgate shows it."""

    id: str
    connection: str
    vendor: str
    status: StatusPair
    final: bool
    allowed_actions: tuple[str, ...]
    blocked_actions: tuple[BlockedAction, ...]
    timestamps: Mapping[str, str]
    vendor_object: Mapping[str, Json]


class VendorResponse(Struct, frozen=True, omit_defaults=True):
    """What the vendor answered, reduced to what may be kept and shown."""

    vendor: str
    status: int | None = None
    code: str | None = None
    message: str | None = None
    request_id: str | None = None


class ActionWarning(Struct, frozen=True, omit_defaults=True):
    """Something the caller should know although the action was carried out."""

    code: str
    parameter: str
    detail: str


class DryRun(Struct, frozen=True):
    """The request that an action would send. Credentials in its headers are redacted."""

    request: HttpRequest
    warnings: tuple[ActionWarning, ...]


class Page(Struct, Generic[Item], frozen=True):
    """A part of a list, and the cursor of the part after it."""

    items: tuple[Item, ...]
    next_cursor: str | None = None
