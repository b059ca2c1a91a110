"""`make pictures`: the pictures of the console in docs/pictures, taken at a gateway with its sandbox."""

from __future__ import annotations

from pathlib import Path

import requests
from playwright.sync_api import Page, ViewportSize

from gateway.sandbox.faults import Fault, FaultKind
from gateway.settings.settings import load
from gateway.startup.serve import Running, running
from tests.console.fixtures import AZURE, many_jobs, operator
from tests.support.browser import chromium

FOLDER = Path(__file__).parents[2] / "docs/pictures"
SIZE: ViewportSize = {"width": 1_100, "height": 720}
STUCK = "/jobs?find=1&connection=azure-sandbox&connection=vonage-sandbox&status=queued&status=scheduled"
UNKNOWN = 5


def take(page: Page, name: str) -> None:
    """Take one picture."""
    page.screenshot(path=FOLDER / f"{name}.png")


def hang(stack: Running) -> None:
    """Let a vendor hang while five jobs are cancelled there."""
    sandbox = stack.sandbox.vendor(AZURE)
    jobs = [sandbox.create_job("queued") for _ in range(UNKNOWN)]
    sandbox.script(Fault(FaultKind.DELAY, times=10_000, seconds=60))
    key = {"Authorization": f"Bearer {stack.api_key}", "Request-Timeout": "1"}
    for job in jobs:
        address = f"{stack.url}/v1/connections/azure-sandbox/jobs/{job}/cancel"
        requests.post(address, json={"note": "The campaign was stopped"}, headers=key, timeout=60)


def main() -> None:
    """Take all pictures."""
    FOLDER.mkdir(exist_ok=True)
    policy = load().policy.model_copy(update={"fair_seconds": 0.0})
    with (
        running(settings=load().model_copy(update={"policy": policy})) as stack,
        chromium() as browser,
        operator(browser, stack) as me,
    ):
        page = me.page
        page.set_viewport_size(SIZE)
        many_jobs(stack, 150)
        me.open(STUCK)
        page.get_by_label("matching, not only").check()
        page.evaluate("scrollTo(0, 0)")
        take(page, "jobs")
        page.get_by_role("radio", name="cancel").check()
        page.get_by_label("Reason").fill("The campaign was stopped")
        page.get_by_role("button", name="Preview").click()
        page.get_by_role("button", name="Confirm").wait_for()
        take(page, "batch")
        hang(stack)
        me.open()
        take(page, "overview")
        me.open("/actions?outcome=unknown")
        page.locator("tbody th a").first.click()
        page.get_by_role("heading", name="Timeline").wait_for()
        take(page, "record")


if __name__ == "__main__":
    main()
