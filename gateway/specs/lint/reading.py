"""Rules: a document that can be read, alone and by anybody."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.specs.document import (
    Document,
    SpecificationError,
    pointer,
    walk,
)
from gateway.specs.lint.findings import Fault
from gateway.specs.lint.parts import is_reference, references, texts

TEMPLATE_MARKERS = ("{{", "{%", "{#")
"""What Jinja2 would act on. Connexion renders every document that it reads from a file itself."""


def endless_nesting(document: Document) -> Iterator[Fault]:
    """A YAML alias may hold itself, and JSON has no such thing."""
    try:
        for _ in walk(document.content):
            pass
    except RecursionError:
        mend = "Remove the YAML alias that stands inside its own anchor."
        yield Fault("", "is nested too deeply, or holds itself", mend)


def values_unknown_to_json(document: Document) -> Iterator[Fault]:
    """YAML has dates, numbers as names and infinities; JSON has not."""
    for place, node in walk(document.content):
        if not _is_json(node):
            yield Fault(place, f"is a {type(node).__name__}, not JSON", "Put it between quotes.")
        for name in node if isinstance(node, Mapping) else ():
            if not isinstance(name, str):
                mend = "Put it between quotes."
                yield Fault(place + pointer(name), "has a name that is not a text", mend)


def _is_json(node: Any) -> bool:
    if isinstance(node, float):
        return math.isfinite(node)
    return node is None or isinstance(node, str | int | Mapping | list)


def other_versions(document: Document) -> Iterator[Fault]:
    """Connexion 3.3 refuses OpenAPI 3.1, and Swagger 2.0 is another language."""
    if not re.fullmatch(r"3\.0\.\d+", str(document.content.get("openapi"))):
        yield Fault("/openapi", "is not a version 3.0.x", "Write `openapi: 3.0.3`.")


def template_markers(document: Document) -> Iterator[Fault]:
    """A marker of Jinja2 is code to whoever renders the document as a template."""
    for place, text in texts(document):
        for marker in TEMPLATE_MARKERS:
            if marker in text:
                mend = "Write it in words that a template engine leaves alone."
                yield Fault(place, f"holds the template marker {marker}", mend)


def references_to_other_documents(document: Document) -> Iterator[Fault]:
    """A document is read alone: nothing is fetched, from the disk or from the network."""
    for place, node in references(document):
        if not node["$ref"].startswith("#/"):
            mend = "Copy what it names into `components`, and refer to it there."
            yield Fault(f"{place}/$ref", f"leads out of the document, to {node['$ref']}", mend)


def references_to_nothing(document: Document) -> Iterator[Fault]:
    """A reference must end at something, and not come back to itself."""
    for place, node in references(document):
        if node["$ref"].startswith("#/") and not _leads_somewhere(document, node):
            mend = "Correct the reference, or add what it names."
            yield Fault(f"{place}/$ref", f"{node['$ref']} leads to nothing, or in a circle", mend)


def _leads_somewhere(document: Document, node: Any) -> bool:
    seen = set()
    while is_reference(node):
        if node["$ref"] in seen:
            return False
        seen.add(node["$ref"])
        try:
            node = document.at(node["$ref"])
        except (SpecificationError, TypeError):
            return False
    return True


def members_beside_references(document: Document) -> Iterator[Fault]:
    """OpenAPI 3.0 ignores them, whatever the author meant by them."""
    for place, node in references(document):
        for name in node.keys() - {"$ref"}:
            mend = "Remove it, or wrap the reference: `allOf: [{$ref: ...}]`."
            yield Fault(place + pointer(name), "stands beside a $ref and is ignored", mend)
