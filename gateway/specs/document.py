"""OpenAPI documents in files.

Jobgate reads them itself and passes dictionaries to Connexion, which would render a *file* as a Jinja2 template first,
and so run code in it (connexion 3.3.0, `Specification._load_spec_from_file`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from gateway.specs.json_schema import Schemas

# libyaml's loader in C takes a seventh of the time. Not every build of PyYAML has it.
SafeLoader: type[yaml.SafeLoader | yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

SPECIFICATIONS = Path(__file__).resolve().parents[2] / "specs"
"""The folder of our own documents. It is beside the packages, in a checkout and in an installed wheel."""

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
"""The members of an OpenAPI path item that are operations."""


class SpecificationError(Exception):
    """A document cannot be used. The message names the file, the place and the remedy."""


@dataclass(frozen=True)
class Document:
    """One OpenAPI document: its file and its content, with `$ref`s unresolved."""

    path: Path
    content: dict[str, Any] = field(repr=False)

    @cached_property
    def schemas(self) -> Schemas:
        """The schemas of its components."""
        return Schemas(self.content.get("components", {}).get("schemas", {}))

    def resolve(self, node: Any) -> Any:
        """The node itself, or the target of its local `$ref`. Raises SpecificationError if there is none."""
        while isinstance(node, Mapping) and "$ref" in node:
            node = self.at(node["$ref"])
        return node

    def at(self, reference: str) -> Any:
        """The target of a local reference (`#/components/schemas/Job`). Raises SpecificationError if there is none."""
        node: Any = self.content
        try:
            for key in pointer_keys(reference.removeprefix("#")):
                node = node[int(key)] if isinstance(node, list) else node[key]
        except (KeyError, IndexError, ValueError) as error:
            message = f"{self.path}: {reference} has no target. Correct the reference, or add its target."
            raise SpecificationError(message) from error
        return node

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Every operation as (path template, method in lower case, operation object)."""
        for path, item in self.content["paths"].items():
            for method in METHODS:
                if method in item:
                    yield path, method, item[method]


def load(path: Path) -> Document:
    """Read a document. Raises SpecificationError if it is not a YAML mapping."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=SafeLoader)  # noqa: S506 - a safe loader
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SpecificationError(f"{path}: cannot be read as YAML: {error}") from error
    if not isinstance(content, dict):
        raise SpecificationError(f"{path}: is not a mapping. An OpenAPI document starts with `openapi: 3.0.3`.")
    return Document(path, content)


def pointer_keys(pointer: str) -> list[str]:
    """The keys of a JSON pointer (RFC 6901): `/a~1b/0` gives `["a/b", "0"]`."""
    return [key.replace("~1", "/").replace("~0", "~") for key in pointer.split("/")[1:]]


def pointer(*keys: object) -> str:
    """A JSON pointer (RFC 6901) from its keys."""
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)


def walk(node: Any, *keys: object) -> Iterator[tuple[str, Any]]:
    """Every node below and including `node`, with its JSON pointer; references are not followed."""
    yield pointer(*keys), node
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from walk(value, *keys, key)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from walk(value, *keys, index)
