"""Delays that end early when the sandbox stops."""

from __future__ import annotations

import asyncio
import time

_PAUSE_SECONDS = 0.05


class Delay:
    """Delays any number of concurrent requests."""

    def __init__(self) -> None:
        """Delay by the full time."""
        self._ended = False

    async def __call__(self, seconds: float) -> None:
        """Wait for so many seconds, or until `end`."""
        until = time.monotonic() + seconds
        # Not an asyncio.Event: it belongs to one loop and cannot be set from another thread.
        while not self._ended and (left := until - time.monotonic()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(left, _PAUSE_SECONDS))

    def begin(self) -> None:
        """Delay by the full time again, after `end`."""
        self._ended = False

    def end(self) -> None:
        """End all present delays, and skip later ones. Can be called from another thread."""
        self._ended = True
