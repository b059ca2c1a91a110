"""Folders that the system gives: the user's own, and those for a while. Not every container has them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from platformdirs import user_state_path

from gateway.config import ConfigurationError


def state_folder() -> Path:
    """The user's folder for the ledger. Raises ConfigurationError where the user has no home."""
    try:
        folder = user_state_path("jobgate", appauthor=False)
    except (RuntimeError, KeyError, OSError):
        folder = Path()
    if folder.is_absolute():
        return folder
    raise ConfigurationError(
        "state_folder: this user has no home folder, so there is no usual place for the ledger. Set state_folder, or "
        "JOBGATE_STATE_FOLDER, to a folder that is kept; or set database_url."
    )


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """A folder that is deleted at the end of the block. Raises ConfigurationError where none can be made."""
    try:
        made = TemporaryDirectory(prefix=prefix)
    except OSError as error:
        raise ConfigurationError(
            f"no temporary folder can be made: {error.strerror}. Set TMPDIR to a folder that can be written."
        ) from None
    with made as folder:
        yield Path(folder)
