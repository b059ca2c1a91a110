"""Signed notes: texts with Ed25519 signatures, in the form of C2SP (https://c2sp.org/signed-note).

    the text, of any number of lines

    — jobgate base64(id of the key, signature)

A verifier key is written as `jobgate+<id of the key>+<base64(0x01, public key)>`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

NAME = "jobgate"
_ED25519 = b"\x01"
_ID_BYTES = 4
_PUBLIC_BYTES = 32
_BEGIN = "— "


class UnusableKey(Exception):
    """A key is not an Ed25519 key. The message says how to make one, and does not contain the given text."""


@dataclass(frozen=True)
class Verifier:
    """A public key that verifies notes."""

    public: bytes

    @classmethod
    def parse(cls, text: str) -> Verifier:
        """Parse a verifier key. Raises UnusableKey if the text is not one."""
        name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        try:
            content = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            content = b""
        found = cls(content[1:])
        if name != NAME or content[:1] != _ED25519 or len(found.public) != _PUBLIC_BYTES or key_id != found.id.hex():
            raise UnusableKey("a verifier key is written as jobgate+…+…; `jobgate audit key` shows the gateway's")
        return found

    @property
    def id(self) -> bytes:
        """The id of the key."""
        return hashlib.sha256(f"{NAME}\n".encode() + _ED25519 + self.public).digest()[:_ID_BYTES]

    def __str__(self) -> str:
        """The verifier key as text."""
        return f"{NAME}+{self.id.hex()}+{base64.b64encode(_ED25519 + self.public).decode()}"

    def has_signed(self, text: str, signatures: Iterable[bytes]) -> bool:
        """True if one of the signatures of the text was made by this key."""
        return any(each.startswith(self.id) and self._fits(text, each[_ID_BYTES:]) for each in signatures)

    def _fits(self, text: str, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class Signer:
    """A private key that signs notes."""

    key: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Signer:
        """Parse a private key in PEM form (PKCS#8). Raises UnusableKey if the text is not one."""
        try:
            key = serialization.load_pem_private_key(text.encode(), password=None)
        except (ValueError, TypeError):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise UnusableKey(
                "is not an Ed25519 private key in PEM form; `openssl genpkey -algorithm ed25519` makes one"
            )
        return cls(key)

    @classmethod
    def in_file(cls, file: Path) -> Signer:
        """The signer with the key in a file. If the file does not exist, it is created, readable by its owner only.

        Raises OSError, or UnusableKey if the file does not contain a key.
        """
        if not file.exists():
            _make(file)
        return cls.parse(file.read_text("ascii", "replace"))

    @property
    def verifier(self) -> Verifier:
        """The verifier of its notes."""
        return Verifier(self.key.public_key().public_bytes_raw())

    def sign(self, text: str) -> str:
        """Sign a text, which ends with a line break, and return the note."""
        signed = base64.b64encode(self.verifier.id + self.key.sign(text.encode())).decode()
        return f"{text}\n{_BEGIN}{NAME} {signed}\n"


def _make(file: Path) -> None:
    """Write a new key. If several processes do so at the same time, one of the keys is kept."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    # Its mode is 0600.
    descriptor, draft = tempfile.mkstemp(dir=file.parent)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(made)
        opened.flush()
        os.fsync(opened.fileno())
    try:
        # Unlike a rename, a link does not replace a key that another process has just written.
        os.link(draft, file)
    except FileExistsError:
        pass
    finally:
        Path(draft).unlink()


@dataclass(frozen=True)
class Note:
    """A parsed note. `signatures` are all of its signatures, by whatever keys."""

    text: str
    signatures: tuple[bytes, ...]

    def is_signed_by(self, keys: Iterable[Verifier]) -> bool:
        """True if one of the keys has signed the note."""
        return any(each.has_signed(self.text, self.signatures) for each in keys)


def notes_in(content: str) -> Iterator[Note]:
    """The notes in a file, in order. A note that was cut off, such as by a crash during writing, is skipped."""
    parts = content.split("\n\n")
    for text, signatures in pairwise(parts):
        lines = signatures.strip("\n").split("\n")
        if all(line.startswith(_BEGIN) for line in lines):
            yield Note(f"{text.lstrip(chr(10))}\n", tuple(map(_signature, lines)))


def _signature(line: str) -> bytes:
    try:
        return base64.b64decode(line.rpartition(" ")[2], validate=True)
    except binascii.Error:
        return b""
