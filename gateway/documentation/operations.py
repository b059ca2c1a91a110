"""The table of the unified API's operations that the command line reads, made from `specs/gateway.yaml`.

Reading the document itself would take longer than most commands take to run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.specs.document import Document
from gateway.specs.operations import Api

TABLE = Path(__file__).parents[1] / "cli/operations.json"
"""The table, beside the code that reads it."""
FACTS = ("enum", "default", "minimum", "maximum", "format")
"""The keywords of a schema that an option has, too."""


def operation_table(api: Api) -> str:
    """Every operation: its address, its texts, and what its query and its body accept."""
    found = {
        node["operationId"]: _operation(api.document, path, method, node)
        for path, method, node in api.document.operations()
    }
    return f"{json.dumps(found, indent=1)}\n"


def _operation(document: Document, path: str, method: str, node: Mapping[str, Any]) -> dict[str, Any]:
    parameters = [document.resolve(each) for each in node.get("parameters", ())]
    content = document.resolve(node.get("requestBody", {})).get("content", {})
    body = document.resolve(content.get("application/json", {}).get("schema", {}))
    named = {name.removeprefix("x-"): node[name] for name in ("x-action", "x-intent") if name in node}
    return {
        "method": method.upper(),
        "path": path,
        "summary": node["summary"],
        "description": node.get("description", ""),
        "action": next(iter(named.values()), None),
        "query": {
            each["name"]: _option(document, each["schema"], is_required=each.get("required", False)) | _text(each)
            for each in parameters
            if each["in"] == "query"
        },
        "body": _members(document, body),
    }


def _members(document: Document, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The members of an object by name; those of all alternatives, if its schema has several."""
    parts = [schema, *(document.resolve(each) for each in schema.get("oneOf", ()))]
    return {
        name: _option(document, each, is_required=name in schema.get("required", ()))
        for part in parts
        for name, each in part.get("properties", {}).items()
    }


def _option(document: Document, schema: Mapping[str, Any], *, is_required: bool) -> dict[str, Any]:
    resolved = _whole(document, schema)
    is_repeated = resolved.get("type") == "array"
    one = _whole(document, resolved["items"]) if is_repeated else resolved
    made: dict[str, Any] = {"type": one.get("type", "object")} | _text(resolved)
    made |= {name: one[name] for name in FACTS if name in one}
    if is_required:
        made["required"] = True
    if is_repeated:
        made["repeated"] = True
    if "maxItems" in resolved:
        made["most"] = resolved["maxItems"]
    if members := _members(document, one):
        made["members"] = members
    return made


def _whole(document: Document, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema with that of its reference, or of an `allOf` that gives a reference a text of its own."""
    resolved = document.resolve(schema)
    (base,) = resolved.get("allOf", [{}])
    return {**document.resolve(base), **resolved}


def _text(node: Mapping[str, Any]) -> dict[str, str]:
    return {"description": node["description"]} if "description" in node else {}
