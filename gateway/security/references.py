"""Secrets of the settings: written out, or as a reference to where they are kept.

    secret = "env:CONTOSO_KEY"            an environment variable
    secret = "file:/run/secrets/contoso"  a file
    secret = "vault:kv/contoso#key"       whatever a package adds under the entry point group `jobgate.secrets`

Wherever it stands, blanks and line breaks around it are no part of it. A reference is followed each time the secret is
needed, so what changes there counts without a restart.
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
"""The entry points that add places: functions that give the secret, and raise LookupError where there is none."""

Follow = Callable[[str], str]

_REFERENCE = re.compile(r"(?P<place>[a-z][a-z0-9-]*):(?P<name>.+)")


class Reference(SecretStr):
    """A secret of the settings. `get_secret_value` gives it as it is now; nothing else shows it."""

    _last: str | None = None

    @property
    def written(self) -> str | None:
        """The reference as it is written; None where the secret itself is."""
        text = super().get_secret_value().strip()
        return text if place_of(text) else None

    def get_secret_value(self) -> str:
        """The secret. Where its place cannot be read any more, as it was last. Raises LookupError."""
        text = super().get_secret_value().strip()
        follow = place_of(text)
        if follow is None:
            return secret_in(text)
        try:
            self._last = secret_in(follow(text.partition(":")[2]))
        except LookupError as error:
            if self._last is None:
                raise LookupError(f"{text}: {error}") from None
            log.warning("the secret %s cannot be read any more (%s); its last value is used", text, error)
        return self._last

    @property
    def is_secret(self) -> bool:
        """Whether nobody may see it."""
        return True

    def __len__(self) -> int:
        """The length of what is shown of it."""
        return len(str(self))


PUBLIC_OPTIONS = frozenset(
    {"application_name", "connect_timeout", "dbname", "host", "hostaddr", "port", "prepare_threshold", "service"}
    | {"sslcert", "sslkey", "sslmode", "sslrootcert", "target_session_attrs", "user"}
)
"""Parameters of the address of a database that hold no secret."""


class DatabaseUrl(Reference):
    """The address of a database, which is a secret only where it has a password."""

    @property
    def is_secret(self) -> bool:
        """Whether it may have a password: before the host, or in a parameter that is not known to hold none.

        A password with a `/` or `#` that is not percent-encoded begins where the port seems to be.
        """
        try:
            address = urlsplit(self.get_secret_value())
            is_odd = address.port == 0 or "=" in address.netloc or "@" in address.path or bool(address.fragment)
        except ValueError:  # the port is no number
            return True
        options = parse_qsl(address.query, keep_blank_values=True)
        is_public = all(name in PUBLIC_OPTIONS and "=" not in value for name, value in options)
        return is_odd or address.password is not None or not is_public


def secret_in(text: str) -> str:
    """The secret in a text that somebody has typed, pasted, or written by `echo`. Raises LookupError."""
    secret = text.strip()
    if not secret:
        raise LookupError("is empty")
    if not secret.isprintable():
        raise LookupError("has a line break or another control character in it; copy it again")
    return secret


def checked(reference: Reference) -> Reference:
    """The reference, which leads to a secret. Raises ValueError, whose message says where it does not."""
    refuse_misspelt_place(reference)
    try:
        reference.get_secret_value()
    except LookupError as error:
        raise ValueError(str(error.args[0])) from None
    return reference


def refuse_misspelt_place(reference: Reference) -> None:
    """See that a secret is not written `evn:NAME`, which would be one itself. Raises ValueError, without the text."""
    match = _REFERENCE.fullmatch(SecretStr.get_secret_value(reference))
    likely = closest(match["place"], places()) if match and match["place"] not in places() else None
    if likely:
        raise ValueError(
            f"did you mean {likely}:? A secret that begins so itself has to be kept elsewhere, as env:NAME"
        )


def place_of(text: str) -> Follow | None:
    """How a reference is followed; None where a text is none."""
    match = _REFERENCE.fullmatch(text)
    return places().get(match["place"]) if match else None


@cache
def places() -> Mapping[str, Follow]:
    """How references are followed, by how they begin."""
    added = {each.name: each.load() for each in entry_points(group=GROUP)}
    return {**added, "env": from_environment, "file": from_file}


def from_environment(name: str) -> str:
    """An environment variable. Raises LookupError."""
    value = os.environ.get(name)
    if value is None:
        raise LookupError("the environment has no such variable")
    return value


@lru_cache(maxsize=256)
def _read(path: str, _changed_at: int, _size: int, _number: int) -> str:
    """A file's text, read once for as long as nothing about the file changes. Editors may mark it as UTF-8."""
    return Path(path).read_text("utf-8-sig")


def from_file(path: str) -> str:
    """A file's text. Raises LookupError."""
    try:
        known = Path(path).stat()
        text = _read(path, known.st_mtime_ns, known.st_size, known.st_ino)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise LookupError(f"the file cannot be read: {reason}") from None
    if known.st_mode & stat.S_IROTH:
        raise LookupError(f"everybody on this machine can read the file; chmod 600 {path}")
    return text
