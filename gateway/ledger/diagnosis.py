"""Descriptions of database failures for people: what is wrong, and how to fix it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from sqlalchemy.exc import DBAPIError

_SQLITE: Mapping[int, str] = {
    sqlite3.SQLITE_NOTADB: "It is not a SQLite database: move it away, or name another file.",
    sqlite3.SQLITE_CANTOPEN: "Check that it is a file, and that this user can read and write it and its folder.",
    sqlite3.SQLITE_READONLY: "Check that this user can write the file and its folder, and the disk is not read-only.",
    sqlite3.SQLITE_PERM: "Check that this user can write the file and its folder.",
    sqlite3.SQLITE_CORRUPT: "The file is damaged: restore it from a backup.",
    sqlite3.SQLITE_FULL: "Free space on its disk.",
    sqlite3.SQLITE_IOERR: "Check whether its disk is full or faulty.",
    sqlite3.SQLITE_BUSY: "Another program has locked it; stop that program.",
}
"""Fixes by SQLite's primary result code."""
_PRIMARY = 0xFF

_POSTGRESQL: Mapping[str, str] = {
    "28": "Check user and password in `database_url`, and pg_hba.conf.",
    "3D000": "Create the database (`createdb`), or correct its name in `database_url`.",
    "42501": "Allow this user to use and create tables in the schema (GRANT USAGE, CREATE ON SCHEMA public).",
    "25006": "The server is read-only, such as a standby: name the primary in `database_url`.",
    "53100": "Free space on the server's disk.",
    "53300": "The server has too many connections: raise max_connections, or use a connection pooler.",
    "57": "The server is stopping or starting; try again.",
}
"""Fixes by the first characters of PostgreSQL's SQLSTATE."""
_UNREACHABLE = "Check that the server is running, and that host and port in `database_url` are right."


def reason(error: Exception) -> str:
    """The database's error message, without statement and parameters, which contain callers' data."""
    original = error.orig if isinstance(error, DBAPIError) else error
    return f"{type(original).__name__}: {str(original).splitlines()[0] if str(original) else ''}"


def diagnosis(error: Exception) -> str:
    """The database's error message, and how to fix the cause if that is known."""
    fix = _fix(error.orig if isinstance(error, DBAPIError) else error)
    return f"{reason(error).rstrip('.')}. {fix}" if fix else reason(error)


def _fix(error: BaseException | None) -> str | None:
    if isinstance(error, sqlite3.Error):
        return _SQLITE.get(getattr(error, "sqlite_errorcode", 0) & _PRIMARY)
    if not hasattr(error, "sqlstate"):
        return None
    state = getattr(error, "sqlstate", None)
    if state is None:
        # The connection to the server failed.
        return _UNREACHABLE
    return next((fix for beginning, fix in _POSTGRESQL.items() if str(state).startswith(beginning)), None)
