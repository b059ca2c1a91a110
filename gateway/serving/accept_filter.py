"""The door of a server, its listening socket, and how it is shut without losing those who stand in it.

The system makes a connection before the server takes it. Those not yet taken when a listening socket is closed are
reset, with all that their clients have sent by then. So newcomers are turned away first, then those who wait are let
in, and only then the socket is closed.
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
"""Of Linux; Python has no name for it. As a question (`SO_GET_FILTER`) it has the same number."""
_NO_SYN = (
    (0x30, 0, 0, 13),  # load the flags of the TCP header,
    (0x54, 0, 0, 0x12),  # of them SYN and ACK;
    (0x15, 0, 1, 0x02),  # where it is SYN alone, the first packet of a new connection,
    (0x06, 0, 0, 0),  # drop it,
    (0x06, 0, 0, 0xFFFF_FFFF),  # else let it pass
)
"""A program for the system's packet filter (classic BPF)."""
_ROOM = 256


class HasFileNumber(Protocol):
    """A socket, or what passes for one."""

    def fileno(self) -> int:
        """The number by which the system knows it."""


def turn_away(listening: socket.socket) -> None:
    """Have the system make no new connections; those that it has begun to make, it makes. Holds for every copy.

    A client that comes now hears nothing, knocks again a second later, and is then refused, or let in by a successor.
    Only Linux can do that: elsewhere who comes in the last moment may still be lost.
    """
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in _NO_SYN))
    if sys.platform == "linux":
        with suppress(OSError):
            given = struct.pack("HP", len(_NO_SYN), ctypes.addressof(program))
            listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, given)


def turns_away(listening: socket.socket) -> bool:
    """Whether newcomers are turned away, be it by another process that has a copy of the socket."""
    if sys.platform == "linux":
        with suppress(OSError):
            return bool(listening.getsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, _ROOM))
    return False


def is_waited_at(place: HasFileNumber) -> bool:
    """Whether there is something to be taken: a connection at a listening socket, bytes or the end at another."""
    look = select.poll()
    look.register(place, select.POLLIN)
    return bool(look.poll(0))
