"""An operator with a browser, at a gateway of its own with many jobs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, Request

from gateway.client import Client
from gateway.sandbox.faults import Fault, FaultKind
from gateway.startup.serve import Running
from tests.support.patience import wait_until

AZURE, VONAGE = "azure-job-router", "vonage-contact-center"
WATCH_POLICY = "addEventListener('securitypolicyviolation', each => console.error('policy: ' + each.blockedURI))"


@dataclass
class Operator:
    """Somebody who uses the console. `complaints` is what the browser says, violations of the policy among it."""

    page: Page
    url: str
    requests: list[Request] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def hear(self, kind: str, text: str) -> None:
        """Note an error that the browser's console shows."""
        if kind == "error":
            self.complaints.append(text)

    def open(self, path: str = "/overview") -> None:
        """Open a page of the console."""
        self.page.goto(f"{self.url}/console{path}")

    def sign_in(self, key: str) -> None:
        """Sign in with an API key."""
        self.open("/sign-in")
        self.page.get_by_label("API key").fill(key)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("button", name="Sign out").wait_for()


@contextmanager
def operator(
    browser: Browser, stack: Running, *, key: str | None = None, scripts: bool = True, dark: bool = False
) -> Iterator[Operator]:
    """An operator who is signed in. At the end, the browser has complained about nothing, and asked nobody else."""
    context = browser.new_context(
        java_script_enabled=scripts,
        color_scheme="dark" if dark else "light",
        viewport={"width": 1280, "height": 900},
    )
    if scripts:
        context.add_init_script(WATCH_POLICY)
    page = context.new_page()
    page.set_default_timeout(60_000)
    made = Operator(page, stack.url)
    page.on("request", lambda request: made.requests.append(request))  # noqa: PLW0108 - it sets an attribute on it
    page.on("console", lambda message: made.hear(message.type, message.text))
    page.on("pageerror", lambda error: made.complaints.append(str(error)))
    made.sign_in(key or stack.api_key)
    yield made
    context.close()
    assert made.complaints == [], made.complaints
    assert {urlsplit(each.url).netloc for each in made.requests} == {urlsplit(stack.url).netloc}


def many_jobs(stack: Running, each: int) -> None:
    """Add so many queued jobs to both of two vendors."""
    for vendor, status in ((AZURE, "queued"), (VONAGE, "Scheduled")):
        sandbox = stack.sandbox.vendor(vendor)
        for _ in range(each):
            sandbox.create_job(status)


def lose_replies(stack: Running, vendor: str, operation_id: str, times: int) -> None:
    """Let a vendor carry out an operation so many times, and close the connection instead of replying."""
    stack.sandbox.vendor(vendor).script(Fault(FaultKind.DROP_AFTER, times=times, operation_id=operation_id))


def new_jobs(stack: Running, number: int) -> list[tuple[str, str]]:
    """So many new queued jobs at one vendor: the connection and the id of each."""
    sandbox = stack.sandbox.vendor(AZURE)
    return [("azure-sandbox", sandbox.create_job("queued")) for _ in range(number)]


def batch_in(state: str, client: Client, jobs: Sequence[tuple[str, str]], **limits: float) -> str:
    """A batch that cancels jobs, confirmed and watched until it is in a state. Returns its id."""

    def is_in(wanted: str) -> bool:
        return client.batch(made.id).state == wanted

    made = client.create_batch("cancel", "They are stuck", jobs=jobs, limits=limits)
    wait_until(lambda: is_in("awaiting_confirmation"))
    manifest = client.batch(made.id).manifest
    assert manifest is not None
    client.confirm_batch(made.id, manifest.digest, manifest.count)
    wait_until(lambda: is_in(state))
    return made.id


@contextmanager
def trouble(stack: Running, kind: FaultKind, **more: Any) -> Iterator[None]:
    """Let every cancellation at one vendor meet a fault within the block."""
    sandbox = stack.sandbox.vendor(AZURE)
    sandbox.script(Fault(kind, times=10_000, operation_id="cancelJob", **more))
    try:
        yield
    finally:
        sandbox.clear_faults()
