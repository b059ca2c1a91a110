"""Credentials that Jobgate presents to vendors: signatures and OAuth 2.0 tokens.

Secrets leave this module only in requests to vendors.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from http import HTTPStatus
from urllib.parse import quote_plus, urlencode

from pydantic import SecretStr

from gateway.domain.errors import (
    Explanation,
    JobgateError,
    VendorDeniedAccess,
    VendorError,
    VendorReplyNotUnderstood,
    VendorThrottled,
    VendorTimedOut,
    VendorUnavailable,
)
from gateway.domain.model import HttpReply, HttpRequest, Json, Outcome
from gateway.domain.numbers import number
from gateway.domain.ports import Clock, Transport
from gateway.domain.retry_after import retry_after
from gateway.security.basic import header_of
from gateway.security.redaction import REDACTED
from gateway.security.schemes import Scheme, misfit
from gateway.security.single_flight import SingleFlight

log = logging.getLogger(__name__)

EARLY_SECONDS = 30.0
"""Seconds before the end of a token from which on it is not used. A short one is used for half of its life."""
RENEWAL_SECONDS = 60.0
"""Seconds before the end of a token at which it is renewed, while it is in use. A short one is renewed halfway."""
USUAL_LIFE_SECONDS = 300.0
"""Assumed lifetime of a token without a valid `expires_in`, in seconds. If it ends earlier, it is replaced."""
BEARER = "bearer"
"""The supported type of token, which is case-insensitive (RFC 6749, 5.1; RFC 6750, 4)."""

_TOKEN = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class Signature:
    """Signs each request as its security scheme says, with the parts of the credential as they are at that time."""

    scheme: Scheme
    parts: Mapping[str, SecretStr | str]
    clock: Clock

    async def headers(self, request: HttpRequest, deadline: float) -> Mapping[str, str]:  # noqa: ARG002 - the port's
        """The headers of the signature. Raises VendorDeniedAccess if a part cannot be read or used."""
        return self._signed(request)

    def redacted(self, request: HttpRequest) -> Mapping[str, str]:
        """The headers of the signature, redacted unless the scheme declares them public. Raises as `headers`."""
        signed = self._signed(request)
        return {name: value if name in self.scheme.public else REDACTED for name, value in signed.items()}

    def _signed(self, request: HttpRequest) -> Mapping[str, str]:
        parts = {name: usable(name, part) for name, part in self.parts.items()}
        try:
            return self.scheme.sign(request, parts, self.clock.now())
        except ValueError:
            log.error("a request could not be signed: the secret is not of the right form")  # noqa: TRY400 - enough
            raise unusable("secret") from None

    def renew(self, refused: Mapping[str, str]) -> bool:  # noqa: ARG002 - the port's
        """Return False: there is no other secret."""
        return False


@dataclass(frozen=True)
class Token:
    """An access token, and the times on the monotonic clock until which it is used, and at which it is renewed."""

    value: SecretStr
    used_until: float
    renew_at: float

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """The header that presents the token."""
        return {"Authorization": f"Bearer {self.value.get_secret_value()}"}


class ClientCredentials:
    """Gets bearer tokens with the client credentials grant (RFC 6749, 4.4), and uses each until it ends."""

    def __init__(  # noqa: PLR0913 - what the grant needs
        self,
        *,
        client_id: str,
        client_secret: SecretStr,
        token_url: str,
        scopes: tuple[str, ...],
        transport: Transport,
        clock: Clock,
        basic: bool = False,
    ) -> None:
        """Prepare to get tokens for `scopes` at `token_url`. `basic`: id and secret go into a header, not the form."""
        self._basic = basic
        self._form = {"grant_type": "client_credentials", "client_id": client_id}
        if scopes:
            self._form["scope"] = " ".join(scopes)
        self._secret = client_secret
        self._token_url = token_url
        self._transport = transport
        self._clock = clock
        self._token: Token | None = None
        self._fetches = SingleFlight[Token]()
        self._renewal: asyncio.Task[None] | None = None

    async def headers(self, request: HttpRequest, deadline: float) -> Mapping[str, str]:  # noqa: ARG002 - the port's
        """The header with the token. One request fetches a new token; others wait for it until their deadline."""
        token, now = self._token, self._clock.monotonic()
        if token is None or token.used_until < now:
            token = await self._renewed(deadline)
        elif self._renewal is None and token.renew_at <= now:
            self._renewal = asyncio.create_task(self._renew_early(token))
        return token.headers

    def _kept(self) -> Token | None:
        """The token, if it is valid for longer than a request takes."""
        token = self._token
        return token if token and token.used_until >= self._clock.monotonic() else None

    def _other_than(self, old: Token) -> Token | None:
        """The current token, if it has replaced `old`."""
        return None if self._token is old else self._kept()

    async def _renewed(self, deadline: float) -> Token:
        try:
            async with asyncio.timeout(deadline - self._clock.monotonic()):
                return await self._fetches.run(self._kept, lambda: self._replace(deadline))
        except TimeoutError as error:
            raise VendorTimedOut("The vendor's token endpoint did not answer in time.") from error

    async def _replace(self, deadline: float) -> Token:
        token = self._token = await self._fetch(deadline)
        return token

    async def _renew_early(self, token: Token) -> None:
        """Fetch a new token while the old one is in use. If that fails, try again a little later."""
        now = self._clock.monotonic()
        try:
            await self._fetches.run(lambda: self._other_than(token), lambda: self._replace(now + EARLY_SECONDS))
        except JobgateError as error:
            log.warning("a vendor's token could not be renewed early: %s", error.code)
            if self._token is token:
                self._token = replace(token, renew_at=now + EARLY_SECONDS / 3)
        finally:
            self._renewal = None

    def redacted(self, request: HttpRequest) -> Mapping[str, str]:  # noqa: ARG002 - the port's
        """The same header without the token."""
        return {"Authorization": f"Bearer {REDACTED}"}

    def renew(self, refused: Mapping[str, str]) -> bool:
        """Forget the refused token, if it is still the current one: fetching a new token can end the older ones."""
        if self._token is not None and refused == self._token.headers:
            self._token = None
        return True

    async def _fetch(self, deadline: float) -> Token:
        secret = revealed(self._secret, "client_secret")
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        form = self._form
        if self._basic:
            headers["Authorization"] = basic(form["client_id"], secret)
            form = {name: value for name, value in form.items() if name != "client_id"}
        else:
            form = form | {"client_secret": secret}
        request = HttpRequest("POST", self._token_url, headers, urlencode(form).encode())
        return self._read(await self._transport.send(request, deadline))

    def _read(self, reply: HttpReply) -> Token:
        if reply.status != HTTPStatus.OK:
            asked = Explanation(retry_after=retry_after(reply, self._clock.now()))
            raise _refusal(reply.status)(f"The vendor's token endpoint answered {reply.status}.", asked)
        try:
            body: Json = json.loads(reply.content)
        except (ValueError, RecursionError):
            body = None
        members = body if isinstance(body, Mapping) else {}
        token, kind = members.get("access_token"), members.get("token_type") or BEARER
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise VendorReplyNotUnderstood("The vendor's token endpoint answered without a token.")
        if not isinstance(kind, str) or kind.lower() != BEARER:
            raise VendorReplyNotUnderstood("The vendor's token endpoint answered with a token of another type.")
        now, seconds = self._clock.monotonic(), life(members.get("expires_in"))
        used, renewed = (now + max(seconds - each, seconds / 2) for each in (EARLY_SECONDS, RENEWAL_SECONDS))
        return Token(SecretStr(token), used, renewed)


def life(expires_in: object) -> float:
    """Lifetime of a token, in seconds. `expires_in` may be missing (RFC 6749, 5.1), and counts only above 0."""
    seconds = number(expires_in)
    return USUAL_LIFE_SECONDS if seconds is None or seconds <= 0 else seconds


def basic(client_id: str, secret: str) -> str:
    """Id and secret of a client as HTTP Basic, each form-encoded (RFC 6749, 2.3.1)."""
    return header_of(quote_plus(client_id), quote_plus(secret))


def unusable(name: str) -> VendorDeniedAccess:
    """Problem for a part of a credential that cannot be read or used. The log has the reason."""
    detail = f"The connection's {name} cannot be read or used. The gateway's log has the reason."
    return VendorDeniedAccess(detail, Explanation(outcome=Outcome.NOT_SENT))


def usable(name: str, part: SecretStr | str) -> str:
    """The current value of a part. Raises VendorDeniedAccess if it cannot be read or used, for a reason in the log."""
    value = part if isinstance(part, str) else revealed(part, name)
    if mend := misfit(name, value):
        log.error("a vendor's %s %s", name, mend)
        raise unusable(name)
    return value


def revealed(secret: SecretStr, name: str) -> str:
    """The current value of a secret. Raises VendorDeniedAccess if it cannot be read, for a reason in the log."""
    try:
        return secret.get_secret_value()
    except LookupError as error:
        log.error("a vendor's %s cannot be read: %s", name, error.args[0])  # noqa: TRY400 - a reason is enough
        raise unusable(name) from None


def _refusal(status: int) -> type[JobgateError]:
    """The kind of problem for a status of a token endpoint other than 200. Only 4xx concern the credentials."""
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return VendorThrottled
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return VendorUnavailable
    return {4: VendorDeniedAccess, 5: VendorError}.get(status // 100, VendorReplyNotUnderstood)
