"""The circuit breaker: when a vendor is left alone, for how long, and who tries again."""

from __future__ import annotations

import asyncio

import pytest

from gateway.domain.errors import ConnectionSuspended, VendorFailed, VendorTimedOut, VendorUnreachable
from gateway.domain.model import Effect, HttpReply, HttpRequest
from gateway.resilience.breaker import BreakerState
from gateway.resilience.pipeline import Pipeline
from gateway.resilience.policy import Policy
from tests.resilience.fixtures import DONE, LATE, REFUSED, Way
from tests.support.clock import FakeClock
from tests.support.transport import Line, reply

FAILURES = 5


async def broken(*others: Line) -> Way:
    """A way whose breaker has just opened."""
    way = Way(*[reply(500)] * FAILURES, *others, attempts=1)
    for _ in range(FAILURES):
        assert way.pipeline.breaker.state is BreakerState.CLOSED
        await way.send()
    assert way.pipeline.breaker.state is BreakerState.OPEN
    return way


async def suspension(way: Way) -> ConnectionSuspended:
    """Why nothing is sent."""
    asked = way.asked
    with pytest.raises(ConnectionSuspended) as caught:
        await way.send()
    assert way.asked == asked
    return caught.value


async def test_it_opens_after_five_failures_in_a_row() -> None:
    """Then nothing is sent, and the answer says when to come again."""
    way = await broken()
    error = await suspension(way)
    assert 30 <= (error.explanation.retry_after or 0) <= 33
    assert error.may_be_retried


async def test_one_success_starts_the_count_anew() -> None:
    """Four failures, an answer, four failures: still closed."""
    way = Way(*[reply(500)] * 4, reply(404), *[reply(500)] * 4, attempts=1)
    for _ in range(9):
        await way.send()
    assert (way.pipeline.breaker.state, way.pipeline.breaker.failures) == (BreakerState.CLOSED, 4)


@pytest.mark.parametrize("status", [200, 204, 301, 400, 401, 404, 408, 409, 429])
async def test_an_answer_is_no_failure(status: int) -> None:
    """No 4xx counts, however many there are."""
    way = Way(otherwise=reply(status), attempts=1)
    for _ in range(20):
        await way.send()
    assert way.pipeline.breaker.state is BreakerState.CLOSED


@pytest.mark.parametrize("line", [REFUSED, LATE], ids=str)
async def test_no_answer_is_a_failure(line: Line) -> None:
    """Connections that cannot be made and replies that do not come count."""
    way = Way(otherwise=line, attempts=1)
    for _ in range(FAILURES):
        with pytest.raises(VendorFailed):
            await way.send(Effect.ONCE)
    await suspension(way)


async def test_one_request_tries_and_closes_it() -> None:
    """After half a minute one request is let through; all the others wait for what comes of it."""
    way = await broken(DONE, DONE)
    way.clock.advance(33)
    assert str(way.pipeline.breaker.state) == "half-open"
    results = await asyncio.gather(*(way.send() for _ in range(50)), return_exceptions=True)
    assert [type(each) for each in results].count(ConnectionSuspended) == 49
    assert way.asked == FAILURES + 1
    assert way.pipeline.breaker.state is BreakerState.CLOSED
    await way.send()


async def test_each_failed_try_makes_it_longer() -> None:
    """30 seconds, 60, 90 and so on up to 300, and up to a tenth more."""
    way = await broken(*[reply(500)] * 15)
    for expected in [*range(30, 301, 30), 300, 300]:
        left = way.pipeline.breaker.seconds_left
        assert expected <= left <= expected * 1.1
        way.clock.advance(left - 0.01)
        await suspension(way)
        way.clock.advance(0.02)
        await way.send()


async def test_a_try_that_is_not_sent_leaves_it_to_the_next() -> None:
    """Who fails before anything was sent does not keep the others out."""
    way = await broken(DONE)
    way.clock.advance(33)
    with pytest.raises(ZeroDivisionError):
        await way.pipeline.send(way.outbound()._replace(before_send=fail))
    await way.send()
    assert way.pipeline.breaker.state is BreakerState.CLOSED


async def fail() -> None:
    """Have a mistake."""
    raise ZeroDivisionError


async def test_late_answers_of_earlier_requests_change_nothing() -> None:
    """What was sent before it opened and is answered afterwards neither closes it nor keeps it open for longer."""
    way = await broken()
    until = way.pipeline.breaker.seconds_left
    way.pipeline.breaker.failed(is_trial=False)
    way.pipeline.breaker.succeeded(is_trial=False)
    assert (way.pipeline.breaker.state, way.pipeline.breaker.seconds_left) == (BreakerState.OPEN, until)


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
    """Silence counts only where the vendor had the time to answer; else one client could shut out all the others."""
    way = Way()
    way.pipeline = Pipeline(way.clock, Silent(way.clock), Policy(attempts=1))
    for _ in range(FAILURES):
        with pytest.raises(VendorTimedOut):
            await way.send(seconds=seconds)
    assert str(way.pipeline.breaker.state) == state


async def test_it_opens_between_the_attempts_of_a_request() -> None:
    """Whoever is about to send again is told what the vendor did last."""
    way = Way(otherwise=VendorUnreachable("refused"), breaker_failures=2)
    with pytest.raises(VendorUnreachable):
        await way.send(Effect.ONCE)
    assert way.asked == 2
    assert (await Way(*[reply(500)] * 2, breaker_failures=2).send()).reply.status == 500
