"""Whether policies can be met: for each owner who can ask for approval, enough others must be able to give it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from gateway.domain.access import Caller
from gateway.domain.approvals import ApprovalPolicy, Person, matches


@dataclass(frozen=True)
class Population:
    """The known callers, and the scopes by which they take part.

    `actions` are the scopes of each action, `requesting` those of whoever creates a batch, `approving` those of whoever
    looks at a plan and decides.
    """

    callers: tuple[Caller, ...]
    connections: tuple[str, ...]
    actions: Mapping[str, frozenset[str]]
    requesting: frozenset[str]
    approving: frozenset[str]

    def mistake(self, policy: ApprovalPolicy) -> str | None:
        """The reason why a request under a policy could wait in vain, and how to mend it; None if none could."""
        approvers = self._approvers(policy)
        requesters = sorted({each.owner for each in self.callers if self._may_request(each, policy)})
        for owner in requesters or [""]:
            others = sorted(approvers - {owner})
            if len(others) < policy.approvals:
                return self._told(policy, owner, others)
        return None

    def _approvers(self, policy: ApprovalPolicy) -> frozenset[str]:
        """The owners whom a policy names, and whose named callers have all scopes of a decision between them."""
        named = [each for each in self.callers if policy.names(Person(each.name, each.owner))]
        return frozenset(
            owner
            for owner in {each.owner for each in named}
            if all(any(each.may(scope) for each in named if each.owner == owner) for scope in self.approving)
        )

    def _may_request(self, caller: Caller, policy: ApprovalPolicy) -> bool:
        wanted = (scopes for name, scopes in self.actions.items() if matches(policy.actions, name))
        return (
            matches(policy.callers, caller.name)
            and _may(caller, self.requesting)
            and any(_may(caller, scopes) for scopes in wanted)
            and any(caller.may_use(each) for each in self.connections if matches(policy.connections, each))
        )

    def _told(self, policy: ApprovalPolicy, owner: str, others: list[str]) -> str:
        whose = f"a batch of {owner}" if owner else "a batch"
        needed = "1 approval" if policy.approvals == 1 else f"the approvals of {policy.approvals} owners"
        able = f"only {', '.join(others)} can give one" if others else "nobody can give it"
        beside = "beside its owner " if owner else ""
        unable = self._unable(policy)
        scopes = " and ".join(sorted(self.approving))
        missing = f"No caller of {', '.join(unable)} has the scopes {scopes}. " if unable else ""
        return f"{whose} needs {needed}, and {beside}{able}. {missing}Name others who have them."

    def _unable(self, policy: ApprovalPolicy) -> list[str]:
        """The patterns of approvers in a policy under which nobody is able to approve."""
        return [each for each in policy.approvers if not self._approvers(replace(policy, approvers=(each,)))]


def _may(caller: Caller, scopes: Iterable[str]) -> bool:
    return all(caller.may(each) for each in scopes)
