"""Bearer tokens of an OpenID Connect issuer: JWTs, checked with the keys that the issuer publishes.

PyJWT's own client for key sets would block the event loop while it fetches. So they are fetched here, once for all
requests that wait (OpenID Connect Discovery 1.0, RFC 7517).
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

from gateway.domain.access import CALLER_PREFIX, Caller, is_owner
from gateway.domain.errors import IssuerUnavailable, JobgateError
from gateway.domain.model import HttpRequest
from gateway.domain.ports import Clock, Transport
from gateway.security.web_tokens import Expected, TokenRefused, WrongSignature, read_claims, read_header

log = logging.getLogger(__name__)

KEYS_SECONDS = 600.0
"""Seconds for which a key set is used before it is fetched again."""
UNKNOWN_SECONDS = 30.0
"""Fewest seconds between two fetches, if a token names a key that is not in the set."""
AWAY_SECONDS = 2.0
"""Seconds for which an issuer that failed is not asked again, so that requests do not wait for repeated failures."""
FETCH_SECONDS = 5.0
LEEWAY_SECONDS = 30
"""Allowed difference between the issuer's clock and ours, in seconds."""
LONGEST_NAME = 255
"""Longest name of a caller, in characters: a subject has no more (OpenID Connect Core 1.0, 2)."""
DISCOVERY = "/.well-known/openid-configuration"
"""Path of an issuer's document, below its URL."""


@dataclass(frozen=True)
class Issuer:
    """An issuer of tokens, and what they must contain.

    `caller_claim` names the caller, `scopes_claim` its scopes, and `owner_claim` the person behind it.
    """

    url: str
    audience: str
    algorithms: tuple[str, ...]
    caller_claim: str
    scopes_claim: str
    owner_claim: str


class OpenIdTokens:
    """Identifies callers by the tokens of one issuer."""

    def __init__(self, issuer: Issuer, transport: Transport, clock: Clock) -> None:
        """Prepare to fetch the issuer's keys through `transport` when the first token arrives."""
        self._issuer = issuer
        self._expected = Expected(
            issuer.algorithms, issuer.url, ("exp", "iss", "aud"), issuer.audience, leeway=LEEWAY_SECONDS
        )
        self._transport = transport
        self._clock = clock
        self._keys: Mapping[str | None, jwt.PyJWK] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._lock = asyncio.Lock()
        self._is_fetching = False

    async def identify(self, token: str) -> Caller:
        """Return the caller of a token. Raises TokenRefused if it is not valid, IssuerUnavailable without keys."""
        key_id = read_header(token, self._expected).get("kid")
        return self._caller(await self._checked(token, key_id))

    async def _checked(self, token: str, key_id: str | None) -> Mapping[str, Any]:
        """The claims of a token. Raises TokenRefused if its key is unknown, or if it is not valid.

        An issuer may replace a key under the same id, or without an id: then the signature does not match the old key.
        """
        key = await self._key(key_id)
        if key is None:
            raise TokenRefused("the issuer publishes no key of its id")
        try:
            return read_claims(token, key, self._expected, self._clock.now())
        except WrongSignature:
            newer = await self._key(key_id, refused=key)
            if newer is None or newer is key:
                raise
            return read_claims(token, newer, self._expected, self._clock.now())

    def _caller(self, claims: Mapping[str, Any]) -> Caller:
        """The caller that the claims name. A caller with a token and one with a key are never the same caller.

        Their owner can be the same person, so the owner is exactly as the claim says. Without that claim, the caller is
        its own owner. Raises TokenRefused.
        """
        claim = self._issuer.caller_claim
        name, scopes = claims.get(claim), claims.get(self._issuer.scopes_claim, "")
        if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= LONGEST_NAME:
            raise TokenRefused(f"its {claim} is not a text of 1 to {LONGEST_NAME} printable characters")
        words = scopes.split() if isinstance(scopes, str) else scopes if isinstance(scopes, list) else []
        return Caller(
            f"{CALLER_PREFIX}{name}", frozenset(each for each in words if isinstance(each, str)), self._owner(claims)
        )

    def _owner(self, claims: Mapping[str, Any]) -> str:
        """The person that the claims name; empty without the claim. Raises TokenRefused."""
        owner = claims.get(self._issuer.owner_claim, "")
        if not isinstance(owner, str) or (owner and not is_owner(owner)):
            raise TokenRefused(f"its {self._issuer.owner_claim} does not name an owner")
        return owner

    async def _key(self, key_id: str | None, refused: jwt.PyJWK | None = None) -> jwt.PyJWK | None:
        """The issuer's key with this id, from a set that is not too old; another than `refused` if there is one."""
        if not self._is_fresh(key_id, refused):
            async with self._lock:
                if not self._is_fresh(key_id, refused):
                    await self._fetch()
        return self._keys.get(key_id)

    def _is_fresh(self, key_id: str | None, refused: jwt.PyJWK | None) -> bool:
        """True if no fetch is needed to know whether the key exists."""
        key = self._keys.get(key_id)
        is_known = key is not None and key is not refused
        if self._is_fetching:
            return is_known
        now = self._clock.monotonic()
        if now - self._tried_at < UNKNOWN_SECONDS:
            return bool(self._keys)
        return is_known and now - self._fetched_at < KEYS_SECONDS

    async def _fetch(self) -> None:
        """Fetch the issuer's keys. If that fails, the known ones stay in use. Raises IssuerUnavailable without any."""
        now = self._clock.monotonic()
        if not self._keys and now - self._tried_at < AWAY_SECONDS:
            raise IssuerUnavailable("The issuer of tokens did not provide its keys a moment ago.")
        self._is_fetching = True
        try:
            found = await self._published()
        except (JobgateError, ValueError, KeyError, RecursionError) as error:
            log.warning("the issuer's keys could not be fetched: %s", _reason(error))
            if not self._keys:
                raise IssuerUnavailable("The issuer of tokens did not provide its keys.") from error
            return
        finally:
            # Counted from the end, so that requests that waited for this fetch do not wait for another.
            self._is_fetching, self._tried_at = False, self._clock.monotonic()
        self._keys = found
        self._fetched_at = now

    async def _published(self) -> Mapping[str | None, jwt.PyJWK]:
        """The keys that the issuer publishes. Raises JobgateError, ValueError, KeyError and RecursionError."""
        document = await self._get(self._issuer.url.rstrip("/") + DISCOVERY)
        if document.get("issuer") != self._issuer.url:  # OpenID Connect Discovery 1.0, 4.3
            raise ValueError("the document at the address of openid.issuer names another issuer")
        return keys_of(await self._get(str(document["jwks_uri"])))

    async def _get(self, url: str) -> Mapping[str, Any]:
        deadline = self._clock.monotonic() + FETCH_SECONDS
        reply = await self._transport.send(HttpRequest("GET", url, {"Accept": "application/json"}), deadline)
        value = json.loads(reply.content) if reply.status == HTTPStatus.OK else None
        if not isinstance(value, dict):
            raise ValueError("the issuer did not answer with an object")  # noqa: TRY004 - the issuer's mistake
        return value


def _reason(error: Exception) -> str:
    """The reason for which keys could not be fetched, for the log. It holds nothing that the issuer has written."""
    if isinstance(error, JobgateError):
        return getattr(error, "diagnosis", None) or error.detail
    return str(error) if type(error) is ValueError else type(error).__name__


def keys_of(key_set: Mapping[str, Any]) -> Mapping[str | None, jwt.PyJWK]:
    """The usable keys of a key set by id. Others are ignored (RFC 7517, 5). Raises ValueError if none is usable."""
    listed = key_set.get("keys")
    made = (_key_of(each) for each in (listed if isinstance(listed, list) else ()))
    found = {key.key_id: key for key in made if key is not None and key.public_key_use in {None, "sig"}}
    if not found:
        raise ValueError("the issuer publishes no key that can be used")
    return found


def _key_of(member: object) -> jwt.PyJWK | None:
    try:
        return jwt.PyJWK(member) if isinstance(member, dict) else None
    except (jwt.PyJWTError, ValueError, TypeError, ArithmeticError, AttributeError):
        return None
