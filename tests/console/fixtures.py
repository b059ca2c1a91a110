"""An operator with a browser, at a gateway of its own with many jobs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, Request

from gateway.sandbox.faults import Fault, FaultKind
from gateway.startup.serve import Running

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
