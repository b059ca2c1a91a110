"""The form of OpenAPI documents, by the JSON Schema of OpenAPI 3.0: a document without it cannot be compiled."""

from __future__ import annotations

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import jsonschema_rs

from gateway.specs.document import Document, SpecificationError, pointer

_VALIDATOR = "openapi_spec_validator"
"""The package that has the schema. `jobgate specs check` checks by the same schema, and by much more."""


def checked(document: Document) -> Document:
    """The document, if it is one of OpenAPI 3.0. Raises SpecificationError if not."""
    error = next(_schema().iter_errors(document.content), None)
    if error is None:
        return document
    place = pointer(*error.instance_path) or "/"
    raise SpecificationError(
        f"{document.path}: {place} is not as OpenAPI 3.0 requires. `jobgate specs check {document.path}` names every "
        "mistake."
    )


@cache
def _schema() -> jsonschema_rs.Draft4Validator:
    """The compiled schema. Its package is not imported, since that takes longer than all checks."""
    found = find_spec(_VALIDATOR)
    (folder,) = (found.submodule_search_locations if found else None) or [""]
    text = Path(folder, "resources", "schemas", "v3.0", "schema.json").read_text(encoding="utf-8")
    return jsonschema_rs.Draft4Validator(json.loads(text))
