"""The retry loop: what is sent again, how often, after how long, and what is then said."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import pairwise

import pytest
from msgspec.structs import replace

from gateway.domain.errors import JobgateError, VendorReplyNotUnderstood, VendorTimedOut, VendorUnreachable
from gateway.domain.model import Effect, HttpReply, HttpRequest, Outcome
from gateway.resilience.policy import RULES, AttemptResult, attempt_result
from tests.resilience.fixtures import BROKEN, DONE, LATE, REFUSED, Renewable, ScriptedPipeline, documented, throttled
from tests.support.transport import Line, reply

SEEN: dict[AttemptResult, Line] = {
    AttemptResult.NO_CONNECTION: REFUSED,
    AttemptResult.NO_REPLY: LATE,
    AttemptResult.SERVER_ERROR: reply(502),
    AttemptResult.OTHER_SERVER_ERROR: reply(501),
    AttemptResult.REQUEST_TIMEOUT: reply(408),
    AttemptResult.TURNED_AWAY: throttled(),
    AttemptResult.ANSWER: reply(409),
}
"""What a vendor does for each attempt result, except the two that need more than a reply."""

EVERY = [pytest.param(seen, effect, id=f"{seen}-{effect}") for seen in SEEN for effect in Effect]


@pytest.mark.parametrize(("seen", "effect"), EVERY)
async def test_the_table_is_what_is_done(seen: AttemptResult, effect: Effect) -> None:
    """After each attempt result a request of each effect is sent again, or is not, as the table says."""
    scripted = ScriptedPipeline(SEEN[seen], otherwise=DONE)
    again = effect in RULES[seen].sent_again
    try:
        carried = await scripted.send(effect)
    except JobgateError:
        assert not again
    else:
        assert again == (carried.reply == DONE)
    assert (scripted.asked, scripted.sendings) == ((2, 2) if again else (1, 1))


@pytest.mark.parametrize("line", [reply(500), reply(503), LATE, BROKEN, REFUSED], ids=str)
async def test_there_is_an_end_to_it(line: Line) -> None:
    """A request is sent at most three times, and the last answer counts."""
    scripted = ScriptedPipeline(otherwise=line)
    if isinstance(line, Exception):
        with pytest.raises(type(line)):
            await scripted.send()
    else:
        assert (await scripted.send()).reply == line
    assert scripted.asked == 3


async def test_a_429_that_the_document_does_not_name() -> None:
    """After an undocumented 429, a read is sent again and an action is not."""
    for effect, asked in ((Effect.ONCE, 1), (Effect.REPEATABLE, 2), (Effect.READ, 2)):
        scripted = ScriptedPipeline(throttled(), DONE)
        await scripted.pipeline.send(replace(scripted.outbound(effect), classify=attempt_result))
        assert scripted.asked == asked


def failing_at(scripted: ScriptedPipeline, times: list[float], _request: HttpRequest) -> HttpReply:
    """Fail, and note the time."""
    times.append(scripted.clock.monotonic())
    return reply(500)


async def test_the_delay_is_drawn_and_grows() -> None:
    """Full jitter: between nothing and twice as long as before, up to the longest; no two alike."""
    waited: list[list[float]] = []
    for _ in range(60):
        scripted = ScriptedPipeline(otherwise=reply(500), attempts=5, longest_delay_seconds=0.5, budget_saved=100)
        times: list[float] = []
        scripted.transport.otherwise = partial(failing_at, scripted, times)
        await scripted.send()
        waited.append([after - before for before, after in pairwise(times)])
    longest = [max(each) for each in zip(*waited, strict=True)]
    for length, most in zip(longest, (0.2, 0.4, 0.5, 0.5), strict=True):
        assert most * 0.7 < length <= most
    assert len({each[0] for each in waited}) == 60


async def test_the_vendors_hint_is_obeyed_where_it_fits() -> None:
    """Both forms of Retry-After lengthen the delay."""
    for hint in ("4", "Mon, 05 Jan 2026 10:00:04 GMT"):
        scripted = ScriptedPipeline(throttled(hint), DONE)
        begun = scripted.clock.monotonic()
        assert (await scripted.send()).reply == DONE
        assert scripted.clock.monotonic() - begun == 4


@pytest.mark.parametrize("hint", ["10", "1000000000", "Mon, 05 Jan 2026 10:01:00 GMT"])
async def test_a_hint_beyond_the_deadline_is_passed_on(hint: str) -> None:
    """A Retry-After beyond the deadline ends the attempts immediately."""
    scripted = ScriptedPipeline(throttled(hint), DONE)
    begun = scripted.clock.monotonic()
    assert (await scripted.send()).reply == throttled(hint)
    assert (scripted.asked, scripted.clock.monotonic()) == (1, begun)


@pytest.mark.parametrize("hint", ["-1", "soon", "", "0"])
async def test_a_hint_without_sense_is_none(hint: str) -> None:
    """An invalid Retry-After is ignored."""
    scripted = ScriptedPipeline(throttled(hint), DONE)
    begun = scripted.clock.monotonic()
    assert (await scripted.send()).reply == DONE
    assert scripted.clock.monotonic() - begun <= 0.2


async def test_no_attempt_begins_after_the_deadline() -> None:
    """No attempt begins after the deadline, and no delay that would end after it."""
    for _ in range(50):
        scripted = ScriptedPipeline(otherwise=reply(500), first_delay_seconds=1, longest_delay_seconds=1)
        begun = scripted.clock.monotonic()
        await scripted.send(seconds=0.5)
        assert scripted.clock.monotonic() - begun < 0.5


async def test_a_budget_keeps_a_vendors_trouble_small() -> None:
    """Retries are limited to a fifth of the requests, one a second, and the saved budget."""
    scripted = ScriptedPipeline(otherwise=reply(500), breaker_failures=1_000)
    begun, requests = scripted.clock.monotonic(), 400
    for _ in range(requests):
        await scripted.send()
        scripted.clock.advance(0.02)
    seconds = scripted.clock.monotonic() - begun
    again = scripted.asked - requests
    assert 0.15 * requests < again <= 0.2 * requests + seconds + 10
    assert scripted.pipeline.retries_left == 0


async def test_a_token_that_has_ended_is_replaced_once() -> None:
    """401 is followed by one attempt with a new token, at once and beside the others; a second 401 stands."""
    for script, asked, status in (((401, 200), 2, 200), ((401, 401), 2, 401), ((401, 500, 500, 200), 4, 200)):
        scripted = ScriptedPipeline(*(reply(each) for each in script))
        credentials = Renewable(more=5)
        begun = scripted.clock.monotonic()
        carried = await scripted.pipeline.send(replace(scripted.outbound(), credentials=credentials))
        assert (carried.reply.status, scripted.asked, len(set(credentials.given))) == (status, asked, asked)
        assert [each.headers["Authorization"] for each in scripted.transport.requests] == credentials.given
        assert asked > 2 or scripted.clock.monotonic() == begun


async def test_credentials_that_cannot_be_renewed() -> None:
    """If the credentials cannot be renewed, the answer is 401."""
    scripted = ScriptedPipeline(reply(401))
    await scripted.pipeline.send(replace(scripted.outbound(), credentials=Renewable(more=0)))
    assert scripted.asked == 1


FATES = [
    ([LATE, REFUSED, REFUSED], Effect.REPEATABLE, Outcome.UNKNOWN),
    ([REFUSED, LATE, REFUSED], Effect.REPEATABLE, Outcome.UNKNOWN),
    ([REFUSED, REFUSED, REFUSED], Effect.REPEATABLE, None),
    ([REFUSED, REFUSED, REFUSED], Effect.ONCE, None),
]


@pytest.mark.parametrize(("script", "effect", "outcome"), FATES)
async def test_the_doubt_about_one_attempt_outlasts_the_others(
    script: list[Line], effect: Effect, outcome: Outcome | None
) -> None:
    """If one attempt may have been carried out, no later one makes the outcome `not_sent`."""
    scripted = ScriptedPipeline(*[type(each)(str(each)) if isinstance(each, JobgateError) else each for each in script])
    with pytest.raises(VendorUnreachable) as caught:
        await scripted.send(effect)
    assert caught.value.explanation.outcome == outcome


async def test_an_answer_after_a_doubt_is_doubtful() -> None:
    """A refusal after an attempt with unknown outcome leaves the outcome unknown."""
    assert (await ScriptedPipeline(reply(500), reply(409)).send(Effect.REPEATABLE)).is_doubtful
    assert not (await ScriptedPipeline(throttled(), reply(409)).send(Effect.REPEATABLE)).is_doubtful
    assert not (await ScriptedPipeline(reply(409)).send(Effect.REPEATABLE)).is_doubtful


class OnlyOne(Renewable):
    """Credentials that can be had once."""

    async def headers(self, request: HttpRequest, deadline: float) -> Mapping[str, str]:
        """The one."""
        if self.given:
            raise VendorTimedOut("no token")
        return await super().headers(request, deadline)


async def test_credentials_that_fail_later_leave_the_outcome_as_it_was() -> None:
    """If no new token can be fetched after 401, the action stays refused."""
    scripted = ScriptedPipeline(reply(401))
    with pytest.raises(VendorTimedOut) as caught:
        await scripted.pipeline.send(replace(scripted.outbound(Effect.ONCE), credentials=OnlyOne()))
    assert caught.value.explanation.outcome is Outcome.REJECTED


def test_every_attempt_result_has_a_rule() -> None:
    """The table leaves nothing out, and an action is sent again only where it certainly was not carried out."""
    assert set(RULES) == set(AttemptResult)
    for rule in RULES.values():
        assert Effect.ONCE not in rule.sent_again or rule.outcome in {Outcome.NOT_SENT, Outcome.REJECTED}
    assert attempt_result(VendorReplyNotUnderstood("")) is AttemptResult.NO_REPLY
    assert documented(reply(429)) is AttemptResult.TURNED_AWAY


@pytest.mark.sampled(0.05, kind=lambda status: status // 100)
@pytest.mark.parametrize("status", range(100, 1_000))
def test_no_answer_below_500_counts_as_failure(status: int) -> None:
    """The breaker counts no 4xx, and every 5xx."""
    assert RULES[attempt_result(reply(status))].is_failure == (500 <= status < 600)
