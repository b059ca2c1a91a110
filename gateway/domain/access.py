"""Callers and their scopes."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache

CONNECTION = "connections:"
"""Prefix of the scopes that name connections."""
AUDIT = "audit:read"
"""The scope that shows the job actions of all callers."""
METRICS = "metrics:read"
"""The scope that shows the metrics."""
SCOPE_FOR_OTHERS = "x-scope-for-others"
"""The member of an operation in the unified API's document that names the scope for what others have created."""
DEFAULT_CALLER = "default"
"""The name of the caller that authenticates with the setting `api_key` or `access_key`."""
CALLER_PREFIX = "jwt:"
"""Start of the names of callers with a token."""
EVERYTHING = frozenset({"*"})
"""Scopes that allow everything."""
LONGEST_OWNER = 255
"""Longest name of an owner, in characters."""


def is_owner(text: str) -> bool:
    """True if a text can name an owner: printable characters, without spaces around them."""
    return 0 < len(text) <= LONGEST_OWNER and text.isprintable() and text == text.strip()


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller with its scopes, in which `*` stands for any characters.

    `jobs:cancel` allows one action, `jobs:*` all of them, and `connections:contoso-*` every connection whose name
    starts with `contoso-`. A request needs both: a scope for the action and one for the connection.

    `owner` is the person behind it, by default the caller's own name. All callers of one owner count as one person
    where a second person has to agree.
    """

    name: str
    scopes: frozenset[str] = field(default=frozenset())
    owner: str = ""

    def __post_init__(self) -> None:
        """Let a caller without an owner be its own."""
        if not self.owner:
            object.__setattr__(self, "owner", self.name)

    def may(self, scope: str) -> bool:
        """True if one of the scopes allows `scope`."""
        return _allow(self.scopes, scope)

    @property
    def audits(self) -> bool:
        """True if this caller sees the job actions of all callers."""
        return self.may(AUDIT)

    def may_use(self, connection: str) -> bool:
        """True if this caller can use the connection."""
        return _allow(self.scopes, f"{CONNECTION}{connection}")


@lru_cache(maxsize=1_024)
def _allow(scopes: frozenset[str], scope: str) -> bool:
    """True if one of `scopes` allows `scope`. Cached, since each request checks several times."""
    return scope in scopes or any(fnmatchcase(scope, each) for each in scopes)


NOBODY = Caller("")
"""The caller of a request that is not authenticated yet."""
