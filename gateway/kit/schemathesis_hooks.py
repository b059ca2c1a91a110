"""Makes the extensions of our documents known to Schemathesis, which loads this module as its configuration says."""

from __future__ import annotations

from typing import Any

import schemathesis

from gateway.specs.schemas import OUR_EXTENSIONS


@schemathesis.hook
def before_load_schema(_context: schemathesis.HookContext, raw_schema: dict[str, Any]) -> None:
    """Give each of our extensions the name that it has in JSON Schema, so that it shapes the generated requests."""
    rename(raw_schema)


def rename(node: Any) -> None:
    """Rename the extensions in a part of a document, and in everything below it."""
    if isinstance(node, dict):
        for extension, name in OUR_EXTENSIONS.items():
            if extension in node:
                node[name] = node.pop(extension)
    for below in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        rename(below)
