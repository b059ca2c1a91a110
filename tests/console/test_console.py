"""The console by plain HTTP, in this process: sessions, forms, header fields, scopes."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from gateway.app import Catalogue
from gateway.console.batches import MOST_DOWNLOADS
from gateway.console.requests import LEAST_SECONDS, PATIENCE
from gateway.console.sessions import key_in
from gateway.domain.errors import VendorTimedOut
from gateway.ledger.database import Database
from gateway.ledger.ledger import SqlLedger
from gateway.settings.settings import CallerSettings, ServerSettings
from tests.console.visitor import Visitor, text_of, token_in, value_in
from tests.schedules.fixtures import window
from tests.support.clock import FakeClock
from tests.support.databases import sqlite_address
from tests.support.scripted_gateway import ScriptedGateway
from tests.support.transport import reply
from tests.support.vendors import API_KEY, AZURE, AZURE_JOB, azure_job, settings

PAGES = (
    "/overview",
    "/jobs",
    "/batches",
    "/actions",
    "/connections",
    "/connections/contoso-prod",
    "/key",
    "/schedules",
    "/approvals",
)
CANCEL = {"connection": "contoso-prod", "id": AZURE_JOB, "note": "Ended by hand"}
READER = "reader-key-of-the-console"
AUDITOR, WARDEN = "auditor-key-of-the-console", "warden-key-of-the-console"
SECONDS = 30


@pytest.fixture
async def visitor(catalogue: Catalogue, tmp_path: Path) -> AsyncIterator[Visitor]:
    """Somebody at a gateway with a scripted vendor."""
    clock = FakeClock()
    ledger = SqlLedger(Database.at(sqlite_address(tmp_path)), clock)
    await ledger.start()
    reader = CallerSettings(key=SecretStr(READER), scopes=("jobs:read", "connections:*"))
    seeing = ("audit:read", "batches:read", "batches:write", "connections:*")
    auditor = CallerSettings(key=SecretStr(AUDITOR), scopes=seeing)
    warden = CallerSettings(key=SecretStr(WARDEN), scopes=(*seeing, "batches:stop"))
    callers = {"reader": reader, "auditor": auditor, "warden": warden}
    always = window("deny", "0 0 * * *", "PT24H", actions=["discard"])
    wired = settings(windows={"always": always}).model_copy(update={"callers": callers})
    yield Visitor(ScriptedGateway(catalogue, ledger, clock, wired))
    await ledger.close()


async def test_a_key_signs_in(visitor: Visitor) -> None:
    """A valid key leads to the overview, and a wrong one back to the form."""
    refused = await visitor.sign_in("jobgate_wrong")
    assert refused.status == 401
    assert "does not know the key" in text_of(refused)
    assert (await visitor.get("/overview")).headers["location"].startswith("/console/sign-in")
    entered = await visitor.sign_in()
    assert (entered.status, entered.headers["location"]) == (303, "/console/overview")
    assert "Nothing needs attention" in text_of(await visitor.get("/overview"))


async def test_the_cookie_is_for_this_host_only(visitor: Visitor) -> None:
    """The cookie has the prefix `__Host-` and all its flags, and the key cannot be read in it."""
    await visitor.sign_in()
    assert visitor.set_cookies
    for each in visitor.set_cookies:
        name, *flags = each.split("; ")
        assert name.startswith("__Host-jobgate=")
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Strict"} <= set(flags)
        assert not any(flag.startswith("Domain") for flag in flags)
        assert API_KEY not in each


async def test_another_cookie_is_nobody(visitor: Visitor) -> None:
    """A cookie that was changed signs nobody in."""
    await visitor.sign_in()
    visitor.cookie = visitor.cookie[:-8] + "AAAAAAA="
    assert (await visitor.get("/overview")).status == 303


async def test_signing_out_ends_the_session(visitor: Visitor) -> None:
    """After signing out, the cookie is empty and the pages ask to sign in."""
    await visitor.sign_in()
    token = token_in(await visitor.get("/overview"))
    assert (await visitor.post("/sign-out", {"csrf": token})).status == 303
    assert (await visitor.get("/overview")).status == 303


@pytest.mark.parametrize("path", [*PAGES, "/sign-in", "/nothing", "/static/console.css"])
async def test_every_page_has_the_policy(visitor: Visitor, path: str) -> None:
    """Every page, also one that does not exist, forbids what is not of this origin, and has nothing inline."""
    await visitor.sign_in()
    answer = await visitor.get(path)
    assert answer.status == (404 if path == "/nothing" else 200)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == ("private, max-age=300" if "static" in path else "no-store")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
    assert "unsafe" not in policy
    assert {"frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} <= set(policy.split("; "))
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script>", text_of(answer))


@pytest.mark.parametrize(
    "fields",
    [
        (("origin", "https://elsewhere.test"), ("sec-fetch-site", "cross-site")),
        (("origin", "http://gateway.test"), ("sec-fetch-site", "same-site")),
        (("origin", "null"),),
        (),
    ],
)
async def test_a_form_of_another_site_does_nothing(visitor: Visitor, fields: tuple[tuple[str, str], ...]) -> None:
    """A form that another site sends is refused, even with the token."""
    await visitor.sign_in()
    token = token_in(await visitor.get("/overview"))
    answer = await visitor.post("/job/cancel", {"csrf": token, "key": "k", **CANCEL}, fields)
    assert answer.status == 403
    assert visitor.scripted.vendor.requests == []


@pytest.mark.parametrize("token", ["", "wrong", None])
async def test_a_form_without_its_token_does_nothing(visitor: Visitor, token: str | None) -> None:
    """A form without the token of the session is refused, even from this site."""
    await visitor.sign_in()
    values = {"key": "k", **CANCEL} if token is None else {"csrf": token, "key": "k", **CANCEL}
    assert (await visitor.post("/job/cancel", values)).status == 403
    assert visitor.scripted.vendor.requests == []


async def test_the_page_of_keys_lists_those_of_all_callers(visitor: Visitor) -> None:
    """With keys:read, the page of one's own key lists everybody's, and no secret; else it names the scope."""
    await visitor.sign_in()
    page = text_of(await visitor.get("/key"))
    assert page.index("Your key: default") < page.index("Keys of all callers") < page.index("What your key allows")
    assert re.search(
        r"<td[^>]*>reader</td><td[^>]*>.*valid</span></td><td[^>]*><code>connections:\*</code> <code>jobs:read</code>",
        page,
    )
    assert re.search(r'<td[^>]*>default <span class="small">\(you\)</span></td>', page)
    assert READER not in page
    await visitor.sign_in(READER)
    page = text_of(await visitor.get("/key"))
    assert "Your key needs the scope keys:read." in page
    assert not re.search(r"<td[^>]*>default", page)


async def test_a_form_that_is_sent_twice_acts_once(visitor: Visitor) -> None:
    """A double click sends the action once, and shows the same record twice."""
    await visitor.sign_in()
    preview = await visitor.get(f"/job/cancel?connection=contoso-prod&id={AZURE_JOB}")
    assert f"jobs/{AZURE_JOB}:cancel" in text_of(preview).replace("/cancel", ":cancel")
    drawn = {"csrf": token_in(preview), "key": value_in(preview, "key"), **CANCEL}
    visitor.scripted.answers(reply(200, {}))
    first, second = await visitor.post("/job/cancel", drawn), await visitor.post("/job/cancel", drawn)
    assert (first.status, second.status) == (303, 303)
    assert first.headers["location"] == second.headers["location"]
    assert len(visitor.scripted.actions_sent) == 1
    record = text_of(await visitor.get(first.headers["location"].removeprefix("/console")))
    assert "Ended by hand" in record
    assert "The outcome is applied" in record


async def test_a_silent_vendor_hides_nothing_that_is_known(visitor: Visitor) -> None:
    """A person soon sees that the vendor of a job does not answer, with what was done on the job."""
    await visitor.sign_in()
    path = f"/job/cancel?connection=contoso-prod&id={AZURE_JOB}"
    drawn = {**CANCEL, "csrf": token_in(await visitor.get(path)), "key": "1"}
    visitor.scripted.answers(reply(200, {}), VendorTimedOut("The vendor is silent."))
    assert (await visitor.post("/job/cancel", drawn)).status == 303
    answer = await visitor.get(f"/job?connection=contoso-prod&id={AZURE_JOB}")
    assert answer.status == 504
    assert "The vendor is silent." in text_of(answer)
    assert re.search(r'href="/console/actions/[^"]+">cancel</a>', text_of(answer))
    assert "Try again" in text_of(answer)
    assert visitor.seconds_of_last_call <= PATIENCE


async def test_the_calls_of_a_page_share_its_time(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many calls a page makes, vendors cannot keep a person waiting much longer than for one."""
    now = [0.0]
    monkeypatch.setattr("gateway.console.requests.monotonic", lambda: now[0])
    await visitor.sign_in()

    async def take_long() -> None:
        now[0] += PATIENCE
        visitor.scripted.clock.advance(PATIENCE)

    visitor.scripted.vendor.before_reply = take_long
    jobs = {"value": [azure_job("queued")], "nextLink": f"{AZURE}/routing/jobs?api-version=2023-11-01&skip=1"}
    visitor.scripted.answers(reply(200, jobs), reply(200, {"value": [azure_job("queued")]}))
    await visitor.get("/jobs?find=1&connection=contoso-prod")
    assert visitor.seconds_of_last_call == LEAST_SECONDS


async def test_a_preview_waits_no_longer_than_other_pages(visitor: Visitor) -> None:
    """The job that an action needs to be planned is read within the time of a page."""
    await visitor.sign_in()
    visitor.scripted.answers(VendorTimedOut("The vendor is silent."))
    answer = await visitor.get(f"/job/close?connection=contoso-prod&id={AZURE_JOB}")
    assert "The vendor is silent." in text_of(answer)
    assert visitor.seconds_of_last_call <= PATIENCE


async def test_two_forms_are_two(visitor: Visitor) -> None:
    """Each form that is drawn has its own idempotency key."""
    await visitor.sign_in()
    path = f"/job/cancel?connection=contoso-prod&id={AZURE_JOB}"
    assert value_in(await visitor.get(path), "key") != value_in(await visitor.get(path), "key")


async def test_a_missing_scope_disables_an_action(visitor: Visitor) -> None:
    """A key without a scope sees the actions disabled, with the scope that they need; the API refuses them anyway."""
    await visitor.sign_in(READER)
    page = text_of(await visitor.get("/jobs"))
    for action in ("cancel", "close", "terminate"):
        assert re.search(rf'value="{action}" required disabled', page)
        assert f"Your key needs the scope jobs:{action}." in page
    token = token_in(await visitor.get("/overview"))
    answer = await visitor.post("/job/cancel", {"csrf": token, "key": "k", **CANCEL})
    assert answer.status == 403
    assert "needs the scope jobs:cancel" in text_of(answer)
    assert visitor.scripted.vendor.requests == []


async def test_a_key_that_ends_ends_the_session(visitor: Visitor) -> None:
    """A session does not outlive its key."""
    await visitor.sign_in()
    visitor.scripted.gateway.keyring.__dict__.clear()
    visitor.scripted.gateway.keyring.__init__({})  # type: ignore[misc]
    answer = await visitor.get("/overview")
    assert (answer.status, answer.headers["location"]) == (303, "/console/sign-in?reason=ended")


async def test_a_session_ends(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """12 hours after signing in, one has to do so again, although a page has written the cookie anew meanwhile."""
    await visitor.sign_in()
    begun, before = time.time(), visitor.cookie
    monkeypatch.setattr("gateway.console.console.time.time", lambda: begun + 11 * 3_600)
    assert (await visitor.get("/overview")).status == 200
    assert visitor.cookie != before
    monkeypatch.setattr("gateway.console.console.time.time", lambda: begun + 12 * 3_600 + 1)
    assert (await visitor.get("/overview")).headers["location"].startswith("/console/sign-in")


async def test_a_window_that_never_changes_is_shown(visitor: Visitor) -> None:
    """A window over the whole day has no time at which it changes; the page says what it denies now."""
    await visitor.sign_in()
    page = text_of(await visitor.get("/schedules"))
    assert "denied now" in page
    assert "discard" in page
    assert "for 1 d</td>" in page


async def test_a_reason_to_pause_is_kept(visitor: Visitor) -> None:
    """The reason that is written beside the button stands on the page of a paused schedule."""
    await visitor.sign_in()
    made = await visitor.schedule()
    page = await visitor.get("/schedules")
    assert f"/schedules/{made}/pause" in text_of(page)
    values = {"csrf": token_in(page), "reason": "Until the migration is done"}
    assert (await visitor.post(f"/schedules/{made}/pause", values)).status == 303
    assert "Until the migration is done" in text_of(await visitor.get("/schedules"))


async def test_signing_in_changes_the_token(visitor: Visitor) -> None:
    """A token that somebody saw before the session began is worth nothing in it."""
    before = token_in(await visitor.get("/sign-in"))
    await visitor.sign_in()
    assert token_in(await visitor.get("/overview")) != before
    assert (await visitor.post("/sign-out", {"csrf": before})).status == 403


async def test_a_batch_form_that_is_sent_twice_is_one_batch(visitor: Visitor) -> None:
    """A double click on the preview makes one batch."""
    await visitor.sign_in()
    page = await visitor.get("/jobs")
    drawn = {"csrf": token_in(page), "key": value_in(page, "key"), "action": "cancel", "reason": "Ended by hand"}
    drawn |= {"pasted": f"contoso-prod {AZURE_JOB}"}
    first, second = await visitor.post("/batches", drawn), await visitor.post("/batches", drawn)
    assert (first.status, second.status) == (303, 303)
    assert first.headers["location"] == second.headers["location"]


@pytest.mark.parametrize(("key", "may_abort"), [(AUDITOR, False), (WARDEN, True)])
async def test_a_batch_of_somebody_else_can_be_stopped_with_the_scope(
    visitor: Visitor, key: str, may_abort: bool
) -> None:
    """Whoever may see it sees the button only with `batches:stop`; the page then names who aborted it."""
    await visitor.sign_in()
    page = await visitor.get("/jobs")
    drawn = {"csrf": token_in(page), "key": value_in(page, "key"), "action": "cancel", "reason": "Ended by hand"}
    made = await visitor.post("/batches", {**drawn, "pasted": f"contoso-prod {AZURE_JOB}"})
    path = made.headers["location"].removeprefix("/console")
    await visitor.sign_in(key)
    seen = await visitor.get(path)
    assert ("/abort" in text_of(seen)) is may_abort
    answer = await visitor.post(f"{path}/abort", {"csrf": token_in(await visitor.get("/overview")), "reason": "INC-43"})
    assert (answer.status == 303) is may_abort
    assert ("INC-43 (by warden)" in text_of(await visitor.get(path))) is may_abort


class SlowReport:
    """A report that is not read on before a test allows it, and the API that makes it."""

    def __init__(self) -> None:
        """Nobody reads yet."""
        self.headers = {"content-type": "text/csv"}
        self.readers = threading.Semaphore(0)
        self.may_go_on = threading.Event()

    def stream(self, _path: str, _query: object) -> SlowReport:
        """Begin."""
        return self

    def pieces(self) -> Iterator[bytes]:
        """Two pieces."""
        yield b"position,"
        self.readers.release()
        self.may_go_on.wait(SECONDS)
        yield b"connection\r\n"

    def close(self) -> None:
        """There is nothing to end."""


async def test_slow_readers_leave_room_for_the_other_pages(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only some reports are read at the same time, each further one gets 503, and a refused one takes no room."""
    await visitor.sign_in()
    path, slow = "/batches/00000000-0000-7000-8000-000000000000/report.csv", SlowReport()
    for _ in range(MOST_DOWNLOADS + 1):
        assert (await visitor.get(path)).status == 404
    with monkeypatch.context() as patched:
        patched.setattr("gateway.console.batches.api", lambda: slow)
        reading = [asyncio.create_task(visitor.get(path)) for _ in range(MOST_DOWNLOADS)]
        for _ in reading:
            assert await asyncio.to_thread(slow.readers.acquire, timeout=SECONDS)
        refused = await visitor.get(path)
        assert (refused.status, refused.headers["retry-after"]) == (503, "10")
        assert "Try again once one of them is complete." in text_of(refused)
        assert (await visitor.get("/overview")).status == 200
        slow.may_go_on.set()
        assert {each.body for each in await asyncio.gather(*reading)} == {b"position,connection\r\n"}
        assert (await visitor.get(path)).status == 200


async def test_a_text_of_a_vendor_is_only_text(visitor: Visitor) -> None:
    """Markup in a vendor's job stays text on the page."""
    await visitor.sign_in()
    answer = await visitor.get("/job/cancel?connection=contoso-prod&id=%3Cscript%3E1%3C%2Fscript%3E")
    assert b"<script>1" not in answer.body


async def test_who_opens_the_console_gets_to_the_overview(visitor: Visitor) -> None:
    """From `/console`, as the start prints it, over the sign-in, to the overview."""
    form = await visitor.get((await visitor.get("")).headers["location"].removeprefix("/console"))
    values = {"csrf": token_in(form), "api_key": API_KEY, "back": value_in(form, "back")}
    assert (await visitor.post("/sign-in", values)).headers["location"] == "/console/overview"
    assert (await visitor.get("")).headers["location"] == "/console/overview"


@pytest.mark.parametrize("back", ["//elsewhere.test", "https://elsewhere.test", "/\\elsewhere.test"])
async def test_signing_in_leads_nowhere_else(visitor: Visitor, back: str) -> None:
    """After signing in, the browser is led to a page of this console only."""
    token = token_in(await visitor.get("/sign-in"))
    answer = await visitor.post("/sign-in", {"csrf": token, "api_key": API_KEY, "back": back})
    assert answer.headers["location"] == "/console/overview"


async def test_nothing_new_is_not_sent_again(visitor: Visitor) -> None:
    """The part of the overview that is read again and again is answered with 304 while nothing changes."""
    await visitor.sign_in()
    first = await visitor.get("/overview/now")
    again = await visitor.get("/overview/now", ("if-none-match", first.headers["etag"]))
    assert (first.status, again.status, again.body) == (200, 304, b"")


async def test_there_is_no_console_where_it_is_not_wanted(catalogue: Catalogue, tmp_path: Path) -> None:
    """The console is served on a loopback address by default, elsewhere only if the settings say so."""
    defaults = [ServerSettings(host=host).has_console for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0")]  # noqa: S104
    assert defaults == [True, True, True, False]
    assert ServerSettings(host="0.0.0.0", console=True).has_console  # noqa: S104
    wired = settings()
    wired = wired.model_copy(update={"server": wired.server.model_copy(update={"console": False})})
    without = Visitor(
        ScriptedGateway(catalogue, SqlLedger(Database.at(sqlite_address(tmp_path)), FakeClock()), FakeClock(), wired)
    )
    assert (await without.get("/overview")).status == 404


def test_all_workers_have_one_key(tmp_path: Path) -> None:
    """The key of the sessions is made once, and only its owner can read it."""
    file = tmp_path / "state" / "console.key"
    assert key_in(file) == key_in(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in file.parent.iterdir()] == ["console.key"]
