"""One fetch at a time, whose result or failure serves all requests that waited for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, NamedTuple, TypeVar

from gateway.domain.errors import Explanation, JobgateError, VendorTimedOut

Kind = TypeVar("Kind")


class Failure(NamedTuple):
    """An error without its traceback, which would keep secrets in memory."""

    kind: type[JobgateError]
    detail: str
    explanation: Explanation


class SingleFlight(Generic[Kind]):
    """Lets one of many concurrent requests fetch a value, so that neither a success nor a refusal is fetched twice."""

    def __init__(self) -> None:
        """Start without a fetch."""
        self._lock = asyncio.Lock()
        self._last: Failure | None = None

    async def run(self, kept: Callable[[], Kind | None], fetch: Callable[[], Awaitable[Kind]]) -> Kind:
        """Return what is kept, or fetch it.

        Raises the JobgateError of `fetch`, also in requests that waited for a fetch that failed. The exception is
        VendorTimedOut, which says nothing about requests with more time: the next of them fetches.
        """
        before = self._last
        async with self._lock:
            found = kept()
            if found is not None:
                return found
            if self._last is not None and self._last is not before:
                raise self._last.kind(self._last.detail, self._last.explanation)
            try:
                return await fetch()
            except VendorTimedOut:
                raise
            except JobgateError as error:
                self._last = Failure(type(error), error.detail, error.explanation)
                raise
