"""ASGI servers on loopback: in a thread for whoever needs one for a while, in the foreground for commands."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import uvicorn

from gateway.edge.limits import Limits
from gateway.serving.protocol import EdgeProtocol
from gateway.serving.sockets import HOST, address, doors, listen
from gateway.serving.stopping import STOP_SECONDS, StoppingServer
from gateway.serving.supervisor import Patience, Supervisor
from gateway.serving.tls import Certificate

__all__ = (
    "HOST",
    "GreetingServer",
    "ServerOptions",
    "address",
    "doors",
    "in_background",
    "listen",
    "server",
    "supervisor",
)


class GreetingServer(StoppingServer):
    """A server that says something when it is ready."""

    greeting = ""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then greet."""
        await super().startup(sockets=sockets)
        if self.greeting and self.started:
            print(self.greeting, flush=True)  # noqa: T201 - it is what the command is for


@dataclass(frozen=True)
class ServerOptions:
    """How an application is served. `greeting` is printed when it is ready; with a `certificate` it is https.

    `patience` is what a supervisor has with its workers.
    """

    access_log: bool = False
    limits: Limits = field(default_factory=Limits)
    greeting: str = ""
    certificate: Certificate | None = None
    patience: Patience = field(default_factory=Patience)


def server(application: Any, options: ServerOptions) -> GreetingServer:
    """An HTTP server for an ASGI application, not yet started."""
    made = GreetingServer(_configuration(application, options))
    made.greeting = options.greeting
    return made


def supervisor(
    make: Callable[[], Any],
    options: ServerOptions,
    workers: int,
    listening: socket.socket,
    check_again: Callable[[], None] | None = None,
) -> Supervisor:
    """Servers that share a socket, not yet started. `make` gives each its application, and must be picklable.

    On SIGHUP each is replaced by a new one, once `check_again` finds that this can be done.
    """
    configuration = _configuration(make, options)
    configuration.factory = True
    greet = partial(print, options.greeting, flush=True)
    return Supervisor(configuration, doors(listening), workers, options.patience, greet, check_again)


def _configuration(application: Any, options: ServerOptions) -> uvicorn.Config:
    protocol: Any = partial(EdgeProtocol, limits=options.limits, access_log=options.access_log)
    return uvicorn.Config(
        application,
        http=protocol,
        ws="none",
        log_config=None,
        proxy_headers=False,
        server_header=False,
        ssl_certfile=options.certificate.certificate if options.certificate else None,
        ssl_keyfile=options.certificate.key if options.certificate else None,
    )


@contextmanager
def in_background(
    application: Any,
    port: int = 0,
    limits: Limits | None = None,
    *,
    certificate: Certificate | None = None,
    stop_seconds: float = STOP_SECONDS,
) -> Iterator[str]:
    """Serve in a thread until the block ends; gives the URL. Raises OSError where the port is taken.

    Whoever ends the block has no further requests, so idle connections are closed at once.
    """
    listening = listen(HOST, port)
    serving = server(application, ServerOptions(limits=limits or Limits(), certificate=certificate))
    serving.grace_seconds, serving.stop_seconds = 0.0, stop_seconds
    thread = threading.Thread(target=serving.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        _wait_until_started(serving, thread)
        yield address(listening, "https" if certificate else "http")
    finally:
        serving.should_exit = True
        thread.join()
        listening.close()


def _wait_until_started(serving: uvicorn.Server, thread: threading.Thread) -> None:
    """Wait as long as it takes: a thread that cannot start its server ends. Raises OSError."""
    while not serving.started:
        if not thread.is_alive():
            raise OSError("the server did not start; its log says why.")
        time.sleep(0.005)
