"""The unified API's document, as the pages need it: which operations there are, and which scopes they need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gateway.domain.access import SCOPE_FOR_OTHERS, Caller
from gateway.specs.operations import Api


@dataclass(frozen=True)
class Document:
    """The compiled document."""

    api: Api

    def has(self, operation: str) -> bool:
        """True if there is such an operation."""
        return operation in self.api.operations

    def missing(self, operation: str, caller: Caller) -> list[str]:
        """The scopes of an operation that a caller lacks."""
        return [each for each in self.api.operations[operation].scopes if not caller.may(each)]

    def why_not(self, operation: str, caller: Caller) -> str:
        """The reason why a caller cannot use an operation; empty if it can."""
        missing = self.missing(operation, caller)
        return f"Your key needs the scope {' and '.join(missing)}." if missing else ""

    def is_for_others(self, operation: str, caller: Caller) -> bool:
        """True if a caller has the scope with which an operation is open for what others have created, too."""
        scope = self.api.operations[operation].extensions.get(SCOPE_FOR_OTHERS)
        return scope is not None and caller.may(scope)

    def words(self, schema: str) -> list[str]:
        """The values of an enumeration."""
        found: list[str] = self._schemas[schema]["enum"]
        return found

    @cached_property
    def actions(self) -> Mapping[str, str]:
        """The operations by the actions that they perform, the least harmful first."""
        found = [each for each in self.api.operations.values() if {"x-action", "x-intent"} & each.extensions.keys()]
        found.sort(key=lambda each: each.extensions.get("x-harm", 0))
        return {each.extensions.get("x-action") or each.extensions["x-intent"]: each.operation_id for each in found}

    @property
    def _schemas(self) -> Mapping[str, Any]:
        schemas: Mapping[str, Any] = self.api.document.content["components"]["schemas"]
        return schemas
