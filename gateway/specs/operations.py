"""The operations of a document, each with its parameters and its compiled validators."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

from gateway.domain.encoding import FORM
from gateway.domain.errors import FieldError
from gateway.domain.fields import canonical_media_range
from gateway.domain.model import Json
from gateway.domain.numbers import number
from gateway.specs.document import Document, pointer
from gateway.specs.forms import form_of, schema_at
from gateway.specs.lens import Place
from gateway.specs.schemas import HINT, Validator, has_default, with_defaults

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,19})")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,19})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?")
_PARAMETER = re.compile(r"\{([^}]+)\}")
_ITEM = re.compile(r"/[0-9]+\Z")
"""The end of a pointer to an item of an array."""
_BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True)
class Parameter:
    """A parameter of a document. `type` is the JSON type of its schema, `form` makes its values canonical.

    If it is an array, both are those of its elements. A query repeats the name of an array that `is_exploded`; else its
    elements stand in one text, with commas between them (OpenAPI 3.0.3, Style Values: `form`).
    """

    name: str
    location: str
    required: bool
    type: str
    schema: Mapping[str, Any]

    @cached_property
    def field_name(self) -> bytes:
        """The name of a header parameter in lower case, as received fields are stored."""
        return self.name.lower().encode("latin-1")

    @cached_property
    def routed_name(self) -> str:
        """The name of a path parameter in Connexion's routing, which turns a hyphen into an underscore."""
        return self.name.replace("-", "_")

    form: Callable[[str], Json] | None = None
    is_array: bool = False
    is_exploded: bool = False

    @cached_property
    def parse(self) -> Callable[[str], Json]:
        """The function that parses the text of a URL or header into a value of the parameter's type.

        A text that is no such value is returned unchanged, for the validator to refuse. Only the plain ASCII forms of
        JSON are accepted: no `+5`, no `TRUE`.
        """
        return self._parsed_array if self.is_array else self._parsed

    def _parsed_array(self, text: str) -> Json:
        return self.parse_repeated([text])

    def parse_repeated(self, texts: Sequence[str]) -> Json:
        """Parse the texts that a query has under this name. Only the name of an exploded array counts repeatedly."""
        if not self.is_array:
            return self._parsed(texts[-1])
        return [self._parsed(text) for text in (texts if self.is_exploded else texts[-1].split(","))]

    @cached_property
    def _parsed(self) -> Callable[[str], Json]:
        """The function that parses one text."""
        return _PARSED.get(self.type, str) if self.form is None or self.type != "string" else self.form


def _integer(text: str) -> Json:
    return int(text) if _INTEGER.fullmatch(text) else text


def _number(text: str) -> Json:
    found = number(text) if _NUMBER.fullmatch(text) else None
    return text if found is None else found


def _boolean(text: str) -> Json:
    return _BOOLEANS.get(text, text)


_PARSED: Mapping[str, Callable[[str], Json]] = {"integer": _integer, "number": _number, "boolean": _boolean}
"""The functions that parse a text, by JSON type. A text of any other type stays as it is."""


@dataclass(frozen=True)
class FormField:
    """A field of a form. `value` parses each of its values; `is_repeated` if the field is an array."""

    value: Parameter
    is_repeated: bool

    def parse(self, texts: list[str]) -> Json:
        """Parse the texts that a form has under this name."""
        values = [self.value.parse(text) for text in texts]
        return values if self.is_repeated else values[0]


@dataclass(frozen=True)
class Response:
    """A documented response: validators of its body by media type (empty: no body), and names of its header fields."""

    media_types: tuple[str, ...]
    bodies: Mapping[str, Validator]
    headers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Operation:
    """One operation. `request` validates `{path, query, header, body}` in one pass; `example` is such a request.

    `defaults` are the default values of parameters by location; `fill_body` adds those of a body, and is None if its
    schema has none. `scopes` are required by the document's security, with any scheme. `form_fields` are the fields of
    the body if it can be a form.
    """

    operation_id: str
    summary: str
    method: str
    path: str
    parameters: tuple[Parameter, ...]
    media_types: tuple[str, ...]
    request: Validator
    responses: Mapping[str, Response]
    defaults: Mapping[str, Mapping[str, Json]]
    fill_body: Callable[[Json], Json] | None
    example: Mapping[str, Any]
    extensions: Mapping[str, Any]
    scopes: tuple[str, ...] = ()
    hints: Mapping[str, str] = field(default_factory=dict)
    form_fields: Mapping[str, FormField] = field(default_factory=dict)

    @cached_property
    def declared(self) -> Mapping[str, Mapping[str, Parameter]]:
        """The parameters by location and name."""
        by_location: dict[str, dict[str, Parameter]] = {"path": {}, "query": {}, "header": {}}
        for parameter in self.parameters:
            by_location.setdefault(parameter.location, {})[parameter.name] = parameter
        return by_location

    @cached_property
    def routed(self) -> tuple[tuple[str, str, Callable[[str], Json]], ...]:
        """The path parameters: each with its name in Connexion's routing, and the function that parses it."""
        return tuple((name, each.routed_name, each.parse) for name, each in self.declared["path"].items())

    @cached_property
    def header_fields(self) -> frozenset[bytes]:
        """The names of the header parameters, as received fields are stored."""
        return frozenset(each.field_name for each in self.declared["header"].values())

    def parse_query(self, pairs: Sequence[tuple[str, str]]) -> tuple[dict[str, Json], list[str]]:
        """The typed values of a query, and the names of the parameters that it must not repeat, but does."""
        known = self.declared["query"]
        only = dict(pairs)
        if len(only) == len(pairs):
            return {name: known[name].parse(text) if name in known else text for name, text in only.items()}, []
        texts: dict[str, list[str]] = {}
        for name, text in pairs:
            texts.setdefault(name, []).append(text)
        values = {name: known[name].parse_repeated(each) if name in known else each[-1] for name, each in texts.items()}
        several = (name for name, each in texts.items() if len(each) > 1 and name in known)
        return values, sorted(name for name in several if not known[name].is_exploded)

    @cached_property
    def path_pieces(self) -> tuple[str, ...]:
        """The fixed texts and the parameter names of the path in turn, beginning with a text."""
        return tuple(_PARAMETER.split(self.path))

    @cached_property
    def path_parameters(self) -> tuple[tuple[str, str], ...]:
        """The parameter names of the path, each with the fixed text after it."""
        return tuple(zip(self.path_pieces[1::2], self.path_pieces[2::2], strict=True))

    @cached_property
    def success(self) -> int:
        """The lowest documented 2xx status; 200 if there is none."""
        return min((int(status) for status in self.responses if status.isdigit() and status < "300"), default=200)

    def response(self, status: int) -> Response | None:
        """The documented response for a status: its own, its class's, or the default; None if there is none."""
        known = self.responses
        return known.get(str(status)) or known.get(f"{status // 100}XX") or known.get("default")

    def with_defaults(self, parts: Mapping[str, Any]) -> dict[str, Any]:
        """A valid request with the default values of what it leaves out (OpenAPI 3.0.3, Schema Object: `default`)."""
        filled = dict(parts)
        for location, values in self.defaults.items():
            filled[location] = {**values, **parts[location]}
        if self.fill_body is not None and "body" in filled:
            filled["body"] = self.fill_body(filled["body"])
        return filled

    def check(self, parts: Mapping[str, Json]) -> tuple[FieldError, ...]:
        """An error for each place where a request `{path, query, header, body}` departs from the document."""
        return () if self.request.is_valid(parts) else tuple(map(self._hinted, self.request.errors(parts)))

    def _hinted(self, error: FieldError) -> FieldError:
        """The error with the hint of the document, the `x-hint` of a parameter, if there is one."""
        hint = self.hints.get(error.pointer) or self.hints.get(_ITEM.sub("", error.pointer))
        return FieldError(error.pointer, f"{error.detail}; {hint}") if hint else error


@dataclass(frozen=True)
class Api:
    """A compiled document."""

    document: Document
    operations: Mapping[str, Operation] = field(repr=False)

    @classmethod
    def compile(cls, document: Document) -> Api:
        """Compile every operation of a document. The document must be free of lint findings."""
        known: dict[int, Response] = {}
        compiled = (_operation(document, known, *found) for found in document.operations())
        return cls(document, {operation.operation_id: operation for operation in compiled})

    @property
    def info(self) -> Mapping[str, Any]:
        """The document's own `info` object."""
        info: Mapping[str, Any] = self.document.content["info"]
        return info

    @cached_property
    def _templates(self) -> tuple[tuple[re.Pattern[str], Operation], ...]:
        return tuple((_pattern(operation.path), operation) for operation in self.operations.values())

    def methods_at(self, path: str) -> tuple[str, ...]:
        """The methods documented at a path below the server's; HEAD comes with GET. None if the path is unknown."""
        methods = {operation.method for operation in self._operations_at(path)}
        return tuple(sorted(methods | {"HEAD"} if "GET" in methods else methods))

    def operation_at(self, method: str, path: str) -> Operation | None:
        """The operation at a path below the server's; None if there is none."""
        return next((each for each in self._operations_at(path) if each.method == method), None)

    def _operations_at(self, path: str) -> list[Operation]:
        """The operations of the matching template with the most fixed text (OpenAPI, Path Templating)."""
        fitting = [operation for pattern, operation in self._templates if pattern.fullmatch(path)]
        concrete = max((_text_length(operation.path) for operation in fitting), default=0)
        return [operation for operation in fitting if _text_length(operation.path) == concrete]


def _text_length(template: str) -> int:
    return len(_PARAMETER.sub("", template))


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile("[^/]+".join(re.escape(text) for text in _PARAMETER.split(template)[::2]))


def _operation(
    document: Document, known: dict[int, Response], path: str, method: str, node: Mapping[str, Any]
) -> Operation:
    item = document.content["paths"][path]
    declared = [document.resolve(each) for each in (*item.get("parameters", ()), *node.get("parameters", ()))]
    parameters = tuple(_parameter(document, each) for each in declared)
    body = document.resolve(node.get("requestBody", {}))
    return Operation(
        operation_id=node["operationId"],
        summary=node.get("summary", node["operationId"]),
        method=method.upper(),
        path=path,
        parameters=parameters,
        media_types=tuple(body.get("content", ())),
        request=Validator(document, _request_schema(parameters, body)),
        responses={str(status): _response(document, known, each) for status, each in node["responses"].items()},
        defaults=_parameter_defaults(document, parameters),
        fill_body=_body_filler(document, body),
        example=_example(declared, body),
        extensions={key: value for key, value in node.items() if key.startswith("x-")},
        scopes=_scopes(node.get("security", document.content.get("security", []))),
        hints={pointer(each["in"], each["name"]): each[HINT] for each in declared if HINT in each},
        form_fields=_form_fields(document, body),
    )


def _scopes(security: Iterable[Mapping[str, Iterable[str]]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(scope for each in security for scopes in each.values() for scope in scopes))


def _example(parameters: list[Mapping[str, Any]], body: Mapping[str, Any]) -> dict[str, Any]:
    """A request made of the examples of the parameters and the first example of the body."""
    parts: dict[str, Any] = {"path": {}, "query": {}, "header": {}}
    for parameter in parameters:
        if "example" in parameter:
            parts[parameter["in"]][parameter["name"]] = parameter["example"]
    values = [
        each["value"] for media in body.get("content", {}).values() for each in media.get("examples", {}).values()
    ]
    return parts | ({"body": values[0]} if values else {})


def _form_fields(document: Document, body: Mapping[str, Any]) -> dict[str, FormField]:
    schema = document.resolve(body.get("content", {}).get(FORM, {}).get("schema", {}))
    fields = {name: document.resolve(each) for name, each in schema.get("properties", {}).items()}
    return {name: _form_field(document, name, each) for name, each in fields.items()}


def _form_field(document: Document, name: str, schema: Mapping[str, Any]) -> FormField:
    is_repeated = schema.get("type") == "array"
    of_one = document.resolve(schema.get("items", {})) if is_repeated else schema
    value = Parameter(name, "body", required=False, type=of_one.get("type", "string"), schema=of_one)
    return FormField(value, is_repeated)


def _parameter(document: Document, node: Mapping[str, Any]) -> Parameter:
    resolved = document.resolve(node["schema"])
    required = bool(node.get("required", False))
    is_array = resolved.get("type") == "array"
    of_one = document.resolve(resolved.get("items", {})) if is_array else resolved
    is_exploded = is_array and node["in"] == "query" and node.get("explode", True)
    is_accept = (node["in"], node["name"].lower()) == ("header", "accept")
    form = canonical_media_range if is_accept else form_of(of_one)
    kind = of_one.get("type", "string")
    return Parameter(node["name"], node["in"], required, kind, node["schema"], form, is_array, is_exploded)


def _response(document: Document, known: dict[int, Response], node: Any) -> Response:
    """A response, compiled once for all operations that share it: a compiled schema takes much memory."""
    resolved = document.resolve(node)
    if id(resolved) not in known:
        content = resolved.get("content", {})
        bodies = {media_type: Validator(document, media["schema"]) for media_type, media in content.items()}
        known[id(resolved)] = Response(tuple(content), bodies, tuple(resolved.get("headers", ())))
    return known[id(resolved)]


def _request_schema(parameters: tuple[Parameter, ...], body: Mapping[str, Any]) -> dict[str, Any]:
    """One schema for the whole request, so that one pass finds all errors with their places."""
    properties: dict[str, Any] = {
        location: _location_schema([each for each in parameters if each.location == location])
        for location in ("path", "query", "header")
    }
    # Other headers are allowed; other query parameters are mistakes.
    properties["header"].pop("additionalProperties")
    if body:
        properties["body"] = _body_schema(body)
    required = ["path", "query", "header", *(["body"] if body.get("required") else [])]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _location_schema(parameters: list[Parameter]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {parameter.name: parameter.schema for parameter in parameters},
        "required": [parameter.name for parameter in parameters if parameter.required],
        "additionalProperties": False,
    }


def _body_schema(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of a body. All media types of an operation have the same, which the lint ensures."""
    schema: Mapping[str, Any] = next(iter(body["content"].values()))["schema"]
    return schema


def request_schema_at(document: Document, operation: Operation, place: Place) -> Mapping[str, Any]:
    """The schema of the value at a place in an operation's requests; empty if the document has none."""
    if place.location != "body":
        declared = operation.declared[place.location].get(place.keys[0])
        return {} if declared is None else schema_at(document, declared.schema, place.keys[1:])
    node = document.content["paths"][operation.path][operation.method.lower()]
    body = document.resolve(node.get("requestBody", {}))
    return schema_at(document, _body_schema(body), place.keys) if body else {}


def _parameter_defaults(document: Document, parameters: tuple[Parameter, ...]) -> dict[str, dict[str, Json]]:
    found: dict[str, dict[str, Json]] = {}
    for parameter in parameters:
        schema = document.resolve(parameter.schema)
        if "default" in schema:
            found.setdefault(parameter.location, {})[parameter.name] = schema["default"]
    return found


def _body_filler(document: Document, body: Mapping[str, Any]) -> Callable[[Json], Json] | None:
    if not body or not has_default(document, _body_schema(body)):
        return None
    return partial(with_defaults, document, _body_schema(body))
