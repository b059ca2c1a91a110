"""Time in tests, on machines that have other things to do.

Nothing may fail because the machine is busy. What must come is waited for with PATIENCE; what must not be waited for
takes far longer than that, so that the two cannot be confused. Where a test has to tell a shorter time from a longer
one, `given_time` gives it more of both.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import wraps
from typing import Any, TypeVar

PATIENCE = 60.0
"""Longest wait in seconds for something that must happen, on a busy machine too."""
FOR_EVER = 10 * PATIENCE
"""A time in seconds that no test waits for."""

Test = TypeVar("Test", bound=Callable[..., Any])


def wait_until(is_so: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait until something is true. Fails the test if it does not become true in time."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


async def eventually(is_so: Callable[[], Awaitable[object]], seconds: float = PATIENCE) -> None:
    """Wait until something is true. Fails the test if it does not become true in time."""
    end = time.monotonic() + seconds
    while not await is_so():
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(0.005)


def given_time(*tries: float) -> Callable[[Test], Callable[..., Any]]:
    """Run a test with each of these growing numbers of `seconds` until no assertion fails.

    For tests that compare times. What is true of the product is also true of long times, which a busy machine does
    not upset. What is not true fails with all of them. Any other exception than AssertionError fails the test.
    """

    def decorate(test: Test) -> Callable[..., Any]:
        @wraps(test)
        def at_once(*arguments: Any, **fixtures: Any) -> None:
            for seconds in tries[:-1]:
                with suppress(AssertionError):
                    test(*arguments, seconds=seconds, **fixtures)
                    return
            test(*arguments, seconds=tries[-1], **fixtures)

        @wraps(test)
        async def later(*arguments: Any, **fixtures: Any) -> None:
            for seconds in tries[:-1]:
                with suppress(AssertionError):
                    await test(*arguments, seconds=seconds, **fixtures)
                    return
            await test(*arguments, seconds=tries[-1], **fixtures)

        made: Any = later if inspect.iscoroutinefunction(test) else at_once
        whole = inspect.signature(test)
        # For pytest, every parameter is a fixture.
        made.__signature__ = whole.replace(
            parameters=[each for name, each in whole.parameters.items() if name != "seconds"]
        )
        return made  # type: ignore[no-any-return]

    return decorate
