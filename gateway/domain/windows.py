"""Windows: the times in which actions are allowed, or are not. Pure: nothing here reads a clock.

    deny      while it is open, its actions are refused
    allow     its actions are refused unless one of the allow windows for them is open

Deny wins. A window says nothing about the connections and actions that its patterns do not name, so one that is not
open holds back nobody else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from gateway.domain.approvals import matches
from gateway.domain.recurrence import Recurrence
from gateway.domain.vocabulary import DISCARD, TERMINATE, Mode

MOST_STARTS = 100
"""Most openings that are followed to find the end of a window whose openings overlap."""
MOST_CHANGES = 100
"""Most changes of windows that are followed to find the time at which an action is allowed."""
UNKNOWN_TIME = timedelta(hours=1)
"""The time after which it is looked for again, if it was not found."""
MOST_KNOWN = 1_000
"""Most openings that are remembered."""


class WindowKind(StrEnum):
    """The effect of a window while it is open."""

    ALLOW = "allow"
    DENY = "deny"


class Phase(Struct, frozen=True):
    """Whether a window is open from a time on, and when that changes; None: not in the foreseeable time.

    It is known to hold until `until`; None: for 50 years.
    """

    since: datetime
    is_open: bool
    changes_at: datetime | None
    until: datetime | None

    def holds_at(self, at: datetime) -> bool:
        """True if nothing has changed until a time."""
        return self.since <= at and (self.until is None or at < self.until)


class Window(Struct, frozen=True):
    """A window of the settings. It opens at each time of its recurrence, for its duration.

    In `connections` and `actions`, `*` stands for any characters.
    """

    name: str
    kind: WindowKind
    connections: tuple[str, ...]
    actions: tuple[str, ...]
    recurrence: Recurrence
    duration: timedelta

    def phase(self, now: datetime) -> Phase:
        """The phase of the window at a time. It is open from each start, up to and without its end."""
        starts = self.recurrence.after(now - self.duration)
        first = next(starts, None)
        if first is None or first > now:
            return Phase(now, is_open=False, changes_at=first, until=first)
        end = first + self.duration
        for start, _ in zip(starts, range(MOST_STARTS), strict=False):
            if start > end:
                return Phase(now, is_open=True, changes_at=end, until=end)
            end = start + self.duration
        return Phase(now, is_open=True, changes_at=None, until=end)

    def concerns(self, action: str, connection: str) -> bool:
        """True if the window is about an action on a connection."""
        return matches(self.actions, action) and matches(self.connections, connection)


class Closing(Struct, frozen=True):
    """The window that holds an action back, and when the action will be allowed; None: not in the foreseeable time."""

    window: Window
    opens_at: datetime | None


class Opening(NamedTuple):
    """The time at which actions that are held back will be allowed, and from when until when that is known."""

    at: datetime | None
    since: datetime
    until: datetime


Question = tuple[tuple[str, ...], tuple[str, ...]]
"""Actions, and the connections on which they are wanted."""


@dataclass(frozen=True)
class Windows:
    """All windows of the settings. `endings` are the actions that a termination can consist of."""

    all: tuple[Window, ...] = ()
    endings: frozenset[str] = frozenset()
    _phases: dict[str, Phase] = field(default_factory=dict, repr=False, compare=False)
    _openings: dict[Question, Opening] = field(default_factory=dict, repr=False, compare=False)

    def closing(self, action: str, mode: str | None, connections: tuple[str, ...], now: datetime) -> Closing | None:
        """The window that holds an action back at a time; None if the action is allowed.

        A termination with this `mode` is subject to the windows of the steps that it can have, too: once begun, it is
        carried to its end.
        """
        if not self.all:
            return None
        actions = self._actions(action, mode)
        window = self._holding(actions, connections, now, self.phase)
        return None if window is None else Closing(window, self._known_opening((actions, connections), now))

    def phase(self, window: Window, now: datetime) -> Phase:
        """The phase of a window, which is computed once for as long as it lasts."""
        known = self._phases.get(window.name)
        if known is None or not known.holds_at(now):
            known = self._phases[window.name] = window.phase(now)
        return known

    def _actions(self, action: str, mode: str | None) -> tuple[str, ...]:
        if action != TERMINATE:
            return (action,)
        steps = self.endings if mode == Mode.FORCED else self.endings - {DISCARD}
        return (action, *sorted(steps))

    def _concerned(self, actions: Collection[str], connections: Collection[str]) -> Iterator[list[Window]]:
        """For each action on each connection, the windows about it."""
        for connection in connections:
            for action in actions:
                yield [each for each in self.all if each.concerns(action, connection)]

    def _holding(
        self,
        actions: Collection[str],
        connections: Collection[str],
        now: datetime,
        phase: Callable[[Window, datetime], Phase],
    ) -> Window | None:
        """The window that holds one of these actions on one of these connections back."""
        for windows in self._concerned(actions, connections):
            is_open = {each.name: phase(each, now).is_open for each in windows}
            denying = next((each for each in windows if each.kind is WindowKind.DENY and is_open[each.name]), None)
            if denying is not None:
                return denying
            allowing = [each for each in windows if each.kind is WindowKind.ALLOW]
            if allowing and not any(is_open[each.name] for each in allowing):
                return allowing[0]
        return None

    def _known_opening(self, question: Question, now: datetime) -> datetime | None:
        """The first time after `now` at which no window holds actions back. It is looked for once."""
        known = self._openings.get(question)
        if known is not None and known.since <= now < known.until:
            return known.at
        if len(self._openings) >= MOST_KNOWN:
            self._openings.clear()
        at = self._opening(*question, now)
        self._openings[question] = Opening(at, now, now + UNKNOWN_TIME if at is None else at)
        return at

    def _opening(self, actions: Collection[str], connections: Collection[str], now: datetime) -> datetime | None:
        """The first time after `now` at which no window holds the action back."""
        concerned = {each.name: each for windows in self._concerned(actions, connections) for each in windows}
        at = now
        for _ in range(MOST_CHANGES):
            changes = (each.phase(at).changes_at for each in concerned.values())
            following = min((each for each in changes if each is not None), default=None)
            if following is None:
                return None
            at = following
            if self._holding(actions, connections, at, Window.phase) is None:
                return at
        return None


ALWAYS_OPEN = Windows()
"""Without windows, every action is allowed at all times."""
