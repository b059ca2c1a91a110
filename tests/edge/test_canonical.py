"""Canonical requests by themselves: the checks of path, query and header fields, to the byte."""

from __future__ import annotations

import pytest

from gateway.domain.errors import HeaderFieldsTooLarge, MalformedRequest, TargetTooLong
from gateway.edge.canonical import SINGLE, check_path, check_query, check_target, read_fields
from gateway.edge.limits import Limits


@pytest.mark.parametrize(
    "path",
    [b"/", b"/a", b"/a/b.c", b"/a/..b", b"/a/...", b"/%252e", b"/a/%C3%A9", b"/a/b:c", b"/a/%25", b"/" + b"a" * 999],
)
def test_plain_paths_pass(path: bytes) -> None:
    """A path that all readers understand alike passes, and is refused with an empty segment behind it."""
    check_path(path)
    with pytest.raises(MalformedRequest):
        check_path(path + b"//")


@pytest.mark.parametrize(
    "path",
    [
        b"",
        b"a",
        b"//",
        b"/a/",
        b"/a//b",
        b"/.",
        b"/a/..",
        b"/%2e%2E/a",
        b"/a%2fb",
        b"/a%5cb",
        b"/a\\b",
        b"/%",
        b"/%g0",
        b"/a%00",
        b"/a%1f",
        b"/a%7f",
        b"/\x01",
        b"/%80",
        b"/\xc3\xa9",
        b"/\xc3%a9",
        b"/%ed%a0%80",
        b"/%f4%90%80%80",
    ],
)
def test_other_paths_do_not(path: bytes) -> None:
    """A path with an empty, dot, broken or encoded separating part is refused, and not repeated."""
    with pytest.raises(MalformedRequest) as caught:
        check_path(path)
    assert [error.pointer for error in caught.value.explanation.errors] == ["/path"]


@pytest.mark.parametrize("query", [b"%", b"a=%zz", b"a=%ff", b"a=%0a", b"a=%7F", b"\xff", b"a=\xc3%a9", b"a=\x00"])
def test_queries_that_are_not_text(query: bytes) -> None:
    """A query is percent-encoded UTF-8 without control characters, or it is refused."""
    with pytest.raises(MalformedRequest):
        check_query(query)
    check_query(b"a=%C3%A9&b=%2F..%2f&c=+&d==&&")


def test_limits_hold_to_the_byte() -> None:
    """Each limit lets its figure through and nothing beyond it."""
    limits = Limits(target_bytes=256, header_count=8, header_bytes=1_024)
    check_target(b"x" * 200, b"x" * 56, limits)
    read_fields([(b"a", b"x" * 127)] * 8, limits)
    with pytest.raises(TargetTooLong):
        check_target(b"x" * 200, b"x" * 57, limits)
    with pytest.raises(HeaderFieldsTooLarge):
        read_fields([(b"a", b"")] * 9, limits)
    with pytest.raises(HeaderFieldsTooLarge):
        read_fields([(b"a", b"x" * 1_024)], limits)


@pytest.mark.parametrize("name", sorted(SINGLE))
def test_repeated_fields_are_named(name: bytes) -> None:
    """A field that counts once and comes twice is refused by its name; another may come as often as it likes."""
    with pytest.raises(MalformedRequest) as caught:
        read_fields([(name, b"1"), (b"x", b"1"), (name, b"1")], Limits())
    assert [error.pointer for error in caught.value.explanation.errors] == [f"/header/{name.decode()}"]
    sent = [(name, b"1"), (b"prefer", b"1"), (b"accept", b"1"), (b"accept", b"2"), (b"prefer", b"2")]
    assert read_fields(sent, Limits()) == {name: b"1", b"prefer": b"1, 2", b"accept": b"1, 2"}
