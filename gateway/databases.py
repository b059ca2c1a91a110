"""The database of a gateway, by its settings. SQLAlchemy is loaded when one is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.config import ConfigurationError, Settings
from gateway.settings.folders import state_folder

if TYPE_CHECKING:
    from gateway.ledger.database import Database


def database_of(settings: Settings) -> Database:
    """The database that the settings name. Raises ConfigurationError."""
    from gateway.ledger.database import Database, UnusableDatabase

    try:
        if settings.database_url is not None:
            return Database.at(settings.database_url.get_secret_value())
        return Database.in_folder(settings.state_folder or state_folder())
    except UnusableDatabase as error:
        raise ConfigurationError(str(error)) from None
