"""The path of every request to a vendor: credentials, breaker, queue, quota, and the only retry loop.

Two callbacks come with a request:

* `BeforeSend` is awaited before each attempt, when the credentials are there and it is the request's turn. An action
  records in the ledger that it is about to be sent. If the callback raises, the attempt is not sent.
* `Classify` gets each reply and returns its `AttemptResult`, by which the policy decides on another attempt. The engine
  reads the vendor's document here, which can say more than HTTP does: that this refusal means `throttled`, for example.

Attempts without a reply are classified by `attempt_result`. The circuit breaker counts by `attempt_result` alone.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from random import Random

from msgspec import Struct
from msgspec.structs import replace

from gateway.domain.errors import ConnectionBusy, ConnectionSuspended, JobgateError, VendorFailed
from gateway.domain.model import Effect, HttpReply, HttpRequest, Outcome, Quota
from gateway.domain.ports import Clock, Transport, VendorCredentials
from gateway.domain.retry_after import retry_after
from gateway.resilience.breaker import Breaker
from gateway.resilience.bucket import TokenBucket
from gateway.resilience.observation import count_attempt, tell_result
from gateway.resilience.policy import RULES, AttemptResult, Policy, attempt_result
from gateway.resilience.slots import Slots, busy
from gateway.security.redaction import without_credentials
from gateway.telemetry.metrics import REQUESTS_SENT_AGAIN
from gateway.telemetry.tracing import is_recording, spans

UNAUTHORIZED = HTTPStatus.UNAUTHORIZED
"""Looked up once: in Python 3.11, each lookup of a member of HTTPStatus is a call."""

BeforeSend = Callable[[], Awaitable[None]]
"""Called before each attempt is sent. If it raises, the attempt is not sent."""

Classify = Callable[[HttpReply], AttemptResult]
"""Classifies the reply to an attempt."""


async def do_nothing() -> None:
    """Do nothing before an attempt."""


class OutboundRequest(Struct, frozen=True):
    """A request without credentials, and how to send it: its effect, deadline, credentials and callbacks.

    `deadline` is a time on the monotonic clock. `caller` names the caller whose turn the request takes.
    `template` is the path in the vendor's document, for traces.
    """

    request: HttpRequest
    effect: Effect
    deadline: float
    credentials: VendorCredentials
    before_send: BeforeSend = do_nothing
    classify: Classify = attempt_result
    caller: str = ""
    template: str = ""


class Attempt(Struct, frozen=True):
    """One attempt to send a request: the credentials that it carried, and the reply or error that ended it."""

    credentials: Mapping[str, str]
    result: HttpReply | JobgateError


class FinalReply(Struct, frozen=True):
    """The last reply to a request. `is_doubtful`: the outcome of an earlier attempt is unknown."""

    reply: HttpReply
    is_doubtful: bool = False


class Pipeline:
    """The path to one service of a vendor, for one connection. Its failures do not affect other connections."""

    def __init__(
        self, clock: Clock, transport: Transport, policy: Policy, quota: Quota | None = None, name: str = ""
    ) -> None:
        """Send through `transport`, as `policy` says and within `quota`. `name` is the connection's, for metrics."""
        self._name = name
        REQUESTS_SENT_AGAIN.begin(name)
        self._clock = clock
        self._transport = transport
        self._policy = policy
        self._random = Random()  # noqa: S311 - nothing is secret
        self._budget = TokenBucket(clock, rate=policy.budget_per_second, capacity=policy.budget_saved)
        self._pace = None if quota is None else TokenBucket(clock, rate=quota.rate, capacity=quota.burst)
        self.breaker = Breaker(clock, policy)
        self.slots = Slots(clock, policy.at_once, policy.waiting)
        self._next = Slots(clock, 1, policy.at_once)  # the turn to take from the quota
        self.last_success: datetime | None = None

    @property
    def quota_left(self) -> int | None:
        """Number of requests that the quota allows at this moment; None without a quota."""
        return None if self._pace is None else max(0, int(self._pace.left))

    @property
    def retries_left(self) -> int:
        """Number of requests that may be sent again at this moment."""
        return int(self._budget.left)

    async def send(self, outbound: OutboundRequest) -> FinalReply:
        """Send a request, again if the policy says so, and return the last reply, without our credentials in it.

        Raises what the transport raises; ConnectionSuspended and ConnectionBusy if no attempt was sent; and what
        credentials and `before_send` raise. Each error has the outcome of the earlier attempts.
        """
        self._budget.add(self._policy.budget_share)
        before: Outcome | None = None
        is_renewed, number, resends = False, 0, 0
        make_attempt = self._traced_attempt if is_recording() else self._attempt
        attempt = await make_attempt(outbound, resends)
        while True:
            result = attempt.result
            seen = self._classified(outbound, attempt, is_renewed=is_renewed)
            if outbound.effect not in RULES[seen].sent_again:
                break
            pause = self._pause(outbound, seen, result, number)
            if pause is None:
                break
            before = Outcome.UNKNOWN if before is Outcome.UNKNOWN else RULES[seen].outcome
            if seen is AttemptResult.TOKEN_ENDED:
                is_renewed = True
            else:
                number += 1
            await self._clock.sleep(pause)
            resends += 1
            try:
                attempt = await make_attempt(outbound, resends)
            except (ConnectionBusy, ConnectionSuspended):
                break  # the earlier result stands
            except JobgateError as error:
                error.explain(outcome=before)
                raise
        is_doubtful = before is Outcome.UNKNOWN
        if isinstance(result, HttpReply):
            return FinalReply(result, is_doubtful)
        try:
            raise result.explain(outcome=before if is_doubtful else result.explanation.outcome)
        finally:
            del attempt, result  # an error and the frame that it passes would hold each other

    async def _traced_attempt(self, outbound: OutboundRequest, resends: int) -> Attempt:
        """Send the request once, when it is its turn, in a span. Raises JobgateError if it was not sent."""
        asked = outbound.request
        with spans().attempt(asked.method, asked.url, outbound.template, resends) as span:
            parent = span.trace_parent
            if parent is not None:
                traced = HttpRequest(asked.method, asked.url, {**asked.headers, "traceparent": parent}, asked.content)
                outbound = replace(outbound, request=traced)
            attempt = await self._attempt(outbound, resends)
            tell_result(span, attempt.result)
            return attempt

    async def _attempt(self, outbound: OutboundRequest, resends: int) -> Attempt:
        """Send the request once, when it is its turn. Raises JobgateError if it was not sent."""
        result: HttpReply | JobgateError | None = None
        begun = 0.0
        is_trial = self.breaker.admit()
        try:
            credentials = await outbound.credentials.headers(outbound.request, outbound.deadline)
            await self.slots.acquire(outbound.caller, outbound.deadline)
            try:
                if self._pace is not None:
                    await self._keep_pace(outbound, self._pace)
                await outbound.before_send()
                begun = self._clock.monotonic()
                asked = outbound.request
                signed = HttpRequest(asked.method, asked.url, {**asked.headers, **credentials}, asked.content)
                try:
                    reply = await self._transport.send(signed, outbound.deadline)
                    result = without_credentials(reply, credentials)
                except VendorFailed as error:
                    result = error
            finally:
                self.slots.release(outbound.caller)
        finally:
            self._judge(outbound, result, begun, is_trial=is_trial)
        count_attempt(self._name, outbound.request, result, self._clock.monotonic() - begun)
        if resends:
            REQUESTS_SENT_AGAIN.add(self._name)
        return Attempt(credentials, result)

    async def _keep_pace(self, outbound: OutboundRequest, pace: TokenBucket) -> None:
        """Wait until the quota has room. Raises ConnectionBusy immediately if that is after the deadline."""
        wait = pace.wait(self._next.turns_before(outbound.caller))
        if self._clock.monotonic() + wait >= outbound.deadline:
            raise used_up(wait)
        try:
            await self._next.acquire(outbound.caller, outbound.deadline)
        except ConnectionBusy:
            raise used_up(pace.wait()) from None
        try:
            wait = pace.wait()
            if self._clock.monotonic() + wait >= outbound.deadline:
                raise used_up(wait)
            pace.take()
            if wait:
                await self._clock.sleep(wait)
        finally:
            self._next.release(outbound.caller)

    def _judge(
        self, outbound: OutboundRequest, result: HttpReply | JobgateError | None, begun: float, *, is_trial: bool
    ) -> None:
        """Report the result to the breaker, if the vendor is responsible for it."""
        is_error = isinstance(result, JobgateError)
        if result is None or (is_error and self._had_no_chance(outbound, begun)):
            self.breaker.nothing_learned(is_trial=is_trial)
        elif RULES[attempt_result(result)].is_failure:
            self.breaker.failed(is_trial=is_trial)
        else:
            self.breaker.succeeded(is_trial=is_trial)
            self.last_success = self._clock.now()

    def _had_no_chance(self, outbound: OutboundRequest, begun: float) -> bool:
        """True if the attempt ran into a deadline that was shorter than the time a vendor may need."""
        is_late = self._clock.monotonic() >= outbound.deadline
        return is_late and outbound.deadline - begun < self._policy.fair_seconds

    def _classified(self, outbound: OutboundRequest, attempt: Attempt, *, is_renewed: bool) -> AttemptResult:
        result = attempt.result
        if isinstance(result, JobgateError):
            return attempt_result(result)
        seen = outbound.classify(result)
        is_refused = result.status == UNAUTHORIZED
        if is_refused and not is_renewed and outbound.credentials.renew(attempt.credentials):
            return AttemptResult.TOKEN_ENDED
        return seen

    def _pause(
        self, outbound: OutboundRequest, seen: AttemptResult, result: HttpReply | JobgateError, number: int
    ) -> float | None:
        """Seconds to wait after attempt `number`, counted from 0, before the next one; None if there is none."""
        if seen is AttemptResult.TOKEN_ENDED:
            return 0.0
        policy = self._policy
        asked = retry_after(result, self._clock.now()) if isinstance(result, HttpReply) else None
        longest: float = min(policy.first_delay_seconds * 2**number, policy.longest_delay_seconds)
        drawn = self._random.random() * longest
        pause = max(drawn, asked or 0.0)
        is_late = self._clock.monotonic() + pause >= outbound.deadline
        if is_late or number + 1 >= policy.attempts or self._budget.wait():
            return None
        self._budget.take()
        return pause


def used_up(wait: float) -> ConnectionBusy:
    """Problem for a request whose turn in the vendor's quota comes after its deadline, in `wait` seconds."""
    return busy("The vendor's quota is used up until after this request's deadline.", max(1, math.ceil(wait)))


class NoCredentials:
    """Credentials for requests that need none, or already contain their own."""

    async def headers(self, request: HttpRequest, deadline: float) -> Mapping[str, str]:  # noqa: ARG002 - the port's
        """Return no headers."""
        return {}

    def redacted(self, request: HttpRequest) -> Mapping[str, str]:  # noqa: ARG002 - the port's
        """Return no headers."""
        return {}

    def renew(self, refused: Mapping[str, str]) -> bool:  # noqa: ARG002 - the port's
        """Return False: there are no newer credentials."""
        return False


@dataclass(frozen=True)
class ReadingTransport:
    """A `Transport` for requests that change nothing: they are sent again as reads are."""

    pipeline: Pipeline

    async def send(self, request: HttpRequest, deadline: float) -> HttpReply:
        """Send a request through the pipeline. Raises what `Pipeline.send` raises."""
        return (await self.pipeline.send(OutboundRequest(request, Effect.READ, deadline, NoCredentials()))).reply
