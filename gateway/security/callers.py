"""Who calls: by an API key, or by a token of the issuer."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.domain.access import Caller
from gateway.domain.ports import Clock
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

    async def identify(self, credential: str) -> Caller | None:
        """Who presents this credential; None for nobody. Raises IssuerUnavailable."""
        caller = self.keyring.identify(credential, self.clock.now())
        if caller is None and self.tokens is not None and credential.count(".") == _DOTS:
            return await self.tokens.identify(credential)
        return caller
