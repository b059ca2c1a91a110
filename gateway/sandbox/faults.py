"""Scripted faults: failures between a client and the simulated vendor, in a given order."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import Field, with_config

from gateway.domain.vocabulary import Meaning
from gateway.edge.exchange import Message, RawReply, Receive, Send, write
from gateway.sandbox.refusal import Refusal
from gateway.sandbox.settings import IN_JSON

NOT_JSON = RawReply(200, {"content-type": "text/html"}, b"<!doctype html><title>Welcome</title><p>It works!\n")
"""A reply such as a proxy between client and vendor can send instead of the vendor's."""


class FaultKind(StrEnum):
    """The kind of a fault.

    `delay`: the request is applied immediately and answered after `seconds`. `drop_before`: the connection is closed
    and nothing is applied. `drop_after`: the request is applied, then the connection is closed without an answer.
    `status`: the answer has that HTTP status and nothing is applied. `throttle`: the request is refused as the vendor's
    document describes throttling, with Retry-After. `malformed`: the request is applied, then answered with 200 and an
    HTML page instead of JSON. `expire_tokens`: all tokens issued so far become invalid; this happens when the fault is
    scripted.
    """

    DELAY = "delay"
    DROP_BEFORE = "drop_before"
    DROP_AFTER = "drop_after"
    STATUS = "status"
    THROTTLE = "throttle"
    MALFORMED = "malformed"
    EXPIRE_TOKENS = "expire_tokens"


@with_config(IN_JSON)
@dataclass(frozen=True)
class Fault:
    """A fault for the next `times` requests to an operation or, without `operation_id`, to any documented operation.

    `operation_id` can be `token` for the token endpoint, which documents do not list as an operation. `seconds` is used
    by `delay`, `status` by `status`. `retry_after` is the text of that header; a `throttle` without it sends 1.
    """

    kind: FaultKind
    times: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    operation_id: str | None = None
    seconds: Annotated[float, Field(ge=0, le=600)] = 1.0
    status: Annotated[int, Field(ge=400, le=599)] = 503
    retry_after: Annotated[str | None, Field(pattern=r"^[\x20-\x7e]{1,64}$")] = None


class FaultScript:
    """The pending faults, in order. Safe to use from several threads."""

    def __init__(self) -> None:
        """Start without faults."""
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Add a fault after the pending ones."""
        with self._lock:
            self._faults.append(fault)

    def pending(self) -> tuple[Fault, ...]:
        """The pending faults, each with its remaining number of times."""
        with self._lock:
            return tuple(self._faults)

    def clear(self) -> None:
        """Remove all pending faults."""
        with self._lock:
            self._faults.clear()

    def take(self, operation_id: str | None, *, documented: bool) -> Fault | None:
        """Take the first fault for this request from the script, once; None if there is none.

        `documented`: the request is for an operation of the vendor's document.
        """
        wanted = {operation_id, None} if documented else {operation_id} - {None}
        with self._lock:
            fault = next((each for each in self._faults if each.operation_id in wanted), None)
            if fault is not None:
                place = self._faults.index(fault)
                left = [replace(fault, times=fault.times - 1)] if fault.times > 1 else []
                self._faults[place : place + 1] = left
            return fault


@dataclass(frozen=True)
class FaultyCall:
    """A request into which a fault is injected, with the steps that faults are made of.

    `run` handles the request and sends the answer with the given function; `drop` closes the connection; `refuse` makes
    the vendor's answer to a refusal; `delay` waits for some seconds.
    """

    run: Callable[[Send], Awaitable[None]]
    send: Send
    drop: Callable[[], Awaitable[None]]
    refuse: Callable[[Refusal], RawReply]
    delay: Callable[[float], Awaitable[None]]


async def inject(fault: Fault, call: FaultyCall) -> None:
    """Answer a request with a fault."""
    await _INJECTORS[fault.kind](fault, call)


async def _delay(fault: Fault, call: FaultyCall) -> None:
    answer = await _unsent_answer(call)
    await call.delay(fault.seconds)
    for message in answer:
        await call.send(message)


async def _drop_before(_: Fault, call: FaultyCall) -> None:
    await call.drop()


async def _drop_after(_: Fault, call: FaultyCall) -> None:
    await _unsent_answer(call)
    await call.drop()


async def _status(fault: Fault, call: FaultyCall) -> None:
    refusal = Refusal(None, status=fault.status, headers=_retry_after(fault.retry_after))
    await write(call.send, call.refuse(refusal))


async def _throttle(fault: Fault, call: FaultyCall) -> None:
    refusal = Refusal(Meaning.THROTTLED, headers=_retry_after(fault.retry_after or "1"))
    await write(call.send, call.refuse(refusal))


async def _malformed(_: Fault, call: FaultyCall) -> None:
    await _unsent_answer(call)
    await write(call.send, NOT_JSON)


_INJECTORS: Mapping[FaultKind, Callable[[Fault, FaultyCall], Awaitable[None]]] = MappingProxyType(
    {
        FaultKind.DELAY: _delay,
        FaultKind.DROP_BEFORE: _drop_before,
        FaultKind.DROP_AFTER: _drop_after,
        FaultKind.STATUS: _status,
        FaultKind.THROTTLE: _throttle,
        FaultKind.MALFORMED: _malformed,
    }
)


def _retry_after(text: str | None) -> Mapping[str, str]:
    return {} if text is None else {"retry-after": text}


async def _unsent_answer(call: FaultyCall) -> list[Message]:
    """Handle the request, and return its answer instead of sending it."""
    answer: list[Message] = []

    async def keep(message: Message) -> None:
        answer.append(message)

    await call.run(keep)
    return answer


async def drop(receive: Receive, send: Send) -> None:
    """Close the connection without an answer."""
    # ASGI has no message for this. Under uvicorn, `send` is a method of the request's cycle, which
    # has the transport (uvicorn 0.54, RequestResponseCycle; not public).
    transport: Any = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise ConnectionAbortedError("A scripted fault closes the connection here.")
    transport.abort()
    # uvicorn expects an answer until it has noticed the end of the connection.
    while (await receive())["type"] != "http.disconnect":
        pass
