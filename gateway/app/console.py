"""The key of the console's sessions, from the settings or the state folder."""

from __future__ import annotations

from gateway.console.sessions import fernet_key, key_in, new_key
from gateway.settings.folders import state_folder
from gateway.settings.settings import ConfigurationError, Settings

FILE = "console.key"


def console_key_of(settings: Settings) -> bytes:
    """The key of the sessions. Raises ConfigurationError if there is none, and no place for one."""
    written = settings.server.console_key
    if written is not None:
        return fernet_key(written.get_secret_value())
    try:
        folder = settings.state_folder or state_folder()
        return key_in(folder / FILE)
    except (OSError, ConfigurationError):
        if settings.server.workers > 1:
            raise ConfigurationError(
                "server.console_key: is missing, and the state folder cannot keep one for all workers. Set it to a "
                "secret of at least 32 characters, or server.console = false."
            ) from None
        return new_key()
