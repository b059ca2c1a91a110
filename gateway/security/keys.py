"""API keys: an id that may be shown, and a secret of which only the hash is stored.

A key can also have an access key: a secret that both sides store, for clients that sign requests or ask for tokens, as
clients of vendors do. A signature cannot be checked with a hash of the secret.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from operator import attrgetter

from gateway.domain.access import Caller

PREFIX = "jobgate"
"""Start of every key, by which scanners of source code recognise it."""

_KEY = re.compile(rf"{PREFIX}_(?P<id>[0-9a-f]{{12}})_(?P<secret>[A-Za-z0-9_-]{{43}})")
_NO_DIGEST = b"\0" * 32
ACCESS_KEY_BYTES = 32
LEAST_ACCESS_KEY_BYTES = 16


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A secret that a caller and this gateway share, as text in Base64. `id` is the caller's client id."""

    id: str
    caller: Caller
    secret: str = field(repr=False)


class KeyState(StrEnum):
    """The state of a key: it can be used, its time is over, or it was taken back."""

    VALID = "valid"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is stored. It is valid until `expires_at`, or until it is revoked."""

    id: str
    caller: Caller
    digest: bytes = field(repr=False)
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    access_secret: str | None = field(default=None, repr=False)

    @property
    def access_key(self) -> AccessKey | None:
        """Its access key, if it has one."""
        return None if self.access_secret is None else AccessKey(self.id, self.caller, self.access_secret)

    def is_good(self, now: datetime) -> bool:
        """True if it is valid."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def state(self, now: datetime) -> KeyState:
        """Its state at a time."""
        if self.revoked_at is not None:
            return KeyState.REVOKED
        return KeyState.VALID if self.is_good(now) else KeyState.EXPIRED


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key when it is created: the only time at which all of it is known."""

    id: str
    text: str = field(repr=False)

    @property
    def digest(self) -> bytes:
        """The hash that is stored."""
        return digest_of(self.text)


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key, and what is stored of it."""

    text: str = field(repr=False)
    key: ApiKey


def issued(caller: Caller, now: datetime, lasts: timedelta | None, *, with_access_key: bool) -> IssuedKey:
    """Create a key for a caller that is valid for `lasts`; None: until it is revoked."""
    new = new_key()
    access_secret = new_access_secret() if with_access_key else None
    ends = None if lasts is None else now + lasts
    return IssuedKey(new.text, ApiKey(new.id, caller, new.digest, now, ends, access_secret=access_secret))


def new_key() -> NewKey:
    """Create a key with 256 random bits in its secret."""
    key_id = secrets.token_hex(6)
    return NewKey(key_id, f"{PREFIX}_{key_id}_{secrets.token_urlsafe(32)}")


def new_access_secret() -> str:
    """Create the secret of an access key, in the form of Azure's.

    It has no plus sign, which stands for a space in a form: many clients put a secret into a form, or into HTTP Basic,
    without encoding it.
    """
    while "+" in (text := base64.b64encode(secrets.token_bytes(ACCESS_KEY_BYTES)).decode("ascii")):
        pass
    return text


def is_credential(text: str) -> bool:
    """True if an Authorization header can hold the text after its scheme."""
    return text.isascii() and text.isprintable() and " " not in text and text != ""


def is_access_secret(text: str) -> bool:
    """True if the text can be the secret of an access key."""
    try:
        return len(binascii.a2b_base64(text, strict_mode=True)) >= LEAST_ACCESS_KEY_BYTES
    except (binascii.Error, ValueError):
        return False


def digest_of(text: str) -> bytes:
    """SHA-256 of a key. Its secret is random and long, so that it needs no slow hash."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


class Keyring:
    """The keys of this gateway. A check takes the same time whether a key matches or nearly matches."""

    def __init__(
        self, whole: Mapping[str, Caller], keys: Iterable[ApiKey] = (), access_keys: Iterable[AccessKey] = ()
    ) -> None:
        """Hold the keys and access keys of the settings, `whole` by their text, and the keys of the key store."""
        self._whole = {digest_of(text): caller for text, caller in whole.items()}
        self._access_keys = {key.id: key for key in access_keys}
        self._keys: dict[str, ApiKey] = {}
        self._used: dict[str, datetime] = {}
        self.replace(keys)

    def __len__(self) -> int:
        """Number of API keys."""
        return len(self._whole) + len(self._keys)

    @property
    def stored(self) -> Collection[ApiKey]:
        """The keys of the key store, also those that are not valid any more, in the order of the store."""
        return self._keys.values()

    @property
    def of_settings(self) -> Mapping[Caller, bool]:
        """The callers with a key in the settings, by name. True: the caller has an access key."""
        signing = {key.caller for key in self._access_keys.values()}
        callers = sorted({*self._whole.values(), *signing}, key=attrgetter("name"))
        return {caller: caller in signing for caller in callers}

    def replace(self, keys: Iterable[ApiKey]) -> None:
        """Replace the keys of the key store."""
        self._keys = {key.id: key for key in keys}

    def identify(self, text: str, now: datetime) -> Caller | None:
        """The caller of a key; None if the key is not valid."""
        given, found = digest_of(text), None
        for digest, caller in self._whole.items():
            if hmac.compare_digest(digest, given):
                found = caller
        written = _KEY.fullmatch(text)
        key = self._keys.get(written["id"]) if written else None
        fits = hmac.compare_digest(key.digest if key else _NO_DIGEST, given)
        if key is None or not fits or not key.is_good(now):
            return found
        self._used[key.id] = now
        return key.caller

    def named(self, name: str, now: datetime) -> tuple[Caller, ...]:
        """The callers of a name, one for each valid key."""
        stored = (key.caller for key in self._keys.values() if key.is_good(now))
        access = (key.caller for key in self._access_keys.values())
        return tuple(each for each in (*self._whole.values(), *access, *stored) if each.name == name)

    def why_not(self, text: str, now: datetime) -> str:
        """The reason why a text is not a valid key, for the operator's log. It contains nothing of the secret."""
        written = _KEY.fullmatch(text)
        if written is None:
            return "it is neither a key of the settings, nor a token, nor of the form of a key of the key store"
        key = self._keys.get(written["id"])
        if key is None or not hmac.compare_digest(key.digest, digest_of(text)):
            return "the key store has no such API key"
        state = "is revoked" if key.revoked_at is not None else "has expired"
        return "it is good" if key.is_good(now) else f"the API key {key.id} {state}"

    def access_keys(self, now: datetime) -> Iterator[AccessKey]:
        """Every valid access key."""
        yield from self._access_keys.values()
        yield from (key.access_key for key in self._keys.values() if key.access_key is not None and key.is_good(now))

    def access_key(self, key_id: str, now: datetime) -> AccessKey | None:
        """The access key with this id; None if there is no valid one."""
        key = self._keys.get(key_id)
        if key is None or key.access_key is None:
            return self._access_keys.get(key_id)
        return key.access_key if key.is_good(now) else None

    def note_used(self, key_id: str, now: datetime) -> None:
        """Remember when an access key was used."""
        if key_id in self._keys:
            self._used[key_id] = now

    def take_used(self) -> Mapping[str, datetime]:
        """Return the times of use by key since the last call."""
        used, self._used = self._used, {}
        return used
