"""API keys: an id that may be shown, and a secret that is known here only by its hash."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gateway.domain.access import Caller

PREFIX = "jobgate"
"""Lets scanners of source code recognise a key."""

_KEY = re.compile(rf"{PREFIX}_(?P<id>[0-9a-f]{{12}})_(?P<secret>[A-Za-z0-9_-]{{43}})")
_NO_DIGEST = b"\0" * 32


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


def new_key() -> NewKey:
    """A new key, with 256 bits of randomness in its secret."""
    key_id = secrets.token_hex(6)
    return NewKey(key_id, f"{PREFIX}_{key_id}_{secrets.token_urlsafe(32)}")


def digest_of(text: str) -> bytes:
    """SHA-256 of a key. Its secret is no word of anybody's, so it needs no slow hash."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


class Keyring:
    """The keys that open this gateway. Looking at one takes the same time whether it fits or nearly does."""

    def __init__(self, whole: Mapping[str, Caller], keys: Iterable[ApiKey] = ()) -> None:
        """Hold the keys of the settings, given as a whole, and those of the key store."""
        self._whole = {digest_of(text): caller for text, caller in whole.items()}
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

    def take_used(self) -> Mapping[str, datetime]:
        """When keys were used, since this was asked last."""
        used, self._used = self._used, {}
        return used
