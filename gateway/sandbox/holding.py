"""Waiting that ends early when the sandbox stops."""

from __future__ import annotations

import asyncio
import time

_PAUSE_SECONDS = 0.05


class Hold:
    """Waits for some seconds, in any number of requests at once."""

    def __init__(self) -> None:
        """Wait as long as asked."""
        self._ended = False

    async def __call__(self, seconds: float) -> None:
        """Wait."""
        until = time.monotonic() + seconds
        # No event of asyncio's, since those belong to one loop and are not to be set from outside.
        while not self._ended and (left := until - time.monotonic()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(left, _PAUSE_SECONDS))

    def begin(self) -> None:
        """Wait as long as asked, again."""
        self._ended = False

    def end(self) -> None:
        """Let everybody who waits go on, now and later; may be called from another thread."""
        self._ended = True
