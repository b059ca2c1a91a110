"""Rules for a document that every tool can read, without other files."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

from gateway.specs.document import (
    Document,
    SafeLoader,
    SpecificationError,
    pointer,
    walk,
)
from gateway.specs.lint.findings import Fault
from gateway.specs.lint.parts import is_reference, references, texts

TEMPLATE_MARKERS = ("{{", "{%", "{#")
"""Markers of Jinja2 templates. Connexion renders every document that it reads from a file."""


def endless_nesting(document: Document) -> Iterator[Fault]:
    """No value contains itself. A YAML alias can, but JSON cannot."""
    try:
        for _ in walk(document.content):
            pass
    except RecursionError:
        fix = "Remove the YAML alias inside its own anchor."
        yield Fault("", "is nested too deeply, or contains itself", fix)


def repeated_names(document: Document) -> Iterator[Fault]:
    """No mapping has a name twice. YAML forbids it, but PyYAML keeps the last value and says nothing."""
    # Composed again, since the content has lost them.
    root = yaml.compose(document.path.read_text(encoding="utf-8"), Loader=SafeLoader)
    waiting: list[tuple[str, yaml.Node | None]] = [("", root)]
    done: set[int] = set()  # an alias leads to the same node again
    while waiting:
        place, node = waiting.pop()
        if id(node) in done:
            continue
        done.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += [(place + pointer(index), each) for index, each in enumerate(node.value)]
        elif isinstance(node, yaml.MappingNode):
            waiting += [(place + pointer(name.value), each) for name, each in node.value]
            yield from _repeated(place, (name for name, _ in node.value))


def _repeated(place: str, names: Iterable[yaml.Node]) -> Iterator[Fault]:
    lines: dict[tuple[str, str], int] = {}
    for name in names:
        key, line = (name.tag, name.value), name.start_mark.line + 1
        if key in lines:
            message = f"{name.value}, in line {line}, is in line {lines[key]} already, and only the last one counts"
            yield Fault(place + pointer(name.value), message, "Remove one of them, or rename it.")
        lines.setdefault(key, line)


def values_unknown_to_json(document: Document) -> Iterator[Fault]:
    """Every value exists in JSON, which has no dates, no infinities, and no numbers as names."""
    for place, node in walk(document.content):
        if not _is_json(node):
            yield Fault(place, f"is a {type(node).__name__}, not JSON", "Put it between quotes.")
        for name in node if isinstance(node, Mapping) else ():
            if not isinstance(name, str):
                fix = "Put it between quotes."
                yield Fault(place + pointer(name), "has a name that is not a text", fix)


def _is_json(node: Any) -> bool:
    if isinstance(node, float):
        return math.isfinite(node)
    return node is None or isinstance(node, str | int | Mapping | list)


def other_versions(document: Document) -> Iterator[Fault]:
    """The version is OpenAPI 3.0. Connexion 3.3 refuses OpenAPI 3.1; Swagger 2.0 is another format."""
    if not re.fullmatch(r"3\.0\.\d+", str(document.content.get("openapi"))):
        yield Fault("/openapi", "is not a version 3.0.x", "Write `openapi: 3.0.3`.")


def template_markers(document: Document) -> Iterator[Fault]:
    """No text has a marker of Jinja2, which is code for a tool that renders the document as a template."""
    for place, text in texts(document):
        for marker in TEMPLATE_MARKERS:
            if marker in text:
                fix = "Write it without characters that a template engine interprets."
                yield Fault(place, f"contains the template marker {marker}", fix)


def references_to_other_documents(document: Document) -> Iterator[Fault]:
    """References stay inside the document: nothing is fetched from the disk or the network."""
    for place, node in references(document):
        if not node["$ref"].startswith("#/"):
            fix = "Copy its target into `components`, and refer to it there."
            yield Fault(f"{place}/$ref", f"leads out of the document, to {node['$ref']}", fix)


def references_to_nothing(document: Document) -> Iterator[Fault]:
    """Every reference has a target, and does not lead back to itself."""
    for place, node in references(document):
        if node["$ref"].startswith("#/") and not _leads_somewhere(document, node):
            fix = "Correct the reference, or add its target."
            yield Fault(f"{place}/$ref", f"{node['$ref']} has no target, or leads back to itself", fix)


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
    """A reference has no members beside it: OpenAPI 3.0 ignores them, which the author hardly meant."""
    for place, node in references(document):
        for name in node.keys() - {"$ref"}:
            fix = "Remove it, or wrap the reference: `allOf: [{$ref: ...}]`."
            yield Fault(place + pointer(name), "is beside a $ref and is ignored", fix)
