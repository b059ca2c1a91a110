"""A filter that stops new connections at a listening socket, so that it can be closed without losing any.

The kernel completes a connection before the server accepts it. Connections that are still in the backlog when the
listening socket is closed are reset, with everything that their clients have sent. So SYN packets are dropped first,
then the backlog is accepted, and only then the socket is closed.
"""

from __future__ import annotations

import ctypes
import select
import socket
import struct
import sys
from contextlib import suppress
from typing import Protocol

_SO_ATTACH_FILTER = 26
"""The socket option of Linux, which Python does not name. `SO_GET_FILTER` has the same number."""
_NO_SYN = (
    (0x30, 0, 0, 13),  # load the flags of the TCP header,
    (0x54, 0, 0, 0x12),  # keep SYN and ACK;
    (0x15, 0, 1, 0x02),  # if only SYN is set, as in the first packet of a connection,
    (0x06, 0, 0, 0),  # drop the packet,
    (0x06, 0, 0, 0xFFFF_FFFF),  # else accept it
)
"""A filter program in classic BPF that drops SYN packets."""
_ROOM = 256
"""Size of the buffer for reading a filter back, in bytes."""


class HasFileNumber(Protocol):
    """A socket, or an object like one."""

    def fileno(self) -> int:
        """The file descriptor."""


def attach_syn_filter(listening: socket.socket) -> None:
    """Drop the SYN packets of new connections, at every copy of the socket. Handshakes under way are completed.

    The client of a new connection gets no reply, and its kernel sends the SYN again after a second: it is then refused,
    or accepted by a successor. Only Linux can do this: elsewhere, connections of the last moment can be lost.
    """
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in _NO_SYN))
    if sys.platform == "linux":
        with suppress(OSError):
            given = struct.pack("HP", len(_NO_SYN), ctypes.addressof(program))
            listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, given)


def has_syn_filter(listening: socket.socket) -> bool:
    """True if new connections are dropped, even if another process with a copy of the socket attached the filter."""
    if sys.platform == "linux":
        with suppress(OSError):
            return bool(listening.getsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, _ROOM))
    return False


def is_readable(connection: HasFileNumber) -> bool:
    """True if a listening socket has a connection in its backlog, or another socket has bytes or its end to read."""
    look = select.poll()
    look.register(connection, select.POLLIN)
    return bool(look.poll(0))
