"""The API keys that `jobgate keys` makes, beside the ledger in the same database."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from gateway.domain.access import Caller
from gateway.domain.clock import SystemClock
from gateway.domain.errors import LedgerUnavailable
from gateway.domain.model import Outcome
from gateway.domain.times import milliseconds
from gateway.ledger.database import Database, failures_named
from gateway.ledger.events import KeyChanged
from gateway.ledger.operations import Link, add_events
from gateway.ledger.tables import api_keys
from gateway.security.keys import ApiKey, Keyring

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
"""How often it is looked whether there are other keys."""


@dataclass(frozen=True)
class KeyStore:
    """Keeps API keys. Every method raises LedgerUnavailable where the database cannot be used, and none is quick."""

    database: Database

    def all(self) -> tuple[ApiKey, ...]:
        """All of them, the oldest first, those that open nothing any more included."""
        with failures_named(Outcome.NOT_SENT), self.database.reading.connect() as connection:
            found = connection.execute(select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)).all()
        return tuple(map(_key, found))

    def add(self, key: ApiKey) -> None:
        """Keep a new key."""
        row = {
            "id": key.id,
            "caller": key.caller.name,
            "scopes": " ".join(sorted(key.caller.scopes)),
            "digest": key.digest,
            "created_at": milliseconds(key.created_at),
            "expires_at": _at(key.expires_at),
            "access_secret": key.access_secret,
        }
        with failures_named(Outcome.NOT_SENT), self.database.writing.begin() as connection:
            connection.execute(insert(api_keys), row)
            record(connection, key.id)

    def let_expire(self, key_id: str, at: datetime) -> None:
        """Have a key end at this time, where it does not end earlier."""
        self._update(key_id, "expires_at", at, is_change=True)

    def revoke(self, key_id: str, at: datetime) -> None:
        """Have a key open nothing from now on."""
        self._update(key_id, "revoked_at", at, is_change=True)

    def note_used(self, used: Mapping[str, datetime]) -> None:
        """Keep when keys were used last."""
        for key_id, at in used.items():
            self._update(key_id, "last_used_at", at, is_change=False)

    def _update(self, key_id: str, column: str, at: datetime, *, is_change: bool) -> None:
        chosen = update(api_keys).where(api_keys.c.id == key_id)
        with failures_named(Outcome.NOT_SENT), self.database.writing.begin() as connection:
            found = connection.execute(chosen.values({column: milliseconds(at)})).rowcount
            if is_change and found:
                record(connection, key_id)


@dataclass(frozen=True)
class KeyWatch:
    """Keeps a keyring as the key store has it: what `jobgate keys` does counts after some seconds."""

    keyring: Keyring
    store: KeyStore

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except LedgerUnavailable as error:
                log.warning("API keys could not be looked at: %s", error.__cause__)

    async def look(self) -> None:
        """Take over the keys that there are, and note when they were used. Raises LedgerUnavailable."""
        self.keyring.replace(await asyncio.to_thread(self.store.all))
        used = self.keyring.take_used()
        if used:
            await asyncio.to_thread(self.store.note_used, used)


def record(connection: Connection, key_id: str) -> None:
    """Add to the chain how a key is now."""
    row = connection.execute(select(api_keys).where(api_keys.c.id == key_id)).one()
    clock = SystemClock()
    now = clock.now()
    add_events(connection, None, [Link(clock.new_id(now), 0, as_event(row, now))], now)


def as_event(row: Row[Any], now: datetime) -> KeyChanged:
    """How a key is now, as an event says it: of its secrets there is a hash of what is kept."""
    proof = hashlib.sha256(bytes(row.digest) + (row.access_secret or "").encode()).hexdigest()
    times = row.created_at, row.expires_at, row.revoked_at
    return KeyChanged(now, row.id, row.caller, row.scopes, proof, *times)


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        row.id,
        Caller(row.caller, frozenset(row.scopes.split())),
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
