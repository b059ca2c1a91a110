"""Callers: keys are stored by their hash, end in time, and identify only their own caller."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.access import EVERYTHING, Caller
from gateway.security.keys import PREFIX, ApiKey, Keyring, NewKey, digest_of, new_key
from tests.support.clock import NOW

ALICE, BOB = Caller("alice", EVERYTHING), Caller("bob", frozenset({"jobs:read"}))
KEYRING = Keyring({"key-of-alice": ALICE, "key-of-bob": BOB})
MADE = NewKey("0123456789ab", f"{PREFIX}_0123456789ab_{'k' * 43}")
OTHER = f"{PREFIX}_0123456789ab_{'o' * 43}"
KEPT = ApiKey(MADE.id, BOB, MADE.digest, NOW, NOW + timedelta(days=1))


@pytest.mark.parametrize(("key", "caller"), [("key-of-alice", ALICE), ("key-of-bob", BOB)])
def test_a_key_tells_who_calls(key: str, caller: Caller) -> None:
    """A key identifies its caller."""
    assert KEYRING.identify(key, NOW) == caller


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
        MADE.id,
        MADE.text[:-1],
        f"{MADE.text}x",
        MADE.text.replace("jobgate", "Jobgate"),
        MADE.text.replace(MADE.id, "0" * 12),
        OTHER,
    ],
)
def test_no_other_key_is_anybodys(key: str) -> None:
    """Anything but an exact key identifies nobody and raises nothing."""
    KEYRING.replace([KEPT])
    assert KEYRING.identify(key, NOW) is None


@given(key=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_can_be_a_key_of_the_settings(key: str) -> None:
    """A key is found again whatever it is made of, and a longer one is another."""
    assert Keyring({key: ALICE}).identify(key, NOW) == ALICE
    assert Keyring({key: ALICE}).identify(f"{key}x", NOW) is None


def test_nobody_is_known_where_there_are_no_keys() -> None:
    """Without any keys nobody is identified, not even by an empty key."""
    assert Keyring({}).identify("", NOW) is None
    assert len(Keyring({})) == 0


@pytest.mark.parametrize(
    ("key", "caller"),
    [
        (KEPT, BOB),
        (replace(KEPT, expires_at=None), BOB),
        (replace(KEPT, expires_at=NOW), None),
        (replace(KEPT, expires_at=NOW + timedelta(milliseconds=1)), BOB),
        (replace(KEPT, revoked_at=NOW), None),
        (replace(KEPT, expires_at=None, revoked_at=NOW), None),
        (replace(KEPT, digest=digest_of(OTHER)), None),
        (replace(KEPT, id="0" * 12), None),
    ],
)
def test_a_key_opens_while_it_is_good(key: ApiKey, caller: Caller | None) -> None:
    """A key works until it ends or is revoked, and only with its own id."""
    assert Keyring({}, [key]).identify(MADE.text, NOW) == caller


def test_keys_come_and_go() -> None:
    """What the key store has counts, and nothing that it had before; the keys of the settings stay."""
    keyring = Keyring({"key-of-alice": ALICE}, [KEPT])
    keyring.replace([])
    assert keyring.identify(MADE.text, NOW) is None
    assert keyring.identify("key-of-alice", NOW) == ALICE


def test_use_is_noted_once() -> None:
    """Each use of a valid key is reported once."""
    keyring = Keyring({}, [KEPT])
    keyring.identify(new_key().text, NOW)
    keyring.identify(MADE.text, NOW + timedelta(days=2))
    assert keyring.take_used() == {}
    keyring.identify(MADE.text, NOW)
    assert keyring.take_used() == {MADE.id: NOW}
    assert keyring.take_used() == {}


def test_keys_are_not_kept() -> None:
    """Neither the keys nor their hashes are in what a log or a traceback would show."""
    assert "key-of-alice" not in str(vars(KEYRING))
    secret = MADE.text.rpartition("_")[2]
    for shown in (repr(MADE), repr(KEPT), str(vars(Keyring({}, [KEPT])))):
        assert secret not in shown
        assert repr(MADE.digest) not in shown


def test_a_new_key_is_long_random_and_easy_to_recognise() -> None:
    """256 bits behind a prefix that scanners of source code can look for, in characters that a header can carry."""
    keys = {new_key().text for _ in range(100)}
    assert len(keys) == 100
    assert all(re.fullmatch(rf"{PREFIX}_[0-9a-f]{{12}}_[A-Za-z0-9_-]{{43}}", key) for key in keys)


SCOPES = {
    "jobs:cancel": ({"jobs:cancel"}, True),
    "jobs:close": ({"jobs:cancel"}, False),
    "jobs:pause": ({"jobs:*"}, True),
    "audit:read": ({"jobs:*", "connections:*"}, False),
    "jobs:restart": ({"*"}, True),
    "jobs:read": (set[str](), False),
    "connections:contoso-prod": ({"connections:contoso-*"}, True),
    "connections:contoso": ({"connections:contoso-*"}, False),
    "connections:fabrikam": ({"connections:contoso-*", "connections:fabrikam"}, True),
    "connections:x": ({"jobs:x"}, False),
}


@pytest.mark.parametrize(("scope", "held", "may"), [(scope, *each) for scope, each in SCOPES.items()])
def test_scopes(scope: str, held: set[str], may: bool) -> None:
    """A caller may do what one of its scopes says, `*` standing for any characters, and nothing else."""
    assert Caller("somebody", frozenset(held)).may(scope) is may
