"""The form of OpenAPI documents, by the JSON Schema of OpenAPI 3.0: a document without it cannot be compiled."""

from __future__ import annotations

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import jsonschema_rs

from gateway.specs.document import Document, SpecificationError, load, pointer

_VALIDATOR = "openapi_spec_validator"
"""The package that has the schema. `jobgate specs check` checks by the same schema, and by much more."""


def load_checked(path: Path) -> Document:
    """Read a document of OpenAPI 3.0. Raises SpecificationError if the file is none."""
    document = load(path)
    error = next(_schema().iter_errors(document.content), None)
    if error is not None:
        place = pointer(*error.instance_path) or "/"
        raise SpecificationError(
            f"{path}: {place} is not as OpenAPI 3.0 requires. `jobgate specs check {path}` names every mistake."
        )
    return document


@cache
def _schema() -> jsonschema_rs.Draft4Validator:
    """The compiled schema. Its package is not imported, since that takes longer than all checks."""
    found = find_spec(_VALIDATOR)
    (folder,) = (found.submodule_search_locations if found else None) or [""]
    text = Path(folder, "resources", "schemas", "v3.0", "schema.json").read_text(encoding="utf-8")
    return jsonschema_rs.Draft4Validator(json.loads(text))
