"""A real browser, Debian's Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from tests.support.tools import tool

OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, without a window, with an empty profile. Skips the test where there is none."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=tool("chromium", "chromium"), args=OPTIONS)
        yield started
        started.close()
