"""The permission of a batch: what it waits for after its confirmation, and what is checked again before it sends.

An approval gives no rights. Before anything is sent, the requester needs the scopes, the policies of that time have to
be met, and the approval must not have expired.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from msgspec import to_builtins
from msgspec.structs import replace

from gateway.approvals.approvals import Approvals
from gateway.domain.access import Caller
from gateway.domain.approvals import Approval, ApprovalState, Person, Plan
from gateway.domain.batches import Batch, BatchPlan, BatchState, Why
from gateway.domain.errors import ApprovalClosed, ApprovalRequired, PlanChanged
from gateway.domain.ports import Clock
from gateway.domain.vocabulary import DISCARD, MODE, TERMINATE, Mode
from gateway.ledger.batch_store import BatchStore

CHANGED = "configuration-changed"
"""Code of the reason for which a batch is stopped whose permission does not hold any more."""

Named = Callable[[str], Awaitable[tuple[Caller, ...] | None]]
"""Returns the present callers of a name, one for each valid key; None if this gateway cannot know."""


@dataclass(frozen=True)
class Permission:
    """The permissions of batches. `scopes` are those that a caller needs for each action."""

    approvals: Approvals
    store: BatchStore
    clock: Clock
    scopes: Mapping[str, frozenset[str]]
    named: Named

    async def gate(self, batch: Batch) -> Batch:
        """The confirmed batch in its next state: `ready`, or awaiting the approval that the policies want."""
        if not self.approvals.policies.all:
            return replace(batch, state=BatchState.READY)
        approval = await self.approvals.request(batch.id, await self.plan_of(batch), requester_of(batch))
        if approval is None:
            return replace(batch, state=BatchState.READY)
        return replace(batch, state=BatchState.AWAITING_APPROVAL, approval=approval.id)

    async def approval_of(self, batch: Batch) -> Approval | None:
        """The approval of a batch at this time; one whose time has passed is stored as expired."""
        return None if batch.approval is None else await self.approvals.end_by_time(batch.approval)

    async def end_in_vain(self, batch: Batch) -> Why | None:
        """The reason for which a batch that has not begun never will: its approval was refused, or has expired."""
        approval = await self.approval_of(batch)
        if approval is None or approval.emergency is not None:
            return None
        return REFUSED.get(approval.state)

    async def begin(self, batch: Batch) -> Why | None:
        """Note that a batch sends from now on. Returns the reason for which it must not."""
        missing = await self.missing(batch)
        if missing is not None:
            return missing
        if not (batch.approval or self.approvals.policies.all):
            return None
        plan = await self.plan_of(batch)
        try:
            if batch.approval is None:
                self.approvals.policies.check(plan, batch.caller)
            else:
                await self.approvals.begin(batch.approval, plan)
        except (ApprovalClosed, ApprovalRequired, PlanChanged) as error:
            return Why(error.detail, CHANGED)
        return None

    async def missing(self, batch: Batch) -> Why | None:
        """The scope that no key of a batch's caller has any more, as the reason to stop; None if all are there."""
        callers = await self.named(batch.caller)
        scope = None if callers is None else next(self.missing_scopes(batch.plan, batch.connections, callers), None)
        return None if scope is None else Why(f"{batch.caller} does not have the scope {scope} any more.", CHANGED)

    async def plan_of(self, batch: Batch) -> Plan:
        """The plan of a batch, as its approvers see it."""
        asked = batch.plan
        limits = {name: value for name, value in to_builtins(asked.limits).items() if value is not None}
        return Plan(
            asked.action,
            asked.parameters,
            asked.reason,
            "" if batch.manifest is None else batch.manifest.digest,
            await self.store.acting(batch.id),
            {camel(name): value for name, value in limits.items()},
            asked.not_before,
            asked.deadline,
            asked.schedule,
        )

    def missing_scopes(self, plan: BatchPlan, connections: Iterable[str], callers: Collection[Caller]) -> Iterator[str]:
        """The scopes that a batch needs, and that none of its caller's keys has."""
        needed = set(self.scopes[plan.action])
        if plan.action == TERMINATE and plan.parameters.get(MODE) == Mode.FORCED:
            needed |= self.scopes[DISCARD]
        for scope in sorted(needed):
            if not any(each.may(scope) for each in callers):
                yield scope
        for name in connections:
            if not any(each.may_use(name) for each in callers):
                yield f"connections:{name}"


REFUSED: Mapping[ApprovalState, Why] = {
    ApprovalState.REJECTED: Why("Its approval was rejected.", "approval-rejected"),
    ApprovalState.EXPIRED: Why("Its approval has expired.", "approval-expired"),
    ApprovalState.WITHDRAWN: Why("Its approval was withdrawn.", "approval-withdrawn"),
}
"""The reasons for which a batch ends whose approval is in one of these states."""


def requester_of(batch: Batch) -> Person:
    """The caller of a batch, and the owner behind it."""
    return Person(batch.caller, batch.owner or batch.caller)


def camel(name: str) -> str:
    """The name of a member in the API: `maxErrors` for `max_errors`."""
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))
