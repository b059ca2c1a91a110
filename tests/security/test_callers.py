"""Who calls: keys are known by their hash only."""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.security.callers import KEY_PREFIX, Callers, new_key

CALLERS = Callers.of({"alice": "key-of-alice", "bob": "key-of-bob"})


@pytest.mark.parametrize(("key", "name"), [("key-of-alice", "alice"), ("key-of-bob", "bob")])
def test_a_key_tells_who_calls(key: str, name: str) -> None:
    """Each key is its caller's."""
    assert CALLERS.identify(key) == name


@pytest.mark.parametrize(
    "key",
    [
        "",
        " key-of-alice",
        "key-of-alice ",
        "key-of-alic",
        "Key-of-alice",
        "key-of-alice\0",
        "alice",
        hashlib.sha256(b"key-of-alice").hexdigest(),
        "\N{CYRILLIC SMALL LETTER KA}ey-of-alice",
        "\udcff\udcfe",
        "x" * 1_000_000,
    ],
)
def test_no_other_key_is_anybodys(key: str) -> None:
    """What is not exactly a key, or no text at all, identifies nobody and raises nothing."""
    assert CALLERS.identify(key) is None


@given(key=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_can_be_a_key(key: str) -> None:
    """A key is found again whatever it is made of, and a longer one is another."""
    assert Callers.of({"carol": key}).identify(key) == "carol"
    assert Callers.of({"carol": key}).identify(f"{key}x") is None


def test_nobody_is_known_where_there_are_no_keys() -> None:
    """Without keys nobody gets in, not even with an empty one."""
    assert Callers.of({}).identify("") is None


def test_keys_are_not_kept() -> None:
    """Neither the keys nor their hashes are in what a log or a traceback would show."""
    assert repr(CALLERS) == "Callers()"
    assert "key-of-alice" not in str(vars(CALLERS))


def test_a_new_key_is_long_random_and_easy_to_recognise() -> None:
    """256 bits behind a prefix that scanners of source code can look for, in characters that a header can carry."""
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(re.fullmatch(rf"{KEY_PREFIX}[A-Za-z0-9_-]{{43}}", key) for key in keys)
