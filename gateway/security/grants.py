"""The client credentials grant of OAuth 2.0 (RFC 6749, 4.4), on the side of the authorization server."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote_plus

from gateway.security.basic import is_basic, pair_in

NO_STORE = {"cache-control": "no-store"}
"""Header of every answer about tokens (RFC 6749, 5.1)."""


class OAuthError(Exception):
    """A refused request for a token (RFC 6749, 5.2)."""

    def __init__(self, code: str, description: str, status: int = HTTPStatus.BAD_REQUEST) -> None:
        """Put `code` and `description` into the answer."""
        super().__init__(description)
        self.code = code
        self.status = status

    @property
    def body(self) -> dict[str, str]:
        """The answer's body."""
        return {"error": self.code, "error_description": str(self)}

    @property
    def headers(self) -> dict[str, str]:
        """The answer's header fields."""
        challenge = {"www-authenticate": 'Basic realm="jobgate"'} if self.status == HTTPStatus.UNAUTHORIZED else {}
        return NO_STORE | challenge


@dataclass(frozen=True)
class Grant:
    """A request for a token: the client's id and secret, and the requested scopes."""

    client_id: str
    client_secret: str = field(repr=False)
    scopes: frozenset[str]


def read_grant(form: Mapping[str, Any], basic: tuple[str, str] | None, known: Collection[str]) -> Grant:
    """Parse a token request from its form, and from HTTP Basic if the client used it. Raises OAuthError.

    `known` are the scopes that exist. If there are any, the request must name one.
    """
    if not form.get("grant_type"):
        raise OAuthError("invalid_request", "The form has no grant_type")
    if form["grant_type"] != "client_credentials":
        raise OAuthError("unsupported_grant_type", "Invalid grant_type")
    if basic and form.get("client_secret"):
        raise OAuthError("invalid_request", "The client authenticates in two ways")
    client_id, secret = basic or (form.get("client_id") or "", form.get("client_secret") or "")
    return Grant(client_id, secret, _scopes(form.get("scope", ""), known))


def unknown_client() -> OAuthError:
    """The refusal of an unknown client or a wrong secret."""
    return OAuthError("invalid_client", "Unknown client or wrong secret", HTTPStatus.UNAUTHORIZED)


def granted(token: str, scopes: Collection[str], seconds: int) -> dict[str, str | int]:
    """The body of an answer with a token (RFC 6749, 5.1)."""
    named = {"scope": " ".join(sorted(scopes))} if scopes else {}
    return {"access_token": token, "token_type": "Bearer", "expires_in": seconds, **named}


def read_basic(authorization: str) -> tuple[str, str] | None:
    """Id and secret in an HTTP Basic Authorization field, each form-encoded (RFC 6749, 2.3.1).

    None if the field has another scheme. A credential without both parts matches no client.
    """
    if not is_basic(authorization):
        return None
    client_id, secret = pair_in(authorization) or ("", "")
    return unquote_plus(client_id), unquote_plus(secret)


def _scopes(text: str, known: Collection[str]) -> frozenset[str]:
    scopes = frozenset(text.split())
    if known and not scopes:
        raise OAuthError("invalid_scope", "You must specify a scope")
    if not scopes <= frozenset(known):
        raise OAuthError("invalid_scope", "Invalid scope")
    return scopes
