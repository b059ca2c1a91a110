"""TLS certificates: from the settings, or self-signed for development."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.serving.temporary import temporary_folder

NAMES = ("localhost", "127.0.0.1", "::1")
"""The names in a self-signed certificate, in addition to the host of the settings."""
LIFETIME = timedelta(days=30)
"""Validity of a self-signed certificate."""


@dataclass(frozen=True)
class Certificate:
    """Files in PEM format: the certificate with its chain, and its private key."""

    certificate: Path
    key: Path


@contextmanager
def self_signed(host: str) -> Iterator[Certificate]:
    """Make a self-signed certificate and its key. The files are deleted at the end of the block.

    Clients trust it if they use the file of the certificate as their CA file.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Jobgate, for development")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName(list(map(_name, dict.fromkeys((*NAMES, host))))), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with temporary_folder("jobgate-tls-") as folder:
        files = Certificate(folder / "certificate.pem", folder / "key.pem")
        files.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        with os.fdopen(os.open(files.key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(private)
        yield files


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
