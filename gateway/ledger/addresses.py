"""Parsing and display of database addresses. A password is never shown, in whatever part of the address it is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

PREPARE = "prepare_threshold"
NEVER = frozenset({"0", "none"})
CONNECT_TIMEOUT = "connect_timeout"
CONNECT_SECONDS = 10
"""Longest time to connect to PostgreSQL, in seconds, unless the address or PostgreSQL's own settings limit it."""


class UnusableDatabase(Exception):
    """The database cannot be used with these settings or by this version. The message says how to fix it."""


@dataclass(frozen=True)
class Address:
    """The address of a database, and further arguments for its driver."""

    url: URL = field(repr=False)
    arguments: Mapping[str, Any]

    @classmethod
    def parse(cls, text: str) -> Address:
        """Parse `sqlite:///path` or `postgresql://…`.

        Raises UnusableDatabase for any other address; its message contains no password.
        """
        try:
            scheme, colon, rest = text.partition(":")
            url = make_url(f"{scheme.lower()}{colon}{rest}")  # RFC 3986, 6.2.2.1
            backend = url.get_backend_name()
        except (ArgumentError, ValueError):
            raise UnusableDatabase("database_url: write it as postgresql://user:password@host/database.") from None
        if url.drivername == "sqlite" and url.database and url.query:
            raise UnusableDatabase("database_url: SQLite takes no options; write it as sqlite:///path.")
        if url.drivername == "sqlite" and url.database:
            return cls(url, {})
        if backend in {"postgresql", "postgres"}:
            return _postgresql(url)
        raise UnusableDatabase(f"database_url: {backend} is not supported. Use postgresql://… or sqlite:///path.")


def _postgresql(url: URL) -> Address:
    if "@" in f"{url.host}{url.database}":
        raise UnusableDatabase("database_url: percent-encode user and password; `@` is %40 there, and `/` is %2F.")
    if any("=" in each for each in (_part(url, url.username, "user"), _part(url, url.database, "dbname"))):
        raise UnusableDatabase("database_url: write options behind a question mark, as in ?sslmode=require.")
    arguments: dict[str, Any] = {} if PREPARE not in url.query else {PREPARE: _threshold(url.query[PREPARE])}
    if not ({CONNECT_TIMEOUT, "service"} & url.query.keys() or {"PGCONNECT_TIMEOUT", "PGSERVICE"} & os.environ.keys()):
        arguments[CONNECT_TIMEOUT] = CONNECT_SECONDS
    url = url.difference_update_query([PREPARE]).set(drivername="postgresql+psycopg")
    _refuse_unknown_options(url)
    return Address(url, arguments)


def _threshold(value: str | tuple[str, ...]) -> int | None:
    """The number of executions before psycopg prepares a statement; None for never, as 0 means in other drivers."""
    if isinstance(value, str) and value.lower() in NEVER:
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    raise UnusableDatabase(f"database_url: write {PREPARE} as a number, or as none to prepare no statements.")


def _refuse_unknown_options(url: URL) -> None:
    """Raise UnusableDatabase if PostgreSQL's client library does not know an option of the URL."""
    # The library is loaded only if PostgreSQL is used.
    from psycopg import Error  # noqa: PLC0415
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415

    for name in url.query:
        try:
            make_conninfo(**{name: ""})
        except Error:
            raise UnusableDatabase(f"database_url: PostgreSQL has no option {name}.") from None


def shown(url: URL) -> str:
    """The location of a database, for people: the file, or user, host, port and name. It never contains a password."""
    if url.get_backend_name() == "sqlite":
        return url.database or ""
    user = _part(url, url.username, "user")
    host, port = _part(url, url.host, "host", "hostaddr"), _part(url, url.port, "port")
    place = f"[{host}]" if ":" in host else host
    name = _part(url, url.database, "dbname")
    service = _part(url, None, "service")
    parts = [f"{user}@" if user else "", place, f":{port}" if port else "", f"/{name}"]
    return f"postgresql://{''.join(parts)}" + (f" (service {service})" if service else "")


def _part(url: URL, given: object, *names: str) -> str:
    """A part of an address. The URL's query can hold it too, and takes precedence."""
    found = next((url.query[name] for name in names if name in url.query), given)
    return ",".join(found) if isinstance(found, tuple) else str(found or "")
