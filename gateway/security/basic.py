"""HTTP Basic (RFC 7617): the name of a user and a password in the header Authorization."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime

from gateway.domain.model import HttpRequest
from gateway.security.schemes import Claim, Parts, Scheme, lower, presents

PREFIX = "Basic "


def sign(_request: HttpRequest, parts: Parts, _now: datetime) -> Mapping[str, str]:
    """The header of a user."""
    return {"Authorization": header_of(parts["username"], parts["password"])}


def verify(request: HttpRequest, _now: datetime, _endpoint: str) -> Claim:
    """Read the user and the password of a request. Raises PermissionError if they cannot be read."""
    pair = pair_in(lower(request.headers).get("authorization", ""))
    if pair is None:
        raise PermissionError("The Authorization header is not `Basic` with a user name and a password in Base64.")
    username, password = pair
    return Claim(presents(password), username, password)


BASIC = Scheme("basic", "authorization", sign, verify, PREFIX)


def header_of(username: str, password: str) -> str:
    """The value of the header Authorization."""
    return PREFIX + base64.b64encode(f"{username}:{password}".encode()).decode("ascii")


def is_basic(authorization: str) -> bool:
    """True if a header Authorization has this scheme, in any case (RFC 9110, 11.1)."""
    return authorization.partition(" ")[0].lower() == PREFIX.strip().lower()


def pair_in(authorization: str) -> tuple[str, str] | None:
    """The user name and the password in a header Authorization; None if it has none."""
    if not is_basic(authorization):
        return None
    credentials = authorization[len(PREFIX) :].strip(" ")
    try:
        username, colon, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (username, password) if colon else None
