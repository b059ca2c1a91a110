"""OpenAPI's schemas become JSON Schema, with the components that they refer to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.domain.errors import FieldError
from gateway.specs.document import Document
from gateway.specs.json_schema import Schemas
from gateway.specs.schemas import Validator

COMPONENTS: dict[str, Any] = {
    "Job": {
        "type": "object",
        "properties": {"id": {"$ref": "#/components/schemas/Id"}, "next": {"$ref": "#/components/schemas/Job"}},
    },
    "Id": {"type": "string", "nullable": True},
    "Queue": {"allOf": [{"$ref": "#/components/schemas/Job/properties/id"}]},
    "Other": {"type": "string"},
}


def names(schema: dict[str, Any]) -> set[str]:
    """The names of the components that a complete schema has."""
    return set(Schemas(COMPONENTS).complete(schema)["components"]["schemas"])


@pytest.mark.parametrize(
    ("schema", "needed"),
    [
        ({"type": "string"}, set()),
        ({"$ref": "#/components/schemas/Id"}, {"Id"}),
        ({"$ref": "#/components/schemas/Job"}, {"Job", "Id"}),
        ({"oneOf": [{"type": "array", "items": {"$ref": "#/components/schemas/Queue"}}]}, {"Queue", "Job", "Id"}),
    ],
)
def test_a_schema_has_the_components_that_it_needs(schema: dict[str, Any], needed: set[str]) -> None:
    """Those that it refers to are there, directly or through others, circles included; the rest is not compiled."""
    assert names(schema) == needed


def test_a_component_is_checked_wherever_it_is_referred_to() -> None:
    """A reference leads to the rewritten component: null is allowed where OpenAPI says `nullable`."""
    document = Document(Path("a.yaml"), {"components": {"schemas": COMPONENTS}})
    checked = Validator(document, {"$ref": "#/components/schemas/Job"})
    assert checked.is_valid({"next": {"next": {"id": None}}})
    assert checked.errors({"next": {"id": 1}}) == (FieldError("/next/id", 'is not of types "null", "string"'),)
