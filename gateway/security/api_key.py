"""An API key in a header: the security scheme `apiKey` of OpenAPI."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from gateway.domain.model import HttpRequest
from gateway.security.schemes import Claim, Parts, Scheme, lower, presents


def api_key(header: str) -> Scheme:
    """The scheme of a key that is the value of this header."""

    def sign(_request: HttpRequest, parts: Parts, _now: datetime) -> Mapping[str, str]:
        return {header: parts["key"]}

    def verify(request: HttpRequest, _now: datetime, _endpoint: str) -> Claim:
        key = lower(request.headers).get(header.lower(), "")
        return Claim(presents(key), presented=key)

    return Scheme("api-key", header.lower(), sign, verify)
