"""The rungs: applications of which each has one layer more than the one before."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench.upstream import GRANT
from bench.work import JOB_ACTION
from gateway.app import Catalogue, Gateway
from gateway.app.surfaces import addresses, serving, surfaces_of
from gateway.domain.encoding import dump_line
from gateway.domain.model import HttpReply, HttpRequest
from gateway.domain.ports import Ledger, Transport
from gateway.edge.exchange import SERVER, Application, RawReply, Receive, Scope, Send, ServerExtension, context_of
from gateway.edge.guard import Guard
from gateway.edge.problems import render
from gateway.edge.surface import Reply, Request
from gateway.ledger.memory import MemoryLedger
from gateway.settings.settings import Settings, load

ANSWER = dump_line(JOB_ACTION)
FIELDS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))]
DONE = HttpReply(200, {"content-type": "application/json", "content-length": "2"}, b"{}")
"""The vendor's answer, and what it is to a request for a token."""
GRANTED_TOKEN = HttpReply(200, {"content-type": "application/json"}, GRANT)


@dataclass(frozen=True)
class Ground:
    """The base of the rungs: the compiled documents, the settings of a gateway, and the address of its vendor."""

    catalogue: Catalogue
    settings: Settings


Serve = Callable[[Ground], AbstractAsyncContextManager[Application]]


@dataclass(frozen=True)
class Rung:
    """A layer, and the application that has it and all layers before it."""

    name: str
    about: str
    serve: Serve


def ground(folder: Path) -> Ground:
    """The ground, by the settings in the folder of a running vendor."""
    settings = load(folder / "jobgate.toml")
    # A busy machine must not count as a vendor that cannot be reached.
    policy = settings.policy.model_copy(update={"connect_seconds": 60.0})
    mine = {"state_folder": folder / "state", "policy": policy}
    return Ground(Catalogue.load(), settings.model_copy(update=mine))


class AtOnce:
    """A transport whose vendor answers without a byte on the wire."""

    async def send(self, request: HttpRequest, deadline: float) -> HttpReply:  # noqa: ARG002 - the port's
        """Answer."""
        return GRANTED_TOKEN if request.url.endswith("/token") else DONE


async def answer(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI's
    """Answer without a guard, by the server's own means."""
    message = await receive()
    while message.get("more_body"):
        message = await receive()
    server: ServerExtension = scope["extensions"][SERVER]
    await server.reply(200, FIELDS, ANSWER)


async def answer_guarded(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI's
    """Answer behind the guard."""
    await context_of(scope).reply(RawReply(200, {"content-type": "application/json"}, ANSWER))


async def answer_valid(request: Request) -> Reply:  # noqa: ARG001 - a handler's
    """Answer a valid request."""
    return Reply(JOB_ACTION)


@asynccontextmanager
async def server(_: Ground) -> AsyncIterator[Application]:
    """The server alone."""
    yield answer


@asynccontextmanager
async def guard(ground: Ground) -> AsyncIterator[Application]:
    """The guard."""
    settings = ground.settings
    yield Guard(answer_guarded, settings.limits, render, lambda _: (), addresses=addresses(settings.server))


@asynccontextmanager
async def edge(ground: Ground) -> AsyncIterator[Application]:
    """Routing, security, validation and the writing of JSON, for all surfaces of a gateway."""
    gateway = Gateway(ground.settings, ground.catalogue, ledger=MemoryLedger(), transport=AtOnce())
    surfaces = surfaces_of(gateway)
    yield serving(gateway, [replace(each, handlers=dict.fromkeys(each.handlers, answer_valid)) for each in surfaces])


@asynccontextmanager
async def whole(
    ground: Ground, ledger: Ledger | None = None, transport: Transport | None = None
) -> AsyncIterator[Application]:
    """A whole gateway, with this ledger or a durable one, and this transport or its own."""
    gateway = Gateway(ground.settings, ground.catalogue, ledger=ledger, transport=transport)
    async with gateway.lifespan():
        yield gateway.application


RUNGS = (
    Rung("server", "The server's protocol, and an application that answers at once.", server),
    Rung("guard", "The guard: one canonical request, the body read as strict JSON.", guard),
    Rung("edge", "Routing, security, validation, and the writing of a small answer.", edge),
    Rung(
        "engine",
        "Engine, pipeline and rendering, with records in memory and a vendor that answers without a network.",
        lambda ground: whole(ground, MemoryLedger(), AtOnce()),
    ),
    Rung(
        "transport",
        "The transport, to a vendor in another process that answers immediately.",
        lambda ground: whole(ground, MemoryLedger()),
    ),
    Rung("ledger", "The ledger: SQLite in the place of memory.", whole),
)
"""The layers, from the outside to the inside."""
NAMES: Mapping[str, Rung] = {each.name: each for each in RUNGS}
