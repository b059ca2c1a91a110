"""The known scopes: those of the unified API's document, and those that name connections."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from fnmatch import fnmatchcase
from functools import cache

from gateway.domain.access import AUDIT, CONNECTION, EVERYTHING, METRICS, SCOPE_FOR_OTHERS, Caller
from gateway.domain.suggestions import closest, did_you_mean
from gateway.specs.document import SPECIFICATIONS, load

_CONNECTIONS = re.compile(r"[a-z0-9*-]+")
_ACTIONS = "jobs:"


@cache
def declared_scopes() -> tuple[str, ...]:
    """The scopes of the operations of the unified API, and those for all records and for the metrics."""
    operations = [operation for _, _, operation in load(SPECIFICATIONS / "gateway.yaml").operations()]
    required = (scopes for each in operations for need in each.get("security", ()) for scopes in need.values())
    for_others = {each[SCOPE_FOR_OTHERS] for each in operations if SCOPE_FOR_OTHERS in each}
    return (*sorted({scope for scopes in required for scope in scopes} - {AUDIT} | for_others), AUDIT, METRICS)


def scope_mistakes(scopes: Iterable[str]) -> Iterator[str]:
    """Yield a mistake for each scope that allows nothing, with a suggestion."""
    for scope in scopes:
        if not _allows_something(scope):
            known = (*declared_scopes(), "connections:NAME", *EVERYTHING)
            yield f"{scope} is not a scope; {_meant(scope) or did_you_mean(scope, known)}"


def scope_warnings(scopes: Collection[str], connections: Collection[str]) -> Iterator[str]:
    """Yield a warning for each gap in these scopes that is probably a mistake."""
    caller = Caller("", frozenset(scopes))
    acts = any(each.startswith(_ACTIONS) for each in scopes)
    named = [each.removeprefix(CONNECTION) for each in scopes if each.startswith(CONNECTION)]
    if acts and not named and not caller.may_use("any"):
        yield "no scope allows a connection, so no job is visible; add connections:NAME or connections:*"
    if named and not any(caller.may(each) for each in declared_scopes() if each.startswith(_ACTIONS)):
        yield "no scope allows anything on the connections; add a scope such as jobs:read or jobs:*"
    for pattern in named:
        if not any(fnmatchcase(each, pattern) for each in connections):
            yield f"{CONNECTION}{pattern} matches no connection in the settings; {did_you_mean(pattern, connections)}"


def _allows_something(scope: str) -> bool:
    if scope.startswith(CONNECTION):
        return _CONNECTIONS.fullmatch(scope.removeprefix(CONNECTION)) is not None
    return scope in EVERYTHING or any(fnmatchcase(each, scope) for each in declared_scopes())


def _meant(scope: str) -> str:
    """Suggest a scope for connections: `connections:a` for `connection:a` and `connections:A`. Empty if none fits."""
    first, colon, name = scope.partition(":")
    if not colon or f"{first}:" == _ACTIONS or closest(first, [CONNECTION[:-1]]) is None:
        return ""
    likely = name.lower().replace("_", "-")
    return f"did you mean {CONNECTION}{likely}?" if _CONNECTIONS.fullmatch(likely) else ""
