"""Who calls: API keys, known only by their hash."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

KEY_PREFIX = "jobgate_"


def new_key() -> str:
    """A new API key with 256 bits of randomness. The prefix lets scanners of source code recognise it."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


@dataclass(frozen=True)
class Callers:
    """The callers by the SHA-256 of their key."""

    _names: Mapping[bytes, str] = field(repr=False)

    @classmethod
    def of(cls, keys: Mapping[str, str]) -> Callers:
        """From names and keys."""
        return cls({_digest(key): name for name, key in keys.items()})

    def identify(self, key: str) -> str | None:
        """The name of the caller with this key. Takes the same time whichever key is right."""
        given = _digest(key)
        found = None
        for digest, name in self._names.items():
            if hmac.compare_digest(digest, given):
                found = name
        return found


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
