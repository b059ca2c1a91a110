"""The guard rail on the share of a connection's jobs: only a person lifts it, by naming the share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.batches.conftest import CONNECTION, House, queued

SELECT = {"filter": {"connections": [CONNECTION]}}
JOBS = 10
"""The jobs of the connection. Those that are not queued are closed, and no batch acts on them."""


@pytest.mark.parametrize(
    ("acting", "limits", "state"),
    [
        pytest.param(2, {}, "completed", id="as much as the setting allows"),
        pytest.param(3, {}, "awaiting_confirmation", id="more"),
        pytest.param(3, {"maxShare": 0.9}, "awaiting_confirmation", id="a request that would widen the setting"),
        pytest.param(1, {"maxShare": 0.05}, "awaiting_confirmation", id="a request that narrows it"),
    ],
)
async def test_a_count_lifts_no_share(house: House, acting: int, limits: Mapping[str, Any], state: str) -> None:
    """The expected count confirms a batch only within the share; beyond it, a person has to confirm the share."""
    filled(house, acting)
    new = await house.create(select=SELECT, confirm={"expectedCount": acting}, limits=limits)
    batch = await house.go_on_until(new, "awaiting_confirmation", "completed")
    assert batch["state"] == state
    if state == "completed":
        assert len(house.vendor.asked) == acting
        return
    assert not house.vendor.asked
    assert (await house.confirm(batch)).json["code"] == "manifest-differs"
    assert (await house.confirm(batch, share=batch["manifest"]["share"])).status == 200
    await house.go_on_until(batch, "completed")
    assert len(house.vendor.asked) == acting


@pytest.mark.parametrize(("acting", "status", "state"), [(2, 200, "ready"), (3, 409, "awaiting_confirmation")])
async def test_no_emergency_lifts_the_share(house: House, acting: int, status: int, state: str) -> None:
    """A batch that acts on a larger share is no emergency: break-glass is refused, and the batch waits."""
    filled(house, acting)
    batch = await house.go_on_until(await house.create(select=SELECT), "awaiting_confirmation")
    shown = {"manifestDigest": batch["manifest"]["digest"], "count": batch["manifest"]["count"]}
    body = {**shown, "reason": "The hotline is down for everybody"}
    answer = await house.ask("POST", f"/batches/{batch['id']}/break-glass", body)
    assert answer.status == status, answer.json
    assert answer.json.get("code") == (None if status == 200 else "break-glass-refused")
    assert (await house.ask("GET", f"/batches/{batch['id']}")).json["state"] == state


def filled(house: House, acting: int) -> None:
    """Give the connection its jobs, of which so many are queued."""
    house.vendor.jobs |= {f"closed-{each}": "closed" for each in range(JOBS - acting)}
    queued(house, acting)
