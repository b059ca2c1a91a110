"""The Amazon Connect adapter: its pure functions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from adapters.amazon_connect import simulate, was_stopped
from gateway.domain.model import JobAction, Json

STOP = JobAction("cancel", "7", {})
NOW = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("contact", "shown"),
    [
        ({"Id": "7"}, False),
        ({"DisconnectTimestamp": 1767605400, "DisconnectReason": "API"}, True),
        ({"DisconnectTimestamp": 1767605400, "DisconnectReason": "AGENT_DISCONNECT"}, False),
        ({"DisconnectTimestamp": 1767605400, "DisconnectReason": "OTHER"}, None),
        ({"DisconnectTimestamp": 1767605400, "DisconnectReason": None}, None),
        ({"DisconnectTimestamp": 1767605400}, None),
    ],
)
def test_the_reason_of_the_end_tells_who_ended_a_contact(contact: Any, shown: bool | None) -> None:
    """Only the reason `API` proves a stop; `OTHER` is said of calls that the API ended, and of more."""
    assert was_stopped(contact, STOP) is shown


def test_a_stopped_contact_says_that_the_api_ended_it() -> None:
    """The simulated contact has the vendor's reason after its end, and is unchanged otherwise."""
    ended: dict[str, Json] = {"Id": "7", "DisconnectTimestamp": 1767605400, "DisconnectReason": "EXPIRED"}
    assert simulate(ended, STOP, NOW) == {**ended, "DisconnectReason": "API"}
    assert simulate({"Id": "7"}, JobAction("pause", "7", {}), NOW) == {"Id": "7"}
