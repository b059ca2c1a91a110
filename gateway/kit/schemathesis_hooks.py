"""Makes our extension of schemas known to Schemathesis, which loads this module as its configuration says."""

from __future__ import annotations

from typing import Any

import schemathesis

from gateway.specs.json_schema import PROPERTY_NAMES


@schemathesis.hook
def before_load_schema(_context: schemathesis.HookContext, raw_schema: dict[str, Any]) -> None:
    """Say which names the members of objects may have, so that the generated requests fit."""
    name_members(raw_schema)


def name_members(node: Any) -> None:
    """Write `x-propertyNames` as `patternProperties`, in a part of a document and in everything below it.

    Schemathesis reads schemas of OpenAPI 3.0 as JSON Schema, Draft 4, which does not have `propertyNames`.
    """
    if isinstance(node, dict) and PROPERTY_NAMES in node:
        node["patternProperties"] = {node.pop(PROPERTY_NAMES)["pattern"]: node["additionalProperties"]}
        node["additionalProperties"] = False
    for below in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        name_members(below)
