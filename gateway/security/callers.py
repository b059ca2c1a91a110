"""Identifies callers by an API key, a token or a signature."""

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
from gateway.security.refusal_log import RefusalLog
from gateway.security.web_tokens import TokenRefused

_DOTS = 2
"""Number of dots in a JSON Web Token. An API key has none."""


@dataclass(frozen=True)
class Callers:
    """All callers that this gateway knows."""

    keyring: Keyring = field(repr=False)
    clock: Clock
    tokens: OpenIdTokens | None = field(default=None, repr=False)

    @cached_property
    def access_tokens(self) -> AccessTokens:
        """The tokens that this gateway grants itself."""
        return AccessTokens(self.keyring, self.clock)

    @cached_property
    def _refusals(self) -> RefusalLog:
        return RefusalLog(self.clock)

    async def identify(self, credential: str) -> Caller | None:
        """Return the caller of a credential; None if it is refused, for a reason in the log.

        Raises IssuerUnavailable if a token cannot be checked.
        """
        caller = self.keyring.identify(credential, self.clock.now())
        if caller is not None:
            return caller
        if credential.count(".") != _DOTS:
            self._refusals.note(f"a credential is refused: {self.keyring.why_not(credential, self.clock.now())}")
            return None
        try:
            return self.access_tokens.identify(credential)
        except TokenRefused as refusal:
            reason = f"as a token of this gateway, {refusal}"
        if self.tokens is not None:
            try:
                return await self.tokens.identify(credential)
            except TokenRefused as refusal:
                reason = f"{reason}; as one of the issuer, {refusal}"
        self._refusals.note(f"a token is refused: {reason}")
        return None

    def who_signed(self, request: HttpRequest, signing: Signing, endpoint: str) -> tuple[Caller, SignedName | None]:
        """Return the caller that signed a request, and the name that the signature gives the request, if it is unique.

        A signature does not name its key, so every access key is tried. Raises Unauthenticated with the reason.
        """
        now = self.clock.now()
        try:
            signed = signing.verify(request, now, endpoint)
        except PermissionError as error:
            self._refusals.note(f"a signed request is refused: {error}")
            raise Unauthenticated(str(error)) from error
        for key in self.keyring.access_keys(now):
            signature = signed(key.secret)
            if signature is not None:
                self.keyring.note_used(key.id, now)
                lasts = signing.lasts
                return key.caller, None if lasts is None else SignedName(name_of(signature), now + lasts)
        self._refusals.note("a signed request is refused: no access key of this gateway has signed it")
        raise Unauthenticated(
            "No access key of this gateway has signed the request. `jobgate keys create --access-key` makes one."
        )


def name_of(signature: str) -> str:
    """The name that a signature gives its request. The tab makes it different from any key that a client can choose."""
    return f"signature\t{hashlib.sha256(signature.encode()).hexdigest()}"
