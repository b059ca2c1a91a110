"""The parts of a document: the objects of OpenAPI 3.0 with their places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.specs.document import (
    METHODS,
    Document,
    pointer,
    walk,
)

ANY = "*"


ANY_BUT_EXTENSIONS = "* but x-*"


OBJECTS: Mapping[str, Mapping[str, str]] = {
    "document": {"paths": "paths", "components": "components"},
    "components": {
        "schemas": "schemas",
        "responses": "named responses",
        "parameters": "parameters",
        "examples": "examples",
        "requestBodies": "request bodies",
        "headers": "headers",
        "securitySchemes": "security schemes",
        "links": "links",
        "callbacks": "callbacks",
    },
    "paths": {ANY_BUT_EXTENSIONS: "path item"},
    "path item": {"parameters": "parameters", **dict.fromkeys(METHODS, "operation")},
    "operation": {
        "parameters": "parameters",
        "requestBody": "request body",
        "responses": "responses",
        "callbacks": "callbacks",
    },
    "parameters": {ANY: "parameter"},
    "parameter": {"schema": "schema", "content": "contents", "examples": "examples"},
    "request bodies": {ANY: "request body"},
    "request body": {"content": "contents"},
    "responses": {ANY_BUT_EXTENSIONS: "response"},
    "named responses": {ANY: "response"},
    "response": {"headers": "headers", "content": "contents", "links": "links"},
    "headers": {ANY: "header"},
    "header": {"schema": "schema", "content": "contents", "examples": "examples"},
    "contents": {ANY: "content"},
    "content": {"schema": "schema", "examples": "examples", "encoding": "encodings"},
    "encodings": {ANY: "encoding"},
    "encoding": {"headers": "headers"},
    "examples": {ANY: "example"},
    "links": {ANY: "link"},
    "callbacks": {ANY: "callback"},
    "callback": {ANY_BUT_EXTENSIONS: "path item"},
    "security schemes": {ANY: "security scheme"},
    "schemas": {ANY: "schema"},
    "schema": {
        "properties": "schemas",
        "additionalProperties": "schema",
        "items": "schema",
        "not": "schema",
        **dict.fromkeys(("allOf", "anyOf", "oneOf"), "schemas"),
    },
}
"""The objects of OpenAPI 3.0: for each kind, the members that hold other objects, with their kinds.

Maps and lists of objects are kinds too. Members that are not listed hold no objects: extensions,
and the values in `example`, `default` and `enum`.
"""


COMPONENTS: Mapping[str, str] = {
    "schema": "schemas",
    "response": "responses",
    "parameter": "parameters",
    "example": "examples",
    "request body": "requestBodies",
    "header": "headers",
    "security scheme": "securitySchemes",
    "link": "links",
    "callback": "callbacks",
}
"""The kinds of objects that can be a reference, with the part of `components` it must lead to."""


@dataclass(frozen=True, slots=True)
class Part:
    """An object of OpenAPI: its kind, its place as a JSON pointer, and the object itself."""

    kind: str
    place: str
    node: Any


def parts(document: Document, *kinds: str) -> Iterator[Part]:
    """All objects of these kinds in the document; references are not followed."""
    whole = Part("document", "", document.content)
    return (part for part in _parts_within(whole) if part.kind in kinds)


def _parts_within(part: Part) -> Iterator[Part]:
    yield part
    if not is_reference(part.node):
        for name, value in _members(part.node):
            kind = _kind_of_member(part.kind, name)
            if kind and isinstance(value, Mapping | list):
                yield from _parts_within(Part(kind, part.place + pointer(name), value))


def _members(node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        yield from node.items()
    else:
        yield from ((str(index), item) for index, item in enumerate(node))


def _kind_of_member(kind: str, name: str) -> str | None:
    members = OBJECTS.get(kind, {})
    otherwise = None if name.startswith("x-") else members.get(ANY_BUT_EXTENSIONS)
    return members.get(name) or members.get(ANY) or otherwise


def is_reference(node: Any) -> bool:
    """True if the node is a `$ref`, and not a map with a member of that name."""
    return isinstance(node, Mapping) and isinstance(node.get("$ref"), str)


def references(document: Document) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """All `$ref` objects with their places, even in examples: Connexion resolves them there."""
    return ((place, node) for place, node in walk(document.content) if is_reference(node))


def texts(document: Document) -> Iterator[tuple[str, str]]:
    """All texts of the document with their places: values, and names of members."""
    for place, node in walk(document.content):
        if isinstance(node, str):
            yield place, node
        if isinstance(node, Mapping):
            yield from ((place + pointer(name), name) for name in node if isinstance(name, str))
