"""Notices to people: an emergency is sent to a webhook at once, while the request goes on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.domain.approvals import Approval
from gateway.domain.encoding import dump

if TYPE_CHECKING:
    from gateway.ledger.publishing import Webhook

SECONDS = 10.0
"""Longest time for a delivery, in seconds."""


@dataclass(frozen=True)
class WebhookNotice:
    """Sends emergencies to a webhook. A failed delivery is logged and not repeated."""

    webhook: Webhook
    _under_way: set[asyncio.Task[None]] = field(default_factory=set, repr=False)

    def send(self, approval: Approval) -> None:
        """Begin to send a notice of an emergency."""
        task = asyncio.get_running_loop().create_task(self.webhook.send(notice_of(approval), SECONDS))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)


def notice_of(approval: Approval) -> str:
    """The notice of an emergency, as JSON."""
    emergency = approval.emergency
    return dump(
        {
            "event": "break-glass",
            "approval": approval.id,
            "batch": approval.batch,
            "action": approval.plan.action,
            "jobs": sum(approval.plan.items.values()),
            "requestedBy": approval.requester.caller,
            "requestedByOwner": approval.requester.owner,
            "reason": "" if emergency is None else emergency.reason,
            "ticket": None if emergency is None else emergency.ticket,
            "reviewUntil": None if emergency is None else emergency.review_until.isoformat(),
        }
    ).decode()
