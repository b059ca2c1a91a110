"""Notices of emergencies: each is a task, taken by one process at a time, and sent to a webhook until it is accepted.

The task is written in the commit that begins the emergency. A process that ends in the middle of a delivery, or before
it is noted, leaves the task to the next one, which sends the notice again with the same id. So each notice is
delivered at least once, unless the webhook accepts it at no attempt within a day.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.approvals.approvals import Approvals
from gateway.domain.approvals import Approval, Notice, NoticeEvent, NoticeState
from gateway.domain.background import repeat
from gateway.domain.encoding import dump
from gateway.domain.leases import Lease
from gateway.domain.ports import Tasks
from gateway.telemetry.metrics import NOTICES

log = logging.getLogger(__name__)

SEND_SECONDS = 10.0
"""Longest time for an attempt, in seconds: less than a lease."""
SHORTEST_PAUSE = timedelta(seconds=5)
"""Time between the first two attempts. It doubles after each further one."""
LONGEST_PAUSE = timedelta(hours=1)
"""Longest time between two attempts."""
GIVE_UP = timedelta(days=1)
"""The time after which no failed attempt is repeated."""
FAILED = "failed"
"""The result of an attempt that is repeated."""

Send = Callable[[str, float, str], Awaitable[str | None]]
"""Sends content once, within so many seconds, with an id. Returns why it was not accepted, None if it was."""


@dataclass(frozen=True)
class Notices:
    """Delivers the notices of emergencies until the gateway stops."""

    approvals: Approvals
    tasks: Tasks
    send: Send

    async def run(self) -> None:
        """Deliver what is due, until cancelled."""
        for event in NoticeEvent:
            for result in (NoticeState.DELIVERED, NoticeState.UNDELIVERED, FAILED):
                NOTICES.begin(event, result)
        await repeat("notices", self._deliver_due, self.tasks.wait_until_due)

    async def _deliver_due(self) -> None:
        while await self.look():
            pass

    async def look(self) -> bool:
        """Try to deliver a notice that is due. Returns False if there is none."""
        leases = await self.tasks.take(1)
        for lease in leases:
            await self._deliver(lease)
        return bool(leases)

    async def _deliver(self, lease: Lease) -> None:
        """Try to deliver a notice, unless it is delivered or not needed any more."""
        approval_id, _, event = lease.key.partition(":")
        approval = await self.approvals.store.get(approval_id)
        notice = None if approval is None else approval.pending(event)
        if approval is None or notice is None:
            await self.tasks.end(lease)
            return
        failure = await self.send(content_of(approval, notice, lease.key), SEND_SECONDS, lease.key)
        now = self.approvals.clock.now()
        if failure is not None and now - notice.at < GIVE_UP:
            NOTICES.add(event, FAILED)
            log.warning("the webhook did not accept the notice %s: %s; it is sent again", lease.key, failure)
            await self.tasks.postpone(lease, now + pause_after(notice, now))
        elif failure is not None:
            log.error("the webhook did not accept the notice %s within a day: %s; it is given up", lease.key, failure)
            await self._end(lease, event, NoticeState.UNDELIVERED)
        else:
            log.info("the webhook accepted the notice %s", lease.key)
            await self._end(lease, event, NoticeState.DELIVERED)

    async def _end(self, lease: Lease, event: str, state: NoticeState) -> None:
        """Note what became of a notice, and end its task. If only the first is done, the next look does the second."""
        await self.approvals.note(lease.key.partition(":")[0], event, state)
        NOTICES.add(event, state)
        await self.tasks.end(lease)


def pause_after(notice: Notice, now: datetime) -> timedelta:
    """The time until the next attempt: as long as the notice has waited, within limits."""
    return min(max(now - notice.at, SHORTEST_PAUSE), LONGEST_PAUSE)


def content_of(approval: Approval, notice: Notice, message_id: str) -> str:
    """The content of a notice, as JSON. It is the same at each attempt."""
    emergency = approval.emergency
    return dump(
        {
            "id": message_id,
            "event": notice.event,
            "at": notice.at.isoformat(),
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
