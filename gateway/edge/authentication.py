"""Connexion's security layer, told how this gateway knows its callers, and what the document asks of them.

An operation requires two schemes at once: one that tells who calls, and `scopes`, that the caller may do what the
operation does. The first is `bearer` in the unified API, and one of the vendor's schemes in its own: a token, or a
signature. Where an operation is about a connection, the caller may use that one too; to others it is as
unknown as one that is not there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from connexion.middleware.abstract import ROUTING_CONTEXT
from connexion.middleware.security import SecurityAPI, SecurityMiddleware, SecurityOperation
from connexion.operations import AbstractOperation
from connexion.security import NO_VALUE, AbstractSecurityHandler
from connexion.spec import Specification
from msgspec import Struct

from gateway.domain.access import NOBODY, Caller
from gateway.domain.adapter import Signing
from gateway.domain.errors import Forbidden, Unauthenticated, no_such_connection
from gateway.domain.model import HttpRequest
from gateway.edge.exchange import Receive, RequestContext, Scope, Send, context_of
from gateway.edge.rates import Rates
from gateway.security.callers import Callers
from gateway.specs.native import NativeApi
from gateway.specs.security import NAME, kind_of, schemes

Answer = Mapping[str, str]
Check = Callable[["SecurityCheck"], Answer | Awaitable[Any] | Any]
SecurityMap = Mapping[str, type[AbstractSecurityHandler]]
"""Connexion's handlers by kind of security scheme."""

Needed = Callable[["SecurityCheck", frozenset[str]], frozenset[str]]
"""The scopes that a request needs, where a requirement of its operation names these."""

_BEARER = "bearer"


class SecurityCheck(Struct, frozen=True):
    """Who sends this request, and may it? Connexion notes in `context` what it was answered."""

    scope: Scope
    context: dict[str, Any] = {}

    @property
    def request(self) -> RequestContext:
        """What the edge knows of the request."""
        return context_of(self.scope)

    @property
    def operation_id(self) -> str:
        """The operation that it asks for."""
        name: str = self.scope["extensions"][ROUTING_CONTEXT]["operation_id"]
        return name

    @property
    def connection(self) -> str | None:
        """The connection that it is about."""
        name: str | None = self.scope["path_params"].get("connection")
        return name


class Secured(SecurityOperation):
    """Connexion's check of one operation, without a request object made anew from the scope."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request."""
        if self.security:
            await self.verification_fn(SecurityCheck(scope))
        await self.next_app(scope, receive, send)


class SecuredApi(SecurityAPI):
    """Connexion's checks of an API, by operation."""

    def make_operation(self, operation: AbstractOperation | Specification) -> SecurityOperation:
        """The check of one operation, as its security requirements in the document say."""
        factory = self.security_handler_factory
        return Secured.from_operation(operation, next_app=self.next_app, security_handler_factory=factory)


class Security(SecurityMiddleware):
    """Connexion's security, from the document."""

    api_cls = SecuredApi


@dataclass(frozen=True)
class Authenticator:
    """Lets in who is known, and nobody too often."""

    callers: Callers
    rates: Rates

    async def by_token(self, question: SecurityCheck) -> Answer:
        """Let in who has an API key or a token. Raises Unauthenticated and TooManyRequests."""
        if question.request.caller is not NOBODY:
            return _known(question)
        caller = await self.callers.identify(credential_of(question.request))
        if caller is None:
            raise Unauthenticated("The API key or token is not known here, or not good any more.")
        return self._let_in(caller, question)

    def by_signature(self, question: SecurityCheck, signing: Signing, endpoint: str) -> Answer:
        """Let in who has signed the request, and note its name. Raises Unauthenticated and TooManyRequests."""
        if question.request.caller is not NOBODY:
            return _known(question)
        caller, question.request.signature = self.callers.who_signed(signed_request(question), signing, endpoint)
        return self._let_in(caller, question)

    def _let_in(self, caller: Caller, question: SecurityCheck) -> Answer:
        question.request.caller = caller
        self.rates.admit(caller, question.request)
        return _known(question)


def _known(question: SecurityCheck) -> Answer:
    """What Connexion is told of a caller who is known. An operation with several requirements asks for each of them."""
    return {"sub": question.request.caller.name}


def unified_security(authenticator: Authenticator) -> SecurityMap:
    """For the unified API: `bearer` tells who calls."""
    return {_BEARER: handler(lambda _scheme, _scopes: authenticator.by_token), **may_do(lambda _, required: required)}


def may_do(needed: Needed) -> SecurityMap:
    """For every API: `openIdConnect` is what the caller may do."""

    def scopes(_scheme: Mapping[str, Any], required: list[str]) -> Check:
        def authorize(question: SecurityCheck) -> Answer | Any:
            asked = needed(question, frozenset(required))
            if not asked.issuperset(required):
                return NO_VALUE  # this requirement is that of another action
            check_scopes(question.request.caller, sorted(asked), question.connection)
            return _known(question)

        return authorize

    return {"openIdConnect": handler(scopes)}


def vendor_security(authenticator: Authenticator, native: NativeApi) -> SecurityMap:
    """For a vendor's own API: tokens, and signatures by the name of their scheme, tell who calls."""

    async def by_token(question: SecurityCheck) -> Answer | Any:
        if not _is_bearer(question.request):
            return NO_VALUE
        return await authenticator.by_token(question)

    def signed(scheme: Mapping[str, Any], _scopes: list[str]) -> Check:
        signing, field_name = native.signings[scheme[NAME]], scheme.get("name", "authorization").lower().encode()

        def by_signature(question: SecurityCheck) -> Answer | Any:
            if field_name not in question.request.fields or _is_bearer(question.request):
                return NO_VALUE
            endpoint = f"{question.request.address.written}{native.base_path}/{question.connection}"
            return authenticator.by_signature(question, signing, endpoint)

        return by_signature

    def needed(question: SecurityCheck, _: frozenset[str]) -> frozenset[str]:
        parts = {"path": question.scope["path_params"], "body": question.request.body}
        return native.needed(question.operation_id, parts)

    others = dict.fromkeys(map(kind_of, schemes(native.api.document).values()), handler(signed))
    tokens = dict.fromkeys(("oauth2", _BEARER), handler(lambda _scheme, _scopes: by_token))
    return {**others, **tokens, **may_do(needed)}


def handler(make: Callable[[Mapping[str, Any], list[str]], Check]) -> type[AbstractSecurityHandler]:
    """Connexion's handler of a kind of security schemes: `make` gives the check of a scheme that requires scopes."""

    class Handler(AbstractSecurityHandler):
        """Gives Connexion the check of a request."""

        def get_fn(self, security_scheme: dict[str, Any], required_scopes: list[str]) -> Check:
            """The check of a request, as Connexion asks for it."""
            return make(security_scheme, required_scopes)

    return Handler


def credential_of(context: RequestContext) -> str:
    """The API key or token of a request. Raises Unauthenticated where there is none."""
    scheme, _, credential = context.fields.get(b"authorization", b"").decode("latin-1").partition(" ")
    if not scheme:
        raise Unauthenticated("The request has no Authorization header.")
    if scheme.lower() != _BEARER:
        raise Unauthenticated("The Authorization header is not of the scheme Bearer.")
    if not credential.strip(" "):
        raise Unauthenticated("The Authorization header has no API key or token.")
    return credential.strip(" ")


def _is_bearer(context: RequestContext) -> bool:
    return context.fields.get(b"authorization", b"").partition(b" ")[0].lower() == _BEARER.encode()


def signed_request(question: SecurityCheck) -> HttpRequest:
    """The request as its sender signed it: the address is the one that the sender called."""
    context, scope = question.request, question.scope
    query = f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
    url = f"{context.address.written}{scope['raw_path'].decode('latin-1')}{query}"
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in context.fields.items()}
    return HttpRequest(context.method, url, headers, context.content)


def check_scopes(caller: Caller, required: Iterable[str], connection: str | None) -> None:
    """Hold a caller against what an operation requires. Raises UnknownConnection and Forbidden."""
    if connection is not None and not caller.may_use(connection):
        raise no_such_connection()
    missing = [scope for scope in required if not caller.may(scope)]
    if missing:
        raise Forbidden(f"It needs the scope {' and '.join(missing)}, which this caller does not have.")
