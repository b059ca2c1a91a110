"""Signing people in at an OpenID Connect issuer: the authorization code flow with PKCE (RFC 7636).

The person's browser goes to the issuer and comes back with a code, which is exchanged here for an access token. That
token is checked like every other token of the issuer, by whoever uses it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

import jwt
from msgspec import Struct

from gateway.domain.errors import JobgateError
from gateway.domain.model import HttpRequest
from gateway.domain.ports import Clock, Transport
from gateway.security.openid import DISCOVERY, FETCH_SECONDS


class SignInFailed(Exception):
    """A sign-in that the issuer refused, or whose answer cannot be trusted. The text holds nothing of the issuer's."""


class Attempt(Struct, frozen=True):
    """One attempt to sign in, which stays with the browser until it comes back."""

    state: str
    nonce: str
    verifier: str

    @property
    def challenge(self) -> str:
        """The hash of the verifier (RFC 7636, 4.2: S256)."""
        return base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()


@dataclass(frozen=True)
class CodeFlow:
    """The code flow of one client at one issuer. `scope` is what the client asks for."""

    issuer: str
    client_id: str
    client_secret: str | None = field(repr=False)
    scope: str
    transport: Transport
    clock: Clock

    async def begin(self, redirect_uri: str) -> tuple[str, Attempt]:
        """Return the address of the issuer to which the browser goes, and the attempt. Raises SignInFailed."""
        attempt = Attempt(secrets.token_urlsafe(), secrets.token_urlsafe(), secrets.token_urlsafe(48))
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": redirect_uri,
            "scope": self.scope,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
        }
        endpoint = str((await self._discovered())["authorization_endpoint"])
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}", attempt

    async def finish(self, attempt: Attempt, state: str, code: str, redirect_uri: str) -> str:
        """Exchange a code for the access token. Raises SignInFailed if the code belongs to another attempt."""
        if not secrets.compare_digest(state.encode(), attempt.state.encode()):
            raise SignInFailed("the browser came back from another attempt")
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "client_id": self.client_id,
            "code_verifier": attempt.verifier,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"} | self._basic
        endpoint = str((await self._discovered())["token_endpoint"])
        answer = await self._ask(HttpRequest("POST", endpoint, headers, urlencode(form).encode()))
        self._check_identity(answer.get("id_token"), attempt)
        token = answer.get("access_token")
        if not isinstance(token, str):
            raise SignInFailed("the issuer granted no access token")
        return token

    @property
    def _basic(self) -> dict[str, str]:
        """The client's own credentials (RFC 6749, 2.3.1), none for a public client."""
        if self.client_secret is None:
            return {}
        pair = f"{quote(self.client_id, safe='')}:{quote(self.client_secret, safe='')}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}

    def _check_identity(self, token: object, attempt: Attempt) -> None:
        """Check that the ID token is for this attempt. It came from the issuer itself (OpenID Core 1.0, 3.1.3.7)."""
        try:
            claims = jwt.decode(str(token), options={"verify_signature": False})
        except jwt.PyJWTError:
            raise SignInFailed("the issuer sent no ID token") from None
        audience = claims.get("aud")
        named = audience if isinstance(audience, list) else [audience]
        if claims.get("nonce") != attempt.nonce or claims.get("iss") != self.issuer or self.client_id not in named:
            raise SignInFailed("the issuer's ID token is for somebody else")

    async def _discovered(self) -> Mapping[str, Any]:
        url = self.issuer.rstrip("/") + DISCOVERY
        found = await self._ask(HttpRequest("GET", url, {"Accept": "application/json"}))
        if found.get("issuer") != self.issuer or not {"authorization_endpoint", "token_endpoint"} <= found.keys():
            raise SignInFailed("the issuer's document is not usable")
        return found

    async def _ask(self, request: HttpRequest) -> Mapping[str, Any]:
        try:
            reply = await self.transport.send(request, self.clock.monotonic() + FETCH_SECONDS)
            value = json.loads(reply.content)
        except (JobgateError, ValueError, RecursionError):
            raise SignInFailed("the issuer did not answer") from None
        if reply.status != HTTPStatus.OK or not isinstance(value, dict):
            raise SignInFailed(f"the issuer answered with {reply.status}")
        return value
