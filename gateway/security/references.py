"""Secrets of the settings: the value itself, or a reference to the place where it is stored.

    secret = "env:CONTOSO_KEY"            an environment variable
    secret = "file:/run/secrets/contoso"  a file
    secret = "vault:kv/contoso#key"       a place that a package adds in the entry point group `jobgate.secrets`

Blanks and line breaks around a secret are ignored. A secret for a vendor is read each time it is needed, so that
a change takes effect immediately. Keys of callers are read at start and at SIGHUP, the database's address at start.
"""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from pydantic import SecretStr

from gateway.domain.suggestions import closest

log = logging.getLogger(__name__)

GROUP = "jobgate.secrets"
"""Entry points that add places: functions that return the secret, and raise LookupError if there is none."""

Follow = Callable[[str], str]

_REFERENCE = re.compile(r"(?P<place>[a-z][a-z0-9-]*):(?P<name>.+)")


class Reference(SecretStr):
    """A secret of the settings. `get_secret_value` returns its current value; nothing else shows it."""

    _last: str | None = None

    @property
    def written(self) -> str | None:
        """The text of the reference; None if the setting is the secret itself."""
        text = super().get_secret_value().strip()
        return text if place_of(text) else None

    def get_secret_value(self) -> str:
        """The secret, or its last value if it can no longer be read. Raises LookupError if it never could."""
        text = super().get_secret_value().strip()
        follow = place_of(text)
        if follow is None:
            return self._secret_in(text)
        try:
            self._last = self._secret_in(follow(text.partition(":")[2]))
        except LookupError as error:
            if self._last is None:
                raise LookupError(f"{text}: {error}") from None
            log.warning("the secret %s cannot be read any more (%s); its last value is used", text, error)
        return self._last

    @property
    def is_secret(self) -> bool:
        """True if the value must not be shown."""
        return True

    @staticmethod
    def _secret_in(text: str) -> str:
        """The secret in the text from its place. Raises LookupError if it cannot be one."""
        return secret_in(text)

    def __len__(self) -> int:
        """The length of the redacted text."""
        return len(str(self))


class PrivateKey(Reference):
    """A private key in PEM form, which has several lines."""

    @staticmethod
    def _secret_in(text: str) -> str:
        """The key, with each line checked as a secret. Raises LookupError if one cannot be."""
        return "\n".join(secret_in(line) for line in text.strip().splitlines() or [""])


PUBLIC_OPTIONS = frozenset(
    {"application_name", "connect_timeout", "dbname", "host", "hostaddr", "port", "prepare_threshold", "service"}
    | {"sslcert", "sslkey", "sslmode", "sslrootcert", "target_session_attrs", "user"}
)
"""Parameters of a database address that hold no secret."""


class DatabaseUrl(Reference):
    """The address of a database, which is a secret only if it has a password."""

    @property
    def is_secret(self) -> bool:
        """True if it may have a password: before the host, or in a parameter that is not known to be public.

        A password with a `/` or `#` that is not percent-encoded begins where the port seems to be.
        """
        try:
            address = urlsplit(self.get_secret_value())
            is_odd = address.port == 0 or "=" in address.netloc or "@" in address.path or bool(address.fragment)
        except ValueError:  # the port is not a number
            return True
        options = parse_qsl(address.query, keep_blank_values=True)
        is_public = all(name in PUBLIC_OPTIONS and "=" not in value for name, value in options)
        return is_odd or address.password is not None or not is_public


def secret_in(text: str) -> str:
    """The secret in a text that was typed, pasted or written by `echo`. Raises LookupError if it cannot be one."""
    secret = text.strip()
    if not secret:
        raise LookupError("is empty")
    if not secret.isprintable():
        raise LookupError("has a line break or another control character in it; copy it again")
    return secret


def checked(reference: Reference) -> Reference:
    """Return the reference if its secret can be read. Raises ValueError with the reason if it cannot."""
    refuse_misspelt_place(reference)
    try:
        reference.get_secret_value()
    except LookupError as error:
        raise ValueError(str(error.args[0])) from None
    return reference


def refuse_misspelt_place(reference: Reference) -> None:
    """Refuse a misspelt place such as `evn:NAME`, which would count as the secret itself.

    Raises ValueError without the text.
    """
    match = _REFERENCE.fullmatch(SecretStr.get_secret_value(reference))
    likely = closest(match["place"], places()) if match and match["place"] not in places() else None
    if likely:
        raise ValueError(
            f"did you mean {likely}:? If the secret itself begins like this, store it elsewhere, as env:NAME"
        )


def place_of(text: str) -> Follow | None:
    """The function that reads a reference; None if the text is not a reference."""
    match = _REFERENCE.fullmatch(text)
    return places().get(match["place"]) if match else None


@cache
def places() -> Mapping[str, Follow]:
    """The functions that read references, by the name of their place."""
    added = {each.name: each.load() for each in entry_points(group=GROUP)}
    return {**added, "env": from_environment, "file": from_file}


def from_environment(name: str) -> str:
    """The value of an environment variable. Raises LookupError if it is not set."""
    value = os.environ.get(name)
    if value is None:
        raise LookupError("the environment has no such variable")
    return value


@lru_cache(maxsize=256)
def _read(path: str, _changed_at: int, _size: int, _number: int) -> str:
    """A file's text, cached until the file changes. Editors may put a byte order mark of UTF-8 before it."""
    return Path(path).read_text("utf-8-sig")


def from_file(path: str) -> str:
    """A file's text. Raises LookupError if it cannot be read, or if every user can read it."""
    try:
        known = Path(path).stat()
        text = _read(path, known.st_mtime_ns, known.st_size, known.st_ino)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise LookupError(f"the file cannot be read: {reason}") from None
    if known.st_mode & stat.S_IROTH:
        raise LookupError(f"every user on this machine can read the file; run chmod 600 {path}")
    return text
