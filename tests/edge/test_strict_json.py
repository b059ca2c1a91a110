"""Strict JSON: text that two readers could understand differently is refused, and all else is read as usual."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.edge.limits import Limits
from gateway.edge.strict_json import StrictJson, StrictJsonError

LIMITS = Limits()
parse = StrictJson(LIMITS).parse

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**19), 10**19)
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda number: len(repr(number)) < 20)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=15,
)


@settings(deadline=None)
@given(value=values, ascii_only=st.booleans(), indent=st.sampled_from([None, 1]))
def test_ordinary_json_is_read_as_json(value: Any, ascii_only: bool, indent: int | None) -> None:
    """JSON of a standard writer is read back unchanged, escaped or not."""
    assert parse(json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()) == value


@settings(deadline=None, max_examples=500)
@given(
    content=st.binary(max_size=60) | st.text(alphabet='{}[]",:0123456789eE+-.\\uudD8tfn ', max_size=40).map(str.encode)
)
def test_any_bytes_are_json_or_refused(content: bytes) -> None:
    """Any bytes are refused with StrictJsonError, or read as a standard reader reads them and writable again."""
    try:
        value = parse(content)
    except StrictJsonError:
        return
    assert value == json.loads(content.decode())
    assert json.loads(json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")) == value


@pytest.mark.parametrize(
    "digits", ["1" * 20, "-" + "1" * 20, "0." + "1" * 19, "1e" + "0" * 18 + "1", "-1.5E+10", "0", "-0"]
)
def test_numbers_of_twenty_digits(digits: str) -> None:
    """Twenty digits are read, one more is not; sign, point and exponent do not count."""
    assert parse(digits.encode()) == json.loads(digits)
    longer = digits.replace("1", "11", 1)
    if sum(character.isdigit() for character in longer) > LIMITS.json_digits:
        with pytest.raises(StrictJsonError, match="more than 20 digits"):
            parse(longer.encode())


@pytest.mark.parametrize("levels", [2, 3, 32, 33, 400, 480, 700, 960, 990, 20_000])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")])
def test_nesting_has_an_end(levels: int, opening: bytes, closing: bytes) -> None:
    """JSON up to the limit of levels is read, and deeper JSON is refused with the same message at any depth."""
    content = opening * levels + b"1" + closing * levels
    depth = levels * opening.count(b"[") + levels * opening.count(b"{")
    if depth <= LIMITS.json_depth:
        assert json.dumps(parse(content)).encode().replace(b" ", b"") == content
    else:
        with pytest.raises(StrictJsonError, match="is nested deeper than 32 levels"):
            parse(content)


def test_many_values_are_not_deep() -> None:
    """Many values are not deep: twenty thousand empty objects in a list are two levels."""
    assert len(parse(b"[" + b"{}," * 20_000 + b"{}]")) == 20_001  # type: ignore[arg-type]


@pytest.mark.parametrize("content", [b'"{{{{[[[["', b'{"a":"' + b"[" * 99 + b'"}'])
def test_brackets_in_texts_are_not_levels(content: bytes) -> None:
    """Brackets in a JSON string do not count as levels."""
    assert parse(content) == json.loads(content)


@pytest.mark.parametrize(
    ("content", "value"),
    [(b'"\\ud83d\\ude00"', "\N{GRINNING FACE}"), (b'"\\\\ud800"', "\\ud800"), (b'"\\u0000"', "\0")],
)
def test_whole_characters_may_be_escaped(content: bytes, value: str) -> None:
    """A whole surrogate pair is a character, and an escaped backslash begins no escape."""
    assert parse(content) == value


def test_names_are_compared_as_they_read() -> None:
    """A name is the same however it is escaped; different names that look alike are different."""
    with pytest.raises(StrictJsonError, match="duplicate"):
        parse(b'{"a":1,"\\u0061":2}')
    assert parse('{"\N{LATIN SMALL LETTER A}":1,"\N{CYRILLIC SMALL LETTER A}":2}'.encode()) == {
        "a": 1,
        "\N{CYRILLIC SMALL LETTER A}": 2,
    }
