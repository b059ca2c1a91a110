"""The circuit breaker: when a vendor is left alone, for how long, and who tries again."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from gateway.domain.errors import ConnectionSuspended, VendorFailed, VendorTimedOut, VendorUnreachable
from gateway.domain.model import Effect, HttpReply, HttpRequest
from gateway.resilience.breaker import BreakerState
from gateway.resilience.pipeline import Pipeline
from gateway.resilience.policy import Policy
from tests.resilience.fixtures import DONE, LATE, REFUSED, ScriptedPipeline
from tests.support.clock import FakeClock
from tests.support.transport import Line, reply

FAILURES = 5


async def broken(*others: Line) -> ScriptedPipeline:
    """A pipeline whose breaker has just opened."""
    scripted = ScriptedPipeline(*[reply(500)] * FAILURES, *others, attempts=1)
    for _ in range(FAILURES):
        assert scripted.pipeline.breaker.state is BreakerState.CLOSED
        await scripted.send()
    assert scripted.pipeline.breaker.state is BreakerState.OPEN
    return scripted


async def suspension(scripted: ScriptedPipeline) -> ConnectionSuspended:
    """Why nothing is sent."""
    asked = scripted.asked
    with pytest.raises(ConnectionSuspended) as caught:
        await scripted.send()
    assert scripted.asked == asked
    return caught.value


async def test_it_opens_after_five_failures_in_a_row() -> None:
    """After five failures in a row the breaker opens: nothing is sent, and the answer has Retry-After."""
    scripted = await broken()
    error = await suspension(scripted)
    assert 30 <= (error.explanation.retry_after or 0) <= 33
    assert error.may_be_retried


async def test_one_success_starts_the_count_anew() -> None:
    """Four failures, an answer, four failures: still closed."""
    scripted = ScriptedPipeline(*[reply(500)] * 4, reply(404), *[reply(500)] * 4, attempts=1)
    for _ in range(9):
        await scripted.send()
    assert (scripted.pipeline.breaker.state, scripted.pipeline.breaker.failures) == (BreakerState.CLOSED, 4)


@pytest.mark.parametrize("status", [200, 204, 301, 400, 401, 404, 408, 409, 429])
async def test_an_answer_is_no_failure(status: int) -> None:
    """No number of 4xx answers opens the breaker."""
    scripted = ScriptedPipeline(otherwise=reply(status), attempts=1)
    for _ in range(20):
        await scripted.send()
    assert scripted.pipeline.breaker.state is BreakerState.CLOSED


@pytest.mark.parametrize("line", [REFUSED, LATE], ids=str)
async def test_no_answer_is_a_failure(line: Line) -> None:
    """Connections that cannot be made and replies that do not come count."""
    scripted = ScriptedPipeline(otherwise=line, attempts=1)
    for _ in range(FAILURES):
        with pytest.raises(VendorFailed):
            await scripted.send(Effect.ONCE)
    await suspension(scripted)


async def test_one_request_tries_and_closes_it() -> None:
    """After half a minute one request is let through; all the others wait for what comes of it."""
    scripted = await broken(DONE, DONE)
    scripted.clock.advance(33)
    assert str(scripted.pipeline.breaker.state) == "half-open"
    results = await asyncio.gather(*(scripted.send() for _ in range(50)), return_exceptions=True)
    assert [type(each) for each in results].count(ConnectionSuspended) == 49
    assert scripted.asked == FAILURES + 1
    assert scripted.pipeline.breaker.state is BreakerState.CLOSED
    await scripted.send()


async def test_each_failed_try_makes_it_longer() -> None:
    """Each failed try lengthens the pause by 30 seconds up to 300, plus a tenth at most."""
    scripted = await broken(*[reply(500)] * 15)
    for expected in [*range(30, 301, 30), 300, 300]:
        left = scripted.pipeline.breaker.seconds_left
        assert expected <= left <= expected * 1.1
        scripted.clock.advance(left - 0.01)
        await suspension(scripted)
        scripted.clock.advance(0.02)
        await scripted.send()


async def test_a_try_that_is_not_sent_leaves_it_to_the_next() -> None:
    """A try that fails before it is sent leaves the try to the next request."""
    scripted = await broken(DONE)
    scripted.clock.advance(33)
    with pytest.raises(ZeroDivisionError):
        await scripted.pipeline.send(replace(scripted.outbound(), before_send=fail))
    await scripted.send()
    assert scripted.pipeline.breaker.state is BreakerState.CLOSED


async def fail() -> None:
    """Have a mistake."""
    raise ZeroDivisionError


async def test_late_answers_of_earlier_requests_change_nothing() -> None:
    """What was sent before it opened and is answered afterwards neither closes it nor keeps it open for longer."""
    scripted = await broken()
    until = scripted.pipeline.breaker.seconds_left
    scripted.pipeline.breaker.failed(is_trial=False)
    scripted.pipeline.breaker.succeeded(is_trial=False)
    assert (scripted.pipeline.breaker.state, scripted.pipeline.breaker.seconds_left) == (BreakerState.OPEN, until)


class Silent:
    """A vendor that says nothing until the deadline."""

    def __init__(self, clock: FakeClock) -> None:
        """Wait on this clock."""
        self._clock = clock

    async def send(self, request: HttpRequest, deadline: float) -> HttpReply:
        """Say nothing."""
        self._clock.advance(deadline - self._clock.monotonic())
        raise VendorTimedOut("late")


@pytest.mark.parametrize(("seconds", "state"), [(0.001, "closed"), (1.9, "closed"), (2.1, "open"), (10.0, "open")])
async def test_clients_in_a_hurry_open_nothing(seconds: float, state: str) -> None:
    """A timeout counts as failure only if the vendor had enough time, so that no client can shut out others."""
    scripted = ScriptedPipeline()
    scripted.pipeline = Pipeline(scripted.clock, Silent(scripted.clock), Policy(attempts=1))
    for _ in range(FAILURES):
        with pytest.raises(VendorTimedOut):
            await scripted.send(seconds=seconds)
    assert str(scripted.pipeline.breaker.state) == state


async def test_it_opens_between_the_attempts_of_a_request() -> None:
    """If the breaker opens between two attempts, the answer is the vendor's last one."""
    scripted = ScriptedPipeline(otherwise=VendorUnreachable("refused"), breaker_failures=2)
    with pytest.raises(VendorUnreachable):
        await scripted.send(Effect.ONCE)
    assert scripted.asked == 2
    assert (await ScriptedPipeline(*[reply(500)] * 2, breaker_failures=2).send()).reply.status == 500
