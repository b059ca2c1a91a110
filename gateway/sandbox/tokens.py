"""Access tokens of OAuth 2.0, and the endpoint that grants them (RFC 6749, 4.4)."""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.domain.encoding import dump
from gateway.domain.model import Json
from gateway.edge.exchange import RawReply
from gateway.sandbox.settings import Credentials
from gateway.sandbox.simulator import Now
from gateway.security.grants import NO_STORE, Grant, OAuthError, granted, read_grant, unknown_client

_JSON = {"content-type": "application/json"}


@dataclass(frozen=True)
class Token:
    """An issued token, valid for `seconds`."""

    value: str
    scopes: frozenset[str]
    seconds: int

    def body(self) -> Mapping[str, Json]:
        """The token endpoint's answer."""
        return granted(self.value, self.scopes, self.seconds)


class Tokens:
    """The valid tokens of one vendor. Safe to use from several threads."""

    def __init__(self, now: Now) -> None:
        """Start without tokens."""
        self._now = now
        self._lock = threading.Lock()
        self._issued: dict[str, tuple[datetime, frozenset[str]]] = {}

    def issue(self, scopes: frozenset[str], seconds: int) -> Token:
        """Issue a new token."""
        token, now = Token(secrets.token_urlsafe(32), scopes, seconds), self._now()
        with self._lock:
            self._issued = {key: each for key, each in self._issued.items() if each[0] > now}
            self._issued[token.value] = now + timedelta(seconds=seconds), scopes
        return token

    def scopes_of(self, value: str) -> frozenset[str] | None:
        """The scopes of a token; None if it is not valid or has expired."""
        with self._lock:
            expires, scopes = self._issued.get(value, (self._now(), frozenset()))
        return scopes if expires > self._now() else None

    def expire(self) -> None:
        """Invalidate all tokens issued so far."""
        with self._lock:
            self._issued.clear()


@dataclass(frozen=True)
class TokenEndpoint:
    """Grants tokens for client credentials. `scopes` are those of the vendor's document."""

    tokens: Tokens
    credentials: Credentials
    scopes: frozenset[str]
    seconds: Callable[[], int]

    def answer(self, form: Mapping[str, list[str]], basic: tuple[str | None, str | None] | None) -> RawReply:
        """Answer a request with this form. `basic` is the id and secret of HTTP Basic, None if they were not sent."""
        try:
            named = basic and (basic[0] or "", basic[1] or "")
            grant = read_grant({name: _once(values) for name, values in form.items()}, named, self.scopes)
            token = self._granted(grant)
        except OAuthError as error:
            return RawReply(error.status, _JSON | error.headers, dump(error.body))
        return RawReply(200, _JSON | NO_STORE, dump(token.body()))

    def _granted(self, grant: Grant) -> Token:
        known = _same(grant.client_id, self.credentials.client_id)
        if not (_same(grant.client_secret, self.credentials.client_secret) and known):
            raise unknown_client()
        return self.tokens.issue(grant.scopes, self.seconds())


def _once(values: list[str]) -> str:
    if len(values) > 1:
        raise OAuthError("invalid_request", "A parameter is given more than once")
    return values[0]


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
