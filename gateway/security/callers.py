"""Identifies callers by an API key, a token or a signature."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from gateway.domain.access import Caller
from gateway.domain.errors import Unauthenticated
from gateway.domain.model import HttpRequest
from gateway.domain.ports import Clock
from gateway.domain.record import SignedName
from gateway.security.access_tokens import AccessTokens
from gateway.security.keys import AccessKey, Keyring
from gateway.security.openid import OpenIdTokens
from gateway.security.refusal_log import RefusalLog
from gateway.security.schemes import Claim, Scheme
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

    def note_refusal(self, reason: str) -> None:
        """Log that a credential is refused before it is looked at. The reason contains nothing of it."""
        self._refusals.note(f"a credential is refused: {reason}")

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

    def who_signed(self, request: HttpRequest, scheme: Scheme, endpoint: str) -> tuple[Caller, SignedName | None]:
        """Return the caller that signed a request, and the name that the signature gives the request, if it is unique.

        Raises Unauthenticated with the reason.
        """
        now = self.clock.now()
        try:
            claim = scheme.verify(request, now, endpoint)
        except PermissionError as error:
            self._refusals.note(f"a signed request is refused: {error}")
            raise Unauthenticated(str(error)) from error
        for key in self._claimed(claim, now):
            proof = claim.proof(key.secret)
            if proof is not None:
                self.keyring.note_used(key.id, now)
                lasts = scheme.lasts
                return key.caller, None if lasts is None else SignedName(name_of(proof), now + lasts)
        caller = None if claim.presented is None else self.keyring.identify(claim.presented, now)
        if caller is not None:
            return caller, None
        self._refusals.note("a signed request is refused: no access key of this gateway has signed it")
        raise Unauthenticated(
            "No access key of this gateway has signed the request. `jobgate keys create --access-key` makes one."
        )

    def _claimed(self, claim: Claim, now: datetime) -> Iterable[AccessKey]:
        """The access keys that can prove a claim: the named one; every one if the scheme has no names."""
        if claim.client_id is None:
            return self.keyring.access_keys(now)
        named = self.keyring.access_key(claim.client_id, now)
        return () if named is None else (named,)


def name_of(signature: str) -> str:
    """The name that a signature gives its request. The tab makes it different from any key that a client can choose."""
    return f"signature\t{hashlib.sha256(signature.encode()).hexdigest()}"
