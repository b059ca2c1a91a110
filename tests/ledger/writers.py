"""The process that writes for all workers, in a thread of the tests, which can be ended and begun anew."""

from __future__ import annotations

import multiprocessing
import select
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from gateway.domain.ports import Clock
from gateway.ledger.database import Database
from gateway.ledger.operations import Stored
from gateway.ledger.process import WriterProcess
from gateway.ledger.stores import DatabaseStore
from tests.support.patience import PATIENCE, eventually, wait_until


class ObservedStore(DatabaseStore):
    """The database, whose commits are counted. `befall` is called before each, `then` after it."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Commit to `database`."""
        super().__init__(database, clock)
        self.batches: list[int] = []
        self.befall: Callable[[], None] = lambda: None
        self.then: Callable[[], None] = lambda: None

    def commit(self, batch: Sequence[Stored]) -> Sequence[Any]:
        """Commit a batch, and count it."""
        self.befall()
        results = super().commit(batch)
        self.batches.append(len(batch))
        self.then()
        return results


class Killed(BaseException):
    """The ways to end a writer at once, as `kill -9` does."""


@dataclass
class Writing:
    """A writer at a socket. `line` is the end of its line that the supervisor has."""

    path: Path
    database: Database
    clock: Clock
    listening: socket.socket
    store: ObservedStore = field(init=False)
    line: Connection = field(init=False)
    process: WriterProcess = field(init=False)
    thread: threading.Thread = field(init=False)

    def start(self) -> None:
        """Begin to write."""
        self.store = ObservedStore(self.database, self.clock)
        self.line, its_line = multiprocessing.Pipe()
        self.process = process = WriterProcess(self.store, self.listening, its_line)

        def run() -> None:
            try:
                process.serve()
            except Killed:
                pass
            finally:
                its_line.close()
                for peer in process._peers:
                    peer.line.close()

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    async def has_waiting(self, number: int) -> None:
        """Wait until the messages of so many workers have come and are not read yet."""

        async def is_so() -> bool:
            lines = [peer.line for peer in self.process._peers]
            return len(select.select(lines, [], [], 0)[0]) == number

        await eventually(is_so)

    def kill(self) -> None:
        """Stop here, as `kill -9` does: what was received and not written is gone."""
        raise Killed

    def start_when_it_has_ended(self) -> threading.Thread:
        """Begin anew, as the supervisor does, when the present one has ended."""
        ended = self.thread

        def wait() -> None:
            ended.join(PATIENCE)
            self.start()

        starting = threading.Thread(target=wait, daemon=True)
        starting.start()
        return starting

    def end(self) -> None:
        """Tell it to end as soon as nobody is connected, and wait for that."""
        self.line.close()
        self.thread.join(PATIENCE)
        wait_until(lambda: not self.thread.is_alive())


@contextmanager
def writing(address: str, clock: Clock) -> Iterator[Writing]:
    """A writer to the ledger at an address, until the end of the block."""
    with (
        tempfile.TemporaryDirectory(prefix="jobgate-", dir="/tmp") as folder,
        socket.socket(socket.AF_UNIX) as listening,
    ):
        path = Path(folder) / "socket"
        listening.bind(str(path))
        listening.listen()
        database = Database.at(address)
        made = Writing(path, database, clock, listening)
        made.start()
        yield made
        made.end()
        database.dispose()
