"""A vendor's API as Jobgate serves it, made from the vendor's own document.

The served form differs in its address, and in who may call it: each operation needs the same scopes as in the unified
API. Actions take an idempotency key, and refuse members that Jobgate does not know, since those would be lost.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from gateway.domain.adapter import Adapter
from gateway.domain.encoding import FORM
from gateway.security.schemes import Scheme
from gateway.specs.document import METHODS, SPECIFICATIONS, Document, SpecificationError, load
from gateway.specs.lens import Lens, Parts, Place
from gateway.specs.openapi import checked
from gateway.specs.operations import Api, Operation
from gateway.specs.security import (
    BEARER,
    SIGNATURE,
    TOKENS,
    checked_schemes,
    kind_of,
    schemes,
    token_flows,
)
from gateway.specs.vendor import VendorSpecification, is_part

NATIVE = "/native"
CONNECTION = "connection"
"""The path parameter with the name of a connection. It comes before every path of the vendor."""
KEY = "Idempotency-Key"
GRANT = "grantToken"
"""The operationId of the token endpoint."""
ACTION = "x-job-action"
READ = "x-job-read"
"""Operations with one of these extensions are served, except reads of something besides jobs. Others are left out."""
SCOPES = "scopes"
"""The security scheme of the unified API that authorises a caller. The vendors' schemes authenticate it."""
READS = {"one": "getJob", "list": "listJobs"}
"""The unified API's operation for each kind of read."""
LOOKED_AT = ("path", "body")
"""The locations in a request that show its action before it is validated."""


@dataclass(frozen=True)
class NativeApi:
    """A vendor's own API as it is served. `schemes` are its security schemes by name, without those of OAuth 2.0."""

    vendor: VendorSpecification
    api: Api
    schemes: Mapping[str, Scheme]
    scopes: Mapping[str, tuple[str, ...]]

    @classmethod
    def make(cls, vendor: VendorSpecification, adapter: Adapter, unified: Document) -> NativeApi:
        """Make the served form of a vendor's document. Raises SpecificationError if it cannot be served."""
        document = checked(Document(vendor.api.document.path, served(vendor, unified)))
        return cls(vendor, Api.compile(document), checked_schemes(adapter, vendor.api.document), scopes_of(unified))

    @property
    def base_path(self) -> str:
        """The path below which it is served."""
        return base_path(self.vendor.name)

    @cached_property
    def takes_tokens(self) -> bool:
        """True if the vendor's clients can send a bearer token, such as an API key of the gateway."""
        return any(kind_of(each) in TOKENS for each in schemes(self.vendor.api.document).values())

    @property
    def challenge(self) -> str:
        """The credentials that a client lacks, for `WWW-Authenticate` (RFC 9110, 11.6.1)."""
        own = (each.challenge for each in self.schemes.values())
        return BEARER if self.takes_tokens else next(own, BEARER)

    @cached_property
    def token_scopes(self) -> frozenset[str]:
        """Every scope that a token request can name."""
        return frozenset(scope for scopes in token_flows(self.vendor.api.document).values() for scope in scopes)

    @cached_property
    def actions(self) -> frozenset[str]:
        """The operationIds of the operations that perform job actions."""
        return frozenset(mapping.operation.operation_id for mapping in self.vendor.actions.values())

    def needed(self, operation_id: str, parts: Parts) -> frozenset[str]:
        """The scopes that a request needs: those of every action that it could be.

        If it cannot be any action of its operation, it needs the scopes of all of them. Raises LookupError for an
        operation that neither acts on jobs nor reads them: nobody may ask for what no scope allows.
        """
        always = self.always_needed.get(operation_id)
        if always is not None:
            return always
        actions = self.vendor.actions_of(operation_id)
        if not actions:
            raise LookupError(f"{operation_id} of {self.vendor.name} neither acts on jobs nor reads them.")
        asked = [each for each in actions if each.lens.may_fit(parts, LOOKED_AT)] or actions
        return frozenset(scope for each in asked for scope in self.scopes[each.action])

    @cached_property
    def always_needed(self) -> Mapping[str, frozenset[str]]:
        """The scopes that every request to an operation needs: to a read, or to an operation with a single action."""
        names = {name: READS["one" if read.items is None else "list"] for name, read in self.vendor.reads.items()}
        actions = {name: self.vendor.actions_of(name) for name in self.actions}
        names |= {name: only.action for name, (only, *others) in actions.items() if not others}
        is_one = names.keys() - {name for name, each in actions.items() if len(each) > 1}
        return {name: frozenset(self.scopes[names[name]]) for name in is_one}

    def operation_at(self, method: str, path: str) -> Operation | None:
        """The operation at a path of the gateway; None if there is none."""
        return self.api.operation_at(method, path.removeprefix(self.base_path))


def base_path(vendor: str) -> str:
    """The path below which a vendor's API is served."""
    return f"{NATIVE}/{vendor}"


def served(vendor: VendorSpecification, unified: Document) -> dict[str, Any]:
    """The content of the vendor's document in its served form. Raises SpecificationError if it cannot be served."""
    content = copy.deepcopy(vendor.api.document.content)
    here = base_path(vendor.name)
    content["servers"] = [{"url": here, "description": "This gateway"}]
    _require_scopes(vendor, content, unified)
    content["paths"] = {f"/{{{CONNECTION}}}{path}": item for path, item in _paths(vendor.api.document, content)}
    for item in content["paths"].values():
        _leave_out_what_is_lost(item, vendor)
        _add_parameters(item, unified)
        _close_bodies(item, vendor.api.document)
        _drop_extensions(item)
    del content["x-job-vendor"]
    for scheme in content["components"]["securitySchemes"].values():
        scheme.pop(SIGNATURE, None)
    _add_token_endpoint(content, here)
    return content


def scopes_of(unified: Document) -> Mapping[str, tuple[str, ...]]:
    """The scopes that the unified API requires for each action, and for each other operation by its operationId."""
    found: dict[str, tuple[str, ...]] = {}
    for _, _, operation in unified.operations():
        name = operation.get("x-action", operation["operationId"])
        found[name] = tuple(scope for each in operation.get("security", ()) for scope in each.get(SCOPES, ()))
    return found


def _require_scopes(vendor: VendorSpecification, content: dict[str, Any], unified: Document) -> None:
    """Make each operation require scopes beside the vendor's own schemes; with several actions, those of one."""
    own = content.setdefault("components", {}).setdefault("securitySchemes", {})
    if SCOPES in own:
        raise SpecificationError(f"{vendor.api.document.path}: {SCOPES} is also a security scheme of Jobgate's.")
    own[SCOPES] = copy.deepcopy(unified.at(f"#/components/securitySchemes/{SCOPES}"))
    scopes = scopes_of(unified)
    for item in content["paths"].values():
        for operation in (item[method] for method in METHODS if is_served(item.get(method, {}))):
            required = operation.get("security", content.get("security", ()))
            if not all(required) or not required:
                name = operation["operationId"]
                raise SpecificationError(f"{vendor.api.document.path}: {name} needs no credentials.")
            names = [each["action"] for each in operation.get(ACTION, ())] or [READS[operation[READ]["kind"]]]
            operation["security"] = [{**each, SCOPES: list(scopes[name])} for name in names for each in required]


def is_served(operation: Mapping[str, Any]) -> bool:
    """True if an operation of a vendor's document acts on jobs or reads them."""
    return bool(operation.keys() & {ACTION, READ}) and not is_part(operation)


def _paths(document: Document, content: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The paths with served operations, and only those operations."""
    for path, item in content["paths"].items():
        if f"{{{CONNECTION}}}" in path:
            message = f"its path {path} has a parameter {CONNECTION}, which is also one of Jobgate's."
            raise SpecificationError(f"{document.path}: {message}")
        kept = {key: each for key, each in item.items() if key not in METHODS or is_served(each)}
        if kept.keys() & set(METHODS):
            yield path, kept


def _add_parameters(item: dict[str, Any], unified: Document) -> None:
    item["parameters"] = [_whole(unified, CONNECTION), *item.get("parameters", ())]
    for method in METHODS:
        if ACTION in item.get(method, {}):
            item[method]["parameters"] = [*item[method].get("parameters", ()), _whole(unified, KEY)]


def _close_bodies(item: dict[str, Any], document: Document) -> None:
    for operation in (item[method] for method in METHODS if ACTION in item.get(method, {})):
        body = document.resolve(operation.get("requestBody", {}))
        content = {
            media_type: {**each, "schema": {"additionalProperties": False, **document.resolve(each["schema"])}}
            for media_type, each in body.get("content", {}).items()
        }
        if content:
            operation["requestBody"] = {**body, "content": content}


def _leave_out_what_is_lost(item: dict[str, Any], vendor: VendorSpecification) -> None:
    """Leave out the optional parameters and body members that no action of their operation carries.

    A request that has them is refused: if `If-Match` were dropped silently, the action would be unconditional.
    """
    document = vendor.api.document
    for operation in (item[method] for method in METHODS if ACTION in item.get(method, {})):
        lenses = vendor.lenses_of(operation["operationId"])

        def is_kept(place: Place, lenses: tuple[Lens, ...] = lenses) -> bool:
            return place == vendor.client_request or any(lens.carries_of(place) for lens in lenses)

        if "parameters" in operation:
            listed = operation["parameters"]
            operation["parameters"] = [each for each in listed if _is_needed(document.resolve(each), is_kept)]
        if "requestBody" in operation:
            operation["requestBody"] = _body_of(document, operation["requestBody"], is_kept)


def _is_needed(parameter: Mapping[str, Any], is_kept: Callable[[Place], bool]) -> bool:
    return parameter.get("required", False) or is_kept(Place(parameter["in"], (parameter["name"],)))


def _body_of(document: Document, body: Any, is_kept: Callable[[Place], bool]) -> dict[str, Any]:
    """A request body without the optional members that are not kept, and without the examples that have them."""
    body = document.resolve(body)
    content = {}
    for media_type, media in body.get("content", {}).items():
        schema = document.resolve(media["schema"])
        known = schema.get("properties", {})
        required = schema.get("required", ())
        lost = {name for name in known if name not in required and not is_kept(Place("body", (name,)))}
        kept = {name: each for name, each in known.items() if name not in lost}
        content[media_type] = {**media, "schema": {**schema, "properties": kept} if lost else media["schema"]}
        if "examples" in media:
            examples = media["examples"].items()
            content[media_type]["examples"] = {
                name: each for name, each in examples if not lost & document.resolve(each).get("value", {}).keys()
            }
    return {**body, "content": content}


def _drop_extensions(item: dict[str, Any]) -> None:
    """Remove our extensions, which do not concern the vendor's clients."""
    for operation in (item[method] for method in METHODS if method in item):
        operation.pop(ACTION, None)
        operation.pop(READ, None)


def _whole(unified: Document, name: str) -> dict[str, Any]:
    """A parameter of the unified API, with its schema inlined."""
    parameter = unified.at(f"#/components/parameters/{name}")
    return {**copy.deepcopy(parameter), "schema": copy.deepcopy(unified.resolve(parameter["schema"]))}


def _add_token_endpoint(content: dict[str, Any], here: str) -> None:
    """Add our token endpoint at the path of the vendor's. If the document has several, the first counts."""
    found = content.get("components", {}).get("securitySchemes", {}).values()
    flows = [each["flows"]["clientCredentials"] for each in found if "clientCredentials" in each.get("flows", {})]
    if not flows:
        return
    url = flows[0]["tokenUrl"]
    path, own = urlsplit(url).path, load(SPECIFICATIONS / "token-endpoint.yaml").content
    if not any(flow["scopes"] for flow in flows):
        form = own["paths"]["/token"]["post"]["requestBody"]["content"][FORM]["schema"]
        form["required"].remove("scope")
    for flow in flows:
        if flow["tokenUrl"] == url:
            flow["tokenUrl"] = here + path
    content["paths"][path] = own["paths"]["/token"]
    content["tags"] = [*content.get("tags", ()), *own["tags"]]
