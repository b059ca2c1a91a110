"""The process that writes the ledger for all workers: its start and its socket. The ledger is loaded in it only."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from gateway.serving.logs import PLAIN, LogOptions, log_to_terminal
from gateway.serving.supervisor import SIGNALS, Companion, release_signals, show_as
from gateway.serving.temporary import temporary_folder
from gateway.settings.settings import ConfigurationError

NAME = "jobgate-writer"
"""The name that the system shows for the process."""
TITLE = "the ledger's writer"
MOST_WAITING = 128
"""Most workers that wait to be connected, as while a writer is replaced."""


@dataclass(frozen=True)
class CommonWriter:
    """The process that writes for all workers, and the socket at which they reach it."""

    path: Path
    companion: Companion


@contextmanager
def common_writer(address: str, logs: LogOptions = PLAIN) -> Iterator[CommonWriter]:
    """The writer of the ledger at an address, not yet started. Only this user can reach it.

    The socket stays the same when the process is replaced, so workers can wait for the next one.
    Raises ConfigurationError if it cannot be made.
    """
    with temporary_folder("jobgate-writer-") as folder, socket.socket(socket.AF_UNIX) as listening:
        path = folder / "socket"
        try:
            listening.bind(str(path))
        except OSError as error:
            raise ConfigurationError(
                f"the socket {path} cannot be made: {error.args[-1]}. Set TMPDIR to a folder with a short path."
            ) from None
        path.chmod(0o600)
        listening.listen(MOST_WAITING)
        yield CommonWriter(path, Companion(TITLE, write_for_all, (address, listening, logs)))


def write_for_all(address: str, listening: socket.socket, logs: LogOptions, line: Connection) -> None:
    """Write to the ledger at an address what workers send, until the other end of `line` is closed and they are gone.

    Signals that reach every process, such as Ctrl+C, are ignored: the workers still have to write.
    """
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    release_signals()
    show_as(NAME)
    log_to_terminal(logs)

    from gateway.domain.clock import SystemClock  # noqa: PLC0415 - first the signals
    from gateway.ledger.database import Database  # noqa: PLC0415
    from gateway.ledger.process import WriterProcess  # noqa: PLC0415
    from gateway.ledger.stores import DatabaseStore  # noqa: PLC0415

    database = Database.at(address)
    WriterProcess(DatabaseStore(database, SystemClock()), listening, line).serve()
    database.dispose()
