"""One fetch at a time, whose result or failure serves everybody who waited for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, NamedTuple, TypeVar

from gateway.domain.errors import Explanation, JobgateError, VendorTimedOut

Kind = TypeVar("Kind")


class Failure(NamedTuple):
    """All of an error but its traceback, which would keep secrets alive."""

    kind: type[JobgateError]
    detail: str
    explanation: Explanation


class SingleFlight(Generic[Kind]):
    """Lets one of many requests fetch something. So neither a success nor a refusal is asked for a second time."""

    def __init__(self) -> None:
        """Nothing is being fetched."""
        self._lock = asyncio.Lock()
        self._last: Failure | None = None

    async def run(self, kept: Callable[[], Kind | None], fetch: Callable[[], Awaitable[Kind]]) -> Kind:
        """Give what is kept by now, or fetch it.

        Raises JobgateError as `fetch` does, also where that failed for another who was waited for; except that the
        one fetching ran out of its own time, which says nothing about those who have more.
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
