"""The operations of a document, each with its parameters and its compiled validators."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from gateway.domain.errors import FieldError
from gateway.domain.model import Json
from gateway.specs.document import Document
from gateway.specs.schemas import Validator

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,19})")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,19})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?")
_PARAMETER = re.compile(r"\{[^}]+\}")
_BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True)
class Parameter:
    """A parameter as the document declares it. `type` is the JSON type of its schema."""

    name: str
    location: str
    required: bool
    type: str
    schema: Mapping[str, Any]

    def parse(self, text: str) -> Json:
        """The text of a URL or header as a value of the parameter's type.

        What is no such value stays text, for the validator to refuse. Only the plain ASCII forms of JSON count: no
        `+5`, no `TRUE`.
        """
        if self.type == "integer" and _INTEGER.fullmatch(text):
            return int(text)
        if self.type == "number" and _NUMBER.fullmatch(text):
            return float(text)
        if self.type == "boolean":
            return _BOOLEANS.get(text, text)
        return text


@dataclass(frozen=True)
class Response:
    """A documented response: the validators of its body by media type. Empty: no body."""

    media_types: tuple[str, ...]
    bodies: Mapping[str, Validator]


@dataclass(frozen=True)
class Operation:
    """One operation. `request` validates `{path, query, header, body}` in one go; `example` is such a request."""

    operation_id: str
    summary: str
    method: str
    path: str
    parameters: tuple[Parameter, ...]
    media_types: tuple[str, ...]
    request: Validator
    responses: Mapping[str, Response]
    query_defaults: Mapping[str, Json]
    example: Mapping[str, Any]
    extensions: Mapping[str, Any]

    @cached_property
    def declared(self) -> Mapping[str, Mapping[str, Parameter]]:
        """The parameters by location and name."""
        by_location: dict[str, dict[str, Parameter]] = {"path": {}, "query": {}, "header": {}}
        for parameter in self.parameters:
            by_location.setdefault(parameter.location, {})[parameter.name] = parameter
        return by_location

    def response(self, status: int) -> Response | None:
        """The documented response for a status: its own, its class's, or the default."""
        keys = (str(status), f"{status // 100}XX", "default")
        return next((self.responses[key] for key in keys if key in self.responses), None)

    def check(self, parts: Mapping[str, Json]) -> tuple[FieldError, ...]:
        """Every place where a request `{path, query, header, body}` departs from the document."""
        return () if self.request.is_valid(parts) else self.request.errors(parts)


@dataclass(frozen=True)
class Api:
    """A document, compiled."""

    document: Document
    operations: Mapping[str, Operation] = field(repr=False)

    @classmethod
    def compile(cls, document: Document) -> Api:
        """Compile every operation of a document that the lint accepts."""
        compiled = (_operation(document, *found) for found in document.operations())
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
        """The methods documented at a path below the server's, HEAD with GET; none where there is no such path."""
        methods = {operation.method for operation in self._operations_at(path)}
        return tuple(sorted(methods | {"HEAD"} if "GET" in methods else methods))

    def operation_at(self, method: str, path: str) -> Operation | None:
        """The operation at a path below the server's."""
        return next((each for each in self._operations_at(path) if each.method == method), None)

    def _operations_at(self, path: str) -> list[Operation]:
        """Of several templates that fit, the one with the most text of its own counts (OpenAPI, Path Templating)."""
        fitting = [operation for pattern, operation in self._templates if pattern.fullmatch(path)]
        concrete = max((_text_length(operation.path) for operation in fitting), default=0)
        return [operation for operation in fitting if _text_length(operation.path) == concrete]


def _text_length(template: str) -> int:
    return len(_PARAMETER.sub("", template))


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile("[^/]+".join(re.escape(text) for text in _PARAMETER.split(template)))


def _operation(document: Document, path: str, method: str, node: Mapping[str, Any]) -> Operation:
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
        responses={str(status): _response(document, response) for status, response in node["responses"].items()},
        query_defaults=_query_defaults(document, parameters),
        example=_example(declared, body),
        extensions={key: value for key, value in node.items() if key.startswith("x-")},
    )


def _example(parameters: list[Mapping[str, Any]], body: Mapping[str, Any]) -> dict[str, Any]:
    """The request that the examples of the parameters and the first example of the body make together."""
    parts: dict[str, Any] = {"path": {}, "query": {}, "header": {}}
    for parameter in parameters:
        if "example" in parameter:
            parts[parameter["in"]][parameter["name"]] = parameter["example"]
    values = [
        each["value"] for media in body.get("content", {}).values() for each in media.get("examples", {}).values()
    ]
    return parts | ({"body": values[0]} if values else {})


def _parameter(document: Document, node: Mapping[str, Any]) -> Parameter:
    resolved = document.resolve(node["schema"])
    required = bool(node.get("required", False))
    return Parameter(node["name"], node["in"], required, resolved.get("type", "string"), node["schema"])


def _response(document: Document, node: Any) -> Response:
    content = document.resolve(node).get("content", {})
    bodies = {media_type: Validator(document, media["schema"]) for media_type, media in content.items()}
    return Response(tuple(content), bodies)


def _request_schema(parameters: tuple[Parameter, ...], body: Mapping[str, Any]) -> dict[str, Any]:
    """One schema for the whole request, so that one pass finds every error with its place."""
    properties: dict[str, Any] = {
        location: _location_schema([each for each in parameters if each.location == location])
        for location in ("path", "query", "header")
    }
    # The names of other headers are nobody's business here; other query parameters are mistakes.
    properties["header"].pop("additionalProperties")
    if body:
        properties["body"] = next(iter(body["content"].values()))["schema"]
    required = ["path", "query", "header", *(["body"] if body.get("required") else [])]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _location_schema(parameters: list[Parameter]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {parameter.name: parameter.schema for parameter in parameters},
        "required": [parameter.name for parameter in parameters if parameter.required],
        "additionalProperties": False,
    }


def _query_defaults(document: Document, parameters: tuple[Parameter, ...]) -> dict[str, Json]:
    schemas = {each.name: document.resolve(each.schema) for each in parameters if each.location == "query"}
    return {name: schema["default"] for name, schema in schemas.items() if "default" in schema}
