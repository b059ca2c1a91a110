"""Windows: which actions are allowed at what time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.domain.recurrence import Recurrence
from gateway.domain.windows import Window, WindowKind, Windows

SECOND = timedelta(seconds=1)


def at(text: str) -> datetime:
    """A time of 5 January 2026, a Monday, in UTC; or any other."""
    return datetime.fromisoformat(text if "-" in text else f"2026-01-05T{text}").replace(tzinfo=UTC)


def window(
    name: str,
    kind: str,
    cron: str,
    hours: float = 1,
    actions: tuple[str, ...] = ("*",),
    connections: tuple[str, ...] = ("*",),
    zone: str = "UTC",
) -> Window:
    """A window."""
    recurrence = Recurrence(cron, zone)
    return Window(name, WindowKind(kind), connections, actions, recurrence, timedelta(hours=hours))


def closing(windows: Windows, now: str, action: str = "cancel", connection: str = "a", mode: str | None = None) -> str:
    """The name of the window that holds the action back, with the time at which it is allowed; empty if none does."""
    found = windows.closing(action, mode, (connection,), at(now))
    if found is None:
        return ""
    return f"{found.window.name} {found.opens_at:%d %H:%M}" if found.opens_at else found.window.name


NIGHT = window("night", "allow", "0 22 * * *", 8)
PEAK = window("peak", "deny", "0 23 * * *", 1)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("21:59:59", "night 05 22:00"),
        ("22:00:00", ""),
        ("2026-01-06T05:59:59", ""),
        ("2026-01-06T06:00:00", "night 06 22:00"),
    ],
)
def test_edges(now: str, expected: str) -> None:
    """A window is open from its start, up to and without its end."""
    assert closing(Windows((NIGHT,)), now) == expected


@pytest.mark.parametrize(("now", "expected"), [("22:30", ""), ("23:30", "peak 06 00:00"), ("12:00", "night 05 22:00")])
def test_deny_wins(now: str, expected: str) -> None:
    """An open deny window refuses what an open allow window allows; both are obeyed in the time that is named."""
    assert closing(Windows((NIGHT, PEAK)), now) == expected


def test_the_time_of_opening_obeys_every_window() -> None:
    """If a deny window begins as the allow window does, the action is allowed at its end."""
    early = window("early", "deny", "0 22 * * *", 2)
    assert closing(Windows((NIGHT, early)), "12:00") == "night 06 00:00"


def test_a_window_of_another_connection_or_action_blocks_nobody() -> None:
    """Nor does one that is not open."""
    others = Windows(
        (
            window("b only", "allow", "0 3 * * *", connections=("b*",)),
            window("close only", "allow", "0 3 * * *", actions=("close",)),
            window("deny later", "deny", "0 3 * * *"),
        )
    )
    assert closing(others, "12:00") == ""
    assert closing(others, "12:00", connection="b1") == "b only"
    assert closing(others, "03:30").startswith("deny later")
    assert closing(others, "12:00", action="close").startswith("close only")


def test_one_open_allow_window_is_enough() -> None:
    """Another one that is not open does not matter."""
    noon = window("noon", "allow", "0 12 * * *")
    assert closing(Windows((NIGHT, noon)), "12:30") == ""


def test_what_is_never_allowed_has_no_time() -> None:
    """Two windows that leave nothing."""
    always = window("always", "deny", "* * * * *", 1)
    assert closing(Windows((always,)), "12:00") == "always"


def test_a_termination_is_subject_to_its_steps() -> None:
    """Nothing goes around by a termination; discarding is a step only if it is forced."""
    no_cancel = Windows((window("no cancel", "deny", "0 12 * * *", actions=("cancel",)),), frozenset({"cancel"}))
    assert closing(no_cancel, "12:30", "terminate", mode="graceful").startswith("no cancel")
    no_discard = Windows(
        (window("keep", "deny", "0 12 * * *", actions=("discard",)),), frozenset({"cancel", "discard"})
    )
    assert closing(no_discard, "12:30", "terminate", mode="graceful") == ""
    assert closing(no_discard, "12:30", "terminate", mode="forced").startswith("keep")


def test_overlapping_openings_are_one() -> None:
    """A window that opens again before it ends is open until the last end."""
    shift = window("shift", "allow", "0 8,9,10 * * MON", 1.5)
    phase = shift.phase(at("08:30"))
    assert (phase.is_open, phase.changes_at) == (True, at("11:30"))
    assert shift.phase(at("11:30")).changes_at == at("2026-01-12T08:00")


def test_a_phase_is_computed_once() -> None:
    """And again once it has passed, or if the clock was set back."""
    windows = Windows((NIGHT,))
    first = windows.phase(NIGHT, at("12:00"))
    assert windows.phase(NIGHT, at("21:59:59")) is first
    assert windows.phase(NIGHT, at("22:00")).is_open
    assert not windows.phase(NIGHT, at("21:00")).is_open


def test_clocks_put_forward() -> None:
    """A window keeps its length in real time, whatever the clocks do."""
    amsterdam = window("night", "allow", "0 1 * * *", 4, zone="Europe/Amsterdam")
    assert amsterdam.phase(at("2026-03-29T00:30")).changes_at == at("2026-03-29T04:00")
    assert amsterdam.phase(at("2026-10-25T00:30")).changes_at == at("2026-10-25T03:00")


def test_a_window_that_never_ends_says_so() -> None:
    """Openings that follow each other without a gap have no end; it is still looked for now and then."""
    always = window("always", "allow", "0 * * * *")
    phase = always.phase(at("12:00"))
    assert (phase.is_open, phase.changes_at) == (True, None)
    assert not phase.holds_at(at("2026-02-05T12:00"))


def test_the_time_of_opening_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as it lies ahead, so that requests that are refused cost little."""
    windows = Windows((NIGHT,))
    looked: list[object] = []
    search = Windows._opening

    def counted(*given: Any) -> datetime | None:
        looked.append(given)
        return search(*given)

    monkeypatch.setattr(Windows, "_opening", counted)
    for now in ("12:00", "13:00", "21:59:59"):
        assert closing(windows, now) == "night 05 22:00"
    assert len(looked) == 1
    assert closing(windows, "2026-01-06T06:00") == "night 06 22:00"
    assert closing(windows, "12:00") == "night 05 22:00"
    assert len(looked) == 3
