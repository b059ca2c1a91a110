"""API keys: an id that may be shown, and a secret that is known here only by its hash.

Beside it a key may have an access key: a secret that both sides keep, for clients that sign what they send or ask for
tokens, as clients of vendors do. Nobody can check a signature by the hash of what it was made with.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gateway.domain.access import Caller

PREFIX = "jobgate"
"""Lets scanners of source code recognise a key."""

_KEY = re.compile(rf"{PREFIX}_(?P<id>[0-9a-f]{{12}})_(?P<secret>[A-Za-z0-9_-]{{43}})")
_NO_DIGEST = b"\0" * 32
ACCESS_KEY_BYTES = 32
LEAST_ACCESS_KEY_BYTES = 16


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A secret that a caller and this gateway share, as text in Base64. `id` is what its caller calls itself."""

    id: str
    caller: Caller
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is kept. After `expires_at`, or once it is revoked, it opens nothing."""

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
        """Its access key, where it has one."""
        return None if self.access_secret is None else AccessKey(self.id, self.caller, self.access_secret)

    def is_good(self, now: datetime) -> bool:
        """Whether it opens anything."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key when it is made: the only time at which all of it is known."""

    id: str
    text: str = field(repr=False)

    @property
    def digest(self) -> bytes:
        """What is kept of it."""
        return digest_of(self.text)


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key when it is made, and what is kept of it."""

    text: str = field(repr=False)
    key: ApiKey


def issued(caller: Caller, now: datetime, lasts: timedelta | None, *, with_access_key: bool) -> IssuedKey:
    """A new key for a caller, which opens for so long; None: until it is revoked."""
    new = new_key()
    access_secret = new_access_secret() if with_access_key else None
    ends = None if lasts is None else now + lasts
    return IssuedKey(new.text, ApiKey(new.id, caller, new.digest, now, ends, access_secret=access_secret))


def new_key() -> NewKey:
    """A new key, with 256 bits of randomness in its secret."""
    key_id = secrets.token_hex(6)
    return NewKey(key_id, f"{PREFIX}_{key_id}_{secrets.token_urlsafe(32)}")


def new_access_secret() -> str:
    """A new secret of an access key, in the form that Azure's have.

    It has no plus sign, which is a blank to who reads a form: many clients put a secret there, or in HTTP Basic, as it
    is.
    """
    while "+" in (text := base64.b64encode(secrets.token_bytes(ACCESS_KEY_BYTES)).decode("ascii")):
        pass
    return text


def is_credential(text: str) -> bool:
    """Whether an Authorization header can hold a text behind its scheme."""
    return text.isascii() and text.isprintable() and " " not in text and text != ""


def is_access_secret(text: str) -> bool:
    """Whether a text can be the secret of an access key."""
    try:
        return len(binascii.a2b_base64(text, strict_mode=True)) >= LEAST_ACCESS_KEY_BYTES
    except (binascii.Error, ValueError):
        return False


def digest_of(text: str) -> bytes:
    """SHA-256 of a key. Its secret is no word of anybody's, so it needs no slow hash."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


class Keyring:
    """The keys that open this gateway. Looking at one takes the same time whether it fits or nearly does."""

    def __init__(
        self, whole: Mapping[str, Caller], keys: Iterable[ApiKey] = (), access_keys: Iterable[AccessKey] = ()
    ) -> None:
        """Hold the keys and access keys of the settings, given as a whole, and those of the key store."""
        self._whole = {digest_of(text): caller for text, caller in whole.items()}
        self._access_keys = {key.id: key for key in access_keys}
        self._keys: dict[str, ApiKey] = {}
        self._used: dict[str, datetime] = {}
        self.replace(keys)

    def __len__(self) -> int:
        """How many keys there are."""
        return len(self._whole) + len(self._keys)

    def replace(self, keys: Iterable[ApiKey]) -> None:
        """Hold these keys of the key store, and no others."""
        self._keys = {key.id: key for key in keys}

    def identify(self, text: str, now: datetime) -> Caller | None:
        """Whose key it is; None where it opens nothing."""
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

    def why_not(self, text: str, now: datetime) -> str:
        """Why a text opens nothing, for the log of whoever runs the gateway. It holds nothing of the text's secret."""
        written = _KEY.fullmatch(text)
        if written is None:
            return "it is neither a key of the settings nor in the form of one of the key store, nor a token"
        key = self._keys.get(written["id"])
        if key is None or not hmac.compare_digest(key.digest, digest_of(text)):
            return "the key store has no such API key"
        state = "is revoked" if key.revoked_at is not None else "has expired"
        return "it is good" if key.is_good(now) else f"the API key {key.id} {state}"

    def access_keys(self, now: datetime) -> Iterator[AccessKey]:
        """Every access key that opens this gateway."""
        yield from self._access_keys.values()
        yield from (key.access_key for key in self._keys.values() if key.access_key is not None and key.is_good(now))

    def access_key(self, key_id: str, now: datetime) -> AccessKey | None:
        """The access key of this id; None where there is none that opens this gateway."""
        key = self._keys.get(key_id)
        if key is None or key.access_key is None:
            return self._access_keys.get(key_id)
        return key.access_key if key.is_good(now) else None

    def note_used(self, key_id: str, now: datetime) -> None:
        """Keep in mind that an access key was used."""
        if key_id in self._keys:
            self._used[key_id] = now

    def take_used(self) -> Mapping[str, datetime]:
        """When keys were used, since this was asked last."""
        used, self._used = self._used, {}
        return used
