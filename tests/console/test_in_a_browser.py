"""The console in a real browser: an operator's day, with the keyboard, without scripts, large, dark and narrow."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from pydantic import SecretStr

from gateway.app import Catalogue
from gateway.client import Client
from gateway.sandbox.faults import Fault, FaultKind
from gateway.settings.settings import ApprovalSettings, BatchSettings, CallerSettings, load
from gateway.startup.serve import Running, running
from tests.console.fixtures import AZURE, VONAGE, batch_in, many_jobs, new_jobs, operator, trouble
from tests.support.commands import jobgate

STUCK = "/jobs?find=1&connection=azure-sandbox&connection=vonage-sandbox&status=queued&status=scheduled&limit=100"
SECOND, READER = "key-of-a-second-person", "key-of-a-reader"
TELEPHONE = 390
"""The width of a telephone, in pixels."""
ENDED = "[data-state=completed], [data-state=stopped], [data-state=aborted]"


@pytest.fixture(scope="module")
def ledger_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the ledger of the busy gateway, with a key for the night shift."""
    folder = tmp_path_factory.mktemp("busy")
    create = ("keys", "create", "night-shift", "--scope", "jobs:cancel", "--expires", "90d")
    made = jobgate(folder, *create, environment={"JOBGATE_STATE_FOLDER": str(folder)})
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture(scope="module")
def busy(catalogue: Catalogue, ledger_folder: Path) -> Iterator[Running]:
    """A gateway with hundreds of stuck jobs at two vendors, which gives up on a vendor after a moment."""
    policy = load().policy.model_copy(update={"fair_seconds": 0.0})
    reader = CallerSettings(key=SecretStr(READER), scopes=("jobs:read", "connections:*"))
    settings = load().model_copy(
        update={
            "vendor_seconds": 3.0,
            "policy": policy,
            "batches": BatchSettings(max_share=1),
            "callers": {"reader": reader},
        }
    )
    with running(catalogue=catalogue, settings=settings, state_folder=ledger_folder) as started:
        many_jobs(started, 150)
        yield started


@pytest.fixture(scope="module")
def slow(catalogue: Catalogue) -> Iterator[Running]:
    """A gateway whose batches send one request at a time, so that they run for a while at a slow vendor."""
    policy = load().policy.model_copy(update={"at_once": 2})
    settings = load().model_copy(update={"policy": policy, "batches": BatchSettings(max_share=1)})
    with running(catalogue=catalogue, settings=settings) as started:
        yield started


@pytest.fixture(scope="module")
def guarded(catalogue: Catalogue) -> Iterator[Running]:
    """A gateway in which a second person approves every batch."""
    second = CallerSettings(key=SecretStr(SECOND), scopes=("batches:read", "approvals:*", "connections:*"))
    policy = ApprovalSettings(approvers=("second",))
    settings = load().model_copy(update={"callers": {"second": second}, "approvals": {"everything": policy}})
    with running(catalogue=catalogue, settings=settings) as started:
        yield started


def choose(page: Page, action: str, reason: str) -> None:
    """Choose an action for the selection, and ask for its preview."""
    page.get_by_role("radio", name=action).check()
    page.get_by_label("Reason").fill(reason)
    page.get_by_role("button", name="Preview").click()


def confirm(page: Page) -> str:
    """Wait for the preview, and confirm it with the number that it shows."""
    page.get_by_role("button", name="Confirm").wait_for()
    count = page.locator("input[name=count]").input_value()
    page.get_by_label("Type the number of jobs").fill(count)
    page.get_by_role("button", name="Confirm").click()
    return count


@pytest.mark.timeout(120, func_only=True)
def test_an_operators_day(browser: Browser, busy: Running, ledger_folder: Path, tmp_path: Path) -> None:
    """Within two minutes: find 300 stuck jobs at two vendors, act on all, watch, and prove it by report and record.

    The hash of the downloaded report is in the audit chain, which is whole.
    """
    with operator(browser, busy) as me:
        page = me.page
        page.get_by_role("link", name="Jobs", exact=True).click()
        page.get_by_text("Connections: all").click()
        page.get_by_role("checkbox", name="azure-sandbox").check()
        page.get_by_role("checkbox", name="vonage-sandbox").check()
        page.get_by_text("Statuses: all").click()
        page.get_by_label("queued", exact=True).check()
        page.get_by_label("scheduled", exact=True).check()
        page.get_by_role("button", name="Find").click()
        page.get_by_label("matching, not only these 100").check()
        assert re.fullmatch(r"3\d\d selected", page.locator("[data-selected]").inner_text())
        page.get_by_label("Incident").fill("INC-4711")
        choose(page, "cancel", "The campaign was stopped")
        count = confirm(page)
        assert int(count) >= 300
        page.locator(ENDED).wait_for()
        assert page.locator(".headline").inner_text().split(" · ")[1] == "all applied"
        with page.expect_download() as downloaded:
            page.get_by_role("link", name="Report as CSV").click()
        downloaded.value.save_as(tmp_path / "report.csv")
        lines = (tmp_path / "report.csv").read_text("utf-8").splitlines()
        assert sum(",applied," in each for each in lines) == int(count)
        page.locator("tbody a", has_text="applied").first.click()
        assert page.get_by_text("The outcome is applied").is_visible()
        assert page.get_by_text("The campaign was stopped").first.is_visible()
    statuses = [each["status"] for each in busy.sandbox.vendor(AZURE).jobs()]
    assert "queued" not in statuses
    assert statuses.count("cancelled") >= 150
    assert applied_by_the_chain(ledger_folder, tmp_path / "report.csv") == int(count)


def applied_by_the_chain(ledger: Path, report: Path) -> int:
    """The number of actions that were applied, as the audit chain notes it for this report. The chain is whole."""
    environment = {"JOBGATE_STATE_FOLDER": str(ledger)}
    proof = jobgate(report.parent, "audit", "verify", environment=environment)
    assert (proof.returncode, proof.stdout.startswith("whole: ")) == (0, True), proof.stderr
    exported = jobgate(report.parent, "audit", "export", environment=environment).stdout
    states = [each["told"] for each in map(json.loads, exported.splitlines()) if each["kind"] == "state"]
    digest = hashlib.sha256(report.read_bytes()).hexdigest()
    (facts,) = (each["facts"] for each in states if each.get("facts", {}).get("reportCsvSha256") == digest)
    applied: int = facts["outcomes"]["applied"]
    return applied


def test_what_is_wrong_comes_first(browser: Browser, busy: Running) -> None:
    """If a vendor hangs and five outcomes are unknown, the overview says both before anything else."""
    sandbox = busy.sandbox.vendor(AZURE)
    jobs = [sandbox.create_job("queued") for _ in range(5)]
    sandbox.script(Fault(FaultKind.DELAY, times=10_000, seconds=60))
    key = {"Authorization": f"Bearer {busy.api_key}", "Request-Timeout": "1"}
    try:
        with operator(browser, busy) as me:
            assert me.page.get_by_role("heading", level=1).inner_text() == "Nothing needs attention"
            for job in jobs:
                address = f"{busy.url}/v1/connections/azure-sandbox/jobs/{job}/cancel"
                assert requests.post(address, json={}, headers=key, timeout=60).status_code in {202, 503}
            me.page.locator(".concerns", has_text="outcomes are unknown").wait_for()  # the page looks again by itself
            me.page.locator(".concerns", has_text="azure-sandbox does not answer").wait_for()
            me.open()
            first, second = (each.inner_text() for each in me.page.locator(".concerns strong").all()[:2])
            assert first == "5 outcomes are unknown"
            assert second.startswith("azure-sandbox does not answer")
            me.page.locator(".concerns strong").first.click()
            assert me.page.locator("tbody tr").count() == 5
    finally:
        sandbox.clear_faults()


def test_a_batch_with_the_keyboard_only(browser: Browser, slow: Running) -> None:
    """From the selection over the preview and the confirmation to the abort of what runs, no mouse is needed.

    The focus can be seen at each stop, and stays on its button while the page changes.
    """
    slow.sandbox.vendor(AZURE).reset()
    jobs = new_jobs(slow, 80)
    with operator(browser, slow) as me, trouble(slow, FaultKind.DELAY, seconds=0.2):
        page = me.page
        me.open("/jobs?find=1&connection=azure-sandbox&status=queued&limit=100")
        press_until(page, "[data-check-all]")
        page.keyboard.press("Space")
        press_until(page, "input[name=action]")
        page.keyboard.press("Space")
        while page.evaluate("document.activeElement.value") != "cancel":
            page.keyboard.press("ArrowDown")
        press_until(page, "input[name=reason]")
        page.keyboard.type("By keyboard")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Confirm").wait_for()
        count = int(page.locator("input[name=count]").input_value())
        assert count >= len(jobs)
        press_until(page, "input[name=typed]")
        page.keyboard.type(str(count + 1))
        page.keyboard.press("Enter")
        assert page.locator("input[name=typed]").evaluate("field => field.validity.valid") is False
        page.keyboard.press("Control+A")
        page.keyboard.type(str(count))
        press_until(page, "[action$=confirm] button")
        page.keyboard.press("Enter")
        page.locator("section[data-state=running]").wait_for()
        press_until(page, ABORT)
        page.locator(".tally a", has_text="applied").wait_for()  # a link before the button
        assert page.evaluate(IS_FOCUSED, ABORT)
        page.keyboard.press("Enter")
        page.locator("section[data-state=aborted]").wait_for()
    ids = {job for _, job in jobs}
    statuses = [each["status"] for each in slow.sandbox.vendor(AZURE).jobs() if each["id"] in ids]
    assert 0 < statuses.count("cancelled") < len(jobs)


ABORT = "button[formaction$=abort]"
IS_FOCUSED = "selector => document.activeElement.matches(selector)"
IS_SEEN = """() => {
    const focused = document.activeElement, box = focused.getBoundingClientRect(), style = getComputedStyle(focused);
    const middle = (from, to, most) => Math.min(Math.max((from + to) / 2, 0), most - 1);
    const [x, y] = [middle(box.left, box.right, innerWidth), middle(box.top, box.bottom, innerHeight)];
    const above = document.elementFromPoint(x, y);
    return style.outlineStyle === "solid" && parseFloat(style.outlineWidth) >= 2
        && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth
        && (focused.contains(above) || above.contains(focused));
}"""
"""True if what has the focus is outlined, on the screen, and covered by nothing (WCAG 2.2, 2.4.7 and 2.4.11)."""


def press_until(page: Page, selector: str) -> None:
    """Press Tab until the focus is on an element. It can be seen wherever it stops."""
    for _ in range(400):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            continue  # from the end of the page to its beginning
        assert page.evaluate(IS_SEEN), page.evaluate("document.activeElement.outerHTML")
        if page.evaluate(IS_FOCUSED, selector):
            return
    pytest.fail(f"the keyboard does not reach {selector}")


@pytest.mark.parametrize("scripts", [True, False])
def test_enter_in_a_reason_does_nothing(
    browser: Browser, busy: Running, pages_to_see: list[str], scripts: bool
) -> None:
    """Whoever presses Enter after the reason to abort has not aborted the batch; the button does."""
    with operator(browser, busy, scripts=scripts) as me:
        me.open(pages_to_see[-1])
        me.page.get_by_role("button", name="Confirm").wait_for()
        before = len(me.requests)
        me.page.get_by_label("Reason to abort").fill("Only a thought")
        me.page.keyboard.press("Enter")
        assert [each for each in me.requests[before:] if each.method == "POST"] == []
        assert me.page.get_by_label("Reason to abort").input_value() == "Only a thought"
        assert me.page.locator("form:has([name=reason]) button:visible").first.is_enabled()


def test_all_that_match_are_shown_as_selected(browser: Browser, busy: Running) -> None:
    """While all matching jobs are selected, every row is checked and closed; afterwards each is as before."""
    many_jobs(busy, 150)
    with operator(browser, busy) as me:
        me.open(STUCK)
        boxes = me.page.locator("input[name=job]")
        boxes.nth(1).check()
        shown = "boxes => boxes.map(each => [each.checked, each.disabled])"
        me.page.get_by_label("matching, not only").check()
        assert boxes.evaluate_all(shown) == [[True, True]] * boxes.count()
        me.page.get_by_label("matching, not only").uncheck()
        assert boxes.evaluate_all(shown) == [[number == 1, False] for number in range(boxes.count())]
        assert me.page.locator("[data-selected]").inner_text() == "1 selected"


def test_without_scripts(browser: Browser, busy: Running) -> None:
    """Without scripts, an operator finds jobs, acts on them, and sees how it went."""
    many_jobs(busy, 2)
    with operator(browser, busy, scripts=False) as me:
        page = me.page
        me.open(STUCK)
        for box in page.locator("input[name=job]").all()[:2]:
            box.check()
        choose(page, "cancel", "Without scripts")
        page.get_by_role("button", name="Confirm").wait_for()  # the page reloads itself
        assert confirm(page) == "2"
        page.locator(ENDED).first.wait_for()
        assert "all applied" in page.locator(".headline").inner_text()


@pytest.fixture(scope="module")
def pages_to_see(busy: Running) -> list[str]:
    """Every kind of page, with content."""
    key = {"Authorization": f"Bearer {busy.api_key}"}
    many_jobs(busy, 3)
    job = busy.sandbox.vendor(VONAGE).create_job("Scheduled")
    place = f"{busy.url}/v1/connections/vonage-sandbox/jobs/{job}"
    record = requests.post(f"{place}/pause", json={"note": "Seen"}, headers=key, timeout=60).json()["id"]
    body: Any = {
        "action": "cancel",
        "reason": "Seen",
        "select": {"jobs": [{"connection": "vonage-sandbox", "jobId": job}]},
    }
    batch = requests.post(f"{busy.url}/v1/batches", json=body, headers=key, timeout=60).json()["id"]
    one = f"connection=vonage-sandbox&id={job}"
    return [
        *("/overview", "/jobs", STUCK, "/batches", "/actions", "/connections", "/connections/vonage-sandbox", "/key"),
        *("/schedules", "/approvals"),
        *(f"/job?{one}", f"/job/cancel?{one}", f"/job/restart?{one}", f"/actions/{record}", f"/batches/{batch}"),
    ]


@pytest.mark.parametrize("dark", [False, True])
def test_everybody_can_use_it(browser: Browser, busy: Running, pages_to_see: list[str], dark: bool) -> None:
    """Axe finds nothing on any page, light or dark."""
    with operator(browser, busy, dark=dark) as me:
        for path in pages_to_see:
            me.open(path)
            check_by_axe(me.page)


@pytest.mark.parametrize("dark", [False, True])
def test_everybody_can_sign_in_and_read_a_problem(browser: Browser, busy: Running, dark: bool) -> None:
    """Axe finds nothing on a page that does not exist, a problem of the API, and the form to sign in, light or dark."""
    with operator(browser, busy, dark=dark) as me:
        for path in ("/nothing", "/connections/nothing"):
            me.open(path)
            me.page.get_by_role("region", name="Problem").wait_for()
            check_by_axe(me.page)
        me.page.get_by_role("button", name="Sign out").click()
        me.page.get_by_text("You are signed out.").wait_for()
        check_by_axe(me.page)
        me.page.get_by_label("API key").fill("wrong")
        me.page.get_by_role("button", name="Sign in").click()
        me.page.get_by_text("does not know the key").wait_for()
        check_by_axe(me.page)
        assert [each for each in me.complaints if not re.search("status of 40[14]", each)] == []
        me.complaints.clear()


@pytest.fixture(scope="module")
def stopped(slow: Running) -> str:
    """A batch that a guard rail has stopped, since the vendor refuses every cancellation."""
    with Client(slow.url, slow.api_key) as client, trouble(slow, FaultKind.STATUS, status=409):
        return batch_in("stopped", client, new_jobs(slow, 25), maxErrors=1)


@pytest.mark.parametrize("dark", [False, True])
def test_everybody_can_watch_a_batch(browser: Browser, slow: Running, stopped: str, dark: bool) -> None:
    """Axe finds nothing on the page of a batch that has been stopped, and of one that runs, light or dark."""
    with operator(browser, slow, dark=dark) as me, Client(slow.url, slow.api_key) as client:
        me.open(f"/batches/{stopped}")
        assert me.page.locator("section[data-state=stopped]").is_visible()
        check_by_axe(me.page)
        with trouble(slow, FaultKind.DELAY, seconds=0.2):
            batch = batch_in("running", client, new_jobs(slow, 80))
            me.open(f"/batches/{batch}")
            check_by_axe(me.page)
            assert me.page.locator("section[data-state=running]").is_visible()
            client.abort_batch(batch)


@pytest.mark.parametrize("dark", [False, True])
def test_everybody_can_wait_for_approval(browser: Browser, guarded: Running, dark: bool) -> None:
    """Axe finds nothing on the page of a batch that waits for a second person, and on that of the one who decides."""
    with Client(guarded.url, guarded.api_key) as client:
        batches = [batch_in("awaiting_approval", client, new_jobs(guarded, 2)) for _ in range(2)]  # for the same reason
        try:
            for key, path in ((None, f"/batches/{batches[0]}"), (SECOND, "/approvals")):
                with operator(browser, guarded, key=key, dark=dark) as me:
                    me.open(path)
                    assert me.page.get_by_text("They are stuck").first.is_visible()
                    me.page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
                    check_by_axe(me.page)
        finally:
            for batch in batches:
                client.abort_batch(batch)


def check_by_axe(page: Page) -> None:
    """Axe finds nothing on a page."""
    found = Axe().run(page)
    assert found.violations_count == 0, f"{page.url}: {found.generate_report()}"


@pytest.mark.parametrize(("width", "text"), [(TELEPHONE, "100%"), (1280, "200%"), (640, "200%")])
def test_it_fits(browser: Browser, busy: Running, pages_to_see: list[str], width: int, text: str) -> None:
    """On a telephone, and with text twice as large, no page has to be scrolled sideways, and nothing is tiny.

    On a telephone, this holds for tables too: each value stands below the others, with the name of its column.
    """
    with operator(browser, busy) as me:
        for path in pages_to_see:
            me.open(path)
            check_fit(me.page, width, text)


def check_fit(page: Page, width: int, text: str = "100%") -> None:
    """A page fits a width, with text of this size."""
    page.set_viewport_size({"width": width, "height": 800})
    page.evaluate("size => document.documentElement.style.setProperty('font-size', size)", text)
    assert page.evaluate("document.documentElement.scrollWidth") <= width, page.url
    assert page.evaluate(TINY) == [], page.url
    assert width != TELEPHONE or page.evaluate(CUT_OFF) == [], page.url


CUT_OFF = """() => [...document.querySelectorAll(".scroll")]
    .filter(each => each.scrollWidth > each.clientWidth || [...each.querySelectorAll("td[data-label]:not(:empty)")]
        .some(cell => !getComputedStyle(cell, "::before").content.includes(cell.dataset.label)))
    .map(each => each.outerHTML)"""
"""The tables that are wider than the screen, or do not show the names of their columns."""
TINY = """() => [...document.querySelectorAll("button, .button, input:not([type=hidden]), select, summary, nav a")]
    .filter(each => each.checkVisibility() && !each.closest("label:has(input)"))
    .filter(each => each.getBoundingClientRect().height < 24).map(each => each.outerHTML)"""
"""The controls that are less than 24 pixels high (WCAG 2.2, 2.5.8). A box in a label is as large as its label."""


def test_the_keys_of_all_callers(browser: Browser, busy: Running) -> None:
    """One's name leads to the keys of all callers with `keys:read`, on a telephone too, else to the missing scope."""
    with operator(browser, busy) as me:
        me.page.get_by_role("link", name="default", exact=True).click()
        me.page.get_by_role("heading", name="Your key: default").wait_for()
        rows = me.page.get_by_role("group", name="Keys", exact=True).locator("tbody tr")
        shown = {each.locator("td").first.inner_text(): each.inner_text() for each in rows.all()}
        assert {"default (you)", "reader", "night-shift"} <= shown.keys()
        assert "jobs:cancel" in shown["night-shift"]
        assert READER not in me.page.content()
        check_by_axe(me.page)
        check_fit(me.page, TELEPHONE)
    with operator(browser, busy, key=READER) as me:
        me.page.get_by_role("link", name="reader", exact=True).click()
        me.page.get_by_role("heading", name="Your key: reader").wait_for()
        assert me.page.get_by_text("Your key needs the scope keys:read.").is_visible()
        assert me.page.get_by_role("group", name="Keys", exact=True).count() == 0
        assert "night-shift" not in me.page.content()


def test_the_key_is_in_no_page(browser: Browser, busy: Running) -> None:
    """Neither scripts nor the browser's stores see the key, and a cookie over plain HTTP works on loopback."""
    with operator(browser, busy) as me:
        kept = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
        assert me.page.evaluate(kept) == '[{},{},""]'
        assert busy.api_key not in me.page.content()
        (cookie,) = me.page.context.cookies()
        assert (cookie["name"], cookie["secure"], cookie["httpOnly"]) == ("__Host-jobgate", True, True)


def test_a_violation_is_noticed(browser: Browser, busy: Running) -> None:
    """The policy stops a script in the page, and the operator of these tests complains about it."""
    with pytest.raises(AssertionError, match="policy: inline"):
        write_a_script(browser, busy)


def write_a_script(browser: Browser, stack: Running) -> None:
    """Put a script into a page, as an injection would. Raises AssertionError, since the browser complains."""
    with operator(browser, stack) as me:
        me.page.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'hit = 1'}))")
        assert me.page.evaluate("window.hit") is None


def test_a_second_person_approves(browser: Browser, guarded: Running) -> None:
    """A batch that needs a second person waits; the other one sees it first of all, looks at it, and approves it."""
    many_jobs(guarded, 1)
    with operator(browser, guarded) as me:
        me.open(STUCK)
        for box in me.page.locator("input[name=job]").all()[:2]:
            box.check()
        choose(me.page, "cancel", "Two are stuck")
        confirm(me.page)
        me.page.get_by_role("heading", name="A second person has to approve this").wait_for()
        with operator(browser, guarded, key=SECOND) as other:
            other.page.get_by_text("1 approval waits for a second person").click()
            assert other.page.get_by_role("heading", name="Cancel 2 jobs: Two are stuck").is_visible()
            other.page.get_by_label("Comment").fill("Seen")
            other.page.get_by_role("button", name="Approve").click()
            other.page.get_by_text("Approved.").wait_for()
        me.page.reload()
        me.page.locator(ENDED).first.wait_for()
        assert "all applied" in me.page.locator(".headline").inner_text()


def test_an_emergency_without_scripts(browser: Browser, guarded: Running) -> None:
    """Without scripts, a batch begins in an emergency, with its number typed, and the second person reviews it."""
    many_jobs(guarded, 1)
    with operator(browser, guarded, scripts=False) as me:
        me.open(STUCK)
        for box in me.page.locator("input[name=job]").all()[:2]:
            box.check()
        choose(me.page, "cancel", "Two are stuck again")
        confirm(me.page)
        me.page.get_by_text("Begin without approval, in an emergency").click()
        me.page.get_by_label("Type the number of jobs").fill("2")
        me.page.get_by_label("Reason, at least 20 characters").fill("The hotline is down for everybody")
        me.page.keyboard.press("Enter")  # nothing happens
        me.page.get_by_role("button", name="Break the glass").click()
        me.page.get_by_text("The batch begins without approval").wait_for()
        with operator(browser, guarded, key=SECOND, scripts=False) as other:
            other.page.get_by_text("1 emergency waits for a review").click()
            other.page.get_by_label("Comment").fill("Rightly so")
            other.page.get_by_role("button", name="Review").click()
            other.page.get_by_text("Reviewed.").wait_for()
            assert other.page.get_by_text("Rightly so").is_visible()
