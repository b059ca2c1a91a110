"""One API, served by this gateway's edge and by stock Connexion, and the verdict of each on a request."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote

import connexion
from connexion.resolver import Resolver
from starlette.exceptions import HTTPException

from bench.contenders.connexion_scopes import SECURITY_MAP
from gateway.dialects.unified import Problems
from gateway.domain.clock import SystemClock
from gateway.edge import surface
from gateway.edge.authentication import Authenticator, unified_security
from gateway.edge.exchange import Application, Message, Receive, Scope, Send
from gateway.edge.rates import Rates
from gateway.specs.document import Document
from gateway.specs.operations import Api
from tests.support.callers import somebody
from tests.support.edge import LIMITS
from tests.support.vendors import API_KEY

BASE = "/v1"

Header = tuple[str, str]
"""Name in lower case, and value."""


@dataclass(frozen=True)
class Target:
    """An operation as the document has it, without references. `body` is the schema of what it takes as JSON."""

    operation_id: str
    method: str
    path: str
    parameters: tuple[Mapping[str, Any], ...] = field(repr=False, hash=False)
    body: Mapping[str, Any] | None = field(repr=False, hash=False)

    def __str__(self) -> str:
        """Its name in the list of tests."""
        return self.operation_id

    @property
    def members(self) -> Mapping[str, Mapping[str, Any]]:
        """The schemas of the members of its body, by name."""
        members: Mapping[str, Mapping[str, Any]] = {} if self.body is None else self.body.get("properties", {})
        return members

    def needed(self, location: str) -> set[str]:
        """The names of its parameters in path, query or header that cannot be left out."""
        return {each["name"] for each in self.parameters if each["in"] == location and each.get("required")}

    def schemas(self, location: str) -> dict[str, Mapping[str, Any]]:
        """The schemas of its parameters in path, query or header, by name."""
        return {each["name"]: each["schema"] for each in self.parameters if each["in"] == location}


def targets(document: Document) -> dict[str, Target]:
    """Every operation of a document, by its operationId."""
    found = (_target(document, *each) for each in document.operations())
    return {target.operation_id: target for target in found}


def _target(document: Document, path: str, method: str, node: Mapping[str, Any]) -> Target:
    whole = _without_references(document, {"parameters": node.get("parameters", []), **node.get("requestBody", {})})
    body = whole["content"]["application/json"]["schema"] if "content" in whole else None
    return Target(node["operationId"], method.upper(), BASE + path, tuple(whole["parameters"]), body)


def _without_references(document: Document, node: Any) -> Any:
    node = document.resolve(node)
    if isinstance(node, Mapping):
        whole = {key: _without_references(document, value) for key, value in node.items()}
        # A schema that is only described otherwise.
        return {**whole["allOf"][0], **whole} if len(whole.get("allOf", ())) == 1 else whole
    return [_without_references(document, value) for value in node] if isinstance(node, list) else node


@dataclass(frozen=True)
class Request:
    """A request as it is on the wire, made for one operation.

    The body comes in as many `pieces` without a Content-Length; where that is 0, at once and with one.
    """

    target: Target
    method: str
    path: str
    query: str = ""
    headers: tuple[Header, ...] = ()
    content: bytes = b""
    pieces: int = 0

    def values(self, name: str) -> list[str]:
        """The values of the header fields of this name."""
        return [value for key, value in self.headers if key == name]

    def value(self, name: str) -> str | None:
        """The value of the first header field of this name."""
        return next(iter(self.values(name)), None)

    @property
    def decoded_path(self) -> str:
        """The path as a server decodes it."""
        return unquote(self.path)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The names and values of the query."""
        return parse_qsl(self.query, keep_blank_values=True)

    @property
    def json(self) -> Any:
        """The body as a reader that is not strict takes it, None where it is no JSON at all."""
        return self._read()

    @property
    def member_names(self) -> list[str]:
        """The names of the object that the body is, each as often as it comes."""
        pairs = self._read(object_pairs_hook=list) if isinstance(self.json, dict) else []
        return [name for name, _ in pairs]

    def scope(self) -> Scope:
        """The ASGI scope that a server makes of it."""
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http",
            "path": self.decoded_path,
            "raw_path": self.path.encode("ascii"),
            "query_string": self.query.encode("ascii"),
            "root_path": "",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in (*self.headers, *self._framing())],
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 8_080),
            "state": {},
        }

    def messages(self) -> list[Message]:
        """The ASGI messages in which its body comes."""
        size = max(1, -(-len(self.content) // max(1, self.pieces)))
        parts = [self.content[start : start + size] for start in range(0, len(self.content), size)] or [b""]
        return [
            {"type": "http.request", "body": part, "more_body": number < len(parts)}
            for number, part in enumerate(parts, start=1)
        ]

    def _read(self, **how: Any) -> Any:
        try:
            return json.loads(self.content.decode(), **how)
        except (ValueError, RecursionError):
            return None

    def _framing(self) -> list[Header]:
        if self.pieces:
            return [("transfer-encoding", "chunked")]
        return [("content-length", str(len(self.content)))] if self.content or self.method == "POST" else []


class Kind(StrEnum):
    """What becomes of a request."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    REDIRECTED = "redirected"
    CRASHED = "crashed"


KINDS = {3: Kind.REDIRECTED, 4: Kind.REFUSED, 5: Kind.CRASHED}
"""By the class of the status, where no handler was reached."""


@dataclass(frozen=True)
class Verdict:
    """What an application makes of a request. `values` are what its handler got, each part of it as JSON text."""

    kind: Kind
    values: Mapping[str, str] = field(default_factory=dict)


Reached = Callable[[Mapping[str, Any]], None]
"""Is told `{operation, path, query, headers, content}` when a handler is reached."""


class Judge:
    """An application whose verdicts are known."""

    def __init__(self, serve: Callable[[Reached], Application]) -> None:
        """Judge by what `serve` makes."""
        self._seen: list[dict[str, str]] = []
        self._application = serve(self._reached)

    def _reached(self, values: Mapping[str, Any]) -> None:
        # As text 1 is not True, and what has no form in JSON, such as bytes, is nothing that has one.
        text = partial(json.dumps, sort_keys=True, default=repr)
        self._seen.append({part: text(value) for part, value in values.items()})

    async def verdict(self, request: Request) -> Verdict:
        """What becomes of a request."""
        self._seen.clear()
        status = await self._status(request)
        return Verdict(Kind.ACCEPTED, self._seen[0]) if self._seen else Verdict(KINDS[status // 100])

    async def _status(self, request: Request) -> int:
        messages = iter(request.messages())
        sent: list[Message] = []

        async def receive() -> Message:
            return next(messages, {"type": "http.disconnect"})

        async def send(message: Message) -> None:
            sent.append(message)

        await self._application(request.scope(), receive, send)
        status: int = sent[0]["status"]
        return status


def ours(api: Api, reached: Reached) -> Application:
    """The API behind the edge of this gateway."""

    async def handle(request: surface.Request) -> surface.Reply:
        reached(
            {
                "operation": request.operation.operation_id,
                "path": request.path,
                "query": request.query,
                "headers": request.header,
                "content": request.body,
            }
        )
        # A status for which the document has no JSON, so that the reply is not held against it.
        return surface.Reply({}, HTTPStatus.IM_A_TEAPOT)

    async def nothing(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise HTTPException(HTTPStatus.NOT_FOUND)

    authenticator = Authenticator(somebody(API_KEY), Rates(SystemClock(), None))
    handlers = dict.fromkeys(api.operations, handle)
    served = surface.Surface(api, BASE, handlers, unified_security(authenticator), Problems(api))
    return surface.application([served], pages=nothing, limits=LIMITS)


def known_caller(token: str) -> dict[str, Any] | None:
    """What Connexion asks about a bearer token."""
    return {"sub": "somebody"} if token == API_KEY else None


def stock(document: Document, reached: Reached) -> Application:
    """The API as Connexion serves it by itself, with its own validators, unknown query parameters refused."""
    known = targets(document)

    def handler(operation_id: str) -> Callable[..., Any]:
        target = known[operation_id]

        async def handle(**given: Any) -> Any:
            request: Any = connexion.request
            # Connexion validates header fields, and leaves it to handlers to read them.
            fields = {name: request.headers.get(name) for name in target.schemas("header") if name in request.headers}
            reached(
                {
                    "operation": operation_id,
                    "path": _declared(target, "path", given),
                    "query": _declared(target, "query", given),
                    "headers": fields,
                    "content": given["body"] if target.body else None,
                }
            )
            return {}, HTTPStatus.OK, {"Content-Type": "application/json"}

        return handle

    # Connexion writes into what it is given.
    content = copy.deepcopy(document.content)
    content["components"]["securitySchemes"]["bearer"]["x-bearerInfoFunc"] = f"{__name__}.{known_caller.__name__}"
    application = connexion.AsyncApp(__name__)
    application.add_api(
        content, base_path=BASE, resolver=Resolver(handler), strict_validation=True, security_map=SECURITY_MAP
    )
    made: Application = application
    return made


def _declared(target: Target, location: str, given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: given[name] for name in target.schemas(location) if name in given}
