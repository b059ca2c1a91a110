"""Rules for the structure of a document, and for references between its parts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache

import jsonschema_rs
from openapi_spec_validator import OpenAPIV30SpecValidator
from openapi_spec_validator.schemas import schema_v30
from openapi_spec_validator.validation.exceptions import DuplicateOperationIDError

from gateway.specs.document import (
    SPECIFICATIONS,
    Document,
)
from gateway.specs.lint.findings import Fault
from gateway.specs.lint.parts import COMPONENTS, is_reference, parts
from gateway.specs.lint.vendor_parts import job_operations
from gateway.specs.schemas import field_error


def breaches_of_openapi(document: Document) -> Iterator[Fault]:
    """The document fits the official schema of OpenAPI 3.0, from openapi-spec-validator."""
    fix = "Write it as the specification of OpenAPI 3.0.3 requires."
    yield from _breaches(_openapi_schema(), document, fix)


def breaches_of_our_extensions(document: Document) -> Iterator[Fault]:
    """The extensions in a vendor's document fit their own schema."""
    if _is_of_a_vendor(document):
        fix = "Write it as specs/x-job-action.schema.json requires."
        yield from _breaches(_extension_schema(), document, fix)


def _is_of_a_vendor(document: Document) -> bool:
    lies_there = document.path.resolve().parent.name == "vendors"
    return lies_there or "x-job-vendor" in document.content or any(job_operations(document))


def _breaches(schema: jsonschema_rs.Validator, document: Document, fix: str) -> Iterator[Fault]:
    for error in schema.iter_errors(document.content):
        for cause in _causes(error):
            found = field_error(cause)
            yield Fault(found.pointer, found.detail, fix)


def _causes(error: jsonschema_rs.ValidationError) -> Sequence[jsonschema_rs.ValidationError]:
    """The errors of the alternative that the author most likely meant; otherwise the error itself."""
    alternatives = getattr(error.kind, "context", None)
    if not alternatives:
        return [error]
    explained = [[cause for inner in each for cause in _causes(inner)] for each in alternatives]
    return max((each for each in explained if each), key=_likelihood, default=[error])


def _likelihood(causes: Sequence[jsonschema_rs.ValidationError]) -> tuple[bool, int, int]:
    """Sort key: the right kind first, then the depth to which an alternative fits, then few errors."""
    depth = max(len(cause.instance_path) for cause in causes)
    return not any(map(_speaks_of_another_kind, causes)), depth, -len(causes)


def _speaks_of_another_kind(cause: jsonschema_rs.ValidationError) -> bool:
    """True if a constant or `$ref` shows that another alternative was meant."""
    is_constant = isinstance(cause.kind, jsonschema_rs.ValidationErrorKind.Constant)
    return is_constant or getattr(cause.kind, "property", None) == "$ref"


@cache
def _openapi_schema() -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(dict(schema_v30), validate_formats=True, mask="the value")


@cache
def _extension_schema() -> jsonschema_rs.Validator:
    text = (SPECIFICATIONS / "x-job-action.schema.json").read_text(encoding="utf-8")
    return jsonschema_rs.validator_for(json.loads(text), mask="the value")


def references_to_another_kind(document: Document) -> Iterator[Fault]:
    """A reference leads to the part of `components` for its kind of object."""
    for part in parts(document, *COMPONENTS):
        target = f"#/components/{COMPONENTS[part.kind]}/"
        if is_reference(part.node) and not _is_member(part.node["$ref"], target):
            message = f"a reference to a {part.kind} must lead to {target}..."
            fix = f"Define the {part.kind} there, and refer to it by its name."
            yield Fault(f"{part.place}/$ref", message, fix)


def _is_member(reference: str, target: str) -> bool:
    return reference.startswith(target) and "/" not in reference.removeprefix(target)


def references_to_path_items(document: Document) -> Iterator[Fault]:
    """No path item is a reference: tools disagree on its meaning."""
    for part in parts(document, "path item"):
        if "$ref" in part.node:
            fix = "Write the operations out."
            yield Fault(f"{part.place}/$ref", "a path item must not be a reference", fix)


def breaches_of_the_specification(document: Document) -> Iterator[Fault]:
    """The document fits the rules that OpenAPI states in words and openapi-spec-validator checks, without a place."""
    for error in OpenAPIV30SpecValidator(document.content).iter_errors():
        if not isinstance(error, DuplicateOperationIDError):  # repeated_operation_ids reports its place
            fix = "Write it as the specification of OpenAPI 3.0.3 requires."
            yield Fault("", error.message.partition("\n")[0], fix)
