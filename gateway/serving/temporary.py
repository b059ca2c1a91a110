"""Temporary folders. If their process is killed, the next process deletes them.

Each folder contains a file that its process keeps locked. The kernel releases the lock however the process ends.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gateway.settings.settings import ConfigurationError

LOCK = "in-use"


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """Make a folder that only this user can read, and delete it at the end of the block.

    Raises ConfigurationError if it cannot be made.
    """
    try:
        delete_left_over(prefix)
        # It gets its final name only when it is locked, so that no other process deletes it as left over.
        made = Path(tempfile.mkdtemp(prefix="."))
    except OSError as error:
        raise ConfigurationError(
            f"a temporary folder cannot be made: {error.strerror}. Set TMPDIR to a writable folder."
        ) from None
    with (made / LOCK).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = made.rename(made.with_name(f"{prefix}{made.name.lstrip('.')}"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def delete_left_over(prefix: str) -> None:
    """Delete this user's folders with the prefix whose processes have ended."""
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        # A file that cannot be opened or locked belongs to another user or is in use.
        with suppress(OSError), _opened(folder / LOCK) as lock:
            if folder.lstat().st_uid == os.getuid():
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _opened(file: Path) -> Iterator[int]:
    opened = os.open(file, os.O_RDWR | os.O_NOFOLLOW)
    try:
        yield opened
    finally:
        os.close(opened)
