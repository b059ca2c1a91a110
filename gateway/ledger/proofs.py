"""Proofs of durable work: the hash of a batch's or a schedule's row, and its deletion by retention, in the chain."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from gateway.domain.batches import BatchState
from gateway.ledger.events import StateChanged

CHANGES_WITHOUT_EVENT: Mapping[str, tuple[str, ...]] = {
    BatchState.COLLECTING: ("connections",),
    BatchState.READY: ("version", "why"),
}
"""The members of a row's content that can change in a state without an event. No proof covers them."""
DELETED_BY_RETENTION = "deleted-by-retention"
"""The state in the last event of work whose row retention has deleted."""


def proven(event: StateChanged, row: Mapping[str, Any]) -> StateChanged:
    """The event with the version and the proof of the row that is stored with it."""
    return replace(event, version=row["version"], proof=proof_of(row["state"], row["content"]))


def deletion(of: str, key: str, version: int, now: datetime) -> StateChanged:
    """The event that retention deletes the row of this version: of a `batch`, or of a `schedule`."""
    return StateChanged(now, of, key, DELETED_BY_RETENTION, version=version + 1)


def proof_of(state: str, content: str) -> str:
    """A hash of a row's content. It does not change if a later version of Jobgate adds members."""
    left_out = CHANGES_WITHOUT_EVENT.get(state, ())
    members = {name: value for name, value in json.loads(content).items() if name not in left_out}
    return hashlib.sha256(json.dumps(members, sort_keys=True).encode()).hexdigest()
