"""Listening sockets: made, multiplied and named. What serves on them is loaded elsewhere."""

from __future__ import annotations

import os
import socket

HOST = "127.0.0.1"
ACCEPTED_AT_ONCE = 32
"""New connections in one turn of the event loop."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises OSError, whose text says how to mend it."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2_048)
    except OSError as error:
        reason = os.strerror(error.errno) if isinstance(error.errno, int) and error.errno > 0 else str(error)
        raise OSError(f"cannot listen on {host}, port {port}: {reason}. Choose another address or port.") from error


def doors(listening: socket.socket) -> list[socket.socket]:
    """The socket as often as connections are to be accepted in one turn of the event loop.

    uvloop accepts one for each (uvloop 0.23.0), and under load turns are long: of a thousand clients that come at once,
    the last would wait for seconds.
    """
    return [listening, *(listening.dup() for _ in range(ACCEPTED_AT_ONCE - 1))]


def address(listening: socket.socket, scheme: str = "http") -> str:
    """The URL of a listening socket."""
    host, port = listening.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
