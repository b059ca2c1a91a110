"""Whether policies can be met: for each owner who can ask for approval, enough others must be able to give it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gateway.domain.access import Caller
from gateway.domain.approvals import ApprovalPolicy, Person, matches


@dataclass(frozen=True)
class Population:
    """The known callers, and the scopes by which they take part.

    `actions` are the scopes of each action, `requesting` those of whoever creates a batch, `approving` those of whoever
    decides.
    """

    callers: tuple[Caller, ...]
    connections: tuple[str, ...]
    actions: Mapping[str, frozenset[str]]
    requesting: frozenset[str]
    approving: frozenset[str]

    def mistake(self, policy: ApprovalPolicy) -> str | None:
        """The reason why a request under a policy could wait in vain, and how to mend it; None if none could."""
        approvers = {each.owner for each in self.callers if self._may_approve(each, policy)}
        requesters = sorted({each.owner for each in self.callers if self._may_request(each, policy)})
        for owner in requesters or [""]:
            others = sorted(approvers - {owner})
            if len(others) < policy.approvals:
                return _told(policy, owner, others, self._unable(policy, approvers))
        return None

    def _may_approve(self, caller: Caller, policy: ApprovalPolicy) -> bool:
        return policy.names(Person(caller.name, caller.owner)) and _may(caller, self.approving)

    def _may_request(self, caller: Caller, policy: ApprovalPolicy) -> bool:
        wanted = (scopes for name, scopes in self.actions.items() if matches(policy.actions, name))
        return (
            matches(policy.callers, caller.name)
            and _may(caller, self.requesting)
            and any(_may(caller, scopes) for scopes in wanted)
            and any(caller.may_use(each) for each in self.connections if matches(policy.connections, each))
        )

    def _unable(self, policy: ApprovalPolicy, approvers: Iterable[str]) -> list[str]:
        """The approvers in a policy that no caller who may approve fits."""
        able = [each for each in self.callers if each.owner in approvers]
        return [
            pattern
            for pattern in policy.approvers
            if not any(matches((pattern,), each.owner) or matches((pattern,), each.name) for each in able)
        ]


def _may(caller: Caller, scopes: Iterable[str]) -> bool:
    return all(caller.may(each) for each in scopes)


def _told(policy: ApprovalPolicy, owner: str, others: list[str], unable: list[str]) -> str:
    whose = f"a batch of {owner}" if owner else "a batch"
    needed = "1 approval" if policy.approvals == 1 else f"the approvals of {policy.approvals} owners"
    able = f"only {', '.join(others)} can give one" if others else "nobody can give it"
    missing = f"No caller of {', '.join(unable)} has the scope approvals:write. " if unable else ""
    return (
        f"{whose} needs {needed}, and {'beside its owner ' if owner else ''}{able}. {missing}Name others who have it."
    )
