"""SQLite's write-ahead log: it is moved into the file by a thread of its own, so that no commit waits for it.

Left to itself, SQLite does this in the commit that makes the log longer than 1,000 pages.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

from gateway.ledger.sqlite_files import connect

log = logging.getLogger(__name__)

MOVE_AFTER = 2_000
"""Number of operations after which the log is moved into the file."""
LONG = 64 * 1_024 * 1_024
"""Length in bytes from which the log begins anew in the same space, since to make a file longer costs twice as much."""
LONGEST = 2 * LONG
"""Length in bytes from which the log is cut."""
CUT_SECONDS = 0.05
"""Longest wait for a moment without a writer, and then of writers for readers that still need the log, in seconds."""


class WriteAheadLog:
    """The write-ahead log of a file, and the thread that moves it. The thread starts when it is first needed."""

    def __init__(self, file: Path) -> None:
        """Look after the log of `file`."""
        self._file = file
        self._written = 0
        self._is_due = threading.Event()
        self._is_over = False
        self._thread: threading.Thread | None = None

    def note_written(self, operations: int) -> None:
        """Note that so many operations were committed. Does not wait."""
        self._written += operations
        if self._written >= MOVE_AFTER:
            self._written = 0
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="ledger write-ahead log", daemon=True)
                self._thread.start()
            self._is_due.set()

    def close(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._is_over = True
            self._is_due.set()
            self._thread.join()
            self._is_over, self._thread = False, None

    def _run(self) -> None:
        while self._is_due.wait() and not self._is_over:
            self._is_due.clear()
            try:
                move(self._file)
            except (sqlite3.Error, OSError) as error:
                log.warning("the write-ahead log of %s could not be moved: %s", self._file, error)


def move(file: Path) -> None:
    """Move the log into the file, and begin it anew or cut it if it is too long. Raises sqlite3.Error and OSError.

    Moving lets readers and writers go on. Beginning anew and cutting exclude writers, but after moving there is little
    left to do; if somebody still writes to the log or reads from it, it is tried again next time.
    """
    # A file that was moved away must not be created anew.
    with closing(connect(file, CUT_SECONDS)) as connection:
        _, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        (page_size,) = connection.execute("PRAGMA page_size").fetchone()
        if length(file) > LONGEST:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        elif pages * page_size > LONG:
            connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()


def length(file: Path) -> int:
    """The length of a file's log in bytes, 0 if there is none."""
    try:
        return file.with_name(f"{file.name}-wal").stat().st_size
    except FileNotFoundError:
        return 0
