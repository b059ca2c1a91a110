"""The metrics of all worker processes together, without a file for any of them.

The supervisor gathers. Each worker keeps a connection to it over a Unix socket, and sends its snapshot every second and
whenever it is asked. The number of a request comes back with the snapshot, so that one made before is recognised. When
a worker has ended, however it did, its last counts are kept and its gauges are forgotten. So sums never go backwards,
and nothing grows with the number of workers that have come and gone.

A gateway without workers gathers from itself, by the same code.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Client, Connection, Listener, wait
from pathlib import Path
from typing import Protocol

from msgspec import MsgspecError
from msgspec.msgpack import Decoder, Encoder

from gateway.telemetry.exposition import CONTENT_TYPE, text_of
from gateway.telemetry.metrics import WORKERS, Snapshot, Source, counted, measured, merged, snapshot

PUSH_SECONDS = 1.0
"""Seconds between two snapshots of a worker. A worker that is killed loses the counts of at most this time."""
ANSWER_SECONDS = 1.0
"""Longest wait for the snapshots of all workers, in seconds. For one that hangs, the last snapshot counts."""
CACHED_SECONDS = 5.0
"""Seconds for which gauges that cost a query are kept."""
MOST_WAITING = 128
"""Most connections that wait to be accepted."""
_WORKER, _READER, _KNOWN = b"worker", b"reader", b"known"

_ENCODER = Encoder()
_DECODER: Decoder[tuple[int, Snapshot]] = Decoder(tuple[int, Snapshot])


@dataclass(eq=False)
class Peer:
    """A connected worker, with its last snapshot and the number of the request that it answers."""

    line: Connection
    answered: int = 0
    latest: Snapshot = field(default_factory=dict)


class Metrics(Protocol):
    """The metrics of one process that serves."""

    media_type: str

    def scrape(self) -> bytes:
        """The text for Prometheus, of all processes. Called in any thread. Raises OSError."""

    def reporting(self) -> AbstractContextManager[None]:
        """A block in which this process is gathered from."""


class Gatherer:
    """Adds up this process, the connected workers, and those that have ended."""

    media_type = CONTENT_TYPE

    def __init__(self, costly: Source = tuple) -> None:
        """Read gauges from `costly` too, at most once in `CACHED_SECONDS`."""
        self._text = text_of(self.gather)
        self._costly = costly
        self._cached: tuple[float, Snapshot] | None = None
        self._cache_lock = threading.Lock()
        self._peers: list[Peer] = []
        self._ended: Snapshot = {}
        self._asked = 0
        self._changed = threading.Condition()

    def scrape(self) -> bytes:
        """Gather, and return the text for Prometheus. Called in any thread."""
        return self._text()

    def reporting(self) -> AbstractContextManager[None]:
        """Do nothing: this process is gathered from anyway."""
        return nullcontext()

    def gather(self) -> Snapshot:
        """The present sums."""
        with self._changed:
            self._asked += 1
            peers = list(self._peers)
            for peer in peers:
                with suppress(OSError):  # it is ending
                    peer.line.send_bytes(str(self._asked).encode())
            self._changed.wait_for(lambda: self._have_answered(peers), ANSWER_SECONDS)
            latest = [each.latest for each in self._peers]
            ended = self._ended
        workers = measured([(WORKERS, (), float(len(latest) or 1))])
        return merged([ended, *latest, snapshot(), workers, self._costly_gauges()])

    def _have_answered(self, peers: list[Peer]) -> bool:
        return all(each.answered >= self._asked for each in peers if each in self._peers)

    def _costly_gauges(self) -> Snapshot:
        with self._cache_lock:
            now = time.monotonic()
            if self._cached is None or now - self._cached[0] >= CACHED_SECONDS:
                self._cached = now, measured(self._costly())
            return self._cached[1]

    @contextmanager
    def listening(self, path: Path) -> Iterator[None]:
        """Accept workers and readers at a Unix socket until the block ends. Raises OSError."""
        is_over = threading.Event()
        with Listener(str(path), "AF_UNIX", backlog=MOST_WAITING) as listener:
            accepting = threading.Thread(target=self._accept, args=(listener, is_over), name="metrics", daemon=True)
            accepting.start()
            try:
                yield
            finally:
                is_over.set()
                Client(str(path), "AF_UNIX").close()  # closing a socket would not wake the thread
                accepting.join()

    def _accept(self, listener: Listener, is_over: threading.Event) -> None:
        while True:
            line = listener.accept()
            if is_over.is_set():
                return
            threading.Thread(target=self._serve, args=(line,), name="metrics", daemon=True).start()

    def _serve(self, line: Connection) -> None:
        """Serve one connection until it ends."""
        with line, suppress(OSError, EOFError, MsgspecError):
            if line.recv_bytes() == _READER:
                line.send_bytes(self.scrape())
            else:
                self._follow(Peer(line))

    def _follow(self, peer: Peer) -> None:
        """Take the snapshots of a worker until it ends."""
        with self._changed:
            self._peers.append(peer)
        try:
            peer.line.send_bytes(_KNOWN)
            while True:
                number, latest = _DECODER.decode(peer.line.recv_bytes())
                with self._changed:
                    peer.answered, peer.latest = number, latest
                    self._changed.notify_all()
        finally:
            with self._changed:
                self._peers.remove(peer)
                self._ended = merged([self._ended, counted(peer.latest)])
                self._changed.notify_all()


class Reporter:
    """A worker's part: it sends snapshots to the supervisor, in a thread, while it serves."""

    media_type = CONTENT_TYPE

    def __init__(self, path: Path) -> None:
        """Report to the Unix socket at `path`."""
        self._path = path

    def scrape(self) -> bytes:
        """The text for Prometheus, of all workers. Called in any thread. Raises OSError."""
        with Client(str(self._path), "AF_UNIX") as line:
            line.send_bytes(_READER)
            return line.recv_bytes()

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """Send snapshots until the block ends, and a last one then."""
        end, its_end = Pipe()
        with Client(str(self._path), "AF_UNIX") as line, its_end:
            line.send_bytes(_WORKER)
            line.recv_bytes()  # from now on, no page is made without this worker
            reporting = threading.Thread(target=_report, args=(line, its_end), name="metrics", daemon=True)
            reporting.start()
            try:
                yield
            finally:
                end.close()
                reporting.join()


def _report(line: Connection, end: Connection) -> None:
    """Send snapshots until the other side of `end` is closed, or until the supervisor has ended."""
    number, ready = 0, []
    with suppress(OSError, EOFError):
        while end not in ready:
            ready = wait([line, end], PUSH_SECONDS)
            if line in ready:
                number = int(line.recv_bytes())
            line.send_bytes(_ENCODER.encode((number, snapshot())))
