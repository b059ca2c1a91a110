"""Failures of a database as people can use them: what is wrong, and how to mend it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from sqlalchemy.exc import DBAPIError

_SQLITE: Mapping[int, str] = {
    sqlite3.SQLITE_NOTADB: "It is a file of another kind: move it away, or name another place.",
    sqlite3.SQLITE_CANTOPEN: "See that it is a file, and that this user may read and write it and its folder.",
    sqlite3.SQLITE_READONLY: "See that this user may write file and folder, and that it is on no read-only disk.",
    sqlite3.SQLITE_PERM: "See that this user may write the file and its folder.",
    sqlite3.SQLITE_CORRUPT: "The file is damaged: restore it from a backup.",
    sqlite3.SQLITE_FULL: "Make room on its disk.",
    sqlite3.SQLITE_IOERR: "See whether its disk is full or broken.",
    sqlite3.SQLITE_BUSY: "Another program holds it; end that one.",
}
"""How to mend what SQLite says, by its primary result code."""
_PRIMARY = 0xFF

_POSTGRESQL: Mapping[str, str] = {
    "28": "See to user and password in `database_url`, and to pg_hba.conf.",
    "3D000": "Make the database (`createdb`), or mend its name in `database_url`.",
    "42501": "Let this user use and create tables in the schema (GRANT USAGE, CREATE ON SCHEMA public).",
    "25006": "The server is read-only, as a standby is: name the primary in `database_url`.",
    "53100": "Make room on the server's disk.",
    "53300": "The server has too many connections: raise max_connections, or put a pooler before it.",
    "57": "The server stops or starts; try again.",
}
"""How to mend what PostgreSQL says, by the beginning of its SQLSTATE."""
_UNREACHABLE = "See that the server runs, and that host and port in `database_url` are right."


def reason(error: Exception) -> str:
    """What the database says, without statement and parameters: they hold what callers sent."""
    original = error.orig if isinstance(error, DBAPIError) else error
    return f"{type(original).__name__}: {str(original).splitlines()[0] if str(original) else ''}"


def diagnosis(error: Exception) -> str:
    """What the database says, and how to mend it, where that is known."""
    mend = _mend(error.orig if isinstance(error, DBAPIError) else error)
    return f"{reason(error).rstrip('.')}. {mend}" if mend else reason(error)


def _mend(error: BaseException | None) -> str | None:
    if isinstance(error, sqlite3.Error):
        return _SQLITE.get(getattr(error, "sqlite_errorcode", 0) & _PRIMARY)
    if not hasattr(error, "sqlstate"):
        return None
    state = getattr(error, "sqlstate", None)
    if state is None:
        # It failed before there was a server to speak with.
        return _UNREACHABLE
    return next((mend for beginning, mend in _POSTGRESQL.items() if str(state).startswith(beginning)), None)
