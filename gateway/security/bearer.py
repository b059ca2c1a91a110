"""A bearer token that the vendor gives out once (RFC 6750, 2.1): the security scheme `http` `bearer` of OpenAPI."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from gateway.domain.model import HttpRequest
from gateway.security.schemes import Claim, Parts, Scheme, lower, presents

PREFIX = "Bearer "


def sign(_request: HttpRequest, parts: Parts, _now: datetime) -> Mapping[str, str]:
    """The header with the token."""
    return {"Authorization": PREFIX + parts["token"]}


def verify(request: HttpRequest, _now: datetime, _endpoint: str) -> Claim:
    """Read the token of a request. It is empty if there is none, and then proves nothing."""
    scheme, _, token = lower(request.headers).get("authorization", "").partition(" ")
    token = token.strip(" ") if scheme.lower() == PREFIX.strip().lower() else ""
    return Claim(presents(token), presented=token)


BEARER_TOKEN = Scheme("bearer", "authorization", sign, verify, PREFIX)
