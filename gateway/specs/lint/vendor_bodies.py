"""Rules: the bodies of requests and replies that Jobgate can write and read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.domain.encoding import FORM
from gateway.specs.document import Document, pointer
from gateway.specs.lint.findings import Fault
from gateway.specs.lint.promises import followed
from gateway.specs.lint.vendor_parts import job_operations

SCALARS = ("string", "integer", "number", "boolean")
"""The types of values that a form can hold."""


def bodies_of_other_media_types(document: Document) -> Iterator[Fault]:
    """A request body is JSON or a form. Jobgate can encode no other."""
    for place, content in _request_contents(document):
        for media_type in content:
            if media_type != FORM and not _is_json(media_type):
                fix = f"Describe the body as application/json or {FORM}."
                yield Fault(place + pointer(media_type), f"Jobgate writes no bodies of {media_type}", fix)


def replies_of_other_media_types(document: Document) -> Iterator[Fault]:
    """A reply is JSON. Jobgate can neither read another nor send one to the vendor's clients."""
    for operation in job_operations(document):
        for status, written in operation.node["responses"].items():
            place, response = followed(document, operation.place + pointer("responses", status), written)
            for media_type in response.get("content", {}):
                if not _is_json(media_type):
                    where = place + pointer("content", media_type)
                    fix = "Describe the reply as application/json, or as another media type that ends with +json."
                    yield Fault(where, f"Jobgate reads no replies of {media_type}", fix)


def bodies_of_several_schemas(document: Document) -> Iterator[Fault]:
    """All media types of a body have the same schema, since Jobgate validates a request by one schema."""
    for place, content in _request_contents(document):
        first = next((media.get("schema") for media in content.values()), None)
        for media_type, media in content.items():
            if media.get("schema") != first:
                fix = "Give every media type of the body the same schema."
                yield Fault(place + pointer(media_type, "schema"), "is not the schema of the first media type", fix)


def forms_with_members_in_members(document: Document) -> Iterator[Fault]:
    """A form is flat: its fields are texts, numbers, booleans, or arrays of them."""
    for place, content in _request_contents(document):
        if FORM in content:
            where, schema = followed(document, place + pointer(FORM, "schema"), content[FORM].get("schema", {}))
            if "properties" not in schema:
                fix = "List the fields in `properties` of the schema itself."
                yield Fault(where, "this form lists no fields", fix)
            for name, field in schema.get("properties", {}).items():
                if not _is_flat(document, field):
                    fix = f"Make it one of {', '.join(SCALARS)}, or an array of them."
                    yield Fault(where + pointer("properties", name), "a form has no place for such a value", fix)


def _request_contents(document: Document) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The `content` of each request body of the operations on jobs, with its place."""
    for operation in job_operations(document):
        place, body = followed(document, f"{operation.place}/requestBody", operation.node.get("requestBody", {}))
        yield f"{place}/content", body.get("content", {})


def _is_flat(document: Document, schema: Any) -> bool:
    schema = document.resolve(schema)
    of_one = document.resolve(schema.get("items", {})) if schema.get("type") == "array" else schema
    return of_one.get("type") in SCALARS


def _is_json(media_type: str) -> bool:
    return media_type == "application/json" or media_type.endswith("+json")
