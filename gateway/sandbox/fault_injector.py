"""ASGI middleware in front of a simulated vendor: it logs requests and injects scripted faults."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from gateway.domain.vocabulary import Source
from gateway.edge.exchange import Message, Receive, Scope, Send
from gateway.sandbox.delays import Delay
from gateway.sandbox.errors import Errors
from gateway.sandbox.faults import Fault, FaultScript, FaultyCall, drop, inject
from gateway.sandbox.request_log import Exchange, Log, exchange_of
from gateway.sandbox.routes import TOKEN
from gateway.sandbox.simulator import Now
from gateway.sandbox.surface import Surface
from gateway.specs.lens import Lens


@dataclass(frozen=True)
class FaultInjector:
    """ASGI middleware around a vendor's surface that logs each request and injects scripted faults.

    `reply` is the document's lens of the same name, for the headers of every reply.
    """

    surface: Surface
    errors: Errors
    faults: FaultScript
    log: Log
    reply: Lens
    now: Now
    delay: Delay

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Its scope's extensions hold its exchange."""
        exchange = exchange_of(scope)
        self._identify(exchange)
        run = partial(self.surface, scope, receive)
        wire = partial(self._send, exchange, send)
        fault = self._fault(exchange)
        if fault is None:
            await run(wire)
            return
        refuse = partial(self.errors.reply, exchange=exchange)
        dropped = partial(self._drop, exchange, receive, send)
        await inject(fault, FaultyCall(run, wire, dropped, refuse, self.delay))

    def _identify(self, exchange: Exchange) -> None:
        """Set the operation that the request is for."""
        routes, addressed = self.surface.routes, (exchange.method, exchange.raw_path)
        exchange.operation = routes.operation(*addressed)
        if exchange.operation is not None:
            exchange.operation_id = exchange.operation.operation_id
        elif routes.is_token_request(*addressed):
            exchange.operation_id = TOKEN

    def _fault(self, exchange: Exchange) -> Fault | None:
        documented = exchange.operation is not None
        fault = self.faults.take(exchange.operation_id, documented=documented)
        exchange.fault = fault.kind if fault else None
        return fault

    async def _send(self, exchange: Exchange, send: Send, message: Message) -> None:
        """Send a message. The request is logged before the first byte of its answer."""
        if message["type"] == "http.response.start":
            self.log.add(exchange, self.now(), message["status"])
            headers = self.reply.encode({Source.REPLY_REQUEST_ID: exchange.trace}).get("header", {})
            raw = [(name.encode(), value.encode()) for name, value in headers.items()]
            message = {**message, "headers": [*message.get("headers", ()), *raw]}
        await send(message)

    async def _drop(self, exchange: Exchange, receive: Receive, send: Send) -> None:
        self.log.add(exchange, self.now(), None)
        await drop(receive, send)
