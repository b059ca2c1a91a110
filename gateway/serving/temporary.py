"""Temporary folders that do not stay for ever: those of processes that were killed are deleted by the next one.

Each folder has a file that its process keeps locked. The system gives up the lock however the process ends.
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
    """A folder that only this user can look into, until the end of the block.

    Raises ConfigurationError where none can be made.
    """
    try:
        delete_left_over(prefix)
        # It has its name only once it is locked, so that nobody takes it for one that was left over.
        made = Path(tempfile.mkdtemp(prefix="."))
    except OSError as error:
        raise ConfigurationError(
            f"no temporary folder can be made: {error.strerror}. Set TMPDIR to a folder that can be written."
        ) from None
    with (made / LOCK).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = made.rename(made.with_name(f"{prefix}{made.name.lstrip('.')}"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def delete_left_over(prefix: str) -> None:
    """Delete this user's folders of that prefix whose processes are gone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        # What cannot be opened, or is locked, is somebody else's or in use.
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
