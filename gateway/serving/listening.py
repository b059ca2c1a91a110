"""ASGI servers: in the foreground for commands, with workers, or in a background thread on loopback."""

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
from gateway.serving.sockets import HOST, address, listen
from gateway.serving.stopping import STOP_SECONDS, StoppingServer
from gateway.serving.supervisor import Companion, Patience, Supervisor
from gateway.serving.tls import Certificate

__all__ = (
    "HOST",
    "BannerServer",
    "ServerOptions",
    "address",
    "in_background",
    "listen",
    "server",
    "supervisor",
)


class BannerServer(StoppingServer):
    """A server that prints a banner when it is ready."""

    banner = ""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then print the banner."""
        await super().startup(sockets=sockets)
        if self.banner and self.started:
            print(self.banner, flush=True)  # noqa: T201 - the output of the command


@dataclass(frozen=True)
class ServerOptions:
    """The options of a server. The banner is printed when it is ready; with a certificate it serves HTTPS.

    `patience` has the time limits of a supervisor for its workers, `companion` the process that these need.
    """

    access_log: bool = False
    limits: Limits = field(default_factory=Limits)
    banner: str = ""
    certificate: Certificate | None = None
    patience: Patience = field(default_factory=Patience)
    companion: Companion | None = None


def server(application: Any, options: ServerOptions) -> BannerServer:
    """Make an HTTP server for an ASGI application, without starting it."""
    made = BannerServer(_configuration(application, options))
    made.banner = options.banner
    return made


def supervisor(
    make: Callable[[], Any],
    options: ServerOptions,
    workers: int,
    listening: socket.socket,
    check_again: Callable[[], None] | None = None,
) -> Supervisor:
    """Make the supervisor of workers that share a socket, without starting it.

    `make` makes the application of each worker, and must be picklable. On SIGHUP the workers are replaced, unless
    `check_again` raises ConfigurationError.
    """
    configuration = _configuration(make, options)
    configuration.factory = True
    print_banner = partial(print, options.banner, flush=True)
    return Supervisor(configuration, listening, workers, options.patience, print_banner, check_again, options.companion)


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
def in_background(  # noqa: PLR0913 - each caller needs one or two of them
    application: Any,
    port: int = 0,
    limits: Limits | None = None,
    *,
    certificate: Certificate | None = None,
    stop_seconds: float = STOP_SECONDS,
    host: str = HOST,
) -> Iterator[str]:
    """Serve in a thread until the block ends, and yield the URL. Raises OSError if the port is taken.

    At the end of the block, idle connections are closed immediately.
    """
    listening = listen(host, port)
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
    """Wait, without a time limit, until a server has started. Raises OSError if its thread ends before that."""
    while not serving.started:
        if not thread.is_alive():
            raise OSError("the server did not start. See its log.")
        time.sleep(0.005)
