"""The keys of callers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from .exchange import Exchange, path_of


@dataclass(frozen=True)
class ApiKey:
    """A key of a caller, without its secret.

    `source` is `key_store` or `settings`, `state` is `valid`, `expired` or `revoked`. A key of the settings has the
    name of its caller as its `id`, and no times.
    """

    id: str
    source: str
    caller: str
    owner: str
    scopes: tuple[str, ...]
    access_key: bool
    state: str
    created_at: datetime | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None


class Keys(Exchange):
    """The calls about keys."""

    def api_keys(self, *, limit: int | None = None) -> Iterator[ApiKey]:
        """The keys of all callers, without their secrets: those of the key store, newest first; at most `limit`."""
        return self._list(ApiKey, path_of("keys"), limit)
