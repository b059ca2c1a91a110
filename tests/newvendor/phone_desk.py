"""A vendor that exists nowhere, whose jobs have no status of their own: all that it needs beside its document."""

import hmac
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from gateway.domain.adapter import Adapter, Signed, Signing
from gateway.domain.model import HttpRequest


def sign(request: HttpRequest, secret: str, now: datetime) -> Mapping[str, str]:
    """The desk takes a key in a header."""
    return {"X-Phone-Key": secret}


def verify(request: HttpRequest, now: datetime, endpoint: str) -> Signed:
    """The same, read backwards."""
    sent = {name.lower(): value for name, value in request.headers.items()}
    key = sent.get("x-phone-key", "").encode()
    return lambda secret: secret if hmac.compare_digest(key, secret.encode()) else None


ADAPTER = Adapter(Path(__file__).with_name("phone_desk.yaml"), signing={"phoneKey": Signing(sign, verify)})
