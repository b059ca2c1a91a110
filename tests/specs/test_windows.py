"""Time ranges of lists: what is written can be read, and chooses jobs by their time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from gateway.domain.model import Json
from gateway.specs.windows import Window

NOW = datetime(2026, 11, 28, 20, 15, 30, 123_456, tzinfo=timezone(timedelta(hours=1)))


def test_a_range_is_written_in_utc_with_milliseconds() -> None:
    """The last days end now; an interval has both ends (ISO 8601)."""
    start, end = "2026-11-14T19:15:30.123Z", "2026-11-28T19:15:30.123Z"
    assert Window.last(14, NOW).values == {
        "window.start": start,
        "window.end": end,
        "window.interval": f"{start}/{end}",
    }


@pytest.mark.parametrize("names", [("window.start", "window.end"), ("window.interval",)])
def test_a_range_is_read_as_it_was_written(names: tuple[str, ...]) -> None:
    """Both ends, or the interval, tell the whole range."""
    at = datetime(2026, 11, 28, 19, 15, 30, 123_000, tzinfo=UTC)
    values = Window.last(3, at).values
    assert Window.of({name: values[name] for name in names}) == Window(at - timedelta(days=3), at)


@pytest.mark.parametrize("values", [{}, {"page.limit": 3}, {"window.start": "2026-11-28T19:15:30Z"}])
def test_a_request_without_a_range_has_none(values: dict[str, Json]) -> None:
    """Without both ends there is no range."""
    assert Window.of(values) is None


@pytest.mark.parametrize("interval", ["", "/", "now", "2026-11-28T19:15:30Z", "2026-11-28/2026-11-29", 5, ["x"]])
def test_a_text_that_is_no_range_is_an_error(interval: Json) -> None:
    """Whatever else stands at the place of a range is told from one."""
    with pytest.raises(ValueError, match="is not one"):
        Window.of({"window.interval": interval})


def test_a_range_does_not_end_before_it_starts() -> None:
    """Nothing is in such a range; one of a single moment has that moment."""
    early, late = "2026-11-28T19:15:30Z", "2026-11-28T20:15:30.001+01:00"
    with pytest.raises(ValueError, match="ends before it starts"):
        Window.of({"window.start": late, "window.end": early})
    assert Window.of({"window.start": early, "window.end": early}) is not None


@pytest.mark.parametrize(
    ("time", "is_inside"),
    [
        ("2026-11-25T19:15:30.123Z", True),
        ("2026-11-25T19:15:30.122Z", False),
        ("2026-11-28T20:15:30.123+01:00", True),
        ("2026-11-28T19:15:30.124Z", False),
        ("0001-01-01T00:00:00+23:59", False),
        (None, True),
        ("some day", True),
    ],
)
def test_a_job_of_unknown_time_may_be_inside(time: Json, is_inside: bool) -> None:
    """A job is outside only if its time says so; the ends are inside."""
    end = datetime(2026, 11, 28, 19, 15, 30, 123_000, tzinfo=UTC)
    assert Window.last(3, end).may_have(time) is is_inside
