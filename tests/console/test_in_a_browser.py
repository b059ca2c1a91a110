"""The console in a real browser: an operator's day, with the keyboard, without scripts, large, dark and narrow."""

from __future__ import annotations

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
from gateway.sandbox.faults import Fault, FaultKind
from gateway.settings.settings import ApprovalSettings, BatchSettings, CallerSettings, load
from gateway.startup.serve import Running, running
from tests.console.fixtures import AZURE, VONAGE, many_jobs, operator

STUCK = "/jobs?find=1&connection=azure-sandbox&connection=vonage-sandbox&status=queued&status=scheduled&limit=100"
SECOND = "key-of-a-second-person"
TELEPHONE = 390
"""The width of a telephone, in pixels."""
ENDED = "[data-state=completed], [data-state=stopped], [data-state=aborted]"


@pytest.fixture(scope="module")
def busy(catalogue: Catalogue) -> Iterator[Running]:
    """A gateway with hundreds of stuck jobs at two vendors, which gives up on a vendor after a moment."""
    policy = load().policy.model_copy(update={"fair_seconds": 0.0})
    settings = load().model_copy(
        update={"vendor_seconds": 3.0, "policy": policy, "batches": BatchSettings(max_share=1)}
    )
    with running(catalogue=catalogue, settings=settings) as started:
        many_jobs(started, 150)
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


def test_an_operators_day(browser: Browser, busy: Running, tmp_path: Path) -> None:
    """Find 300 stuck jobs over two vendors, act on all, watch, and prove it by the report and the record."""
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


def test_a_batch_with_the_keyboard_only(browser: Browser, busy: Running) -> None:
    """From the selection over the preview and the confirmation to the abort, no mouse is needed."""
    with operator(browser, busy) as me:
        page = me.page
        many_jobs(busy, 3)
        me.open(STUCK)
        press_until(page, "input[name=job]")
        page.keyboard.press("Space")
        press_until(page, "input[name=job]")
        page.keyboard.press("Space")
        press_until(page, "input[name=action]")
        page.keyboard.press("Space")
        while page.evaluate("document.activeElement.value") != "cancel":
            page.keyboard.press("ArrowDown")
        press_until(page, "input[name=reason]")
        page.keyboard.type("By keyboard")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Cancel 2 jobs?").wait_for()
        press_until(page, "input[name=typed]")
        page.keyboard.type("3")
        page.keyboard.press("Enter")
        assert page.locator("input[name=typed]").evaluate("field => field.validity.valid") is False
        page.keyboard.press("Backspace")
        page.keyboard.type("2")
        press_until(page, "button[formaction$=abort]", "Shift+Tab")
        page.keyboard.press("Enter")
        page.locator("[data-state=aborted]").first.wait_for()


def press_until(page: Page, selector: str, key: str = "Tab") -> None:
    """Press a key until the focus is on an element."""
    for _ in range(400):
        page.keyboard.press(key)
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
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
            found = Axe().run(me.page)
            assert found.violations_count == 0, f"{path}: {found.generate_report()}"


@pytest.mark.parametrize(("width", "text"), [(TELEPHONE, "100%"), (1280, "200%"), (640, "200%")])
def test_it_fits(browser: Browser, busy: Running, pages_to_see: list[str], width: int, text: str) -> None:
    """On a telephone, and with text twice as large, no page has to be scrolled sideways, and nothing is tiny.

    On a telephone, this holds for tables too: each value stands below the others, with the name of its column.
    """
    with operator(browser, busy) as me:
        me.page.set_viewport_size({"width": width, "height": 800})
        for path in pages_to_see:
            me.open(path)
            me.page.evaluate("size => document.documentElement.style.setProperty('font-size', size)", text)
            assert me.page.evaluate("document.documentElement.scrollWidth") <= width, path
            assert me.page.evaluate(TINY) == [], path
            assert width != TELEPHONE or me.page.evaluate(CUT_OFF) == [], path


CUT_OFF = """() => [...document.querySelectorAll(".scroll")]
    .filter(each => each.scrollWidth > each.clientWidth || [...each.querySelectorAll("td[data-label]:not(:empty)")]
        .some(cell => !getComputedStyle(cell, "::before").content.includes(cell.dataset.label)))
    .map(each => each.outerHTML)"""
"""The tables that are wider than the screen, or do not show the names of their columns."""
TINY = """() => [...document.querySelectorAll("button, .button, input:not([type=hidden]), select, summary, nav a")]
    .filter(each => each.checkVisibility() && !each.closest("label:has(input)"))
    .filter(each => each.getBoundingClientRect().height < 24).map(each => each.outerHTML)"""
"""The controls that are less than 24 pixels high (WCAG 2.2, 2.5.8). A box in a label is as large as its label."""


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
