"""Credentials that sign as an adapter's own functions do, and the requests of clients that sign."""

import requests
from pydantic import SecretStr

from gateway.domain.adapter import Signing
from gateway.domain.model import HttpRequest
from gateway.domain.ports import Clock
from gateway.security.credentials import Signature
from gateway.security.schemes import of_adapter


def signature(signing: Signing, secret: SecretStr | str, clock: Clock) -> Signature:
    """The credentials of a connection whose scheme is signed by the adapter."""
    return Signature(of_adapter(signing, "authorization"), {"secret": secret}, clock)


def as_signed(request: requests.PreparedRequest) -> HttpRequest:
    """A request of the package requests, as signatures see it."""
    body = request.body or b""
    content = body.encode() if isinstance(body, str) else body
    assert isinstance(content, bytes)
    headers = {name: str(value) for name, value in request.headers.items()}
    return HttpRequest(str(request.method), str(request.url), headers, content)
