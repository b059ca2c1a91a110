"""The rules of approvals, without storage: which policies apply, who may decide, and what a decision leads to."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace

from gateway.domain.approvals import (
    Approval,
    ApprovalPolicy,
    ApprovalState,
    Decision,
    NoticeEvent,
    NoticeState,
    Person,
    Plan,
    Verb,
)
from gateway.domain.errors import ApprovalClosed, ApprovalRequired, Explanation, NotAnApprover, PlanChanged
from gateway.domain.model import JobAction, Outcome
from gateway.domain.vocabulary import DISCARD, MODE, TERMINATE, Mode

DECIDABLE = {
    Verb.APPROVE: ApprovalState.PENDING,
    Verb.REJECT: ApprovalState.PENDING,
    Verb.REVIEW: ApprovalState.REVIEW_DUE,
}
"""The state in which each decision can be made."""


@dataclass(frozen=True)
class Policies:
    """All policies of the settings. `endings` are the actions that a termination can consist of."""

    all: tuple[ApprovalPolicy, ...] = ()
    endings: frozenset[str] = frozenset()

    def applying(
        self, caller: str, job_action: JobAction | Plan, items: Mapping[str, int]
    ) -> tuple[ApprovalPolicy, ...]:
        """The policies for an action on so many jobs of each connection. All of them have to be met.

        A termination is subject to those of the steps that it can have, too.
        """
        actions = frozenset({job_action.action})
        if job_action.action == TERMINATE:
            is_forced = job_action.parameters.get(MODE) == Mode.FORCED
            actions |= self.endings if is_forced else self.endings - {DISCARD}
        return tuple(each for each in self.all if each.applies_to(caller, actions, items))

    def of(self, plan: Plan, caller: str) -> tuple[ApprovalPolicy, ...]:
        """The policies for a plan."""
        return self.applying(caller, plan, plan.items)

    def check(self, plan: Plan, caller: str) -> None:
        """Raise ApprovalRequired if a policy applies to a plan that nobody was asked about."""
        for policy in self.of(plan, caller):
            raise ApprovalRequired(f"The policy {policy.name} has changed since, and asks for approval.")

    def check_single(self, caller: str, job_action: JobAction, connection: str) -> None:
        """Raise ApprovalRequired if a policy applies to an action on one job."""
        found = self.all and self.applying(caller, job_action, {connection: 1})
        if found:
            raise ApprovalRequired(
                f"The policy {found[0].name} asks for approval of {job_action.action} on {connection}: create a batch "
                "of one job.",
                Explanation(outcome=Outcome.NOT_SENT),
            )


NO_POLICIES = Policies()
"""Policies under which nothing needs approval."""


def given(policy: ApprovalPolicy, requester: Person, decisions: Iterable[Decision]) -> int:
    """The number of owners, other than the requester's, that the policy names and that have approved."""
    approving = (each.by for each in decisions if each.verb is Verb.APPROVE and policy.names(each.by))
    return len({each.owner for each in approving if each.owner != requester.owner})


def unmet(
    policies: Iterable[ApprovalPolicy], requester: Person, decisions: Collection[Decision]
) -> ApprovalPolicy | None:
    """The first policy that still needs approvals."""
    return next((each for each in policies if given(each, requester, decisions) < each.approvals), None)


def may_decide(approval: Approval, person: Person) -> bool:
    """True if a person is an approver of this request; of an emergency, anybody but its owner is."""
    if person.owner == approval.requester.owner:
        return False
    return approval.emergency is not None or any(each.names(person) for each in approval.policies)


def decided(approval: Approval, decision: Decision, digest: str) -> Approval:
    """The approval after a decision about the plan with this digest; unchanged if the owner has made it before.

    Raises NotAnApprover, PlanChanged, and ApprovalClosed if it is too late or if the owner has decided otherwise.
    """
    _check_approver(approval, decision.by)
    if digest != approval.plan.digest:
        raise PlanChanged("The digest is not that of the plan that waits for approval: read the approval again.")
    earlier = next((each for each in approval.decisions if each.by.owner == decision.by.owner), None)
    if earlier is not None and earlier.verb is decision.verb:
        return approval
    if earlier is not None:
        raise ApprovalClosed(f"This owner has decided already: {earlier.verb}. Each owner decides once.")
    state = after_time(approval, decision.at).state
    if state is not DECIDABLE[decision.verb]:
        raise ApprovalClosed(f"The approval is {state}, so this cannot be decided.")
    return _after(approval, decision)


def _check_approver(approval: Approval, person: Person) -> None:
    if person.owner == approval.requester.owner:
        raise NotAnApprover("The owner of the request cannot decide about it: another person has to.")
    if not may_decide(approval, person):
        names = ", ".join(each.name for each in approval.policies)
        raise NotAnApprover(f"No policy that applies ({names}) names this owner or caller among its approvers.")


def _after(approval: Approval, decision: Decision) -> Approval:
    longer = replace(approval, decisions=(*approval.decisions, decision), version=approval.version + 1)
    match decision.verb:
        case Verb.REJECT:
            return replace(longer, state=ApprovalState.REJECTED)
        case Verb.REVIEW:
            return reviewed(longer)
    if unmet(longer.policies, longer.requester, longer.decisions) is not None:
        return longer
    begins = max(decision.at, longer.plan.not_before or decision.at)
    within = min(each.execute_within for each in longer.policies)
    return replace(longer, state=ApprovalState.APPROVED, execute_until=begins + within)


def reviewed(approval: Approval) -> Approval:
    """The emergency once it is reviewed: nobody has to be told any more that its review is overdue."""
    left = tuple(each for each in approval.notices if each != approval.pending(NoticeEvent.REVIEW_OVERDUE))
    return replace(approval, state=ApprovalState.REVIEWED, notices=left)


def after_notice(approval: Approval, event: str, state: NoticeState, at: datetime) -> Approval:
    """The approval once it is known what became of a pending notice; unchanged if that is known already."""
    pending = approval.pending(event)
    if pending is None:
        return approval
    told = replace(pending, state=state, at=at)
    notices = tuple(told if each == pending else each for each in approval.notices)
    return replace(approval, notices=notices, version=approval.version + 1)


def after_time(approval: Approval, now: datetime) -> Approval:
    """The approval at this time: it expires if nobody has decided, or if the batch has not begun. Reviews never end."""
    ends = approval.ends_at
    if ends is None or now < ends or approval.state is ApprovalState.REVIEW_DUE:
        return approval
    return with_state(approval, ApprovalState.EXPIRED)


def with_state(approval: Approval, state: ApprovalState) -> Approval:
    """The approval in another state."""
    return replace(approval, state=state, version=approval.version + 1)


def executed(approval: Approval, plan: Plan, now: datetime, policies: Policies) -> Approval:
    """The approval once its batch begins. One that has begun, such as before a pause, may begin again.

    Raises ApprovalClosed if it is not approved (any more), PlanChanged if the batch has another plan, ApprovalRequired
    if the policies have changed and the decisions do not meet them.
    """
    if plan.digest != approval.plan.digest:
        raise PlanChanged("The plan of the batch is not the one that was approved.")
    present = after_time(approval, now)
    if present.state is ApprovalState.EXECUTED or is_under_way(present, now):
        return approval
    if present.state is not ApprovalState.APPROVED:
        raise ApprovalClosed(f"The approval is {present.state}, so the batch cannot begin.")
    policy = unmet(policies.of(plan, approval.requester.caller), approval.requester, approval.decisions)
    if policy is not None:
        raise ApprovalRequired(f"The policy {policy.name} has changed since, and the approvals do not meet it.")
    return with_state(approval, ApprovalState.EXECUTED)


def is_under_way(approval: Approval, now: datetime) -> bool:
    """True for an emergency whose time has not passed."""
    return approval.emergency is not None and approval.execute_until is not None and now < approval.execute_until
