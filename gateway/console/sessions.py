"""Sessions in an encrypted cookie: any worker and any gateway with the same key reads it, and no page does."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import tempfile
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from flask import Flask, Request, Response
from flask.sessions import SecureCookieSession, SessionInterface

COOKIE = "__Host-jobgate"
"""The prefix makes browsers insist on `Secure`, on the path `/`, and on this very host."""
KIND = "kind"
"""The member that tells a session from other texts that the same key encrypts."""
SESSION_SECONDS = 12 * 3_600
"""Seconds after which one has to sign in again."""
LONGEST_CREDENTIAL = 2_600
"""Longest credential, in characters, with which the encrypted cookie stays below the 4,096 bytes that browsers keep."""


class EncryptedSessions(SessionInterface):
    """Keeps sessions in a cookie that only a holder of the key can read or write."""

    def __init__(self, key: bytes) -> None:
        """Encrypt with a key as `new_key` makes it."""
        self._fernet = Fernet(key)

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession:  # noqa: ARG002 - Flask's interface
        """The session of a request; an empty one if it has none that is valid."""
        content = self.unseal(request.cookies.get(COOKIE, ""), SESSION_SECONDS)
        known = {} if content is None else json.loads(content)
        return SecureCookieSession(known if known.get(KIND) == COOKIE else {})

    def seal(self, content: bytes) -> str:
        """Encrypt a text for a cookie."""
        return self._fernet.encrypt(content).decode()

    def unseal(self, value: str, seconds: int) -> bytes | None:
        """Decrypt a text of a cookie; None if it is not ours, or older than these seconds."""
        try:
            return self._fernet.decrypt(value, ttl=seconds)
        except InvalidToken:
            return None

    def save_session(self, app: Flask, session: SecureCookieSession, response: Response) -> None:  # type: ignore[override]  # noqa: ARG002
        """Put a session that has changed into the cookie."""
        if not session.modified:
            return
        if not session:
            response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="Strict")
            return
        value = self.seal(json.dumps({**session, KIND: COOKIE}).encode())
        response.set_cookie(COOKIE, value, path="/", secure=True, httponly=True, samesite="Strict")


def new_key() -> bytes:
    """A new key for sessions."""
    return Fernet.generate_key()


def fernet_key(secret: str) -> bytes:
    """The key that belongs to a secret of the settings."""
    return base64.urlsafe_b64encode(hashlib.sha256(f"jobgate console sessions\n{secret}".encode()).digest())


def key_in(file: Path) -> bytes:
    """The key in a file, which is made when first needed; all workers get the same one. Raises OSError."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as made:
            made.write(new_key())
        os.link(name, file)
    except FileExistsError:
        pass  # another worker was faster
    finally:
        Path(name).unlink()
    return file.read_bytes()
