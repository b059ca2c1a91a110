"""The list of API keys, with its objects as JSON. Nothing of a secret is in them, not even its hash."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.dialects.rendering import Members, optional_time, present, timestamp
from gateway.dialects.unified import BASE_PATH, link_to_next
from gateway.domain.access import Caller
from gateway.domain.encoding import decode_cursor, encode_cursor, unknown_cursor
from gateway.domain.ports import Clock
from gateway.edge.surface import Handler, Reply, Request
from gateway.security.keys import ApiKey, Keyring, KeyState


@dataclass(frozen=True)
class KeysApi:
    """The handler of the list of keys. `keyring` reads the present keys, and raises LedgerUnavailable."""

    keyring: Callable[[], Awaitable[Keyring]]
    clock: Clock

    def handlers(self) -> dict[str, Handler]:
        """The handlers by operationId."""
        return {"listKeys": self.list_keys}

    async def list_keys(self, request: Request) -> Reply:
        """Return a page of the keys of all callers. Raises LedgerUnavailable and UnknownCursor."""
        query = request.query
        known = rendered(await self.keyring(), self.clock.now())
        start = _start(known, query["cursor"]) if "cursor" in query else 0
        end = start + query["limit"]
        cursor = encode_cursor(_name(known[end - 1])) if end < len(known) else None
        headers = link_to_next(f"{request.address.prefix}{BASE_PATH}/keys", query, cursor)
        return Reply({"items": known[start:end], "nextCursor": cursor}, headers=headers)


def rendered(keyring: Keyring, now: datetime) -> list[Members]:
    """Every key: those of the key store, newest first, then those of the settings, by the names of their callers."""
    stored = [_stored(key, now) for key in keyring.stored]
    return [*reversed(stored), *(_of_settings(caller, signs=signs) for caller, signs in keyring.of_settings.items())]


def _stored(key: ApiKey, now: datetime) -> Members:
    return {
        "id": key.id,
        "source": "key_store",
        **_of_caller(key.caller),
        "accessKey": key.access_key is not None,
        "state": key.state(now),
        **present(
            createdAt=timestamp(key.created_at),
            expiresAt=optional_time(key.expires_at),
            revokedAt=optional_time(key.revoked_at),
            lastUsedAt=optional_time(key.last_used_at),
        ),
    }


def _of_settings(caller: Caller, *, signs: bool) -> Members:
    return {
        "id": caller.name,
        "source": "settings",
        **_of_caller(caller),
        "accessKey": signs,
        "state": KeyState.VALID,
    }


def _of_caller(caller: Caller) -> Members:
    return {"caller": caller.name, "owner": caller.owner, "scopes": sorted(caller.scopes)}


def _start(known: Sequence[Members], cursor: str) -> int:
    """The position after the key in a cursor. Raises UnknownCursor."""
    names = list(map(_name, known))
    try:
        return names.index(decode_cursor(cursor)) + 1
    except ValueError:
        raise unknown_cursor() from None


def _name(key: Members) -> bytes:
    """A name that no other key has: an id of the key store can be the name of a caller of the settings."""
    return f"{key['source']}/{key['id']}".encode()
