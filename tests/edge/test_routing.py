"""The short cut through Connexion's routes finds what Connexion finds, or leaves it to Connexion."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from connexion.middleware import ConnexionMiddleware
from connexion.middleware.abstract import ROUTING_CONTEXT
from connexion.middleware.routing import RoutingMiddleware
from connexion.resolver import Resolver
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from gateway.edge.authentication import Security
from gateway.edge.routing import Routing, for_connexion
from gateway.specs.document import Document
from gateway.specs.operations import Api
from tests.support.documents import installed

API = installed().api


class Reached:
    """The application behind the routing: it remembers where each request was led."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self.found: Any = None

    async def __call__(self, scope: Any, _receive: Any, _send: Any) -> None:
        """Note what was found."""
        self.found = (scope["extensions"].get(ROUTING_CONTEXT), scope.get("path_params"))


def routed(api: Api, kind: type[RoutingMiddleware], base_path: str = "/v1") -> tuple[Any, Reached]:
    """An application with one way of routing, and what is behind it."""
    reached = Reached()
    layers: list[Any] = [kind]
    application = ConnexionMiddleware(reached, middlewares=layers)
    content = copy.deepcopy(api.document.content)
    application.add_api(content, base_path=base_path, resolver=Resolver(lambda _: lambda: None))
    return application, reached


def nothing() -> None:
    """What an operation does."""


class LongWay(Routing):
    """Our routing without its short cut."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Go the long way always."""
        await RoutingMiddleware.__call__(self, scope, receive, send)


SHORT, LONG = routed(API, Routing), routed(API, LongWay)


async def found(way: tuple[Any, Reached], method: str, path: str) -> Any:
    """Where a request is led: the operation and its path parameters, or the status of the refusal."""
    application, reached = way
    reached.found = None
    scope = {"type": "http", "method": method, "path": path, "root_path": "", "headers": [], "extensions": {}}
    try:
        await application(scope, None, None)
    except HTTPException as error:
        return error.status_code
    return reached.found


segments = st.sampled_from(
    [
        "v1",
        "vendors",
        "connections",
        "jobs",
        "job-actions",
        "cancel",
        "close",
        "pause",
        "a",
        "a:cancel",
        "é",
        "%2F",
        "~",
    ]
) | st.text(st.characters(exclude_characters="/", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)


@settings(deadline=None, max_examples=400)
@given(
    method=st.sampled_from(["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS"]),
    path=st.lists(segments, min_size=1, max_size=7).map(lambda parts: "/" + "/".join(parts)),
)
async def test_both_ways_lead_to_the_same_place(method: str, path: str) -> None:
    """Any method and path is led to the same operation with the same parameters, or refused alike."""
    assert await found(SHORT, method, path) == await found(LONG, method, path)


@pytest.mark.parametrize("operation", API.operations.values(), ids=API.operations.keys())
async def test_every_operation_has_a_short_cut(operation: Any) -> None:
    """No operation of the document needs the long way, and both ways end at it."""
    path = "/v1" + operation.path.replace("{", "").replace("}", "")
    short, long = await found(SHORT, operation.method, path), await found(LONG, operation.method, path)
    assert short == long
    assert short[0]["operation_id"] == operation.operation_id
    assert SHORT[0].middleware_stack[0]._short_cuts[(operation.method, path.count("/"))]


async def test_what_is_not_plain_goes_the_long_way() -> None:
    """Where parameters are not of one segment each, or an API is below another, there is no short cut at all."""
    content = copy.deepcopy(API.document.content)
    number = {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}
    content["paths"]["/job-actions/{id}"]["get"]["parameters"] = [number]
    layers: list[Any] = [Routing]
    application = ConnexionMiddleware(Reached(), middlewares=layers)
    application.add_api(content, base_path="/v1", resolver=Resolver(lambda _: lambda: None))
    await found((application, Reached()), "GET", "/v1/vendors")
    routing: Any = application.middleware_stack
    assert routing[0]._short_cuts == {}
    plain = routed(API, Routing)
    await found(plain, "GET", "/v1/vendors")
    several: Any = plain[0].middleware_stack[0]
    of_one = sum(map(len, several._short_cuts.values()))
    for base_path, times in (("/v2", 2), ("/v1/more", 0)):
        several.add_api(plain[0].apis[0].specification, base_path=base_path, resolver=Resolver(lambda _: nothing))
        assert sum(map(len, several._short_cuts.values())) == times * of_one


DOCUMENTS = installed().documents


def understood(content: dict[str, Any]) -> dict[tuple[str, str, str], Any]:
    """The routes that Connexion makes of a document, each with its security requirements."""
    layers: list[Any] = [Routing, Security]
    application = ConnexionMiddleware(Reached(), middlewares=layers)
    application.add_api(content, base_path="/v1", resolver=Resolver(lambda _: nothing))
    application.app, application.middleware_stack = application._build_middleware_stack()
    routing, security, *_ = application.middleware_stack
    (mount,) = routing.router.routes  # type: ignore[attr-defined]
    ((api,),) = security.apis.values()  # type: ignore[attr-defined]
    return {
        (method, route.path_regex.pattern, route.app.operation_id): (
            api.operations[route.app.operation_id].security,
            api.operations[route.app.operation_id].security_schemes,
        )
        for route in mount.app.routes
        for method in route.methods
    }


@pytest.mark.parametrize("name", DOCUMENTS)
def test_connexion_finds_all_that_it_needs_in_the_part_that_it_gets(name: str) -> None:
    """Of each document, the part for Connexion makes the routes and the security that the whole makes."""
    document = DOCUMENTS[name]
    whole = understood(copy.deepcopy(document.content))
    assert whole
    assert understood(for_connexion(document)) == whole


def test_connexion_may_write_into_its_part() -> None:
    """Connexion gets a copy of its part of the document, since it writes into it."""
    before = copy.deepcopy(API.document.content)
    part = for_connexion(API.document)
    part["components"]["securitySchemes"]["bearer"]["x-written"] = True
    part["paths"]["/overview"]["get"]["operationId"] = "other"
    assert API.document.content == before


def test_a_path_parameter_keeps_its_type() -> None:
    """Connexion finds a number in a path by the type of its schema, wherever that stands."""
    content = {
        "openapi": "3.0.3",
        "info": {"title": "", "version": "1"},
        "security": [],
        "paths": {
            "/a/{number}": {
                "parameters": [{"$ref": "#/components/parameters/number"}],
                "get": {"operationId": "get", "responses": {"200": {"description": ""}}},
            }
        },
        "components": {
            "parameters": {
                "number": {
                    "name": "number",
                    "in": "path",
                    "required": True,
                    "schema": {"$ref": "#/components/schemas/n"},
                }
            },
            "schemas": {"n": {"type": "integer", "minimum": 1}},
        },
    }
    part = for_connexion(Document(Path("numbers.yaml"), content))
    assert part["paths"]["/a/{number}"]["get"]["parameters"] == [
        {"name": "number", "in": "path", "required": True, "schema": {"type": "integer"}}
    ]
    assert understood(part) == understood(content)
