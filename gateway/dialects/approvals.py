"""The operations of approvals, with their objects as JSON."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.approvals.approvals import Approvals
from gateway.approvals.policy import given
from gateway.dialects.rendering import Members, optional_time, present, timestamp
from gateway.dialects.unified import BASE_PATH, cursor_of, link_to_next, record_at
from gateway.domain.approvals import Approval, ApprovalState, Decision, Plan, Verb
from gateway.domain.ports import Clock
from gateway.edge.surface import Handler, Reply, Request


@dataclass(frozen=True)
class ApprovalsApi:
    """The handlers of the operations of approvals."""

    approvals: Approvals
    clock: Clock

    def handlers(self) -> dict[str, Handler]:
        """The handlers by operationId; a decision has the name of its operation."""
        return {
            "listApprovals": self.list_approvals,
            "getApproval": self.get_approval,
            **{verb.value: self.decide for verb in Verb},
        }

    async def list_approvals(self, request: Request) -> Reply:
        """Return a page of the approvals that the caller can see."""
        query = request.query
        before = record_at(query["cursor"]) if "cursor" in query else None
        states = tuple(map(ApprovalState, query["state"])) if "state" in query else None
        page = await self.approvals.page(request.caller, states, query["limit"], before)
        cursor = cursor_of(page.next_cursor)
        headers = link_to_next(f"{request.address.prefix}{BASE_PATH}/approvals", query, cursor)
        return Reply({"items": list(map(self._rendered, page.items)), "nextCursor": cursor}, headers=headers)

    async def get_approval(self, request: Request) -> Reply:
        """Return one approval. Raises UnknownApproval."""
        return Reply(self._rendered(await self.approvals.get(request.path["approvalId"], request.caller)))

    async def decide(self, request: Request) -> Reply:
        """Approve, reject or review. Raises UnknownApproval, NotAnApprover, PlanChanged and ApprovalClosed."""
        verb, said = Verb(request.operation.operation_id), request.body
        approval_id = request.path["approvalId"]
        return Reply(
            self._rendered(
                await self.approvals.decide(approval_id, request.caller, verb, said["digest"], said.get("comment"))
            )
        )

    def _rendered(self, known: Approval) -> Members:
        return rendered(known, is_overdue=known.is_overdue(self.clock.now()))


def rendered(known: Approval, *, is_overdue: bool) -> Members:
    """An approval."""
    emergency = known.emergency
    return present(
        id=known.id,
        state=known.state,
        batch=known.batch,
        digest=known.plan.digest,
        plan=plan(known.plan),
        requestedBy=known.requester.caller,
        requestedByOwner=known.requester.owner,
        policies=[
            {
                "name": each.name,
                "required": each.approvals,
                "given": given(each, known.requester, known.decisions),
                "approvers": list(each.approvers),
            }
            for each in known.policies
        ],
        decisions=list(map(decision, known.decisions)),
        requestedAt=timestamp(known.requested_at),
        decideUntil=timestamp(known.decide_until),
        executeUntil=optional_time(known.execute_until),
        breakGlass=None
        if emergency is None
        else present(
            reason=emergency.reason,
            ticket=emergency.ticket,
            reviewUntil=timestamp(emergency.review_until),
            overdue=is_overdue,
            notices=[{"event": each.event, "state": each.state, "at": timestamp(each.at)} for each in known.notices],
        ),
    )


def plan(known: Plan) -> Members:
    """The plan of the batch of an approval."""
    return present(
        action=known.action,
        parameters=dict(known.parameters),
        reason=known.reason,
        manifestDigest=known.manifest,
        jobs=dict(known.items),
        limits=dict(known.limits),
        notBefore=optional_time(known.not_before),
        deadline=optional_time(known.deadline),
        schedule=known.schedule,
    )


def decision(known: Decision) -> Members:
    """A decision."""
    return present(
        owner=known.by.owner,
        caller=known.by.caller,
        decision=known.verb,
        at=timestamp(known.at),
        comment=known.comment,
    )
