"""Numbers and times of others: what is out of range is as if it were not there, and nothing raises."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.encoding import dump
from gateway.domain.model import HttpReply
from gateway.domain.numbers import number, seconds_since_1970, up_to, whole
from gateway.domain.retry_after import LONGEST_RETRY_AFTER, retry_after
from gateway.domain.times import http_date
from gateway.engine.wire import json_value
from tests.support.clock import NOW

ENDLESS = "9" * (sys.get_int_max_str_digits() + 1)
"""More digits than Python reads."""
PIECES = st.sampled_from(
    ["Mon,", "Monday,", "20", "Nov", "2026", "12:00:00", "GMT", "+0000", "+9999", "-", "20-Nov-26", "9" * 30, "", ":"]
)
TEXTS = st.text() | st.lists(PIECES, max_size=9).map(" ".join)
VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.sampled_from([10**400, -(10**400), "1e999"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
)


@given(VALUES)
def test_no_value_raises(value: Any) -> None:
    """Whatever JSON value stands where a number should: each reader gives a number in its range, or none."""
    assert number(value) is None or abs(number(value) or 0) < float("inf")
    assert whole(value) is None or whole(value) == value
    at = seconds_since_1970(value)
    assert at is None or datetime.fromtimestamp(at, UTC).year >= 1970


@given(TEXTS)
def test_no_text_raises(text: str) -> None:
    """Whatever stands in a header field where digits or a date should."""
    assert up_to(60, text) in {None, *range(61)}
    assert http_date(text) is None or isinstance(http_date(text), datetime)
    seconds = retry_after(HttpReply(429, {"retry-after": text}), NOW)
    assert seconds is None or 0 <= seconds <= LONGEST_RETRY_AFTER


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("0", 0),
        ("007", 7),
        ("60", 60),
        ("61", 60),
        (ENDLESS, 60),
        ("-1", None),
        ("+1", None),
        ("1.0", None),
        ("\u0661", None),
    ],
)
def test_digits_have_an_upper_bound(text: str, read: int | None) -> None:
    """A text of any number of digits is never read as infinity."""
    assert up_to(60, text) == read


@pytest.mark.parametrize(
    "text",
    ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"],
)
def test_an_http_date_has_three_forms(text: str) -> None:
    """Those of RFC 9110, 5.6.7, name the same time."""
    assert http_date(text) == datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "Mon, 20 Nov 9999999999 12:00:00 GMT",
        "Mon, 20 Nov 10000 12:00:00 GMT",
        "Mon, 31 Dec 9999 23:59:59 -0100",
        "Mon, 32 Nov 2026 12:00:00 GMT",
        "Mon, 20 Nov 2026 12:00:00 +9999999",
        f"Mon, {ENDLESS} Nov 2026 12:00:00 GMT",
        ENDLESS,
        "",
        "tomorrow",
    ],
)
def test_a_date_that_cannot_be_counted_is_none(text: str) -> None:
    """A year beyond 9999, a day that no month has, an offset of weeks: as if there were no date."""
    assert http_date(text) is None
    if not text.isdigit():
        assert retry_after(HttpReply(503, {"retry-after": text}), NOW) is None


@pytest.mark.parametrize(
    ("value", "read"), [(3, 3), (3.0, 3), (-2.0, -2), (3.5, None), (True, None), ("3", None), (float("inf"), None)]
)
def test_a_whole_number_may_have_a_point(value: Any, read: int | None) -> None:
    """3.0 is the integer 3 (JSON Schema 2020-12); a text is no number."""
    assert whole(value) == read


@pytest.mark.parametrize("text", [b"18446744073709551616", b"-9223372036854775809", b"1" + b"0" * 400])
def test_a_number_of_any_size_is_passed_on(text: bytes) -> None:
    """JSON has no largest integer; what a vendor sends in its own object goes out as it came."""
    assert dump({"vendor": json_value(text)}) == b'{"vendor":' + text + b"}"
