"""Our own lint: what OpenAPI leaves open in a document, and Jobgate relies on.

A rule looks at one document and yields every fault it sees. `RULES` lists the rules in stages: a
stage is entered only where the stages before it saw no fault, so a rule may rely on what they
made sure of.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema_rs
from openapi_spec_validator import OpenAPIV30SpecValidator
from openapi_spec_validator.schemas import schema_v30
from openapi_spec_validator.validation.exceptions import DuplicateOperationIDError

from gateway.specs.document import (
    METHODS,
    SPECIFICATIONS,
    Document,
    SpecificationError,
    load,
    pointer,
    walk,
)
from gateway.specs.schemas import Validator, field_error

PUBLIC_OPERATIONS = frozenset({"livez", "readyz"})
"""The operationIds of the operations that anybody may call."""

TEMPLATE_MARKERS = ("{{", "{%", "{#")
"""What Jinja2 would act on. Connexion renders every document that it reads from a file itself."""

BOUNDS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "string": (("maxLength",), ("enum",)),
    "array": (("maxItems",),),
    "integer": (("minimum", "maximum"), ("enum",)),
    "number": (("minimum", "maximum"), ("enum",)),
}
"""For each type that has no end by itself, the sets of members of which one gives it an end."""

BOUNDED_FORMATS = frozenset({"date-time", "date", "uuid"})
"""The formats of strings that cannot be long."""

NEEDED_OF_A_JOB = ("job.id", "job.vendorStatus")
"""What a vendor's job object must tell."""

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
"""The objects of OpenAPI 3.0: for each kind its members that hold others, and of which kind.

Maps and lists of objects are kinds too. What is not listed holds no objects: extensions, and the
values in `example`, `default` and `enum`.
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
"""The kinds of objects that may be a reference, and the part of `components` it must lead to."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One fault of one file: where it is, what is wrong, and a sentence on how to mend it."""

    file: Path
    pointer: str
    message: str
    mend: str

    def __str__(self) -> str:
        """The finding as a line: file and place, what is wrong, how to mend it."""
        return f"{self.file}#{self.pointer}: {self.message}. {self.mend}"


class Fault(NamedTuple):
    """A finding before it is known of which file."""

    pointer: str
    message: str
    mend: str


Rule = Callable[[Document], Iterator[Fault]]


def check_all(paths: Sequence[Path]) -> list[Finding]:
    """Every finding in these files, file by file."""
    return [finding for path in paths for finding in check(path)]


def check(path: Path) -> list[Finding]:
    """Every finding in one file, in the order of the places."""
    try:
        return sorted({Finding(path, *fault) for fault in _faults(_read(path))})
    except SpecificationError as error:
        return [_unreadable(path, error)]


def _read(path: Path) -> Document:
    try:
        return load(path)
    except (ValueError, RecursionError) as error:  # a date such as 2026-02-30; endless brackets
        raise SpecificationError(f"cannot be read as YAML: {error}") from error


def _unreadable(path: Path, error: SpecificationError) -> Finding:
    reason = " ".join(str(error).split()).removeprefix(f"{path}: ").rstrip(".")
    return Finding(path, "", reason, "Write it as a YAML mapping of the members of OpenAPI 3.0.3.")


def _faults(document: Document) -> list[Fault]:
    for stage in RULES:
        if faults := [fault for rule in stage for fault in rule(document)]:
            return faults
    return []


# The parts of a document --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Part:
    """An object of OpenAPI where it stands: its kind, its JSON pointer and itself."""

    kind: str
    place: str
    node: Any


def parts(document: Document, *kinds: str) -> Iterator[Part]:
    """Every object of these kinds that the document writes out; references are not followed."""
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
    """Whether the node is a `$ref`, and not a map of which a member happens to have that name."""
    return isinstance(node, Mapping) and isinstance(node.get("$ref"), str)


def references(document: Document) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every `$ref` object wherever it stands, even in examples: Connexion resolves them there."""
    return ((place, node) for place, node in walk(document.content) if is_reference(node))


def texts(document: Document) -> Iterator[tuple[str, str]]:
    """Every text of the document with its place: the values, and the names of members."""
    for place, node in walk(document.content):
        if isinstance(node, str):
            yield place, node
        if isinstance(node, Mapping):
            yield from ((place + pointer(name), name) for name in node if isinstance(name, str))


# Rules: a document that can be read -----------------------------------------------------------


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
            yield Fault(f"{place}/$ref", f"{node['$ref']} leads to nothing", mend)


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


# Rules: a document of the right shape -----------------------------------------------------------


def breaches_of_openapi(document: Document) -> Iterator[Fault]:
    """The official schema of OpenAPI 3.0 that openapi-spec-validator carries, place by place."""
    mend = "Write it as the specification of OpenAPI 3.0.3 says."
    yield from _breaches(_openapi_schema(), document, mend)


def breaches_of_our_extensions(document: Document) -> Iterator[Fault]:
    """The extensions of a vendor's document have a schema of their own."""
    if _is_of_a_vendor(document):
        mend = "Write it as specs/x-job-action.schema.json says."
        yield from _breaches(_extension_schema(), document, mend)


def _is_of_a_vendor(document: Document) -> bool:
    lies_there = document.path.resolve().parent.name == "vendors"
    return lies_there or "x-job-vendor" in document.content or any(job_operations(document))


def _breaches(schema: jsonschema_rs.Validator, document: Document, mend: str) -> Iterator[Fault]:
    for error in schema.iter_errors(document.content):
        for cause in _causes(error):
            found = field_error(cause)
            yield Fault(found.pointer, found.detail, mend)


def _causes(error: jsonschema_rs.ValidationError) -> Sequence[jsonschema_rs.ValidationError]:
    """The errors of the alternative that the author most likely meant; or the error itself."""
    alternatives = getattr(error.kind, "context", None)
    if not alternatives:
        return [error]
    explained = [[cause for inner in each for cause in _causes(inner)] for each in alternatives]
    return max((each for each in explained if each), key=_likelihood, default=[error])


def _likelihood(causes: Sequence[jsonschema_rs.ValidationError]) -> tuple[bool, int, int]:
    """Of the right kind before all; then, the deeper an alternative fits and the less is wrong with it."""
    depth = max(len(cause.instance_path) for cause in causes)
    return not any(map(_speaks_of_another_kind, causes)), depth, -len(causes)


def _speaks_of_another_kind(cause: jsonschema_rs.ValidationError) -> bool:
    """Constants tell alternatives apart, and `$ref` a reference from what it refers to."""
    is_constant = isinstance(cause.kind, jsonschema_rs.ValidationErrorKind.Constant)
    return is_constant or getattr(cause.kind, "property", None) == "$ref"


@cache
def _openapi_schema() -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(dict(schema_v30), validate_formats=True, mask="the value")


@cache
def _extension_schema() -> jsonschema_rs.Validator:
    text = (SPECIFICATIONS / "x-job-action.schema.json").read_text(encoding="utf-8")
    return jsonschema_rs.validator_for(json.loads(text), mask="the value")


# Rules: a document whose parts fit together -----------------------------------------------------


def references_to_another_kind(document: Document) -> Iterator[Fault]:
    """A reference leads to the place in `components` where things of its kind are defined."""
    for part in parts(document, *COMPONENTS):
        target = f"#/components/{COMPONENTS[part.kind]}/"
        if is_reference(part.node) and not _is_member(part.node["$ref"], target):
            message = f"a reference to a {part.kind} must lead to {target}..."
            mend = f"Define the {part.kind} there, and refer to it by its name."
            yield Fault(f"{part.place}/$ref", message, mend)


def _is_member(reference: str, target: str) -> bool:
    return reference.startswith(target) and "/" not in reference.removeprefix(target)


def references_to_path_items(document: Document) -> Iterator[Fault]:
    """Tools disagree on what a path item that is a reference means."""
    for part in parts(document, "path item"):
        if "$ref" in part.node:
            mend = "Write the operations out."
            yield Fault(f"{part.place}/$ref", "a path item must not be a reference", mend)


def breaches_of_the_specification(document: Document) -> Iterator[Fault]:
    """What OpenAPI says in words and openapi-spec-validator checks; it tells no place."""
    for error in OpenAPIV30SpecValidator(document.content).iter_errors():
        if not isinstance(error, DuplicateOperationIDError):  # repeated_operation_ids tells where
            mend = "Write it as the specification of OpenAPI 3.0.3 says."
            yield Fault("", error.message.partition("\n")[0], mend)


# Rules: what every document of ours promises ----------------------------------------------------


def operations_without_id(document: Document) -> Iterator[Fault]:
    """Everything of ours that names an operation names it by its operationId."""
    for part in parts(document, "operation"):
        if not part.node.get("operationId"):
            mend = "Add an operationId, a verb and a noun such as getJob."
            yield Fault(part.place, "has no operationId", mend)


def repeated_operation_ids(document: Document) -> Iterator[Fault]:
    """An operationId that two operations have names neither."""
    operations = list(parts(document, "operation"))
    count = Counter(part.node.get("operationId") for part in operations)
    for part in operations:
        name = part.node.get("operationId")
        if name and count[name] > 1:
            mend = "Give each operation an operationId of its own."
            yield Fault(f"{part.place}/operationId", f"{name} names {count[name]} operations", mend)


def unbounded_schemas(document: Document) -> Iterator[Fault]:
    """Whatever has no end can be made to fill the memory."""
    for part in parts(document, "schema"):
        kind = part.node.get("type")
        if not is_reference(part.node) and kind in BOUNDS and not _is_bounded(part.node):
            wanted = " or ".join(" and ".join(members) for members in BOUNDS[kind])
            yield Fault(part.place, f"this {kind} has no bounds", f"Give it {wanted}.")


def _is_bounded(schema: Mapping[str, Any]) -> bool:
    if schema["type"] == "string" and schema.get("format") in BOUNDED_FORMATS:
        return True
    return any(schema.keys() >= set(members) for members in BOUNDS[schema["type"]])


def operations_without_error(document: Document) -> Iterator[Fault]:
    """Whatever else goes wrong has a documented shape: that of the default response."""
    for part in parts(document, "operation"):
        default = document.resolve(part.node["responses"].get("default", {}))
        if not default.get("content"):
            mend = "Add the response `default`, with the content of an error."
            yield Fault(f"{part.place}/responses", "no default response describes an error", mend)


def operations_open_to_anybody(document: Document) -> Iterator[Fault]:
    """Only the operations in `PUBLIC_OPERATIONS` may be called without credentials."""
    for part in parts(document, "operation"):
        security = part.node.get("security", document.content.get("security", []))
        is_open = not security or {} in security
        if is_open and part.node.get("operationId") not in PUBLIC_OPERATIONS:
            mend = "Name a security scheme in `security`, and leave no requirement empty."
            yield Fault(part.place, "may be called without credentials", mend)


def unknown_security_schemes(document: Document) -> Iterator[Fault]:
    """A requirement that names no scheme secures nothing."""
    schemes = document.content.get("components", {}).get("securitySchemes", {})
    for secured in parts(document, "document", "operation"):
        for index, requirement in enumerate(secured.node.get("security", [])):
            for name in requirement.keys() - schemes.keys():
                place = secured.place + pointer("security", index, name)
                mend = "Define it in components.securitySchemes, or correct the name."
                yield Fault(place, f"there is no security scheme {name}", mend)


def schemas_that_do_not_compile(document: Document) -> Iterator[Fault]:
    """Every schema is compiled when the gateway starts; better to learn of it here."""
    elsewhere = {"$ref", *OBJECTS["schema"]}
    for part in parts(document, "schema"):
        own = {name: part.node[name] for name in part.node.keys() - elsewhere}
        try:
            Validator(document, own)
        except jsonschema_rs.ValidationError as error:
            found = field_error(error)
            mend = "Write what Rust's regular expressions and JSON Schema 2020-12 understand."
            yield Fault(part.place + found.pointer, f"does not compile: {found.detail}", mend)


def examples_that_do_not_fit(document: Document) -> Iterator[Fault]:
    """Readers copy examples, and the sandbox is seeded from them."""
    for place, value, schema in _values_with_schema(document):
        for error in _errors(document, schema, value):
            mend = "Correct the value, or the schema where that is wrong."
            yield Fault(place + error.pointer, f"{error.detail}, says its schema", mend)


def _values_with_schema(document: Document) -> Iterator[tuple[str, Any, Mapping[str, Any]]]:
    for part in parts(document, "parameter", "header", "content"):
        if "schema" in part.node:
            for place, value in example_values(document, part):
                yield place, value, part.node["schema"]
    for part in parts(document, "schema"):
        for name in {"example", "default"} & part.node.keys():
            yield part.place + pointer(name), part.node[name], part.node


def _errors(document: Document, schema: Mapping[str, Any], value: Any) -> Sequence[Any]:
    try:
        return Validator(document, schema).errors(value)
    except jsonschema_rs.ValidationError:
        return ()  # schemas_that_do_not_compile tells


def example_values(document: Document, part: Part) -> Iterator[tuple[str, Any]]:
    """The values in `example` and `examples` of a part, each with the place where it is written."""
    if "example" in part.node:
        yield f"{part.place}/example", part.node["example"]
    for name, example in part.node.get("examples", {}).items():
        place, written = _followed(document, part.place + pointer("examples", name), example)
        if "value" in written:
            yield f"{place}/value", written["value"]


def _followed(document: Document, place: str, node: Any) -> tuple[str, Any]:
    while is_reference(node):
        place = node["$ref"].removeprefix("#")
        node = document.at(node["$ref"])
    return place, node


# The parts of a vendor's document ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class JobOperation:
    """An operation that reads or changes jobs.

    `place` is where it stands; `parameters` go by the names that lenses use, such as `path.jobId`,
    and hold those of its path item too.
    """

    place: str
    node: Mapping[str, Any]
    parameters: Mapping[str, Mapping[str, Any]]

    @property
    def name(self) -> str:
        """Its operationId; empty where it has none."""
        return str(self.node.get("operationId", ""))

    @property
    def read(self) -> Mapping[str, Any] | None:
        """Its x-job-read, where it has one."""
        return self.node.get("x-job-read")


@dataclass(frozen=True, slots=True)
class Call:
    """One way to call an operation: an entry of its x-job-action, or its x-job-read."""

    place: str
    operation: JobOperation
    node: Mapping[str, Any]

    @property
    def sources(self) -> frozenset[str]:
        """The names of the values that the request carries."""
        return frozenset(source(value) for value in self.node["request"].values())


@dataclass(frozen=True, slots=True)
class Lens:
    """A lens where it stands."""

    place: str
    node: Mapping[str, Any]


def vendor(document: Document) -> Mapping[str, Any]:
    """The x-job-vendor of the document; empty where it has none."""
    found: Mapping[str, Any] = document.content.get("x-job-vendor", {})
    return found


def job_operations(document: Document) -> Iterator[JobOperation]:
    """Every operation with one of our extensions."""
    for item in parts(document, "path item"):
        for method in METHODS:
            operation = item.node.get(method, {})
            if {"x-job-action", "x-job-read"} & operation.keys():
                listed = [*item.node.get("parameters", []), *operation.get("parameters", [])]
                resolved = map(document.resolve, listed)
                parameters = {_place_of(parameter): parameter for parameter in resolved}
                yield JobOperation(f"{item.place}/{method}", operation, parameters)


def _place_of(parameter: Mapping[str, Any]) -> str:
    return _spelling(f"{parameter['in']}.{parameter['name']}")


def _spelling(place: str) -> str:
    """Names of headers are the same in upper and in lower case."""
    return place.lower() if place.startswith("header.") else place


def actions(document: Document) -> Iterator[Call]:
    """Every entry of every x-job-action."""
    for operation in job_operations(document):
        for index, action in enumerate(operation.node.get("x-job-action", [])):
            yield Call(operation.place + pointer("x-job-action", index), operation, action)


def reads(document: Document) -> Iterator[Call]:
    """Every x-job-read."""
    for operation in job_operations(document):
        if operation.read:
            yield Call(f"{operation.place}/x-job-read", operation, operation.read)


def calls(document: Document) -> Iterator[Call]:
    """Every action and every read."""
    yield from actions(document)
    yield from reads(document)


def lenses(document: Document) -> Iterator[Lens]:
    """Every lens of the document."""
    for call in calls(document):
        yield Lens(f"{call.place}/request", call.node["request"])
    for name in {"request", "reply", "job"} & vendor(document).keys():
        yield Lens(f"/x-job-vendor/{name}", vendor(document)[name])
    for name, envelope in vendor(document).get("errors", {}).get("envelopes", {}).items():
        yield Lens("/x-job-vendor/errors" + pointer("envelopes", name), envelope)


def source(value: Any) -> str:
    """The name of the value that a lens takes there; empty for a constant."""
    return value if isinstance(value, str) else str(value.get("from", ""))


def departures(document: Document) -> Iterator[tuple[str, str]]:
    """Every status that something leads out of, with the place that says so."""
    for action in actions(document):
        for index, status in enumerate(action.node["from"]):
            yield action.place + pointer("from", index), status
    yield from _ends_of_transitions(document, "from")


def arrivals(document: Document) -> Iterator[tuple[str, str]]:
    """Every status that something leads to, with the place that says so."""
    for action in actions(document):
        yield f"{action.place}/to", action.node["to"]
    yield from _ends_of_transitions(document, "to")


def _ends_of_transitions(document: Document, end: str) -> Iterator[tuple[str, str]]:
    for index, transition in enumerate(vendor(document).get("transitions", [])):
        yield pointer("x-job-vendor", "transitions", index, end), transition[end]


@cache
def our_words(schema: str) -> tuple[str, ...]:
    """The words that an enumeration of our own API allows: JobStatus, ActionName."""
    unified = load(SPECIFICATIONS / "gateway.yaml")
    return tuple(unified.at(f"#/components/schemas/{schema}/enum"))


# Rules: what a vendor's document promises -------------------------------------------------------


def statuses_of_no_meaning(document: Document) -> Iterator[Fault]:
    """Every vendor status is one of ours."""
    for name, status in vendor(document).get("statuses", {}).items():
        if status["status"] not in our_words("JobStatus"):
            place = pointer("x-job-vendor", "statuses", name, "status")
            mend = f"Choose one of {', '.join(our_words('JobStatus'))}."
            yield Fault(place, f"{status['status']} is no JobStatus of specs/gateway.yaml", mend)


def undocumented_statuses(document: Document) -> Iterator[Fault]:
    """Actions and transitions use the statuses that are documented."""
    for place, status in [*departures(document), *arrivals(document)]:
        if status not in vendor(document).get("statuses", {}):
            mend = "Correct the status, or document it in x-job-vendor.statuses."
            yield Fault(place, f"{status} is no status of this vendor", mend)


def ways_out_of_final_statuses(document: Document) -> Iterator[Fault]:
    """A final status is the end: no action and no transition leads out of it."""
    for place, status in departures(document):
        if vendor(document).get("statuses", {}).get(status, {}).get("final"):
            mend = "Remove it, or do not call the status final."
            yield Fault(place, f"leads out of {status}, which is final", mend)


def confirmations_that_read_nothing(document: Document) -> Iterator[Fault]:
    """Whether an action took effect is learned by reading the job."""
    readers = {read.operation.name for read in reads(document)}
    for action in actions(document):
        if action.node["confirm"] not in readers:
            mend = "Name the operationId of an operation with x-job-read."
            message = f"{action.node['confirm']} is no operation that reads jobs"
            yield Fault(f"{action.place}/confirm", message, mend)


def unknown_places_in_requests(document: Document) -> Iterator[Fault]:
    """A request can carry a value only where the operation has a place for it."""
    for call in calls(document):
        for place in call.node["request"]:
            if not _has_place(document, call.operation, place):
                where = f"{call.place}/request" + pointer(place)
                yield _unknown_place(where, place, call.operation)


def unknown_places_in_every_request(document: Document) -> Iterator[Fault]:
    """What every request carries has a place in every operation."""
    for place in vendor(document).get("request", {}):
        for operation in job_operations(document):
            if not _has_place(document, operation, place):
                where = "/x-job-vendor/request" + pointer(place)
                yield _unknown_place(where, place, operation)


def _unknown_place(where: str, place: str, operation: JobOperation) -> Fault:
    mend = "Correct the place, or describe it among the operation's parameters or in its body."
    return Fault(where, f"{operation.name} has no {place}", mend)


def _has_place(document: Document, operation: JobOperation, place: str) -> bool:
    part, _, name = place.partition(".")
    if part != "body":
        return _spelling(place) in operation.parameters
    body = document.resolve(operation.node.get("requestBody", {}))
    schemas = [content.get("schema", {}) for content in body.get("content", {}).values()]
    return any(_has_property(document, schema, name.split(".")) for schema in schemas)


def _has_property(document: Document, schema: Any, names: Sequence[str]) -> bool:
    if not names:
        return True
    return any(
        _has_property(document, alternative["properties"][names[0]], names[1:])
        for alternative in _alternatives(document, schema, ())
        if names[0] in alternative.get("properties", {})
    )


def _alternatives(document: Document, schema: Any, seen: tuple[Any, ...]) -> Iterator[Mapping[str, Any]]:
    """The schema itself, and those that it combines."""
    schema = document.resolve(schema)
    if not any(schema is each for each in seen):
        yield schema
        for combination in ("allOf", "anyOf", "oneOf"):
            for inner in schema.get(combination, []):
                yield from _alternatives(document, inner, (*seen, schema))


def parameters_left_empty(document: Document) -> Iterator[Fault]:
    """A request that lacks a required parameter is refused by every vendor."""
    common = vendor(document).get("request", {})
    for call in calls(document):
        filled = {_spelling(place) for place in [*common, *call.node["request"]]}
        for place, parameter in call.operation.parameters.items():
            if parameter.get("required") and place not in filled:
                mend = f"Add {place} to it, or to x-job-vendor.request."
                yield Fault(f"{call.place}/request", f"the required {place} is not filled", mend)


def maps_with_two_ways_back(document: Document) -> Iterator[Fault]:
    """A lens is read in both directions, so no two words may become the same."""
    for lens in lenses(document):
        for place, value in lens.node.items():
            words = [] if isinstance(value, str) else list(value.get("map", {}).values())
            for word in {word for word in words if words.count(word) > 1}:
                where = lens.place + pointer(place, "map")
                mend = "Give each word a counterpart of its own."
                yield Fault(where, f"two words become {word}", mend)


def parameters_that_no_request_carries(document: Document) -> Iterator[Fault]:
    """A parameter that defers an action or may be found is one that the request carries."""
    for action in actions(document):
        named = {"/deferredBy": action.node["deferredBy"]} if "deferredBy" in action.node else {}
        named |= {f"/find{pointer(name)}": name for name in action.node.get("find", {})}
        for place, name in named.items():
            if f"parameters.{name}" not in action.sources:
                mend = f"Add parameters.{name} to the request, or correct the name."
                yield Fault(action.place + place, f"the request carries no {name}", mend)


def deferred_from_several_statuses(document: Document) -> Iterator[Fault]:
    """A deferred action leaves the job as it is, which must then be one known status."""
    for action in actions(document):
        if "deferredBy" in action.node and len(action.node["from"]) > 1:
            mend = "Leave one status in `from`, or remove deferredBy."
            message = "an action that can be deferred starts from several statuses"
            yield Fault(f"{action.place}/from", message, mend)


def unknown_actions(document: Document) -> Iterator[Fault]:
    """A vendor's document performs actions of the unified API."""
    for action in actions(document):
        if action.node["action"] not in our_words("ActionName"):
            mend = f"Choose one of {', '.join(our_words('ActionName'))}."
            message = f"{action.node['action']} is no ActionName of specs/gateway.yaml"
            yield Fault(f"{action.place}/action", message, mend)


def repeated_actions(document: Document) -> Iterator[Fault]:
    """One action is one request."""
    count = Counter(action.node["action"] for action in actions(document))
    for action in actions(document):
        name = action.node["action"]
        if count[name] > 1:
            mend = "Leave it at the operation that performs it best."
            yield Fault(f"{action.place}/action", f"{name} is performed {count[name]} times", mend)


def unknown_envelopes(document: Document) -> Iterator[Fault]:
    """An error that comes in an envelope of its own names one that is described."""
    errors = vendor(document).get("errors", {})
    for meaning, answers in errors.get("meanings", {}).items():
        for index, answer in enumerate(answers):
            if "envelope" in answer and answer["envelope"] not in errors["envelopes"]:
                keys = ("x-job-vendor", "errors", "meanings", meaning, index, "envelope")
                mend = f"Name one of {', '.join(errors['envelopes'])}."
                yield Fault(pointer(*keys), f"there is no envelope {answer['envelope']}", mend)


def jobs_that_tell_too_little(document: Document) -> Iterator[Fault]:
    """Without its id and its status a job can be neither named nor judged."""
    if lens := vendor(document).get("job"):
        for name in set(NEEDED_OF_A_JOB) - set(map(source, lens.values())):
            mend = f"Add the place of the vendor's job object where {name} stands."
            yield Fault("/x-job-vendor/job", f"no place holds {name}", mend)


def statuses_without_one_example(document: Document) -> Iterator[Fault]:
    """The sandbox is seeded with the example jobs, one in each status."""
    count = Counter(status for _, status in _example_statuses(document))
    for status in vendor(document).get("statuses", {}):
        if count[status] != 1:
            message = f"{count[status]} example jobs are in this status instead of one"
            mend = "Give the response of an operation with x-job-read one example job in it."
            yield Fault(pointer("x-job-vendor", "statuses", status), message, mend)


def examples_in_undocumented_statuses(document: Document) -> Iterator[Fault]:
    """A job of the sandbox is in a status that the vendor documents."""
    for place, status in _example_statuses(document):
        if status not in vendor(document).get("statuses", {}):
            mend = "Correct its status, or document the status in x-job-vendor.statuses."
            yield Fault(place, "this example job is in no status of this vendor", mend)


def _example_statuses(document: Document) -> Iterator[tuple[str, str]]:
    """Every example job's status, with the job's place."""
    for lens_place, value in vendor(document).get("job", {}).items():
        if source(value) == "job.vendorStatus":
            for place, job in _example_jobs(document):
                yield place, str(_at(job, lens_place))


def _example_jobs(document: Document) -> Iterator[tuple[str, Any]]:
    for read in reads(document):
        for place, value in _replies(document, read.operation):
            yield from _jobs_in(value, place, read.node.get("items"))


def _jobs_in(value: Any, place: str, items_place: str | None) -> Iterator[tuple[str, Any]]:
    """The value itself; of a list, the items."""
    if items_place is None:
        yield place, value
    else:
        items = _at(value, items_place)
        where = place + pointer(*_names(items_place))
        for index, item in enumerate(items if isinstance(items, list) else []):
            yield where + pointer(index), item


def _replies(document: Document, operation: JobOperation) -> Iterator[tuple[str, Any]]:
    """The example values in the operation's replies of success."""
    for status, written in operation.node["responses"].items():
        if status.startswith("2"):
            place = operation.place + pointer("responses", status)
            place, response = _followed(document, place, written)
            for media_type, content in response.get("content", {}).items():
                where = place + pointer("content", media_type)
                yield from example_values(document, Part("content", where, content))


def _names(place: str) -> list[str]:
    return place.split(".")[1:]


def _at(body: Any, place: str) -> Any:
    """What stands at `body.some.where`; None where nothing does."""
    for name in _names(place):
        body = body.get(name) if isinstance(body, Mapping) else None
    return body


RULES: tuple[tuple[Rule, ...], ...] = (
    (endless_nesting,),
    (
        values_unknown_to_json,
        other_versions,
        template_markers,
        references_to_other_documents,
        references_to_nothing,
        members_beside_references,
    ),
    (breaches_of_openapi,),
    (breaches_of_our_extensions, references_to_another_kind, references_to_path_items),
    (jobs_that_tell_too_little,),
    (
        breaches_of_the_specification,
        operations_without_id,
        repeated_operation_ids,
        unbounded_schemas,
        operations_without_error,
        operations_open_to_anybody,
        unknown_security_schemes,
        schemas_that_do_not_compile,
        examples_that_do_not_fit,
        statuses_of_no_meaning,
        undocumented_statuses,
        ways_out_of_final_statuses,
        confirmations_that_read_nothing,
        unknown_places_in_requests,
        unknown_places_in_every_request,
        parameters_left_empty,
        maps_with_two_ways_back,
        parameters_that_no_request_carries,
        deferred_from_several_statuses,
        unknown_actions,
        repeated_actions,
        unknown_envelopes,
        statuses_without_one_example,
        examples_in_undocumented_statuses,
    ),
)
"""Every rule, in stages: each relies on what the stages before it made sure of."""
