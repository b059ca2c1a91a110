"""Approvals in the ledger's database: each change is written together with its event, if nobody was faster."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.json import Decoder, Encoder
from sqlalchemy import Connection, Row, select, update

from gateway.domain.approvals import Approval, ApprovalChange, ApprovalQuery, ApprovalState
from gateway.domain.leases import Due, TaskKind
from gateway.domain.ports import Clock
from gateway.ledger.events import ApprovalChanged
from gateway.ledger.operations import add_events, event_row
from gateway.ledger.tables import approvals, insert_of
from gateway.ledger.tasks import put_task, wake_task

if TYPE_CHECKING:
    from gateway.ledger.ledger import SqlLedger

ENDING_A_WAIT = frozenset({ApprovalState.APPROVED, ApprovalState.REJECTED})
"""The states after which a batch does not wait for its approval any more. It sees the other ones by itself."""

_ENCODER = Encoder()
_DECODER = Decoder(Approval)


class WriteApproval(Struct, frozen=True, array_like=True, tag="write-approval"):
    """Store a new approval with the tasks of its notices, or its next version, with its event.

    A batch that waits for it goes on.

    The result is False if another process has stored another one of that version. `event_id` is the id of the event.
    """

    approval: Approval
    change: ApprovalChange
    event_id: str

    def run(self, connection: Connection) -> bool:
        """Store it."""
        if not stored(connection, self.approval):
            # It was sent again, since its first reply was lost; or somebody else was faster.
            return get(connection, self.approval.id) == self.approval
        row = connection.execute(select(approvals).where(approvals.c.id == self.approval.id)).one()
        event = event_of(self.approval, self.change, proof_of(row))
        # In a segment of its own, so that retention can delete the other events.
        add_events(connection, [event_row(self.event_id, 0, event)], self.change.at)
        if self.approval.version == 0:
            put_notices(connection, self.approval)
        if self.approval.state in ENDING_A_WAIT:
            wake_task(connection, Due(TaskKind.BATCH, self.approval.batch, self.change.at))
        return True


@dataclass(frozen=True)
class SqlApprovals:
    """The port `ApprovalStore` over the ledger's database."""

    ledger: SqlLedger
    clock: Clock

    async def write(self, approval: Approval, change: ApprovalChange) -> bool:
        """Store a new approval, or its next version. False if another process has stored that version."""
        is_stored: bool = await self.ledger.write(WriteApproval(approval, change, self.clock.new_id(change.at)))
        for notice in approval.notices if approval.version == 0 else ():
            self.ledger.agenda.note(TaskKind.NOTICE, notice.at)
        if approval.state in ENDING_A_WAIT:
            self.ledger.agenda.note(TaskKind.BATCH, change.at)
        return is_stored

    async def get(self, approval_id: str) -> Approval | None:
        """The approval with this id."""
        return await self.ledger.read(partial(get, approval_id=approval_id))

    async def selected(self, query: ApprovalQuery, before: str | None, limit: int) -> tuple[Approval, ...]:
        """The newest approvals that meet the conditions."""
        return await self.ledger.read(partial(selected, query=query, before=before, limit=limit))


def stored(connection: Connection, approval: Approval) -> bool:
    """Store an approval. False if its version is stored already."""
    columns = approvals.c
    changing = {
        "state": approval.state.value,
        "version": approval.version,
        "content": _ENCODER.encode(approval).decode(),
    }
    if approval.version:
        previous = (columns.id == approval.id, columns.version == approval.version - 1)
        return connection.execute(update(approvals).where(*previous).values(changing)).rowcount == 1
    person = approval.requester
    new = {"id": approval.id, "batch": approval.batch, "caller": person.caller, "owner": person.owner, **changing}
    statement = insert_of(connection, approvals).values(new).on_conflict_do_nothing().returning(columns.id)
    return connection.execute(statement).first() is not None


def put_notices(connection: Connection, approval: Approval) -> None:
    """Create the tasks by which the notices of a new emergency are delivered."""
    for notice in approval.notices:
        put_task(connection, Due(TaskKind.NOTICE, f"{approval.id}:{notice.event}", notice.at))


def event_of(approval: Approval, change: ApprovalChange, proof: str) -> ApprovalChanged:
    """The event of a change."""
    person = change.by
    return ApprovalChanged(
        change.at,
        approval.id,
        approval.version,
        approval.batch,
        change.what,
        approval.state.value,
        approval.plan.digest,
        proof,
        None if person is None else person.caller,
        None if person is None else person.owner,
        change.comment,
    )


def proof_of(row: Row[Any]) -> str:
    """A hash of all that is stored of an approval."""
    columns = (str(getattr(row, column.name)) for column in approvals.c)
    return hashlib.sha256("\0".join(columns).encode()).hexdigest()


def get(connection: Connection, approval_id: str) -> Approval | None:
    """The approval with this id."""
    return next(read(connection, approvals.c.id == approval_id), None)


def selected(connection: Connection, query: ApprovalQuery, before: str | None, limit: int) -> tuple[Approval, ...]:
    """At most `limit` of the approvals that meet the conditions, with ids before `before`, newest first."""
    columns = approvals.c
    conditions = [
        None if query.states is None else columns.state.in_([each.value for each in query.states]),
        None if query.batch is None else columns.batch == query.batch,
        None if query.owner is None else columns.owner == query.owner,
        None if before is None else columns.id < before,
    ]
    return tuple(read(connection, *(each for each in conditions if each is not None), limit=limit))


def read(connection: Connection, *conditions: Any, limit: int = 1) -> Iterator[Approval]:
    """The newest approvals that meet the conditions."""
    statement = select(approvals.c.content).where(*conditions).order_by(approvals.c.id.desc()).limit(limit)
    return iter([_DECODER.decode(content) for content in connection.execute(statement).scalars()])
