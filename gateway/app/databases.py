"""The database and the checkpoints of a gateway, from its settings. SQLAlchemy is loaded only when needed."""

from __future__ import annotations

import hashlib
import logging
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.domain.ports import ApprovalStore, Clock, Ledger
from gateway.security.references import Reference
from gateway.settings.folders import state_folder
from gateway.settings.settings import ConfigurationError, Settings

if TYPE_CHECKING:
    from gateway.ledger.checkpointing import CheckpointLocation, Checkpoints
    from gateway.ledger.database import Database
    from gateway.ledger.keys import KeyStore
    from gateway.ledger.ledger import SqlLedger
    from gateway.ledger.notes import Signer

log = logging.getLogger(__name__)


def database_of(settings: Settings) -> Database:
    """The database that the settings name. Raises ConfigurationError."""
    from gateway.ledger.addresses import UnusableDatabase
    from gateway.ledger.database import Database

    try:
        if settings.database_url is not None:
            return Database.at(settings.database_url.get_secret_value())
        return Database.in_folder(settings.state_folder or state_folder())
    except UnusableDatabase as error:
        raise ConfigurationError(str(error)) from None


def checkpoints_of(settings: Settings, database: Database, clock: Clock) -> Checkpoints | None:
    """The checkpoints of a ledger, or None if the settings switch them off. Raises ConfigurationError."""
    from gateway.ledger.checkpointing import Checkpoints

    place = place_of(settings, database) if settings.checkpoints.enabled else None
    if place is None:
        return None
    return Checkpoints(database, clock, place, timedelta(seconds=settings.checkpoints.seconds))


def place_of(settings: Settings, database: Database) -> CheckpointLocation | None:
    """The location of the checkpoints.

    None if the user has no state folder and no setting asks for checkpoints. Raises ConfigurationError if one asks.
    """
    from gateway.ledger.checkpointing import CheckpointLocation

    wanted = settings.checkpoints
    is_wanted = not (wanted.file is None and wanted.key is None and settings.state_folder is None)
    if wanted.file is not None and wanted.key is not None:
        return CheckpointLocation(wanted.file, partial(signer_of, wanted.key, Path()))
    try:
        folder = settings.state_folder or state_folder()
    except ConfigurationError as error:
        if is_wanted:
            raise
        log.warning("%s The ledger has no checkpoints.", error)
        return None
    key_file = folder / "checkpoint.key"
    path = wanted.file or folder / name_of(settings, database)
    return CheckpointLocation(
        path, partial(signer_of, wanted.key, key_file), None if wanted.key else key_file, is_wanted
    )


def name_of(settings: Settings, database: Database) -> str:
    """The name of the checkpoint file. Each database has its own."""
    if settings.database_url is None:
        return "checkpoints.txt"
    return f"checkpoints-{hashlib.sha256(database.name.encode()).hexdigest()[:8]}.txt"


def signer_of(key: Reference | None, key_file: Path) -> Signer:
    """The signer, with the key in the settings or in a file. Raises OSError and UnusableKey."""
    from gateway.ledger.notes import Signer

    return Signer.in_file(key_file) if key is None else Signer.parse(key.get_secret_value())


def ledger_of(settings: Settings, clock: Clock, writer: Path | None = None) -> SqlLedger:
    """The ledger in the database that the settings name. Raises ConfigurationError.

    `writer` is the socket of the process that writes for all workers; None: the ledger writes itself.
    """
    from gateway.ledger.ledger import SqlLedger
    from gateway.ledger.stores import ProcessStore

    days, database = settings.ledger.retention_days, database_of(settings)
    retention_time = None if days is None else timedelta(days=days)
    store = None if writer is None else ProcessStore(writer)
    return SqlLedger(database, clock, retention_time, checkpoints_of(settings, database, clock), store)


def approval_store_of(ledger: Ledger, clock: Clock) -> ApprovalStore:
    """The approvals in the database of a ledger; in memory if the ledger is."""
    from gateway.ledger.approvals import SqlApprovals
    from gateway.ledger.ledger import SqlLedger
    from gateway.ledger.memory import MemoryApprovals

    return SqlApprovals(ledger, clock) if isinstance(ledger, SqlLedger) else MemoryApprovals()


def key_store_of(settings: Settings) -> KeyStore:
    """The keys in the database that the settings name. Raises ConfigurationError."""
    from gateway.ledger.keys import KeyStore

    return KeyStore(database_of(settings))
