"""Tokens that this gateway grants for access keys: JWTs, signed with a key that is derived from the access key.

So every process that knows the access key can check its tokens, and no token is valid for longer than its key.
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
from gateway.security.refusal_log import RefusalLog
from gateway.security.web_tokens import Expected, TokenRefused, read_claims, read_header

ALGORITHM = "HS256"
ISSUER = "jobgate"
PURPOSE = b"access tokens"
"""Makes the key that signs tokens different from the one that signs requests."""
LIFE_SECONDS = 7_200
"""Lifetime of a token, in seconds: the same as Vonage's."""
EXPECTED = Expected((ALGORITHM,), ISSUER, ("exp", "iss", "sub"), times=("exp",))
"""Rules for our own tokens. `iat` is not checked: it may come from the slightly different clock of another gateway."""


class AccessTokens:
    """Grants tokens, and identifies callers by them."""

    def __init__(self, keyring: Keyring, clock: Clock) -> None:
        """Grant for the access keys of a keyring."""
        self._keyring = keyring
        self._clock = clock
        self._refusals = RefusalLog(clock)

    def grant(self, asked: Grant) -> str:
        """Grant a token to a client.

        Raises OAuthError if the client is unknown, or its secret is wrong. Only the log says which.
        """
        now = self._clock.now()
        key = self._keyring.access_key(asked.client_id, now)
        expected = key.secret if key else "\0"
        if not hmac.compare_digest(expected.encode(), asked.client_secret.encode()) or key is None:
            reason = (
                "no valid access key has its client id" if key is None else "its secret is not that of its access key"
            )
            self._refusals.note(f"a client is refused a token: {reason}")
            raise unknown_client()
        self._keyring.note_used(key.id, now)
        claims = {"iss": ISSUER, "sub": key.id, "iat": now, "exp": now + timedelta(seconds=LIFE_SECONDS)}
        return jwt.encode(claims, signing_key(key), ALGORITHM, {"kid": key.id})

    def identify(self, token: str) -> Caller:
        """Return the caller of a token. Raises TokenRefused if the token is not ours, or no longer valid."""
        now = self._clock.now()
        key = self._keyring.access_key(str(read_header(token, EXPECTED).get("kid")), now)
        if key is None:
            raise TokenRefused("it names no access key of this gateway")
        read_claims(token, signing_key(key), EXPECTED, now)
        return key.caller


def signing_key(key: AccessKey) -> bytes:
    """The key that signs the tokens of an access key."""
    return hmac.digest(binascii.a2b_base64(key.secret), PURPOSE, "sha256")
