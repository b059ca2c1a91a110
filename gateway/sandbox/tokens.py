"""Access tokens of OAuth 2.0, and the endpoint that grants them (RFC 6749, 4.4)."""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus

from gateway.domain.encoding import dump
from gateway.domain.model import Json
from gateway.edge.guard import RawReply
from gateway.sandbox.settings import Credentials
from gateway.sandbox.simulator import Now

_NO_STORE = {"content-type": "application/json", "cache-control": "no-store"}


@dataclass(frozen=True)
class Token:
    """A token as it was issued. It lives for `seconds`."""

    value: str
    scopes: frozenset[str]
    seconds: int

    def body(self) -> Mapping[str, Json]:
        """The token endpoint's answer."""
        return {
            "access_token": self.value,
            "token_type": "Bearer",
            "expires_in": self.seconds,
            "scope": " ".join(sorted(self.scopes)),
        }


class Tokens:
    """The tokens of one vendor that are valid. Safe to use from several threads."""

    def __init__(self, now: Now) -> None:
        """Start without any."""
        self._now = now
        self._lock = threading.Lock()
        self._issued: dict[str, tuple[datetime, frozenset[str]]] = {}

    def issue(self, scopes: frozenset[str], seconds: int) -> Token:
        """Make a new token."""
        token, now = Token(secrets.token_urlsafe(32), scopes, seconds), self._now()
        with self._lock:
            self._issued = {key: each for key, each in self._issued.items() if each[0] > now}
            self._issued[token.value] = now + timedelta(seconds=seconds), scopes
        return token

    def scopes_of(self, value: str) -> frozenset[str] | None:
        """What a token is good for; None where it is not valid (any more)."""
        with self._lock:
            expires, scopes = self._issued.get(value, (self._now(), frozenset()))
        return scopes if expires > self._now() else None

    def expire(self) -> None:
        """Make all tokens issued so far invalid."""
        with self._lock:
            self._issued.clear()


class OAuthError(Exception):
    """A request for a token that is not granted (RFC 6749, 5.2)."""

    def __init__(self, code: str, description: str, status: int = 400) -> None:
        """`code` and `description` go into the answer."""
        super().__init__(description)
        self.code = code
        self.status = status


@dataclass(frozen=True)
class TokenEndpoint:
    """Grants tokens for client credentials. `scopes` are those that the vendor's document knows."""

    tokens: Tokens
    credentials: Credentials
    scopes: frozenset[str]
    seconds: Callable[[], int]

    def answer(self, form: Mapping[str, list[str]], basic: tuple[str | None, str | None] | None) -> RawReply:
        """Answer a request: its form, and the id and secret of HTTP Basic where they were sent."""
        try:
            token = self._grant({name: _once(values) for name, values in form.items()}, basic)
        except OAuthError as error:
            body = {"error": error.code, "error_description": str(error)}
            challenge = {"www-authenticate": "Basic"} if error.status == HTTPStatus.UNAUTHORIZED else {}
            return RawReply(error.status, _NO_STORE | challenge, dump(body))
        return RawReply(200, _NO_STORE, dump(token.body()))

    def _grant(self, form: Mapping[str, str], basic: tuple[str | None, str | None] | None) -> Token:
        if not form.get("grant_type"):
            raise OAuthError("invalid_request", "The form has no grant_type")
        if form["grant_type"] != "client_credentials":
            raise OAuthError("unsupported_grant_type", "Invalid grant_type")
        self._authenticate(form, basic)
        scopes = frozenset(form.get("scope", "").split())
        if not scopes:
            raise OAuthError("invalid_scope", "You must specify a scope")
        if not scopes <= self.scopes:
            raise OAuthError("invalid_scope", "Invalid scope")
        return self.tokens.issue(scopes, self.seconds())

    def _authenticate(self, form: Mapping[str, str], basic: tuple[str | None, str | None] | None) -> None:
        in_form = form.get("client_id"), form.get("client_secret")
        if basic and in_form[1]:
            raise OAuthError("invalid_request", "The client authenticates in two ways")
        client_id, secret = basic or in_form
        known = _same(client_id, self.credentials.client_id)
        if not (_same(secret, self.credentials.client_secret) and known):
            raise OAuthError("invalid_client", "Unknown client or wrong secret", HTTPStatus.UNAUTHORIZED)


def _once(values: list[str]) -> str:
    if len(values) > 1:
        raise OAuthError("invalid_request", "A parameter is given more than once")
    return values[0]


def _same(given: str | None, expected: str) -> bool:
    return hmac.compare_digest((given or "").encode(), expected.encode())
