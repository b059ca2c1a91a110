"""A vendor that exists nowhere, with forms and HTTP Basic: all that it needs beside its document."""

import hmac
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from gateway.domain.adapter import Adapter, Signed, Signing
from gateway.domain.model import HttpRequest


def sign(request: HttpRequest, secret: str, now: datetime) -> Mapping[str, str]:
    """The desk takes the secret as a password."""
    return {"Authorization": f"Basic {b64encode(f'desk:{secret}'.encode()).decode()}"}


def verify(request: HttpRequest, now: datetime, endpoint: str) -> Signed:
    """The same, read backwards."""
    sent = {name.lower(): value for name, value in request.headers.items()}.get("authorization", "")

    def signed(secret: str) -> str | None:
        expected = sign(request, secret, now)["Authorization"]
        return secret if hmac.compare_digest(sent.encode(), expected.encode()) else None

    return signed


ADAPTER = Adapter(Path(__file__).with_name("form_desk.yaml"), signing={"account": Signing(sign, verify)})
