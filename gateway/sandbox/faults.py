"""Faults by script: what goes wrong between a client and the simulated vendor, and in which order."""

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
"""What a proxy in between may answer in the vendor's place."""


class FaultKind(StrEnum):
    """What goes wrong.

    `delay`: applied at once, answered after `seconds`. `drop_before`: the connection is closed and
    nothing is applied. `drop_after`: applied, then the connection is closed without an answer.
    `status`: an answer of that HTTP status and nothing applied. `throttle`: turned away as the
    vendor's document has it, with Retry-After. `malformed`: applied, then 200 with a page that is
    no JSON. `expire_tokens`: no token issued so far is valid any more; this one happens at once.
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
    """A fault that befalls the next `times` requests of an operation; without one, of any operation.

    `operation_id` may be `token` for the token endpoint, which is no operation otherwise. `seconds`
    belongs to `delay`, `status` to `status`; `retry_after` is the text of that header, and is 1 for
    a `throttle` without.
    """

    kind: FaultKind
    times: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    operation_id: str | None = None
    seconds: Annotated[float, Field(ge=0, le=600)] = 1.0
    status: Annotated[int, Field(ge=400, le=599)] = 503
    retry_after: Annotated[str | None, Field(pattern=r"^[\x20-\x7e]{1,64}$")] = None


class FaultScript:
    """The faults still to come, in order. Safe to use from several threads."""

    def __init__(self) -> None:
        """Start with none."""
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Add a fault after those that are there."""
        with self._lock:
            self._faults.append(fault)

    def pending(self) -> tuple[Fault, ...]:
        """The faults still to come, each with the times that are left."""
        with self._lock:
            return tuple(self._faults)

    def clear(self) -> None:
        """Forget them all."""
        with self._lock:
            self._faults.clear()

    def take(self, operation_id: str | None, *, documented: bool) -> Fault | None:
        """The fault that befalls this request, if any; it then has one time less.

        `documented` says whether the request is for an operation of the vendor's document.
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
class Call:
    """A request that a fault befalls.

    `run` handles it, sending the answer with the given function; `drop` closes the connection;
    `refuse` is the vendor's answer to a refusal; `hold` waits for some seconds.
    """

    run: Callable[[Send], Awaitable[None]]
    send: Send
    drop: Callable[[], Awaitable[None]]
    refuse: Callable[[Refusal], RawReply]
    hold: Callable[[float], Awaitable[None]]


async def befall(fault: Fault, call: Call) -> None:
    """Let a fault befall a request."""
    await _PLAYS[fault.kind](fault, call)


async def _delay(fault: Fault, call: Call) -> None:
    answer = await _held_back(call)
    await call.hold(fault.seconds)
    for message in answer:
        await call.send(message)


async def _drop_before(_: Fault, call: Call) -> None:
    await call.drop()


async def _drop_after(_: Fault, call: Call) -> None:
    await _held_back(call)
    await call.drop()


async def _status(fault: Fault, call: Call) -> None:
    refusal = Refusal(None, status=fault.status, headers=_retry_after(fault.retry_after))
    await write(call.send, call.refuse(refusal))


async def _throttle(fault: Fault, call: Call) -> None:
    refusal = Refusal(Meaning.THROTTLED, headers=_retry_after(fault.retry_after or "1"))
    await write(call.send, call.refuse(refusal))


async def _malformed(_: Fault, call: Call) -> None:
    await _held_back(call)
    await write(call.send, NOT_JSON)


_PLAYS: Mapping[FaultKind, Callable[[Fault, Call], Awaitable[None]]] = MappingProxyType(
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


async def _held_back(call: Call) -> list[Message]:
    """Handle the request, and keep its answer instead of sending it."""
    answer: list[Message] = []

    async def keep(message: Message) -> None:
        answer.append(message)

    await call.run(keep)
    return answer


async def drop(receive: Receive, send: Send) -> None:
    """Close the connection without an answer."""
    # ASGI has no word for it. Under uvicorn, `send` is a method of the request's cycle, which
    # holds the transport (uvicorn 0.54, RequestResponseCycle; not public).
    transport: Any = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise ConnectionAbortedError("A scripted fault closes the connection here.")
    transport.abort()
    # Only when uvicorn has seen the end of the connection does it expect no answer any more.
    while (await receive())["type"] != "http.disconnect":
        pass
