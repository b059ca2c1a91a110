"""The writer process: it writes what the workers send, with one commit for all batches that have come.

Whoever starts it holds the other end of `line`, into which it writes a byte every second. It ends when that end is
closed and no worker is connected any more, so that it outlives the workers, also if their supervisor is killed.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from selectors import EVENT_READ, DefaultSelector
from typing import Any

from msgspec import MsgspecError

from gateway.ledger.database import is_storage_failure
from gateway.ledger.diagnosis import reason
from gateway.ledger.operations import Stored
from gateway.ledger.stores import BATCHES, LENGTH, Reply, Store, Written, framed, refusal

log = logging.getLogger(__name__)

BEAT_SECONDS = 1.0
"""Seconds between signs of life."""
SEND_SECONDS = 1.0
"""Longest wait for a worker that does not take its reply, in seconds."""
_CHUNK = 1 << 20


@dataclass(eq=False)
class Peer:
    """The connection of a worker, with the part of its next message that has come."""

    line: socket.socket
    content: bytearray = field(default_factory=bytearray)

    def take(self) -> list[Stored] | None:
        """The batch that has come, None while it is incomplete. Raises ConnectionError and MsgspecError."""
        part = self.line.recv(_CHUNK)
        if not part:
            raise ConnectionResetError("the worker has closed its connection")
        self.content += part
        if len(self.content) < LENGTH.size:
            return None
        end = LENGTH.size + LENGTH.unpack_from(self.content)[0]
        if len(self.content) < end:
            return None
        message, self.content = bytes(self.content[LENGTH.size : end]), self.content[end:]
        return list(BATCHES.decode(message))

    def tell(self, reply: Reply) -> None:
        """Send a reply. Raises OSError."""
        self.line.sendall(framed(reply))


@dataclass
class WriterProcess:
    """Writes to `store` what workers send that connect to `listening`."""

    store: Store
    listening: socket.socket
    line: Any
    _selector: DefaultSelector = field(init=False, default_factory=DefaultSelector)
    _peers: set[Peer] = field(init=False, default_factory=set)
    _is_left: bool = field(init=False, default=False)
    _beat_at: float = field(init=False, default=0.0)

    def serve(self) -> None:
        """Write until nobody is there any more."""
        with self._selector:
            self._selector.register(self.listening, EVENT_READ, self._accept)
            self._selector.register(self.line.fileno(), EVENT_READ, self._leave)
            while self._peers or not self._is_left:
                self._beat()
                self._turn()
        self.store.close()

    def _turn(self) -> None:
        """Take what has come, and write it."""
        batches: list[tuple[Peer, list[Stored]]] = []
        for key, _ in self._selector.select(BEAT_SECONDS):
            if isinstance(key.data, Peer):
                batches += self._taken(key.data)
            else:
                key.data()
        if batches:
            self._write(batches)

    def _write(self, batches: Sequence[tuple[Peer, list[Stored]]]) -> None:
        """Write batches with one commit. If one of them cannot be written, write each on its own."""
        try:
            results = iter(self.store.commit([operation for _, batch in batches for operation in batch]))
        except Exception as error:  # noqa: BLE001 - those who wait must get the error, whatever it is
            if len(batches) > 1 and not is_storage_failure(error):
                for each in batches:
                    self._write([each])
                return
            for peer, _ in batches:
                self._tell(peer, refusal(error))
        else:
            for peer, batch in batches:
                self._tell(peer, Written.of([next(results) for _ in batch]))

    def _tell(self, peer: Peer, reply: Reply) -> None:
        try:
            peer.tell(reply)
        except OSError:
            self._drop(peer)

    def _taken(self, peer: Peer) -> list[tuple[Peer, list[Stored]]]:
        """The batch that a worker has sent, if it is complete."""
        try:
            batch = peer.take()
        except OSError:
            self._drop(peer)
            return []
        except MsgspecError as error:
            log.error("the ledger's writer cannot read what a worker sent: %s", reason(error))  # noqa: TRY400
            self._drop(peer)
            return []
        return [] if batch is None else [(peer, batch)]

    def _accept(self) -> None:
        line, _ = self.listening.accept()
        line.settimeout(SEND_SECONDS)
        peer = Peer(line)
        self._peers.add(peer)
        self._selector.register(line, EVENT_READ, peer)

    def _drop(self, peer: Peer) -> None:
        self._selector.unregister(peer.line)
        self._peers.discard(peer)
        peer.line.close()

    def _leave(self) -> None:
        """Note that the other end of the line is closed."""
        self._selector.unregister(self.line.fileno())
        self._is_left = True

    def _beat(self) -> None:
        now = time.monotonic()
        if now >= self._beat_at and not self._is_left:
            self._beat_at = now + BEAT_SECONDS
            with suppress(OSError):  # the other end is closed, or nobody reads
                os.write(self.line.fileno(), b".")
