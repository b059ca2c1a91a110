"""The API keys of `jobgate keys`, in the same database as the ledger."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Row, Update, insert, select, update

from gateway.domain.access import Caller
from gateway.domain.clock import SystemClock
from gateway.domain.errors import LedgerUnavailable
from gateway.domain.model import Outcome
from gateway.domain.times import milliseconds
from gateway.ledger.database import Database, storage_failures
from gateway.ledger.events import KeyChanged
from gateway.ledger.operations import add_events, event_row
from gateway.ledger.tables import api_keys
from gateway.security.keys import ApiKey, Keyring

log = logging.getLogger(__name__)

REFRESH_SECONDS = 5.0
"""Seconds between two reads of the key store."""


@dataclass(frozen=True)
class KeyStore:
    """Stores API keys. Every method blocks, and raises LedgerUnavailable if the database cannot be used."""

    database: Database

    def all(self) -> tuple[ApiKey, ...]:
        """All keys, oldest first, including expired and revoked ones."""
        with storage_failures(Outcome.NOT_SENT), self.database.reading.connect() as connection:
            found = connection.execute(select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)).all()
        return tuple(map(_key, found))

    def add(self, key: ApiKey) -> None:
        """Store a new key."""
        row = {
            "id": key.id,
            "caller": key.caller.name,
            "scopes": " ".join(sorted(key.caller.scopes)),
            "digest": key.digest,
            "created_at": milliseconds(key.created_at),
            "expires_at": _at(key.expires_at),
            "access_secret": key.access_secret,
            "owner": None if key.caller.owner == key.caller.name else key.caller.owner,
        }
        with storage_failures(Outcome.NOT_SENT), self.database.writing.begin() as connection:
            connection.execute(insert(api_keys), row)
            record(connection, key.id)

    def set_expiry(self, key_id: str, at: datetime) -> None:
        """Set the time at which a key expires."""
        self._update(key_id, "expires_at", at)

    def revoke(self, key_id: str, at: datetime) -> None:
        """Revoke a key from `at` on."""
        self._update(key_id, "revoked_at", at)

    def _update(self, key_id: str, column: str, at: datetime) -> None:
        with storage_failures(Outcome.NOT_SENT), self.database.writing.begin() as connection:
            if connection.execute(change(key_id, column, milliseconds(at))).rowcount:
                record(connection, key_id)


class NoteUsed(Struct, frozen=True, array_like=True, tag="note-used"):
    """Store when keys were last used, by their ids, in milliseconds. It is no event."""

    used: dict[str, int]

    def run(self, connection: Connection) -> None:
        """Store it."""
        for key_id, at in self.used.items():
            connection.execute(change(key_id, "last_used_at", at))


def change(key_id: str, column: str, value: int) -> Update:
    """The statement that changes a key."""
    return update(api_keys).where(api_keys.c.id == key_id).values({column: value})


@dataclass(frozen=True)
class KeyWatch:
    """Keeps a keyring up to date with the key store: changes by `jobgate keys` take effect after some seconds.

    `note_used` stores when keys were last used.
    """

    keyring: Keyring
    store: KeyStore
    note_used: Callable[[Mapping[str, datetime]], Awaitable[object]]

    async def run(self) -> None:
        """Refresh the keyring regularly, until cancelled."""
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                await self.refresh()
            except LedgerUnavailable as error:
                log.warning("API keys could not be refreshed: %s", error.__cause__ or error)

    async def refresh(self) -> None:
        """Load the stored keys, and store when keys were last used. Raises LedgerUnavailable."""
        self.keyring.replace(await asyncio.to_thread(self.store.all))
        used = self.keyring.take_used()
        if used:
            await self.note_used(used)


def record(connection: Connection, key_id: str) -> None:
    """Add a key's present state to the chain."""
    row = connection.execute(select(api_keys).where(api_keys.c.id == key_id)).one()
    clock = SystemClock()
    now = clock.now()
    add_events(connection, [event_row(clock.new_id(now), 0, as_event(row, now))], now)


def as_event(row: Row[Any], now: datetime) -> KeyChanged:
    """The event with a key's present state; of its secrets it has only a hash of the stored form."""
    proof = hashlib.sha256(bytes(row.digest) + (row.access_secret or "").encode()).hexdigest()
    times = row.created_at, row.expires_at, row.revoked_at
    return KeyChanged(now, row.id, row.caller, row.scopes, proof, *times, owner=row.owner)


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        row.id,
        Caller(row.caller, frozenset(row.scopes.split()), row.owner or ""),
        row.digest,
        _time(row.created_at) or datetime.fromtimestamp(0, UTC),
        _time(row.expires_at),
        _time(row.revoked_at),
        _time(row.last_used_at),
        row.access_secret,
    )


def _at(time: datetime | None) -> int | None:
    return None if time is None else milliseconds(time)


def _time(at: int | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at / 1_000, UTC)
