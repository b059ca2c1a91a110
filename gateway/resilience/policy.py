"""What is sent again, and when a vendor is left alone: the one place where that is said.

`docs/resilience.md` shows both tables. The rows follow from what can have happened at the vendor; the figures are
settings, below `[policy]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

from pydantic import BaseModel, ConfigDict, Field

from gateway.domain.errors import JobgateError, VendorReplyNotUnderstood, VendorTimedOut, VendorUnreachable
from gateway.domain.model import Effect, HttpReply, Outcome


class AttemptResult(StrEnum):
    """What was attempt_result of one attempt."""

    NO_CONNECTION = "no-connection"
    NO_REPLY = "no-reply"
    SERVER_ERROR = "server-error"
    OTHER_SERVER_ERROR = "other-server-error"
    REQUEST_TIMEOUT = "request-timeout"
    TURNED_AWAY = "turned-away"
    TOO_MANY_REQUESTS = "too-many-requests"
    TOKEN_ENDED = "token-ended"  # noqa: S105 - a word, no password
    ANSWER = "answer"


ALWAYS = frozenset(Effect)
WHERE_HARMLESS = frozenset({Effect.READ, Effect.REPEATABLE})
"""The effects of requests that may reach the vendor twice."""
NEVER: frozenset[Effect] = frozenset()


@dataclass(frozen=True)
class Rule:
    """What follows from an observation.

    `sent_again`: the effects of requests that are sent again. `outcome`: what is known of a job action after it.
    `is_failure`: whether it counts against the vendor, so that enough of them in a row open the circuit breaker.
    """

    seen: str
    sent_again: frozenset[Effect]
    outcome: Outcome
    is_failure: bool = False


RULES: Mapping[AttemptResult, Rule] = {
    AttemptResult.NO_CONNECTION: Rule(
        "no connection: no address, refused, no TLS", ALWAYS, Outcome.NOT_SENT, is_failure=True
    ),
    AttemptResult.NO_REPLY: Rule(
        "no whole reply after the first byte was sent: late, reset, broken off, no HTTP",
        WHERE_HARMLESS,
        Outcome.UNKNOWN,
        is_failure=True,
    ),
    AttemptResult.SERVER_ERROR: Rule("500, 502, 503 or 504", WHERE_HARMLESS, Outcome.UNKNOWN, is_failure=True),
    AttemptResult.OTHER_SERVER_ERROR: Rule("another 5xx", NEVER, Outcome.UNKNOWN, is_failure=True),
    AttemptResult.REQUEST_TIMEOUT: Rule("408", WHERE_HARMLESS, Outcome.UNKNOWN),
    AttemptResult.TURNED_AWAY: Rule("what the vendor's document calls `throttled`", ALWAYS, Outcome.REJECTED),
    AttemptResult.TOO_MANY_REQUESTS: Rule("429 that its document does not name", WHERE_HARMLESS, Outcome.REJECTED),
    AttemptResult.TOKEN_ENDED: Rule("401, and a new token can be had; once, without delay", ALWAYS, Outcome.REJECTED),
    AttemptResult.ANSWER: Rule("any other answer, whether it can be understood or not", NEVER, Outcome.UNKNOWN),
}
"""The table. Of an answer the engine learns more: the outcome is what it says, and unknown where it says nothing."""

_PROBLEMS: Mapping[type[JobgateError], AttemptResult] = {
    VendorUnreachable: AttemptResult.NO_CONNECTION,
    VendorTimedOut: AttemptResult.NO_REPLY,
    VendorReplyNotUnderstood: AttemptResult.NO_REPLY,
}
_STATUSES: Mapping[int, AttemptResult] = {
    HTTPStatus.REQUEST_TIMEOUT: AttemptResult.REQUEST_TIMEOUT,
    HTTPStatus.TOO_MANY_REQUESTS: AttemptResult.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR: AttemptResult.SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY: AttemptResult.SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE: AttemptResult.SERVER_ERROR,
    HTTPStatus.GATEWAY_TIMEOUT: AttemptResult.SERVER_ERROR,
}
_SERVER_ERRORS = 5


def attempt_result(result: HttpReply | JobgateError) -> AttemptResult:
    """What a reply, or an error of the transport, is an observation of, as far as HTTP alone tells."""
    if isinstance(result, JobgateError):
        return _PROBLEMS.get(type(result), AttemptResult.ANSWER)
    others = AttemptResult.OTHER_SERVER_ERROR if result.status // 100 == _SERVER_ERRORS else AttemptResult.ANSWER
    return _STATUSES.get(result.status, others)


class Policy(BaseModel):
    """The figures. All are settings, below `policy`, and hold for each connection by itself."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    attempts: int = Field(3, ge=1, le=10, description="How often a request is sent at most, the first time included.")
    first_delay_seconds: float = Field(
        0.2,
        gt=0,
        le=60,
        description="How long to wait at most before the second attempt, in seconds; before each further one, twice as "
        "long. How long it is, is drawn each time (full jitter). A Retry-After counts where it is longer.",
    )
    longest_delay_seconds: float = Field(2.0, gt=0, le=60, description="What that grows to, in seconds.")
    budget_share: float = Field(
        0.2, ge=0, le=1, description="How many requests may be sent again, for each that is sent for the first time."
    )
    budget_per_second: float = Field(
        1.0, ge=0, le=100, description="How many may be sent again beside those, each second."
    )
    budget_saved: float = Field(10.0, ge=1, le=1_000, description="How many of both can be saved up.")
    breaker_failures: int = Field(
        5, ge=1, le=1_000, description="After so many failures in a row the vendor is left alone."
    )
    fair_seconds: float = Field(
        2.0,
        ge=0,
        le=300,
        description="A vendor that does not answer before the deadline has failed only if it had so long, in seconds. "
        "So no client that is in a hurry closes a connection to the others.",
    )
    breaker_seconds: float = Field(
        30.0,
        gt=0,
        le=3_600,
        description="For how long, in seconds, before one request may try; after the second time in a row for twice as "
        "long, and so on. Up to a tenth is added, so that several gateways do not try at the same moment.",
    )
    breaker_longest_seconds: float = Field(300.0, gt=0, le=3_600, description="What that grows to, in seconds.")
    at_once: int = Field(1_000, ge=1, le=100_000, description="How many requests may be under way at once.")
    waiting: int = Field(
        200, ge=0, le=100_000, description="How many may wait where that many are. Callers take turns."
    )
    connect_seconds: float = Field(
        2.0, gt=0, le=60, description="How long a new connection to the vendor may take, TLS included, in seconds."
    )
