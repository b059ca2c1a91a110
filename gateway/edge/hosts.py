"""Trusted hosts: requests with another host name are refused, against DNS rebinding.

Names of clients, proxies and settings are compared in the form of `called_host`.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

from gateway.domain.errors import Misdirected
from gateway.domain.urls import canonical_host
from gateway.edge.canonical import Fields, malformed

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""The names of the local machine."""

LONGEST_NAME = 253
"""Longest host name, in characters (RFC 1035, 2.3.4, as text)."""

_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(?::([0-9]{0,5}))?")
_IPV4 = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)(?:\.(?:0x[0-9a-f]*|[0-9]+)){0,3}")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class TrustedHosts:
    """The host names that the gateway accepts, in canonical form; None accepts every name."""

    names: frozenset[str] | None

    @classmethod
    def of(cls, listening_on: str, configured: Collection[str] | None = None) -> TrustedHosts:
        """Trust the configured names. Without any: on a loopback address, loopback names only; elsewhere, every name.

        Otherwise a web page in a local browser could reach the gateway by a name of its own (DNS rebinding). Raises
        ValueError for an invalid name.
        """
        if configured is not None:
            return cls(frozenset(map(called_host, configured)))
        return cls(LOOPBACK | {called_host(listening_on)} if is_loopback(listening_on) else None)

    def check(self, fields: Fields, http_version: str) -> str:
        """Return the Host field of a request; empty if an HTTP/1.0 request has none.

        Raises Misdirected if the host is not trusted, and MalformedRequest if the field is missing or invalid.
        """
        host = fields.get(b"host")
        if host is None and http_version == "1.0":
            return ""
        name = host_name(host or b"")
        if host is None or name is None:
            raise malformed("/header/host", "is missing" if host is None else "is not the name of a host")
        self.admit(name)
        return host.decode("ascii")

    def admit(self, name: str) -> None:
        """Raise Misdirected if a name is not trusted."""
        if len(name) > LONGEST_NAME or (self.names is not None and name not in self.names):
            raise Misdirected("This gateway does not serve the host in the request.")


ANY_HOST = TrustedHosts(None)
"""Accepts every host name."""


@lru_cache(maxsize=64)
def host_name(value: bytes) -> str | None:
    """The canonical host in a Host field, without port; None if the field is invalid."""
    match = _HOST.fullmatch(value)
    if match is None:
        return None
    try:
        return called_host(match[1].decode())
    except ValueError:
        return None


def canonical_authority(written: str, scheme: str) -> str:
    """The canonical form of a Host field, without the default port of the scheme. Raises ValueError if invalid."""
    match = _HOST.fullmatch(written.encode("ascii"))
    if match is None:
        raise ValueError("is not the name of a host")
    name, port = called_host(match[1].decode()), int(match[2] or 0)
    return name if port in {0, _DEFAULT_PORTS.get(scheme)} else f"{name}:{port}"


def is_loopback(host: str) -> bool:
    """True if only the local machine can reach an address."""
    try:
        name = called_host(host)
        return name == "localhost" or ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def called_host(written: str) -> str:
    """The canonical form of a host as clients write it, also of the rare notations of IPv4 addresses, such as `127.1`.

    Those are of POSIX's `inet_aton` and of the WHATWG URL standard. In URLs they are not the same address (RFC 3986,
    7.4), so `domain.urls` does not have them. Raises ValueError if the text is neither a name nor an address.
    """
    host = canonical_host(written)
    return _dotted(host) if _IPV4.fullmatch(host) else host


def _dotted(name: str) -> str:
    """An IPv4 address with four decimal numbers. A numeric name that is not an address stays a name."""
    try:
        return socket.inet_ntoa(socket.inet_aton(name))
    except OSError:
        return name
