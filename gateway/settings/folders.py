"""The state folder of the user, by the conventions of the operating system. Not every container has one."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_state_path

from gateway.settings.settings import ConfigurationError


def state_folder() -> Path:
    """The user's folder for the ledger. Raises ConfigurationError if the user has no home folder."""
    try:
        folder = user_state_path("jobgate", appauthor=False)
    except (RuntimeError, KeyError, OSError):
        folder = Path()
    if folder.is_absolute():
        return folder
    raise ConfigurationError(
        "state_folder: this user has no home folder, so the ledger has no default place. Set state_folder or "
        "JOBGATE_STATE_FOLDER to a persistent folder, or set database_url."
    )
