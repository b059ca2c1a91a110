"""Job actions that go on together, such as the items of a batch: their writes share commits.

A write of one waits until every other one waits for the ledger, too: then nothing more can come. So at a vendor that
answers at once, the outcomes of one group are written with the claims of the next. At a vendor that takes longer they
wait in vain, and then do not wait again for a while.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

TURNS = 4
"""Turns of the event loop before a look whether all wait: a group that has ended needs three to begin the next one."""
TICK_SECONDS = 0.002
"""Seconds between two looks whether others still come."""
TICKS = 2
"""Looks at which none has come, after which waiting was in vain. One can be late because this process had to wait."""
IMPATIENCE_SECONDS = 0.25
"""Seconds for which none waits after one that has waited in vain."""

HandOver = Callable[[asyncio.AbstractEventLoop], None]
"""Passes what was submitted on a loop to the thread that writes."""


class Together:
    """The job actions that have joined, and may have more to write. `hand_over` is called once all of them wait."""

    def __init__(self, hand_over: HandOver) -> None:
        """Begin without any."""
        self._hand_over = hand_over
        self._acting: set[str] = set()
        self._waiting = 0
        self._in_vain_at = -math.inf
        self._looking: asyncio.Handle | None = None
        self._ticks = 0
        self._ticking: asyncio.TimerHandle | None = None

    def __contains__(self, action: str | None) -> bool:
        """True for the id of an action that has joined."""
        return action in self._acting

    def join(self, action: str) -> None:
        """Let the writes of an action wait for those of the others, until it leaves."""
        self._acting.add(action)

    def leave(self, action: str) -> None:
        """Let the others wait for this action no more."""
        self._acting.discard(action)

    def wait(self, action: str, loop: asyncio.AbstractEventLoop, *, is_last: bool) -> None:
        """Let a write of an action wait. With its last one, the action leaves."""
        if is_last:
            self._acting.discard(action)
        else:
            self._waiting += 1
        self._ticks = 0
        if self._looking is None:
            self._looking = loop.call_soon(self._look, loop, TURNS)

    def handed_over(self) -> None:
        """Begin anew: nobody waits any more, so there is nothing to look after."""
        self._waiting = 0
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        if self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None

    def _look(self, loop: asyncio.AbstractEventLoop, turns: int) -> None:
        """Hand over after so many turns if all wait, or if waiting was in vain a short time ago."""
        if turns > 1:
            self._looking = loop.call_soon(self._look, loop, turns - 1)
            return
        self._looking = None
        if self._waiting >= len(self._acting) or loop.time() - self._in_vain_at < IMPATIENCE_SECONDS:
            self._hand_over(loop)
        elif self._ticking is None:
            self._ticking = loop.call_later(TICK_SECONDS, self._tick, loop)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give up waiting if none has come for several looks. Who has not come is not waited for again."""
        self._ticks += 1
        if self._ticks < TICKS:
            self._ticking = loop.call_later(TICK_SECONDS, self._tick, loop)
        else:
            self._in_vain_at = loop.time()
            self._acting.clear()
            self._hand_over(loop)
