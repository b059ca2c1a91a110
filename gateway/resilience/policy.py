"""The policy: which requests are sent again, and when the circuit breaker opens. No other module decides this.

`docs/resilience.md` shows both tables. The rules follow from what can have happened at the vendor; the figures are
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
    """Result of one attempt to send a request."""

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
"""Effects of requests that can reach the vendor twice without harm."""
NEVER: frozenset[Effect] = frozenset()


@dataclass(frozen=True)
class Rule:
    """The consequences of an attempt result.

    `seen`: the result as the documentation describes it. `sent_again`: effects of the requests that are sent again.
    `outcome`: outcome of a job action after it. `is_failure`: the result counts against the vendor, and enough of them
    in a row open the circuit breaker.
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
        "no complete reply after the first byte was sent: late, reset, broken off, not HTTP",
        WHERE_HARMLESS,
        Outcome.UNKNOWN,
        is_failure=True,
    ),
    AttemptResult.SERVER_ERROR: Rule("500, 502, 503 or 504", WHERE_HARMLESS, Outcome.UNKNOWN, is_failure=True),
    AttemptResult.OTHER_SERVER_ERROR: Rule("another 5xx", NEVER, Outcome.UNKNOWN, is_failure=True),
    AttemptResult.REQUEST_TIMEOUT: Rule("408", WHERE_HARMLESS, Outcome.UNKNOWN),
    AttemptResult.TURNED_AWAY: Rule("a refusal that the vendor's document calls `throttled`", ALWAYS, Outcome.REJECTED),
    AttemptResult.TOO_MANY_REQUESTS: Rule("429 that its document does not list", WHERE_HARMLESS, Outcome.REJECTED),
    AttemptResult.TOKEN_ENDED: Rule("401, and a new token is available; once, without delay", ALWAYS, Outcome.REJECTED),
    AttemptResult.ANSWER: Rule("any other answer, understood or not", NEVER, Outcome.UNKNOWN),
}
"""The rules by result. After `ANSWER`, the engine reads the outcome from the answer; it is unknown if none is there."""

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
    """The result of an attempt that ended with a reply or an error of the transport, judged by HTTP alone."""
    if isinstance(result, JobgateError):
        return _PROBLEMS.get(type(result), AttemptResult.ANSWER)
    others = AttemptResult.OTHER_SERVER_ERROR if result.status // 100 == _SERVER_ERRORS else AttemptResult.ANSWER
    return _STATUSES.get(result.status, others)


class Policy(BaseModel):
    """The figures of the policy: settings below `policy`, which apply to each connection separately."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    attempts: int = Field(3, ge=1, le=10, description="Most attempts to send a request, the first included.")
    first_delay_seconds: float = Field(
        0.2,
        gt=0,
        le=60,
        description="Longest wait before the second attempt, in seconds. It doubles for each further attempt. The "
        "actual wait is a random part of it (full jitter), or the vendor's Retry-After if that is longer.",
    )
    longest_delay_seconds: float = Field(2.0, gt=0, le=60, description="Limit to which that wait grows, in seconds.")
    budget_share: float = Field(0.2, ge=0, le=1, description="Retries that each new request adds to the retry budget.")
    budget_per_second: float = Field(
        1.0, ge=0, le=100, description="Retries that each second adds to the retry budget."
    )
    budget_saved: float = Field(10.0, ge=1, le=1_000, description="Most retries that the budget can hold.")
    breaker_failures: int = Field(
        5, ge=1, le=1_000, description="Failures in a row that open the circuit breaker: no more requests are sent."
    )
    fair_seconds: float = Field(
        2.0,
        ge=0,
        le=300,
        description="A call without an answer counts as failed only if it was given at least this long, in seconds. "
        "So clients with short deadlines cannot open the breaker for the others.",
    )
    breaker_seconds: float = Field(
        30.0,
        gt=0,
        le=3_600,
        description="Time until an open breaker lets a trial request through, in seconds. If the trial fails, the "
        "next wait is twice as long, then three times, and so on. Up to a tenth is added at random, so that several "
        "gateways do not try at the same moment.",
    )
    breaker_longest_seconds: float = Field(
        300.0, gt=0, le=3_600, description="Limit to which that time grows, in seconds."
    )
    at_once: int = Field(1_000, ge=1, le=100_000, description="Most requests that are under way at the same time.")
    waiting: int = Field(
        200, ge=0, le=100_000, description="Most requests that wait for one of those to end. Callers take turns."
    )
    connect_seconds: float = Field(
        2.0, gt=0, le=60, description="Longest time to open a connection to the vendor, TLS included, in seconds."
    )
