"""The folder that the system gives a user for what programs write down. Not every container has one."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_state_path

from gateway.settings.settings import ConfigurationError


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
