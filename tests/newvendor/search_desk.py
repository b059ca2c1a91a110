"""A vendor that exists nowhere: its list is a search by POST."""

import hmac
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from gateway.domain.adapter import Adapter, Signed, Signing
from gateway.domain.model import HttpRequest


def sign(request: HttpRequest, secret: str, now: datetime) -> Mapping[str, str]:
    """The desk takes a token in a header."""
    return {"X-Desk-Token": secret}


def verify(request: HttpRequest, now: datetime, endpoint: str) -> Signed:
    """The same, read backwards."""
    sent = {name.lower(): value for name, value in request.headers.items()}
    token = sent.get("x-desk-token", "").encode()
    return lambda secret: secret if hmac.compare_digest(token, secret.encode()) else None


ADAPTER = Adapter(Path(__file__).with_name("search_desk.yaml"), signing={"deskToken": Signing(sign, verify)})
