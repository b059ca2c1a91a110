"""A vendor that exists nowhere, whose actions are accepted and take their time: what it needs beside its document."""

import hmac
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway.domain.adapter import Adapter, Signed, Signing
from gateway.domain.model import HttpRequest, JobAction


def sign(request: HttpRequest, secret: str, now: datetime) -> Mapping[str, str]:
    """The desk takes a token in a header."""
    return {"X-Desk-Token": secret}


def verify(request: HttpRequest, now: datetime, endpoint: str) -> Signed:
    """The same, read backwards."""
    sent = {name.lower(): value for name, value in request.headers.items()}
    token = sent.get("x-desk-token", "").encode()
    return lambda secret: secret if hmac.compare_digest(token, secret.encode()) else None


def taken_offers(offers: Mapping[str, Any]) -> tuple[str, ...]:
    """The offers that an agent has taken: they stand in a list of their own."""
    return tuple(each["id"] for each in offers["offers"] if each["taken"])


def is_done(ticket: Mapping[str, Any], _job_action: JobAction) -> bool:
    """True if the ticket is done."""
    return bool(ticket["state"] == "done")


ADAPTER = Adapter(
    Path(__file__).with_name("slow_desk.yaml"),
    signing={"deskToken": Signing(sign, verify)},
    finders={"taken_offers": taken_offers},
    evidence={"is_done": is_done},
)
