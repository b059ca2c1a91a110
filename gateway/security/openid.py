"""Bearer tokens of an OpenID Connect issuer: JWTs, checked with the keys that the issuer publishes.

PyJWT checks signature, issuer, audience, algorithm and times. Its own client for key sets would block everybody while
it fetches; so they are fetched here, by one request for all who wait (OpenID Connect Discovery 1.0, RFC 7517).
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import jwt

from gateway.domain.access import Caller
from gateway.domain.errors import IssuerUnavailable, JobgateError
from gateway.domain.model import HttpRequest
from gateway.domain.ports import Clock, Transport

log = logging.getLogger(__name__)

KEYS_SECONDS = 600.0
"""How long a key set is used before it is fetched anew."""
UNKNOWN_SECONDS = 30.0
"""A key that is not in the set has it fetched anew, but no more often than this."""
AWAY_SECONDS = 2.0
"""How long an issuer that did not answer is left alone, so that nobody waits for one failure after the other."""
FETCH_SECONDS = 5.0
LEEWAY_SECONDS = 30
"""How far the issuer's clock and ours may be apart."""
LONGEST_TOKEN = 8_192
"""Characters."""
LONGEST_NAME = 60
CALLER_PREFIX = "jwt:"
"""What the names of callers begin with who come with a token."""
_DISCOVERY = "/.well-known/openid-configuration"


@dataclass(frozen=True)
class Issuer:
    """Who issues tokens, and what must be in them. `caller_claim` names the caller, `scopes_claim` what it may do."""

    url: str
    audience: str
    algorithms: tuple[str, ...]
    caller_claim: str
    scopes_claim: str


class OpenIdTokens:
    """Tells callers by the tokens of one issuer."""

    def __init__(self, issuer: Issuer, transport: Transport, clock: Clock) -> None:
        """Fetch the issuer's keys by `transport` when the first token comes."""
        self._issuer = issuer
        self._transport = transport
        self._clock = clock
        self._keys: Mapping[str | None, jwt.PyJWK] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._lock = asyncio.Lock()
        self._is_fetching = False

    async def identify(self, token: str) -> Caller | None:
        """Whose token it is; None where it is none, or not good. Raises IssuerUnavailable where nobody can know."""
        try:
            header = jwt.get_unverified_header(token) if len(token) <= LONGEST_TOKEN else {}
            if header.get("alg") not in self._issuer.algorithms:
                return None
            claims = await self._checked(token, header.get("kid"))
            return None if claims is None else self._caller(claims)
        except jwt.PyJWTError:
            return None

    async def _checked(self, token: str, key_id: str | None) -> Mapping[str, Any] | None:
        """The claims of a token; None where its key is unknown. Raises PyJWTError where it is not good.

        An issuer may publish another key under the same id, or under none: then the signature does not fit.
        """
        key = await self._key(key_id)
        if key is None:
            return None
        try:
            return self._claims(token, key)
        except jwt.InvalidSignatureError:
            newer = await self._key(key_id, refused=key)
            if newer is None or newer is key:
                raise
            return self._claims(token, newer)

    def _claims(self, token: str, key: jwt.PyJWK) -> Mapping[str, Any]:
        """What a token says. Raises PyJWTError where it is not good."""
        issuer = self._issuer
        claims: Mapping[str, Any] = jwt.decode(
            token,
            key,
            algorithms=list(issuer.algorithms),
            audience=issuer.audience,
            issuer=issuer.url,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iss", "aud"]},
        )
        return claims

    def _caller(self, claims: Mapping[str, Any]) -> Caller | None:
        """The caller that the claims name. Callers of tokens and of keys are never the same, whatever their names."""
        name, scopes = claims.get(self._issuer.caller_claim), claims.get(self._issuer.scopes_claim, "")
        if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
            return None
        words = scopes.split() if isinstance(scopes, str) else scopes if isinstance(scopes, list) else []
        return Caller(f"{CALLER_PREFIX}{name}", frozenset(each for each in words if isinstance(each, str)))

    async def _key(self, key_id: str | None, refused: jwt.PyJWK | None = None) -> jwt.PyJWK | None:
        """The issuer's key of this id, from a set that is not too old; another than `refused` where there is one."""
        if not self._is_fresh(key_id, refused):
            async with self._lock:
                if not self._is_fresh(key_id, refused):
                    await self._fetch()
        return self._keys.get(key_id)

    def _is_fresh(self, key_id: str | None, refused: jwt.PyJWK | None) -> bool:
        """Whether nothing newer needs to be fetched to know whether there is such a key."""
        key = self._keys.get(key_id)
        is_known = key is not None and key is not refused
        if self._is_fetching:
            return is_known
        now = self._clock.monotonic()
        if now - self._tried_at < UNKNOWN_SECONDS:
            return bool(self._keys)
        return is_known and now - self._fetched_at < KEYS_SECONDS

    async def _fetch(self) -> None:
        """Fetch the issuer's keys. Where that fails, those that were known serve on. Raises IssuerUnavailable."""
        now = self._clock.monotonic()
        if not self._keys and now - self._tried_at < AWAY_SECONDS:
            raise IssuerUnavailable("The issuer of tokens did not tell its keys a moment ago.")
        self._is_fetching = True
        try:
            document = await self._get(self._issuer.url.rstrip("/") + _DISCOVERY)
            found = jwt.PyJWKSet.from_dict(dict(await self._get(str(document["jwks_uri"]))))
        except (JobgateError, jwt.PyJWTError, ValueError, KeyError, RecursionError) as error:
            said = getattr(error, "diagnosis", None) or getattr(error, "detail", None) or type(error).__name__
            log.warning("the issuer's keys could not be fetched: %s", said)
            if not self._keys:
                raise IssuerUnavailable("The issuer of tokens did not tell its keys.") from error
            return
        finally:
            # Counted from the end: whoever waited for this fetch does not wait for another.
            self._is_fetching, self._tried_at = False, self._clock.monotonic()
        self._keys = {key.key_id: key for key in found.keys if key.public_key_use in {None, "sig"}}
        self._fetched_at = now

    async def _get(self, url: str) -> Mapping[str, Any]:
        deadline = self._clock.monotonic() + FETCH_SECONDS
        reply = await self._transport.send(HttpRequest("GET", url, {"Accept": "application/json"}), deadline)
        value = json.loads(reply.content) if reply.status == HTTPStatus.OK else None
        if not isinstance(value, dict):
            raise ValueError("the issuer did not answer with an object")  # noqa: TRY004 - it is no mistake of ours
        return value
