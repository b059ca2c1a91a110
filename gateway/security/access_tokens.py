"""Tokens that this gateway grants for access keys: JWTs, signed with a secret that is made of the access key's own.

So every process that knows the access key knows its tokens, and none is good for longer than its key.
"""

from __future__ import annotations

import binascii
import hmac
from datetime import datetime, timedelta
from typing import Any

import jwt

from gateway.domain.access import Caller
from gateway.domain.ports import Clock
from gateway.security.grants import Grant, unknown_client
from gateway.security.keys import AccessKey, Keyring

ALGORITHM = "HS256"
ISSUER = "jobgate"
PURPOSE = b"access tokens"
"""Keeps what signs tokens apart from what signs requests."""
LIFE_SECONDS = 7_200
"""How long a token is good: as long as Vonage's."""


class AccessTokens:
    """Grants tokens, and tells callers by them."""

    def __init__(self, keyring: Keyring, clock: Clock) -> None:
        """Grant for the access keys of a keyring."""
        self._keyring = keyring
        self._clock = clock

    def grant(self, asked: Grant) -> str:
        """A token for a client that knows its secret. Raises OAuthError."""
        now = self._clock.now()
        key = self._keyring.access_key(asked.client_id, now)
        expected = key.secret if key else "\0"
        if not hmac.compare_digest(expected.encode(), asked.client_secret.encode()) or key is None:
            raise unknown_client()
        self._keyring.note_used(key.id, now)
        claims = {"iss": ISSUER, "sub": key.id, "iat": now, "exp": now + timedelta(seconds=LIFE_SECONDS)}
        return jwt.encode(claims, signing_key(key), ALGORITHM, {"kid": key.id})

    def identify(self, token: str) -> Caller | None:
        """Whose token it is; None where it is none of ours, or not good any more."""
        now = self._clock.now()
        try:
            header = jwt.get_unverified_header(token)
            key = self._keyring.access_key(str(header.get("kid")), now)
            if key is None or header.get("alg") != ALGORITHM:
                return None
            return key.caller if _ends_later(_claims(token, key), now) else None
        except jwt.PyJWTError:
            return None


def signing_key(key: AccessKey) -> bytes:
    """What signs the tokens of an access key."""
    return hmac.digest(binascii.a2b_base64(key.secret), PURPOSE, "sha256")


def _claims(token: str, key: AccessKey) -> dict[str, Any]:
    """What a token says. When it ends is held against our own clock, which tests can hold still."""
    options: Any = {"require": ["exp", "iss", "sub"], "verify_exp": False, "verify_iat": False}
    claims: dict[str, Any] = jwt.decode(token, signing_key(key), algorithms=[ALGORITHM], issuer=ISSUER, options=options)
    return claims


def _ends_later(claims: dict[str, Any], now: datetime) -> bool:
    return bool(claims["exp"] > now.timestamp())
