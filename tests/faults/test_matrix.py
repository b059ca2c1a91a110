"""Every fault of the list, for every effect of a request, at both vendors: what is told, recorded, sent, and when.

What must hold is asserted. What must hold where there is the time, such as how often a request is tried before its
deadline, is noted, and the mode tried again: the machine that runs the tests has other things to do.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import pytest

from gateway.app import Catalogue
from gateway.domain.model import Effect, Outcome
from tests.faults.fixtures import ATTEMPTS, IMPATIENT, JOBS, POLICY, VONAGE, Case, WiredGateway, wired_gateway
from tests.faults.server import DRIP_SECONDS, MODES, WELL, FaultServer, Listener, Lookup, Mode
from tests.support.asgi import Answer
from tests.support.patience import PATIENCE
from tests.support.problems import Problems

GRACE = 0.5
"""How much later than its deadline an answer may come, as a part of the time that there is."""
ROUNDS = (0.5, 0.5, 2.0, 10.0)
"""Seconds that calls to a vendor may take. A mode is tried with each until everything is as it should be."""

UNKNOWN, REJECTED, NOT_SENT, APPLIED = Outcome.UNKNOWN, Outcome.REJECTED, Outcome.NOT_SENT, Outcome.APPLIED


@dataclass(frozen=True)
class Told:
    """What must come of a request: the code of the problem, None where all is well; the outcome where it is an action.

    `hits` is how often the vendor gets it, where there is the time. Of several codes and outcomes the network decides.
    """

    codes: tuple[str | None, ...]
    outcomes: tuple[Outcome, ...]
    hits: int


@dataclass(frozen=True)
class Expected:
    """What must come of a mode, for each effect."""

    read: Told
    repeatable: Told
    once: Told


def alike(code: str | None, outcome: Outcome, *hits: int) -> Expected:
    """The same problem and outcome for each effect; `hits` are those of a read, of what is repeatable, and of once."""
    return Expected(*(Told((code,), (outcome,), each) for each in hits))


FINE = alike(None, APPLIED, 1, 1, 1)
NOTHING_SENT = alike("vendor-unreachable", NOT_SENT, 0, 0, 0)
SILENT = alike("vendor-timed-out", UNKNOWN, 1, 1, 1)
BROKEN = alike("vendor-reply-not-understood", UNKNOWN, 3, 3, 1)
NONSENSE = alike("vendor-reply-not-understood", UNKNOWN, 1, 1, 1)
THROTTLED_ONCE = alike("vendor-throttled", REJECTED, 1, 1, 1)
THROTTLED_EACH_TIME = alike("vendor-throttled", REJECTED, 3, 3, 3)
ERROR = alike("vendor-error", UNKNOWN, 3, 3, 1)
REFUSED = alike("vendor-refused", REJECTED, 1, 1, 1)
ONLY_SUCCESS_OF_AN_ACTION = replace(NONSENSE, repeatable=FINE.repeatable, once=FINE.once)
"""The status says that an action was carried out, the body is not for reading."""
BROKEN_ONCE = Expected(Told((None,), (), 2), Told((None,), (APPLIED,), 2), BROKEN.once)
SLAMMED = Told(("vendor-unreachable", "vendor-reply-not-understood"), (NOT_SENT, UNKNOWN), 0)

EXPECTED: Mapping[str, Expected] = {
    "00 well": FINE,
    "00 well, by TLS": FINE,
    "01 refused": NOTHING_SENT,
    "02 no such name": NOTHING_SENT,
    "02 a name that takes too long to look up": NOTHING_SENT,
    "03 certificate that has expired": NOTHING_SENT,
    "03 certificate of another host": NOTHING_SENT,
    "03 certificate signed by itself": NOTHING_SENT,
    "03 handshake that never ends": NOTHING_SENT,
    "04 silence": SILENT,
    "05 reset before the reply": BROKEN,
    "05 closed before the reply": BROKEN,
    "05 reset as soon as there is a connection": Expected(SLAMMED, SLAMMED, SLAMMED),
    "06 reset in the headers": BROKEN,
    "06 reset after the headers": BROKEN,
    "07 reset in the body": BROKEN,
    "07 closed in the body": BROKEN,
    "08 headers that drip": SILENT,
    "09 body that drips": SILENT,
    "09 chunks that drip": SILENT,
    "10 slow to close": FINE,
    "10 slow to close, which ends the body": FINE,
    "10 never closed, which would end the body": SILENT,
    "11 sliced": FINE,
    "12 interim responses without end": BROKEN,
    "12 a hundred interim responses": FINE,
    "13 ten thousand header fields": BROKEN,
    "13 header field of 100 kB": BROKEN,
    "14 body without end": BROKEN,
    "14 chunks without end": BROKEN,
    "15 gzip bomb": BROKEN,
    "16 shorter than its Content-Length, and closed": BROKEN,
    "16 shorter than its Content-Length, and silent": SILENT,
    "16 longer than its Content-Length": BROKEN,
    "16 longer than its Content-Length, a moment later": NONSENSE,
    "16 longer than its Content-Length by a whole reply": FINE,
    "17 chunk of no size": BROKEN,
    "17 chunk that is longer than it says": BROKEN,
    "17 chunk that breaks off": BROKEN,
    "18 HTML with 200": NONSENSE,
    "19 JSON that breaks off": NONSENSE,
    "19 JSON twice": NONSENSE,
    "20 deep JSON": NONSENSE,
    "21 NaN": NONSENSE,
    "22 an array": NONSENSE,
    "22 other members": ONLY_SUCCESS_OF_AN_ACTION,
    "23 error inside a success": NONSENSE,
    "24 redirect to the metadata of the machine": NONSENSE,
    "24 lasting redirect to the metadata of the machine": NONSENSE,
    "25 throttled": THROTTLED_EACH_TIME,
    "25 throttled for no time": THROTTLED_EACH_TIME,
    "25 throttled for a second": THROTTLED_ONCE,
    "25 throttled until a date": THROTTLED_ONCE,
    "25 throttled until a date that has passed": THROTTLED_EACH_TIME,
    "25 throttled for -1 seconds": THROTTLED_EACH_TIME,
    "25 throttled for 1e9 seconds": THROTTLED_EACH_TIME,
    "25 throttled for 999999999 seconds": THROTTLED_ONCE,
    "25 throttled until soon": THROTTLED_EACH_TIME,
    # The document does not say of these that nothing was done.
    "25 throttled in words of its own": alike("vendor-throttled", REJECTED, 3, 3, 1),
    "26 status 500": ERROR,
    "26 status 501": alike("vendor-error", UNKNOWN, 1, 1, 1),
    "26 status 502": ERROR,
    "26 status 503": alike("vendor-unavailable", UNKNOWN, 3, 3, 1),
    "26 status 503 for a second": alike("vendor-unavailable", UNKNOWN, 1, 1, 1),
    "26 status 504": ERROR,
    "27 status 408": alike("vendor-timed-out", UNKNOWN, 3, 3, 1),
    "27 status 409": REFUSED,
    "27 status 412": REFUSED,
    "28 kept connection closed under us": BROKEN_ONCE,
    "28 kept connection reset under us": BROKEN_ONCE,
    "28 kept connection closed before": FINE,
    # Both at once are taken for no HTTP.
    "29 status 204 with a body": BROKEN,
    "29 status 204 with a body, a moment later": ONLY_SUCCESS_OF_AN_ACTION,
    "30 next page elsewhere": replace(FINE, read=NONSENSE.read),
    "31 credentials in a refusal": REFUSED,
    "31 credentials in a refusal, without their scheme": REFUSED,
    "31 credentials in a refusal, escaped": REFUSED,
    "31 credentials in a refusal of credentials": alike("vendor-denied-access", REJECTED, 1, 1, 1),
    "31 credentials in an error": ERROR,
    "31 credentials in the page of an error": ERROR,
    "31 credentials in a success": FINE,
    "32 works, too late": SILENT,
    "32 works, in time": FINE,
}
"""What must come of each mode."""

OF_ONE_VENDOR: Mapping[tuple[str, str], Expected] = {
    # It has no other words than the status.
    ("25 throttled in words of its own", VONAGE): THROTTLED_EACH_TIME,
    # Its pages have numbers, and links mean nothing.
    ("30 next page elsewhere", VONAGE): FINE,
    # A token can be renewed, a signature cannot.
    ("31 credentials in a refusal of credentials", VONAGE): alike("vendor-denied-access", REJECTED, 2, 2, 2),
}
"""Where the vendors differ."""


def test_the_list_is_complete() -> None:
    """Each of the 32 numbers of the list has a mode, and each mode something that must come of it."""
    assert {int(name[:2]) for name in MODES} == {*range(33)}
    assert list(EXPECTED) == list(MODES)
    assert {name for name, _ in OF_ONE_VENDOR} <= EXPECTED.keys()


@dataclass(frozen=True)
class Checker:
    """Makes the requests of a gateway, and holds the answers against the promises."""

    wired_gateway: WiredGateway
    problems: Problems

    async def asked(self, case: Case, *, lists: bool = False) -> tuple[Answer, float]:
        """The answer to the request of a case, and how long it took."""
        start = time.monotonic()
        seconds = self.wired_gateway.server.patience
        answer = await asyncio.wait_for(self.wired_gateway.ask(case, lists=lists), seconds + PATIENCE)
        took = time.monotonic() - start
        case.should(took <= (1 + GRACE) * seconds, f"took {took} seconds")
        return answer, took

    def understood(self, case: Case, answer: Answer) -> tuple[str | None, str | None]:
        """The code of the problem and the outcome in an answer, which must be as documented."""
        self.wired_gateway.check_secrecy(answer.body.decode(), answer.json, dict(answer.headers))
        if answer.status >= 300:
            problem = self.problems.check(answer, answer.headers)
            if answer.status in {429, 503}:
                assert 0 <= int(answer.headers["retry-after"]) <= 86_400
            assert problem["code"] != "gateway-error"
            return problem["code"], problem.get("outcome")
        assert answer.headers["content-type"] == "application/json"
        if answer.status == 200:
            return None, answer.json.get("outcome")
        assert (answer.status, case.is_read) == (202, False)
        assert answer.headers["location"] == f"/v1/job-actions/{answer.json['id']}"
        assert int(answer.headers["retry-after"]) >= 0
        return answer.json["problem"]["code"], answer.json["outcome"]

    async def check_record(self, case: Case, answer: Answer, outcome: str | None) -> None:
        """The ledger says what the answer says, and knows of each time that the vendor got the action."""
        record = await self.wired_gateway.newest(case)
        shown = await self.wired_gateway.shown(record)
        self.wired_gateway.check_secrecy(record, shown.body.decode(), shown.json)
        assert record.id == answer.json.get("jobAction", answer.json.get("id"))
        assert record.outcome == outcome == shown.json["outcome"]
        assert record.is_settled == (outcome != UNKNOWN) == (answer.status != 202)
        assert case.hits <= len(record.sent) <= ATTEMPTS + 1
        assert outcome != NOT_SENT or case.hits == 0

    async def check_next(self, case: Case) -> None:
        """The vendor is well: the next request of the same kind is done, once, and what failed before is not."""
        before = len(case.api.actions)
        answer, _ = await self.asked(case)
        code, outcome = self.understood(case, answer)
        case.should(code is None and outcome == (None if case.is_read else APPLIED), f"the next one: {answer.json}")
        # Where the machine is busy, one that may be repeated may have to be.
        most = {Effect.READ: 0, Effect.ONCE: 1}.get(case.effect, ATTEMPTS)
        assert len(case.api.actions) <= before + most


def cases_of(server: FaultServer, mode: Mode) -> list[Case]:
    """Each effect at each vendor, whose API fails."""
    start = WELL if mode.is_second else mode
    tokens = {VONAGE: WELL}
    return [
        Case(vendor, effect, server.site(start), server.site(tokens[vendor]) if vendor in tokens else None)
        for vendor in JOBS
        for effect in Effect
    ]


def token_cases_of(server: FaultServer, mode: Mode) -> list[Case]:
    """Each effect at the vendor that has a token endpoint, which fails."""
    return [Case(VONAGE, effect, server.site(WELL), server.site(mode)) for effect in Effect]


async def check_case(checker: Checker, case: Case, name: str) -> None:
    """A request to a vendor whose API fails, and the next one."""
    mode, server = MODES[name], checker.wired_gateway.server
    told: Told = getattr(OF_ONE_VENDOR.get((name, case.vendor), EXPECTED[name]), case.effect)
    if mode.is_second:
        await checker.asked(case)
        case.api.hits.clear()
        server.change(case.api, mode)
        # By then, what the vendor did to the connection is known.
        await asyncio.sleep(2 * DRIP_SECONDS)
    answer, took = await checker.asked(case, lists=mode.lists)
    code, outcome = checker.understood(case, answer)
    assert case.hits <= told.hits, (case.connection, case.api.hits)
    is_slow = took > server.patience / 2
    case.should(case.hits == told.hits or (is_slow and case.hits >= min(1, told.hits)), f"{case.hits} hits")
    # Where the time runs out under what would be sent again, that is the problem.
    late = {"vendor-timed-out"} if told.hits > 1 and is_slow else set()
    case.should(code in {*told.codes, *late}, answer.json)
    if not case.is_read:
        assert outcome in {*told.outcomes, NOT_SENT, UNKNOWN}, (case.connection, answer.json)
        case.should(outcome in told.outcomes, answer.json)
        await checker.check_record(case, answer, outcome)
    if mode.certificate not in {None, "good"}:
        case.should(case.api.handshakes == ATTEMPTS, f"{case.api.handshakes} handshakes")
    if mode.trails:
        await asyncio.sleep(2 * DRIP_SECONDS)
    server.change(case.api, WELL)
    await checker.check_next(case)


async def check_token_case(checker: Checker, case: Case, _name: str) -> None:
    """A request to a vendor whose token endpoint fails, and the next one."""
    assert case.tokens is not None
    answer, _ = await checker.asked(case)
    code, outcome = checker.understood(case, answer)
    assert (case.hits == 0) == (code is not None), (case.connection, answer.json)
    assert len(case.tokens.hits) <= ATTEMPTS
    if not case.is_read:
        assert outcome == (APPLIED if code is None else NOT_SENT)
        await checker.check_record(case, answer, outcome)
    checker.wired_gateway.server.change(case.tokens, WELL)
    await checker.check_next(case)


async def check(
    catalogue: Catalogue,
    problems: Problems,
    caplog: pytest.LogCaptureFixture,
    server: FaultServer,
    name: str,
    make: Callable[[FaultServer, Mode], list[Case]],
    check_one: Callable[[Checker, Case, str], Awaitable[None]],
) -> None:
    """Try a mode with some cases, as a rule all at the same time, until everything is as it should be."""
    mode = MODES[name]
    never_comes = mode.listener is Listener.UNATTENDED or mode.lookup is Lookup.HANGS
    departures: list[list[str]] = []
    for seconds in ROUNDS:
        server.patience = seconds
        policy = POLICY.model_copy(update={"connect_seconds": IMPATIENT * seconds}) if never_comes else POLICY
        cases = make(server, mode)
        async with wired_gateway(catalogue, server, cases, policy) as made:
            # It says much while it is wired, and nothing of what happens then.
            caplog.set_level(logging.DEBUG)
            checker = Checker(made, problems)
            for together in [[case] for case in cases] if mode.is_heavy else [cases]:
                await all_of(check_one(checker, case, name) for case in together)
            made.check_secrecy(caplog.text, *(vars(each) for each in caplog.records))
            caplog.set_level(logging.WARNING)
        departures.append([each for case in cases for each in case.departures])
        if not departures[-1]:
            return
    pytest.fail("\n".join(each for found in departures for each in ["", *found]))


async def all_of(checks: Iterable[Awaitable[None]]) -> None:
    """Carry out checks at the same time. Raises the first that failed, with a note of each other one."""
    failed = [each for each in await asyncio.gather(*checks, return_exceptions=True) if isinstance(each, Exception)]
    for other in failed[1:]:
        failed[0].add_note(f"And: {other}")
    if failed:
        raise failed[0]


def number_of(name: str) -> str:
    """The number of a mode in the list of faults."""
    return name.partition(" ")[0]


@pytest.mark.sampled(0.2, kind=number_of)
@pytest.mark.parametrize("name", MODES)
async def test_a_vendor_that_fails(
    name: str, server: FaultServer, with_repeatable: Catalogue, problems: Problems, caplog: pytest.LogCaptureFixture
) -> None:
    """After any vendor fault, the answer is documented and in time, attempts are bounded, and no secret leaks."""
    await check(with_repeatable, problems, caplog, server, name, cases_of, check_case)


@pytest.mark.sampled(0.2, kind=number_of)
@pytest.mark.parametrize("name", [name for name, mode in MODES.items() if not (mode.is_second or mode.lists)])
async def test_a_token_endpoint_that_fails(
    name: str, server: FaultServer, with_repeatable: Catalogue, problems: Problems, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a token, nothing is sent to the vendor's API, and answer and record say so."""
    await check(with_repeatable, problems, caplog, server, name, token_cases_of, check_token_case)
