"""Work in the background goes on, whatever fails."""

from __future__ import annotations

import asyncio
import logging

import pytest

from gateway.domain import background
from gateway.domain.errors import LedgerUnavailable
from tests.support.patience import PATIENCE


async def test_work_goes_on_after_every_failure(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A problem is logged by its code and a defect with its trace, and the work is repeated until it is cancelled."""
    monkeypatch.setattr(background, "RECOVERY_SECONDS", 0.0)
    failures: list[Exception] = [LedgerUnavailable("a secret"), ValueError("a defect")]

    is_repeated = asyncio.Event()

    async def work() -> None:
        if failures:
            raise failures.pop(0)
        is_repeated.set()

    with caplog.at_level(logging.WARNING):
        repeating = asyncio.create_task(background.repeat("batches", work, asyncio.Event().wait))
        async with asyncio.timeout(PATIENCE):
            await is_repeated.wait()
        repeating.cancel()
        await asyncio.gather(repeating, return_exceptions=True)
    problem, defect = caplog.records
    assert problem.getMessage() == "the background work on batches failed: ledger-unavailable"
    assert (problem.exc_info is None, defect.exc_info is None) == (True, False)
