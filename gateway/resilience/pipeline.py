"""What every request to a vendor goes through: credentials, breaker, quota, queue, and the one retry loop there is."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from random import Random
from typing import NamedTuple

from gateway.domain.errors import ConnectionBusy, ConnectionSuspended, JobgateError, VendorFailed
from gateway.domain.model import Effect, HttpReply, HttpRequest, Outcome, Quota
from gateway.domain.ports import Clock, Transport, VendorCredentials
from gateway.domain.retry_after import retry_after
from gateway.resilience.breaker import Breaker
from gateway.resilience.bucket import TokenBucket
from gateway.resilience.policy import RULES, AttemptResult, Policy, attempt_result
from gateway.resilience.slots import Slots, busy
from gateway.security.redaction import without_credentials

Announce = Callable[[], Awaitable[None]]
"""What is done before each sending, such as to record it. The request is not sent where it fails."""

Observe = Callable[[HttpReply], AttemptResult]
"""What a reply is an observation of."""


async def unannounced() -> None:
    """Nobody is told."""


class OutboundRequest(NamedTuple):
    """A request, still without credentials, and how it is to be sent: what it does, until when, and who is told.

    `caller` is whose turn it takes.
    """

    request: HttpRequest
    effect: Effect
    deadline: float
    credentials: VendorCredentials
    announce: Announce = unannounced
    observe: Observe = attempt_result
    caller: str = ""


class Attempt(NamedTuple):
    """One sending of a request: the credentials that it carried, and the reply or error that followed."""

    credentials: Mapping[str, str]
    result: HttpReply | JobgateError


class FinalReply(NamedTuple):
    """The last reply to a request. `is_doubtful`: it was sent before, and nothing told what came of that."""

    reply: HttpReply
    is_doubtful: bool = False


class Pipeline:
    """The way to one service of a vendor, for one connection. What goes wrong on it troubles no other."""

    def __init__(self, clock: Clock, transport: Transport, policy: Policy, quota: Quota | None = None) -> None:
        """Send by `transport`, as `policy` has it and at most as much as `quota` allows."""
        self._clock = clock
        self._transport = transport
        self._policy = policy
        self._random = Random()  # noqa: S311 - nothing is secret
        self._budget = TokenBucket(clock, rate=policy.budget_per_second, capacity=policy.budget_saved)
        self._pace = None if quota is None else TokenBucket(clock, rate=quota.rate, capacity=quota.burst)
        self.breaker = Breaker(clock, policy)
        self.slots = Slots(clock, policy.at_once, policy.waiting)
        self._next = Slots(clock, 1, policy.at_once)  # who has the next part of the quota
        self.last_success: datetime | None = None

    @property
    def quota_left(self) -> int | None:
        """How many requests may be sent at this moment; None where there is no quota."""
        return None if self._pace is None else max(0, int(self._pace.left))

    @property
    def retries_left(self) -> int:
        """How many requests may be sent again at this moment."""
        return int(self._budget.left)

    async def send(self, outbound: OutboundRequest) -> FinalReply:
        """Send a request as often as the policy has it, and give the last reply, without our credentials in it.

        Raises what the transport raises; ConnectionSuspended and ConnectionBusy where it was not sent at all; and what
        credentials and `announce` raise: each with the outcome of what was sent before.
        """
        self._budget.add(self._policy.budget_share)
        before: Outcome | None = None
        is_renewed, number = False, 0
        attempt = await self._attempt(outbound)
        while True:
            result = attempt.result
            seen = self._seen(outbound, attempt, is_renewed=is_renewed)
            pause = self._pause(outbound, seen, result, number)
            if pause is None:
                break
            before = Outcome.UNKNOWN if before is Outcome.UNKNOWN else RULES[seen].outcome
            if seen is AttemptResult.TOKEN_ENDED:
                is_renewed = True
            else:
                number += 1
            await self._clock.sleep(pause)
            try:
                attempt = await self._attempt(outbound)
            except (ConnectionBusy, ConnectionSuspended):
                break  # what was answered before stands
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

    async def _attempt(self, outbound: OutboundRequest) -> Attempt:
        """Send it once, when it is its turn. Raises where it was not sent."""
        result, begun = None, 0.0
        tries = self.breaker.admit()
        try:
            credentials = await outbound.credentials.headers(outbound.request, outbound.deadline)
            await self.slots.acquire(outbound.caller, outbound.deadline)
            try:
                await self._keep_pace(outbound)
                await outbound.announce()
                begun = self._clock.monotonic()
                result = await self._exchange(outbound, credentials)
            finally:
                self.slots.release(outbound.caller)
        finally:
            self._judge(outbound, result, begun, tries=tries)
        return Attempt(credentials, result)

    async def _keep_pace(self, outbound: OutboundRequest) -> None:
        """Wait until the quota has room. Raises ConnectionBusy, at once, where that is after the deadline."""
        if self._pace is None:
            return
        wait = self._pace.wait(self._next.turns_before(outbound.caller))
        if self._clock.monotonic() + wait >= outbound.deadline:
            raise used_up(wait)
        try:
            await self._next.acquire(outbound.caller, outbound.deadline)
        except ConnectionBusy:
            raise used_up(self._pace.wait()) from None
        try:
            wait = self._pace.wait()
            if self._clock.monotonic() + wait >= outbound.deadline:
                raise used_up(wait)
            self._pace.take()
            if wait:
                await self._clock.sleep(wait)
        finally:
            self._next.release(outbound.caller)

    async def _exchange(self, outbound: OutboundRequest, credentials: Mapping[str, str]) -> HttpReply | JobgateError:
        """The request as it goes on the wire, and what came of it."""
        asked = outbound.request
        signed = HttpRequest(asked.method, asked.url, {**asked.headers, **credentials}, asked.content)
        try:
            reply = await self._transport.send(signed, outbound.deadline)
        except VendorFailed as error:
            return error
        return without_credentials(reply, credentials)

    def _judge(
        self, outbound: OutboundRequest, result: HttpReply | JobgateError | None, begun: float, *, tries: bool
    ) -> None:
        """Tell the breaker how the vendor did, as far as that is the vendor's doing."""
        if result is None or self._had_no_chance(outbound, result, begun):
            self.breaker.nothing_learned(tries=tries)
        elif RULES[attempt_result(result)].is_failure:
            self.breaker.failed(tries=tries)
        else:
            self.breaker.succeeded(tries=tries)
            self.last_success = self._clock.now()

    def _had_no_chance(self, outbound: OutboundRequest, result: HttpReply | JobgateError, begun: float) -> bool:
        """Whether it failed because its time was over, and that was shorter than a vendor may need."""
        is_late = isinstance(result, JobgateError) and self._clock.monotonic() >= outbound.deadline
        return is_late and outbound.deadline - begun < self._policy.fair_seconds

    def _seen(self, outbound: OutboundRequest, attempt: Attempt, *, is_renewed: bool) -> AttemptResult:
        credentials, result = attempt
        if isinstance(result, JobgateError):
            return attempt_result(result)
        seen = outbound.observe(result)
        is_refused = result.status == HTTPStatus.UNAUTHORIZED
        if is_refused and not is_renewed and outbound.credentials.renew(credentials):
            return AttemptResult.TOKEN_ENDED
        return seen

    def _pause(
        self, outbound: OutboundRequest, seen: AttemptResult, result: HttpReply | JobgateError, number: int
    ) -> float | None:
        """How long to wait after the attempt of this number, from 0, before the next one; None: there is none."""
        if outbound.effect not in RULES[seen].sent_again:
            return None
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
    """The problem that the vendor's quota has no room before a deadline, but after so many seconds."""
    return busy("The vendor's quota is used up; there was no turn in time.", max(1, math.ceil(wait)))


class NoCredentials:
    """For requests that need none beside what is in them."""

    async def headers(self, request: HttpRequest, deadline: float) -> Mapping[str, str]:  # noqa: ARG002 - the port's
        """Nothing."""
        return {}

    def redacted(self, request: HttpRequest) -> Mapping[str, str]:  # noqa: ARG002 - the port's
        """Nothing."""
        return {}

    def renew(self, refused: Mapping[str, str]) -> bool:  # noqa: ARG002 - the port's
        """False: nothing newer can be had."""
        return False


@dataclass(frozen=True)
class ReadingTransport:
    """The `Transport` port for requests that change nothing: they are sent again as reads are."""

    pipeline: Pipeline

    async def send(self, request: HttpRequest, deadline: float) -> HttpReply:
        """Send a request through the pipeline. Raises what that raises."""
        return (await self.pipeline.send(OutboundRequest(request, Effect.READ, deadline, NoCredentials()))).reply
