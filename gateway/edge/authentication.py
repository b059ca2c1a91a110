"""Authentication and authorization, in Connexion's security layer, by the security requirements of the document.

An operation requires two schemes together: one that identifies the caller, and `scopes`, which authorizes it. The first
is `bearer` in the unified API, and a scheme of the vendor, token or signature, in a vendor's own API. If an operation
has a connection, the caller must be allowed to use it; otherwise the connection counts as unknown.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from connexion.exceptions import OAuthProblem
from connexion.middleware.abstract import ROUTING_CONTEXT
from connexion.middleware.security import SecurityAPI, SecurityMiddleware, SecurityOperation
from connexion.operations import AbstractOperation
from connexion.security import NO_VALUE, AbstractSecurityHandler, SecurityHandlerFactory
from connexion.spec import Specification
from msgspec import Struct

from gateway.domain.access import NOBODY, Caller
from gateway.domain.encoding import FORM
from gateway.domain.errors import Forbidden, Unauthenticated, no_such_connection
from gateway.domain.model import HttpRequest, Json
from gateway.edge.exchange import Receive, RequestContext, Scope, Send, context_of
from gateway.edge.rates import Rates
from gateway.edge.validation import form_values
from gateway.security.callers import Callers
from gateway.security.schemes import Scheme
from gateway.specs.native import NativeApi
from gateway.specs.security import BEARER, NAME, TOKENS, kind_of, schemes

TokenInfo = Mapping[str, str]
"""The result of a check that succeeded, by Connexion's name."""
Check = Callable[["SecurityCheck"], TokenInfo | Awaitable[Any] | Any]
SecurityMap = Mapping[str, type[AbstractSecurityHandler]]
"""Connexion's handlers by kind of security scheme."""

Needed = Callable[["SecurityCheck", frozenset[str]], frozenset[str]]
"""Returns the scopes that a request needs, given those that a security requirement names."""

_BEARER = BEARER.lower()
_BEARER_BYTES = _BEARER.encode()


class SecurityCheck(Struct, frozen=True):
    """The authentication and authorization of one request, whose context at the edge is `request`.

    Connexion keeps the results in `context`.
    """

    scope: Scope
    request: RequestContext
    context: dict[str, Any] = {}

    @property
    def operation_id(self) -> str:
        """The id of the requested operation."""
        name: str = self.scope["extensions"][ROUTING_CONTEXT]["operation_id"]
        return name

    @property
    def connection(self) -> str | None:
        """The connection in the path, or None."""
        name: str | None = self.scope["path_params"].get("connection")
        return name


class Secured(SecurityOperation):
    """Connexion's check of one operation, without making a new request object from the scope."""

    def _get_verification_fn(self) -> Callable[[SecurityCheck], Awaitable[None]]:
        """The check of the document's requirements, by Connexion itself if it has no check for one of their schemes."""
        by_connexion: Callable[[SecurityCheck], Awaitable[None]] = super()._get_verification_fn()  # type: ignore[no-untyped-call]
        factory, known = self.security_handler_factory, self.security_schemes
        requirements: list[list[Any]] = [
            [factory.parse_security_scheme(known[name], scopes) for name, scopes in required.items()]
            for required in self.security
        ]
        is_complete = bool(requirements) and all(checks and None not in checks for checks in requirements)
        return partial(verify, requirements) if is_complete else by_connexion

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request."""
        context = context_of(scope)
        context.routed = scope["extensions"][ROUTING_CONTEXT]
        if self.security:
            await self.verification_fn(SecurityCheck(scope, context))
        await self.next_app(scope, receive, send)


async def verify(requirements: Iterable[Iterable[Check]], check: SecurityCheck) -> None:
    """Make the checks of each security requirement in turn, as Connexion does, until one requirement is met.

    If none is, raises the most specific refusal, OAuthProblem if the request has no credentials for any.
    """
    refusals: list[Exception] = []
    for checks in requirements:
        try:
            for each in checks:
                result: Any = each(check)
                if not isinstance(result, dict) and result is not NO_VALUE:  # an answer that comes later
                    result = await result
                if not isinstance(result, dict):
                    break
            else:
                return
        except Exception as refusal:  # noqa: BLE001 - another requirement can still be met
            refusals.append(refusal)
    try:
        SecurityHandlerFactory._raise_most_specific(refusals)  # noqa: SLF001 - the order is Connexion's
    finally:
        del refusals  # errors and the frame that they passed would hold each other
    raise OAuthProblem(detail="The request has no credentials of this kind.")


class SecuredApi(SecurityAPI):
    """Connexion's checks of an API, by operation."""

    def make_operation(self, operation: AbstractOperation | Specification) -> SecurityOperation:
        """Make the check of one operation from its security requirements."""
        factory = self.security_handler_factory
        return Secured.from_operation(operation, next_app=self.next_app, security_handler_factory=factory)


class Security(SecurityMiddleware):
    """Connexion's security middleware."""

    api_cls = SecuredApi


@dataclass(frozen=True)
class Authenticator:
    """Identifies callers, and applies their rate limits."""

    callers: Callers
    rates: Rates

    async def by_token(self, check: SecurityCheck) -> TokenInfo:
        """Identify the caller by an API key or a token. Raises Unauthenticated and TooManyRequests."""
        if check.request.caller is not NOBODY:
            return _known(check)
        try:
            credential = credential_of(check.request)
        except Unauthenticated as refusal:
            if b"authorization" in check.request.fields:
                self.callers.note_refusal(refusal.detail)
            raise
        caller = await self.callers.identify(credential)
        if caller is None:
            raise Unauthenticated("The API key or token is unknown or no longer valid.")
        return self._let_in(caller, check)

    def by_signature(self, check: SecurityCheck, scheme: Scheme, endpoint: str) -> TokenInfo:
        """Identify the caller by a signature, and keep its name. Raises Unauthenticated and TooManyRequests."""
        if check.request.caller is not NOBODY:
            return _known(check)
        caller, check.request.signature = self.callers.who_signed(signed_request(check), scheme, endpoint)
        return self._let_in(caller, check)

    def _let_in(self, caller: Caller, check: SecurityCheck) -> TokenInfo:
        check.request.caller = caller
        check.request.current.caller = caller.name
        self.rates.admit(caller, check.request)
        return _known(check)


def _known(check: SecurityCheck) -> TokenInfo:
    """The result for Connexion if the caller is known. It asks once for each security requirement."""
    return {"sub": check.request.caller.name}


def unified_security(authenticator: Authenticator) -> SecurityMap:
    """The security handlers of the unified API: `bearer` identifies the caller."""
    return {_BEARER: handler(lambda _scheme, _scopes: authenticator.by_token), **may_do(lambda _, required: required)}


def may_do(needed: Needed) -> SecurityMap:
    """The security handler of every API for `openIdConnect`, which authorizes the caller."""

    def scopes(_scheme: Mapping[str, Any], required: list[str]) -> Check:
        named = frozenset(required)

        def authorize(check: SecurityCheck) -> TokenInfo | Any:
            asked = needed(check, named)
            if not asked.issuperset(required):
                return NO_VALUE  # this requirement belongs to another action
            check_scopes(check.request.caller, sorted(asked), check.connection)
            return _known(check)

        return authorize

    return {"openIdConnect": handler(scopes)}


def vendor_security(authenticator: Authenticator, native: NativeApi) -> SecurityMap:
    """The security handlers of a vendor's own API: tokens, or signatures by the name of their scheme."""

    def by_token(check: SecurityCheck) -> Awaitable[TokenInfo] | Any:
        return authenticator.by_token(check) if _is_bearer(check.request) else NO_VALUE

    def signed(written: Mapping[str, Any], _scopes: list[str]) -> Check:
        scheme = native.schemes[written[NAME]]

        def by_signature(check: SecurityCheck) -> TokenInfo | Any:
            is_bearer = _is_bearer(check.request)
            if is_bearer and not native.takes_tokens:
                authenticator.callers.note_refusal(f"{native.vendor.name} has no bearer tokens")
                raise Unauthenticated(
                    f"The API of {native.vendor.name} has no bearer tokens. Its clients send an access key as "
                    f"{written[NAME]}; `jobgate keys create --access-key` makes one."
                )
            if is_bearer or not scheme.is_used_by(headers_of(check.request)):
                return NO_VALUE
            endpoint = f"{check.request.address.written}{native.base_path}/{check.connection}"
            return authenticator.by_signature(check, scheme, endpoint)

        return by_signature

    def needed(check: SecurityCheck, _: frozenset[str]) -> frozenset[str]:
        always = native.always_needed.get(check.operation_id)
        if always is not None:
            return always
        parts = {"path": check.scope["path_params"], "body": body_of(check.request)}
        return native.needed(check.operation_id, parts)

    others = dict.fromkeys(map(kind_of, schemes(native.api.document).values()), handler(signed))
    tokens = dict.fromkeys(TOKENS, handler(lambda _scheme, _scopes: by_token))
    return {**others, **tokens, **may_do(needed)}


def body_of(context: RequestContext) -> Json:
    """The body of a request before validation, a form as texts. Raises MalformedRequest if it is not a form."""
    return form_values(context.content)[0] if context.media_type == FORM else context.body


def handler(make: Callable[[Mapping[str, Any], list[str]], Check]) -> type[AbstractSecurityHandler]:
    """Make Connexion's handler for a kind of security scheme. `make` makes the check from a scheme and its scopes."""

    class Handler(AbstractSecurityHandler):
        """Makes the check of a request for Connexion."""

        def get_fn(self, security_scheme: dict[str, Any], required_scopes: list[str]) -> Check:
            """Return the check of a request."""
            return make(security_scheme, required_scopes)

    return Handler


def credential_of(context: RequestContext) -> str:
    """Return the API key or token of a request. Raises Unauthenticated without one."""
    scheme, _, credential = context.fields.get(b"authorization", b"").decode("latin-1").partition(" ")
    if not scheme:
        raise Unauthenticated("The request has no Authorization header.")
    if scheme.lower() != _BEARER:
        raise Unauthenticated("The Authorization header does not use the Bearer scheme.")
    if not credential.strip(" "):
        raise Unauthenticated("The Authorization header contains no API key or token.")
    return credential.strip(" ")


def _is_bearer(context: RequestContext) -> bool:
    return context.fields.get(b"authorization", b"").partition(b" ")[0].lower() == _BEARER_BYTES


def signed_request(check: SecurityCheck) -> HttpRequest:
    """The request as its sender signed it, with the address that the sender called."""
    context, scope = check.request, check.scope
    query = f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
    url = f"{context.address.written}{scope['raw_path'].decode('latin-1')}{query}"
    return HttpRequest(context.method, url, headers_of(context), context.content)


def headers_of(context: RequestContext) -> dict[str, str]:
    """The headers of a request by their names in lower case."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in context.fields.items()}


def check_scopes(caller: Caller, required: Iterable[str], connection: str | None) -> None:
    """Raise Forbidden if the caller lacks a scope, and UnknownConnection if it must not use the connection."""
    if connection is not None and not caller.may_use(connection):
        raise no_such_connection()
    missing = [scope for scope in required if not caller.may(scope)]
    if missing:
        raise Forbidden(f"This operation needs the scope {' and '.join(missing)}, which the caller does not have.")
