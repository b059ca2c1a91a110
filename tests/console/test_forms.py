"""Forms of emergencies, reviews and second tries, long lists, and the cost of a look, by a visitor without scripts."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import SecretStr

from gateway.app import Catalogue
from gateway.console.api import ApiClient
from gateway.domain.model import HttpReply, HttpRequest
from gateway.settings.settings import ApprovalSettings, BreakGlassSettings
from tests.console.visitor import Visitor, text_of, token_in, value_in
from tests.schedules.fixtures import Desk
from tests.support.asgi import Answer
from tests.support.databases import Spy
from tests.support.transport import reply
from tests.support.vendors import azure_job

ALL = ("batches:*", "approvals:*", "schedules:*", "jobs:*", "connections:*")
PEOPLE: dict[str, tuple[str, ...]] = {
    "alice": ALL,
    "bob": ALL,
    "careful": ("batches:read", "batches:write", "approvals:read", "jobs:*", "connections:*"),
}
REASON = "The hotline is down for everybody"
ELSEWHERE = (("origin", "https://elsewhere.test"), ("sec-fetch-site", "cross-site"))


@dataclass
class Office:
    """A gateway in which bob and careful approve batches of two jobs or more."""

    desk: Desk
    jobs: int = 0

    async def visitor(self, key: str) -> Visitor:
        """Somebody who is signed in."""
        made = Visitor(cast("Any", self.desk))
        assert (await made.sign_in(key)).status == 303
        return made

    async def prepared(self, jobs: int = 2, key: str = "alice") -> str:
        """A batch of jobs of its own that waits to be confirmed."""
        self.jobs += jobs
        named = [{"connection": "contoso-prod", "jobId": f"job-{self.jobs - each}"} for each in range(jobs)]
        body = {"action": "cancel", "reason": "The queue is stuck", "select": {"jobs": named}}
        answer = await self.desk.ask("POST", "/batches", body, key)
        assert answer.status == 202, answer.json
        await self.desk.go_on()
        made: str = answer.json["id"]
        return made

    async def confirmed(self, jobs: int = 2, key: str = "alice") -> str:
        """A batch that is confirmed through the console: one of two jobs then waits for its approval."""
        batch, visitor = await self.prepared(jobs, key), await self.visitor(key)
        answer = await visitor.post(f"/batches/{batch}/confirm", await drawn(visitor, batch, typed=str(jobs)))
        assert answer.status == 303, text_of(answer)
        return batch

    async def state(self, batch: str, key: str = "alice") -> str:
        """The state of a batch."""
        state: str = (await self.desk.ask("GET", f"/batches/{batch}", key=key)).json["state"]
        return state


@pytest.fixture
async def office(catalogue: Catalogue, tmp_path: Path) -> AsyncIterator[Office]:
    """The gateway, with a database."""
    desk = Desk(catalogue, tmp_path)
    desk.wired(
        scopes=PEOPLE,
        approvals={"two": ApprovalSettings(items=2, approvers=("bob", "careful"))},
        break_glass=BreakGlassSettings(webhook=SecretStr("https://hooks.contoso.example/a")),
    )
    await desk.ledger.start()
    yield Office(desk)
    await desk.ledger.close()


def decision(page: Answer) -> tuple[str, dict[str, str]]:
    """The path of the only approval on the page, and the hidden values of its form."""
    found = re.search(r'formaction="/console(/approvals/[^/"]+)/', text_of(page))
    assert found is not None
    return found[1], {"csrf": token_in(page), "digest": value_in(page, "digest")}


async def drawn(visitor: Visitor, batch: str, **values: str) -> dict[str, str]:
    """The hidden values of the form with a batch's manifest, and others."""
    page = await visitor.get(f"/batches/{batch}")
    hidden = {name: value_in(page, name) for name in ("csrf", "digest", "count")}
    return {**hidden, **values}


async def test_an_emergency_begins_and_is_reviewed(office: Office) -> None:
    """A batch begins without approval, says so, and the other owner sees it, its notice too, and reviews it."""
    batch, alice = await office.confirmed(), await office.visitor("alice")
    values = await drawn(alice, batch, typed="2", reason=REASON, ticket="INC-43")
    assert (await alice.post(f"/batches/{batch}/break-glass", values)).status == 303
    assert "begins without approval" in text_of(await alice.get(f"/batches/{batch}"))
    await office.desk.go_on()
    assert (await office.state(batch), office.desk.cancelled) == ("completed", 2)
    bob = await office.visitor("bob")
    assert "1 emergency waits for a review" in text_of(await bob.get("/overview"))
    page = await bob.get("/approvals")
    assert REASON in text_of(page)
    assert "The notice break-glass is not delivered" in text_of(page)
    assert office.desk.gateway.notices is not None
    await office.desk.gateway.notices.look()
    page = await bob.get("/approvals")
    assert "The notice break-glass was delivered" in text_of(page)
    path, values = decision(page)
    assert (await bob.post(f"{path}/review", {**values, "comment": "Rightly so"})).status == 303
    page = await bob.get("/approvals")
    assert "Rightly so" in text_of(page)
    assert "/review" not in text_of(page)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"typed": "3", "reason": REASON}, "You typed “3”, but the batch acts on 2 jobs. Nothing was sent."),
        ({"typed": "2", "reason": "Nine       chars"}, "write at least 20 characters beside blanks"),
    ],
)
async def test_an_emergency_is_meant(office: Office, values: dict[str, str], told: str) -> None:
    """With another number or without a real reason, nothing begins, and the page leads back to the form."""
    batch, alice = await office.confirmed(), await office.visitor("alice")
    form = f"http://gateway.test/console/batches/{batch}"
    fields = (("origin", "http://gateway.test"), ("referer", form))
    answer = await alice.post(f"/batches/{batch}/break-glass", await drawn(alice, batch, **values), fields)
    assert answer.status in {400, 409}
    assert told in text_of(answer)
    assert f'href="{form}">Back to the form' in text_of(answer)
    assert await office.state(batch) == "awaiting_approval"


async def test_a_problem_leads_to_no_other_site(office: Office) -> None:
    """The way back from a refused form of another site is not that site."""
    alice = await office.visitor("alice")
    answer = await alice.post("/batches", {}, (*ELSEWHERE, ("referer", "https://elsewhere.test/console/jobs")))
    assert answer.status == 403
    assert "elsewhere.test" not in text_of(answer)


@pytest.mark.parametrize("command", ["break-glass", "redrive", "confirm", "abort", "pause"])
async def test_no_other_site_sends_a_command(office: Office, command: str) -> None:
    """A command to a batch from another site, or without the token, is refused and does nothing."""
    batch, alice = await office.confirmed(), await office.visitor("alice")
    values = await drawn(alice, batch, typed="2", reason=REASON, key="k")
    assert (await alice.post(f"/batches/{batch}/{command}", values, ELSEWHERE)).status == 403
    assert (await alice.post(f"/batches/{batch}/{command}", values | {"csrf": "wrong"})).status == 403
    assert await office.state(batch) == "awaiting_approval"


@pytest.mark.parametrize("verdict", ["approve", "reject", "review"])
async def test_no_other_site_decides(office: Office, verdict: str) -> None:
    """A decision from another site, or without the token, is refused and decides nothing."""
    batch, bob = await office.confirmed(), await office.visitor("bob")
    path, values = decision(await bob.get("/approvals"))
    assert (await bob.post(f"{path}/{verdict}", values, ELSEWHERE)).status == 403
    assert (await bob.post(f"{path}/{verdict}", values | {"csrf": "wrong"})).status == 403
    assert await office.state(batch) == "awaiting_approval"


async def test_an_emergency_needs_its_scope(office: Office) -> None:
    """Without the scope, the page names it and draws no form, and the gateway refuses the command."""
    batch = await office.confirmed(key="careful")
    careful = await office.visitor("careful")
    page = await careful.get(f"/batches/{batch}")
    assert "Your key needs the scope batches:break-glass." in text_of(page)
    assert "Break the glass" not in text_of(page)
    values = {"csrf": token_in(page), "digest": "0" * 64, "count": "2", "typed": "2", "reason": REASON}
    answer = await careful.post(f"/batches/{batch}/break-glass", values)
    assert (answer.status, await office.state(batch, "careful")) == (403, "awaiting_approval")


@pytest.mark.parametrize("verdict", ["approve", "reject", "review"])
async def test_a_decision_needs_its_scope(office: Office, verdict: str) -> None:
    """Whoever may only read approvals sees the buttons disabled with the scope, and is refused."""
    batch, careful = await office.confirmed(), await office.visitor("careful")
    page = await careful.get("/approvals")
    assert 'disabled title="Your key needs the scope approvals:write."' in text_of(page)
    path, values = decision(page)
    answer = await careful.post(f"{path}/{verdict}", values)
    assert (answer.status, await office.state(batch)) == (403, "awaiting_approval")


async def test_the_failed_ones_are_tried_again(office: Office) -> None:
    """Of the jobs that a vendor turned away, a second batch is made, once for each form that was drawn."""

    def refusing(request: HttpRequest) -> HttpReply:
        if request.method == "POST":
            return reply(429, {"error": {"code": "TooManyRequests", "message": "Not now"}})
        return reply(200, azure_job("queued", request.url.partition("?")[0].rpartition("/")[2]))

    office.desk.transport.otherwise = refusing
    batch, alice = await office.confirmed(jobs=1), await office.visitor("alice")
    await office.desk.go_on()
    page = await alice.get(f"/batches/{batch}")
    assert "Try the failed ones again" in text_of(page)
    values = {"csrf": token_in(page), "key": value_in(page, "key")}
    first, second = [await alice.post(f"/batches/{batch}/redrive", values) for _ in range(2)]
    assert (first.status, second.status) == (303, 303)
    assert first.headers["location"] == second.headers["location"] != f"/console/batches/{batch}"
    again = text_of(await alice.get(first.headers["location"].removeprefix("/console")))
    assert "Again, after" in again


async def test_lists_have_a_next_page(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Schedules and approvals beyond the first page are on the next one, which has none after it."""
    monkeypatch.setattr("gateway.console.requests.ON_A_PAGE", 1)
    names = ("first-schedule", "second-schedule")
    for name in names:
        await office.desk.scheduled(name=name)
    batches = [await office.confirmed() for _ in names]
    alice = await office.visitor("alice")
    for path, wanted in (("/schedules", names), ("/approvals", [f"/batches/{each}" for each in batches])):
        first = text_of(await alice.get(path))
        assert "Next page" in first
        link = first.partition('">Next page')[0].rpartition('href="')[2].removeprefix("/console").replace("&amp;", "&")
        second = text_of(await alice.get(link))
        assert "Next page" not in second
        assert sorted((each in first, each in second) for each in wanted) == [(False, True), (True, False)]


async def test_a_session_that_has_ended_says_so(office: Office) -> None:
    """A cookie that is not valid any more leads to a form that tells why; without a cookie there is nothing to tell."""
    alice = await office.visitor("alice")
    alice.cookie = alice.cookie[:-8] + "AAAAAAA="
    way = (await alice.get("/overview")).headers["location"].removeprefix("/console")
    assert "Your session has ended. Sign in again." in text_of(await alice.get(way))
    assert "reason" not in (await Visitor(cast("Any", office.desk)).get("/overview")).headers["location"]


async def test_a_look_at_the_overview_costs_one_query(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look is one call of the API and one aggregate query of the ledger; while approvals wait, one query more."""
    asked: list[tuple[str, str]] = []
    call = ApiClient.call

    def noted(client: ApiClient, method: str, path: str, *rest: Any, **more: Any) -> Any:
        asked.append((method, path))
        return call(client, method, path, *rest, **more)

    monkeypatch.setattr(ApiClient, "call", noted)
    alice = await office.visitor("alice")

    async def costs() -> list[str]:
        asked.clear()
        with Spy(office.desk.database) as statements:
            assert (await alice.get("/overview/now")).status == 200
        assert asked == [("GET", "/overview")]
        return [statement for statement, _ in statements]

    (aggregate,) = await costs()
    assert "count(*)" in aggregate
    await office.confirmed()
    assert "1 approval waits" in text_of(await alice.get("/overview"))
    first, second = await costs()
    assert (first, "count(*)" in second) == (aggregate, False)
