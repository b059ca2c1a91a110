"""Tokens that this gateway grants for access keys: JWTs, signed with a secret that is made of the access key's own.

So every process that knows the access key knows its tokens, and none is good for longer than its key.
"""

from __future__ import annotations

import binascii
import hmac
from datetime import timedelta

import jwt

from gateway.domain.access import Caller
from gateway.domain.ports import Clock
from gateway.security.grants import Grant, unknown_client
from gateway.security.keys import AccessKey, Keyring
from gateway.security.web_tokens import Expected, TokenRefused, read_claims, read_header

ALGORITHM = "HS256"
ISSUER = "jobgate"
PURPOSE = b"access tokens"
"""Keeps what signs tokens apart from what signs requests."""
LIFE_SECONDS = 7_200
"""How long a token is good: as long as Vonage's."""
EXPECTED = Expected((ALGORITHM,), ISSUER, ("exp", "iss", "sub"), times=("exp",))
"""What a token of ours is. When it was made, the clock of another gateway may have said, which is not quite ours."""


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

    def identify(self, token: str) -> Caller:
        """Whose token it is. Raises TokenRefused where it is none of ours, or not good any more."""
        now = self._clock.now()
        key = self._keyring.access_key(str(read_header(token, EXPECTED).get("kid")), now)
        if key is None:
            raise TokenRefused("no access key of this gateway has made it")
        read_claims(token, signing_key(key), EXPECTED, now)
        return key.caller


def signing_key(key: AccessKey) -> bytes:
    """What signs the tokens of an access key."""
    return hmac.digest(binascii.a2b_base64(key.secret), PURPOSE, "sha256")
