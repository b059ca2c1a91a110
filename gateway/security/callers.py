"""Who calls: by an API key, by a token, or by a signature."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

from gateway.domain.access import Caller
from gateway.domain.adapter import Signing
from gateway.domain.errors import Unauthenticated
from gateway.domain.model import HttpRequest
from gateway.domain.ports import Clock
from gateway.domain.record import SignedName
from gateway.security.access_tokens import AccessTokens
from gateway.security.keys import Keyring
from gateway.security.openid import OpenIdTokens

_DOTS = 2
"""How many a JSON Web Token has, and no API key."""


@dataclass(frozen=True)
class Callers:
    """Everybody who is known here."""

    keyring: Keyring = field(repr=False)
    clock: Clock
    tokens: OpenIdTokens | None = field(default=None, repr=False)

    @cached_property
    def access_tokens(self) -> AccessTokens:
        """The tokens that this gateway grants itself."""
        return AccessTokens(self.keyring, self.clock)

    async def identify(self, credential: str) -> Caller | None:
        """Who presents this credential; None for nobody. Raises IssuerUnavailable."""
        caller = self.keyring.identify(credential, self.clock.now())
        if caller is not None or credential.count(".") != _DOTS:
            return caller
        caller = self.access_tokens.identify(credential)
        if caller is None and self.tokens is not None:
            return await self.tokens.identify(credential)
        return caller

    def who_signed(self, request: HttpRequest, signing: Signing, endpoint: str) -> tuple[Caller, SignedName | None]:
        """Who has signed a request, and the name that this gives it. Raises Unauthenticated, saying what does not hold.

        A signature does not name who made it, so every access key is tried.
        """
        now = self.clock.now()
        try:
            signed = signing.verify(request, now, endpoint)
        except PermissionError as error:
            raise Unauthenticated(str(error)) from error
        for key in self.keyring.access_keys(now):
            signature = signed(key.secret)
            if signature is not None:
                self.keyring.note_used(key.id, now)
                lasts = signing.lasts
                return key.caller, None if lasts is None else SignedName(name_of(signature), now + lasts)
        raise Unauthenticated(
            "No access key of this gateway has signed the request. `jobgate keys create --access-key` makes one."
        )


def name_of(signature: str) -> str:
    """The name that a signature gives its request. Its tab keeps it apart from every key that a client can choose."""
    return f"signature\t{hashlib.sha256(signature.encode()).hexdigest()}"
