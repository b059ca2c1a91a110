"""Listening sockets: making them, and their URLs. Does not load the server."""

from __future__ import annotations

import os
import socket

HOST = "127.0.0.1"


def listen(host: str, port: int) -> socket.socket:
    """Open a listening socket; port 0 chooses a free port. Raises OSError, whose text says what to change."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2_048)
    except OSError as error:
        reason = os.strerror(error.errno) if isinstance(error.errno, int) and error.errno > 0 else str(error)
        raise OSError(f"cannot listen on {host}, port {port}: {reason}. Choose another address or port.") from error


def address(listening: socket.socket, scheme: str = "http") -> str:
    """The URL of a listening socket."""
    host, port = listening.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
