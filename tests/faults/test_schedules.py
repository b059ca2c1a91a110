"""Random schedules of faults: whatever befalls one request after the other, ledger, answers and vendor agree.

A schedule follows from its seed. `FAULT_SCHEDULES` is how many there are; each begins with a vendor that fails
at every turn, and ends with one that is well, when everything must become known.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from gateway.app import Catalogue, Gateway
from gateway.domain.model import Outcome
from gateway.domain.record import JobActionRecord, SettledBy
from gateway.edge.response_validation import ResponseValidation
from gateway.ledger.memory import MemoryLedger
from gateway.resilience.policy import Policy
from gateway.settings.settings import (
    ClientCredentialsAuthentication,
    ConnectionSettings,
    QuotaSettings,
    ServerSettings,
    Settings,
    SignedAuthentication,
)
from tests.faults.faulty_vendors import ASSIGNMENT, FAULTS, WELL, Call, FaultyVendors, Reach, is_given_away, vendor_of
from tests.faults.fixtures import ACCESS_KEY, AZURE, CLIENT_SECRET, REPEATABLE, SECRETS, VONAGE
from tests.support.asgi import Answer, call
from tests.support.clock import FakeClock
from tests.support.problems import Problems
from tests.support.sampling import amount
from tests.support.vendors import API_KEY

SCHEDULES = int(os.environ.get("FAULT_SCHEDULES", amount(whole=300, sample=100)))
BLOCK = 25
"""Schedules that one gateway lives through, each with connections of its own."""
SECONDS = 10.0
"""Seconds that calls to a vendor may take."""
STEPS = (5, 12)
"""How many there are of them in a schedule, at least and at most."""
POLICIES = (Policy(), Policy(attempts=5, first_delay_seconds=0.01), Policy(breaker_failures=2), Policy(attempts=1))
ACTIONS = {AZURE: ("cancel", "close"), VONAGE: ("cancel", "pause", "restart")}
STATUSES = {AZURE: ("queued", "completed", "assigned"), VONAGE: ("Running", "Paused", "Scheduled", "Failed")}
PAUSES = (0.5, 2.0, 5.0, 15.0, 75.0)
UNTIL_ALL_IS_KNOWN = (0.5, 1.5, 3.0, 10.0, 60.0, 3_600.0, 60.0)


@dataclass(frozen=True)
class WantedAction:
    """An action that a caller asks for, perhaps again and again with the same key."""

    connection: str
    job_id: str
    action: str
    key: str | None
    body: dict[str, str] | None

    @property
    def is_repeatable(self) -> bool:
        """Whether the vendor lets it be repeated."""
        return self.connection.endswith(REPEATABLE)


@dataclass
class Kept:
    """What is known of a record: what it was asked for, and what the vendor knows of it."""

    wanted: WantedAction
    calls: list[Call]


@dataclass
class Schedule:
    """One schedule, with connections and jobs of its own."""

    seed: int
    vendors: FaultyVendors
    gateway: Gateway
    problems: Problems
    connections: tuple[str, ...]
    attempts: int
    random: Random = field(init=False)
    wanted_actions: list[WantedAction] = field(default_factory=list)
    kept: dict[str, Kept] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Draw what is done from the seed too."""
        self.random = Random(f"{self.seed} steps")  # noqa: S311 - nothing is secret

    async def run(self) -> None:
        """Go through it. What fails is told with all that happened."""
        self.vendors.begin(self.seed)
        for connection in self.connections:
            statuses = STATUSES[vendor_of(connection)]
            self.vendors.jobs[connection] = {self.new_id(): self.random.choice(statuses) for _ in range(2)}
        try:
            for _ in range(self.random.randint(*STEPS)):
                await self.step()
            self.vendors.is_spoilt = False
            for seconds in UNTIL_ALL_IS_KNOWN:
                await self.settle(seconds)
            await self.check_end()
            self.check_secrecy()
        except Exception as error:
            error.add_note("\n".join([f"schedule {self.seed}:", *self.vendors.story]))
            raise

    def new_id(self) -> str:
        """The id of a job."""
        return str(UUID(int=self.random.getrandbits(128), version=4))

    async def step(self) -> None:
        """Something happens."""
        steps = (self.act, self.act_again, self.read, self.pass_time, self.move)
        await self.random.choices(steps, (6, 2, 2, 2, 1))[0]()

    async def act(self) -> None:
        """Somebody wants an action."""
        connection = self.random.choice(self.connections)
        action = self.random.choice(ACTIONS[vendor_of(connection)])
        job_id = self.random.choice([*self.vendors.jobs[connection]])
        key = f"key-{self.seed}-{len(self.wanted_actions)}" if self.random.random() < 0.5 else None
        body = {"assignmentId": ASSIGNMENT} if action == "close" and self.random.random() < 0.5 else None
        wanted = WantedAction(connection, job_id, action, key, body)
        self.wanted_actions.append(wanted)
        await self.perform(wanted)

    async def act_again(self) -> None:
        """Somebody sends an earlier request again, with its key."""
        earlier = [wanted for wanted in self.wanted_actions if wanted.key]
        if earlier:
            await self.perform(self.random.choice(earlier))

    async def read(self) -> None:
        """Somebody reads a job, or all."""
        connection = self.random.choice(self.connections)
        job = self.random.choice([*(f"/{job_id}" for job_id in self.vendors.jobs[connection]), ""])
        before = len(self.vendors.calls)
        answer = await self.ask("GET", f"/v1/connections/{connection}/jobs{job}?include=vendor", None, [])
        assert answer.status == 200 or self.problem(answer)["code"] != "unknown-job" or "404" in self.vendors.story[-1]
        assert len(self.vendors.calls) == before

    async def pass_time(self) -> None:
        """Time passes, and the gateway looks after what is due."""
        await self.settle(self.random.choice(PAUSES))

    async def move(self) -> None:
        """A job goes on by itself."""
        connection = self.random.choice(self.connections)
        self.vendors.move(connection, self.random.choice([*self.vendors.jobs[connection]]))

    async def settle(self, seconds: float) -> None:
        """Let time pass, and look after what is due: nothing is sent but reads."""
        self.vendors.story.append(f"{seconds} seconds pass")
        self.vendors.clock.advance(seconds)
        before = len(self.vendors.calls)
        for record in await self.gateway.reconciler.reconcile_due():
            self.texts.append(str(record))
            self.judge(record)
        assert len(self.vendors.calls) == before

    async def perform(self, wanted: WantedAction) -> None:
        """Make a request, and hold the answer and the record against what the vendor knows."""
        before = len(self.vendors.calls)
        fields = [] if wanted.key is None else [("idempotency-key", wanted.key)]
        target = f"/v1/connections/{wanted.connection}/jobs/{wanted.job_id}/{wanted.action}"
        answer = await self.ask("POST", target, wanted.body, fields)
        calls = self.vendors.calls[before:]
        record_id = answer.json.get("jobAction") or answer.json["id"]
        if answer.headers.get("idempotent-replayed"):
            assert calls == []
            assert self.kept[record_id].wanted == wanted
        else:
            assert record_id not in self.kept
            self.kept[record_id] = Kept(wanted, calls)
            self.check_policy(wanted, calls)
        record = await self.record(record_id)
        self.texts.append(str(record))
        assert answer.json["outcome"] == record.outcome
        assert (answer.status == 200) == (record.outcome is Outcome.APPLIED)
        assert (answer.status == 202) == (record.outcome is Outcome.UNKNOWN)
        self.judge(record)
        self.check_key(wanted)

    async def ask(self, method: str, target: str, body: Any, fields: list[tuple[str, str]]) -> Answer:
        """Make one request, which is answered in time, as documented."""
        start = self.vendors.clock.monotonic()
        self.vendors.story.append(f"{method} {target} {dict(fields)}")
        answer = await call(self.gateway.application, method, target, body, fields)
        took = self.vendors.clock.monotonic() - start
        self.vendors.story.append(f"    {answer.status} {answer.body.decode()[:200]}")
        assert took <= SECONDS + 1e-6
        self.texts += [answer.body.decode(), str(dict(answer.headers))]
        if answer.status >= 300:
            assert self.problem(answer)["code"] != "gateway-error"
        if answer.status in {429, 503, 202}:
            assert 0 <= int(answer.headers.get("retry-after", 0 if answer.status == 202 else -1)) <= 86_400
        return answer

    def problem(self, answer: Answer) -> dict[str, Any]:
        """The problem in an answer, which must be as documented."""
        return self.problems.check(answer, answer.headers)

    async def record(self, record_id: str) -> JobActionRecord:
        """A record as it is now."""
        record = await self.gateway.ledger.get(record_id, "default")
        assert record is not None
        return record

    def check_policy(self, wanted: WantedAction, calls: list[Call]) -> None:
        """What may reach the vendor once reaches it once; nothing is sent more often than the policy has it."""
        received = [each for each in calls if each.is_received]
        assert wanted.is_repeatable or len(received) <= 1
        denied = [each for each in calls if each.fate.name == "401"]
        assert len(calls) <= self.attempts + bool(denied)
        # A token is renewed once, a signature never: the next refusal of it is the end.
        most = 2 if vendor_of(wanted.connection) == VONAGE else 1
        assert len(denied) < most or denied[most - 1] is calls[-1]
        for sooner, later in pairwise(calls):
            assert sooner.fate.name not in FINAL, f"sent again after {sooner}: {later}"
            assert later.fate.at - sooner.fate.until >= FAULTS[sooner.fate.name].asks - 1e-6

    def check_key(self, wanted: WantedAction) -> None:
        """A key stands for one action, however often it is used."""
        if wanted.key is None or wanted.is_repeatable:
            return
        with_key = [each for kept in self.kept.values() if kept.wanted == wanted for each in kept.calls]
        assert sum(each.is_received for each in with_key) <= 1
        assert sum(each.is_done for each in with_key) <= 1

    def judge(self, record: JobActionRecord) -> None:
        """The record says what the vendor knows, or less."""
        calls = self.kept[record.id].calls
        is_done = any(each.is_done for each in calls)
        is_doubtful = any(each.leaves_doubt for each in calls)
        settled_by = record.conclusion.settled_by if record.conclusion else None
        is_read = settled_by is SettledBy.READING
        assert len(calls) <= len(record.sent)
        match record.outcome:
            case Outcome.APPLIED:
                # A job that was where it should go before it was asked to looks as if it had gone there.
                assert is_done or (is_read and not any(each.fits for each in calls))
            case Outcome.REJECTED:
                assert not is_done
                assert is_doubtful == is_read
            case Outcome.NOT_SENT:
                assert not is_doubtful
                assert not any(each.is_received for each in calls)
            case _:
                assert is_doubtful
                assert settled_by in {None, SettledBy.GAVE_UP}
        if calls and calls[-1].is_done and calls[-1].fate.name in {WELL, "slow"} and calls[-1].fate.is_heard:
            assert record.outcome is Outcome.APPLIED

    async def check_end(self) -> None:
        """Everything is known, as far as it can be; and the vendors, which are well, are asked again."""
        for record_id in self.kept:
            record = await self.record(record_id)
            assert record.is_settled
            self.judge(record)
        for connection in self.connections:
            (job_id, status), *_ = self.vendors.jobs[connection].items()
            answer = await self.ask("GET", f"/v1/connections/{connection}/jobs/{job_id}", None, [])
            assert (answer.status, answer.json.get("vendorStatus")) == (200, status)
            possible = answer.json["allowedActions"]
            if possible:
                # There may be a quota.
                self.vendors.clock.advance(60)
                await self.perform(WantedAction(connection, job_id, possible[0], None, None))
                assert self.vendors.calls[-1].is_done

    def check_secrecy(self) -> None:
        """No secret is in any answer, nor in any record."""
        for secret in {*SECRETS, *self.vendors.secrets}:
            for text in self.texts:
                assert not is_given_away(secret, text), f"{secret} is given away in {text}"


UNREADABLE = {"HTML", "NaN", "an array", "error inside a success", "redirect", "501"}
"""Answers that tell nothing about the outcome."""
FINAL = frozenset(
    name
    for name, fault in FAULTS.items()
    if (fault.reach in {Reach.REFUSED, Reach.DONE} and name != "too late") or name in UNREADABLE
)
"""Faults after which nothing is sent again, whatever its effect."""


def connections_of(seed: int) -> dict[str, ConnectionSettings]:
    """The connections of a schedule: an account at each vendor, at some of which actions may be repeated."""
    random = Random(f"{seed} connections")  # noqa: S311 - nothing is secret
    return dict(account(vendor, seed, random) for vendor in (AZURE, VONAGE))


def account(vendor: str, seed: int, random: Random) -> tuple[str, ConnectionSettings]:
    """An account, and its name."""
    kind = random.choice(["", REPEATABLE])
    name = f"{vendor.partition('-')[0]}-{seed}{kind}"
    authentication: SignedAuthentication | ClientCredentialsAuthentication
    if vendor == AZURE:
        authentication = SignedAuthentication(kind="signature", scheme="accessKey", secret=SecretStr(ACCESS_KEY))
    else:
        authentication = ClientCredentialsAuthentication(
            kind="client-credentials",
            scheme="oauth",
            client_id="client-1",
            client_secret=SecretStr(CLIENT_SECRET),
            token_url=f"https://{name}.tokens.test/connect/token",
        )
    quotas: list[Any] = ["none", "none", QuotaSettings(requests=20, seconds=10), QuotaSettings(requests=2, seconds=12)]
    return name, ConnectionSettings(
        vendor=vendor + kind,
        endpoint=f"https://{name}.api.test",
        authentication=authentication,
        quota=random.choice(quotas),
    )


def schedules(block: int, catalogue: Catalogue, problems: Problems) -> Iterator[Schedule]:
    """The schedules of a block, which share a gateway."""
    seeds = range(block * BLOCK, min((block + 1) * BLOCK, SCHEDULES))
    clock, policy = FakeClock(), POLICIES[block % len(POLICIES)]
    vendors = FaultyVendors(catalogue, clock)
    accounts = {seed: connections_of(seed) for seed in seeds}
    settings = Settings(
        api_key=SecretStr(API_KEY),
        server=ServerSettings(trusted_hosts=("gateway.test",), response_validation=ResponseValidation.REFUSE),
        connections={name: each for of_one in accounts.values() for name, each in of_one.items()},
        vendor_seconds=SECONDS,
        policy=policy,
    )
    gateway = Gateway(settings, catalogue, clock=clock, transport=vendors, ledger=MemoryLedger())
    for seed in seeds:
        yield Schedule(seed, vendors, gateway, problems, tuple(accounts[seed]), policy.attempts)


@pytest.mark.parametrize("block", range(-(-SCHEDULES // BLOCK)))
async def test_whatever_befalls_the_requests(
    block: int, with_repeatable: Catalogue, problems: Problems, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In any order of faults, actions happen once, records are right, answers are in time, and no secret leaks."""
    # What the gateway draws is the same each time, too.
    for module in ("pipeline", "breaker"):
        monkeypatch.setattr(f"gateway.resilience.{module}.Random", lambda: Random(block))  # noqa: S311 - nothing is secret
    for schedule in schedules(block, with_repeatable, problems):
        await schedule.run()
