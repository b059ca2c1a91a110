"""Amazon Connect: the proof that a contact was stopped through the API."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from gateway.domain.adapter import Adapter
from gateway.domain.model import JobAction, Json

BY_THE_API = "API"
"""The DisconnectReason of chats, tasks and e-mails that StopContact ended (Admin guide, ctr-data-model)."""
OTHER = "OTHER"
"""The DisconnectReason of voice contacts that the API ended, and of some others (the same page)."""


def was_stopped(contact: Mapping[str, Json], _: JobAction) -> bool | None:
    """A contact can end by itself too: True if the API ended it; None if its DisconnectReason leaves that open."""
    if contact.get("DisconnectTimestamp") is None:
        return False
    reason = contact.get("DisconnectReason")
    return None if reason in [None, OTHER] else reason == BY_THE_API


def simulate(contact: Mapping[str, Json], _: JobAction, __: datetime) -> Mapping[str, Json]:
    """StopContact writes the reason of the end, too: the contact with its DisconnectReason."""
    return {**contact, "DisconnectReason": BY_THE_API} if "DisconnectTimestamp" in contact else contact


ADAPTER = Adapter(
    Path(__file__).parents[1] / "specs/vendors/amazon-connect.yaml",
    evidence={"was_stopped": was_stopped},
    simulate=simulate,
)
