"""Authentication of requests by the security schemes of the vendor's document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from connexion.lifecycle import ConnexionRequest
from connexion.security import NO_VALUE

from gateway.domain.model import HttpRequest
from gateway.domain.vocabulary import Meaning
from gateway.edge.exchange import context_of
from gateway.sandbox.refusal import Refusal
from gateway.sandbox.request_log import exchange_of
from gateway.sandbox.settings import Credentials
from gateway.sandbox.simulator import Now
from gateway.sandbox.tokens import Tokens
from gateway.security.schemes import Scheme, lower
from gateway.specs.document import Document
from gateway.specs.security import NAME, kind_of, schemes

Check = Callable[[ConnexionRequest], Any]
"""Return the authenticated client, or NO_VALUE if the request has no credentials of the scheme.

Raises Refusal if the credentials are not valid.
"""


class SchemeHandler(Protocol):
    """The interface that Connexion requires of a handler for one type of security schemes."""

    def get_fn(self, security_scheme: Mapping[str, Any], required_scopes: list[str]) -> Check:
        """The check for one scheme of one operation."""


class OAuthScheme:
    """Bearer tokens issued by the sandbox."""

    def __init__(self, tokens: Tokens) -> None:
        """Accept these tokens."""
        self._tokens = tokens

    def get_fn(self, _: Mapping[str, Any], required_scopes: list[str]) -> Check:
        """The check for one operation. It raises Refusal for a bad token."""

        def check(request: ConnexionRequest) -> Any:
            kind, _, token = request.headers.get("authorization", "").partition(" ")
            if kind.lower() != "bearer":
                return NO_VALUE
            scopes = self._tokens.scopes_of(token.strip())
            if scopes is None:
                raise Refusal(Meaning.UNAUTHENTICATED)
            if not scopes.issuperset(required_scopes):
                raise Refusal(Meaning.FORBIDDEN)
            return {"scope": sorted(scopes)}

        return check


class SigningScheme:
    """Signatures, passwords and keys."""

    def __init__(self, known: Mapping[str, Scheme], credentials: Credentials, now: Now) -> None:
        """Verify by these schemes, by their names."""
        self._known = known
        self._credentials = credentials
        self._now = now

    def get_fn(self, security_scheme: Mapping[str, Any], _: list[str]) -> Check:
        """The check for one scheme. It raises Refusal for bad credentials."""
        scheme = self._known[security_scheme[NAME]]

        def check(request: ConnexionRequest) -> Any:
            if not scheme.is_used_by(lower(request.headers)):
                return NO_VALUE
            try:
                claim = scheme.verify(signed_request(request), self._now(), exchange_of(request.scope).endpoint)
            except PermissionError as error:
                raise Refusal(Meaning.UNAUTHENTICATED, str(error)) from error
            is_known = claim.client_id in {None, self._credentials.client_id}
            if claim.proof(self._credentials.access_key) is None or not is_known:
                raise Refusal(Meaning.UNAUTHENTICATED)
            return {}

        return check


def signed_request(request: ConnexionRequest) -> HttpRequest:
    """The request as its client signed it, with the URL that the client called."""
    exchange = exchange_of(request.scope)
    content = context_of(request.scope).content
    return HttpRequest(exchange.method, exchange.url, dict(request.headers), content)


def security_map(
    document: Document, oauth: OAuthScheme, signing: SigningScheme
) -> dict[str, Callable[[], SchemeHandler]]:
    """Connexion's `security_map`: a handler factory for each type of scheme."""
    handlers: dict[str, SchemeHandler] = {kind_of(scheme): signing for scheme in schemes(document).values()}
    handlers |= {"oauth2": oauth}
    return {kind: _factory(handler) for kind, handler in handlers.items()}


def _factory(handler: SchemeHandler) -> Callable[[], SchemeHandler]:
    return lambda: handler
