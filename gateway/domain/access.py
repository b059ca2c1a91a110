"""Who calls, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache

CONNECTION = "connections:"
"""What a scope begins with that names connections."""
AUDIT = "audit:read"
"""The scope of who sees the job actions of all callers."""
DEFAULT_CALLER = "default"
"""The name of whoever comes with the setting `api_key`, or `access_key`."""
EVERYTHING = frozenset({"*"})
"""The scopes of who may do everything."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who is known here. In each of the scopes `*` stands for any characters.

    `jobs:cancel` allows one action and `jobs:*` all, `connections:contoso-*` the connections whose names begin so. Both
    are needed: what to do, and where.
    """

    name: str
    scopes: frozenset[str] = field(default=frozenset())

    def may(self, scope: str) -> bool:
        """Whether this is allowed."""
        return _allow(self.scopes, scope)

    @property
    def audits(self) -> bool:
        """Whether the job actions of all callers are there for this one."""
        return self.may(AUDIT)

    def may_use(self, connection: str) -> bool:
        """Whether a connection is there for this caller."""
        return self.may(f"{CONNECTION}{connection}")


@lru_cache(maxsize=1_024)
def _allow(scopes: frozenset[str], scope: str) -> bool:
    """Whether one of these scopes allows this one, which each request asks several times."""
    return scope in scopes or any(fnmatchcase(scope, each) for each in scopes)


NOBODY = Caller("")
"""Who has not said yet who it is."""
