"""The hosts that this gateway answers for, so that no name that an attacker controls can be pointed at it.

Names that RFC 3986 calls equal are one: `canonical_host` is the only place that compares what a client, a proxy or the
settings call a host.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

from gateway.domain.errors import Misdirected
from gateway.edge.canonical import Fields, malformed

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""The names of the machine itself."""

LONGEST_NAME = 253
"""Characters of a host's name (RFC 1035, 2.3.4, as text)."""

_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(?::([0-9]{0,5}))?")
_IPV4 = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)(?:\.(?:0x[0-9a-f]*|[0-9]+)){0,3}")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class TrustedHosts:
    """The names for which requests are answered, in canonical form; None: whatever name the network leads here."""

    names: frozenset[str] | None

    @classmethod
    def of(cls, listening_on: str, configured: Collection[str] | None = None) -> TrustedHosts:
        """The configured names; without any, loopback names where only this machine can reach the gateway.

        A page in a browser here could otherwise reach it by a name of the page's own (DNS rebinding).
        """
        if configured is not None:
            return cls(frozenset(map(canonical_host, configured)))
        return cls(LOOPBACK | {canonical_host(listening_on)} if is_loopback(listening_on) else None)

    def check(self, fields: Fields, http_version: str) -> str:
        """The Host field of a request, empty where it needs none.

        Raises Misdirected for another host, or MalformedRequest where it names none.
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
        """Refuse the name of another host. Raises Misdirected."""
        if len(name) > LONGEST_NAME or (self.names is not None and name not in self.names):
            raise Misdirected("This gateway does not answer for the host in the request.")


ANY_HOST = TrustedHosts(None)
"""Where the name in a request is nobody's business."""


@lru_cache(maxsize=64)
def host_name(value: bytes) -> str | None:
    """The canonical name in a Host field, without its port; None where the field has no such form."""
    match = _HOST.fullmatch(value)
    if match is None:
        return None
    try:
        return canonical_host(match[1].decode())
    except ValueError:
        return None


def canonical_host(written: str) -> str:
    """The one form of a host's name or address: lower case, no dot at the end, IPv6 in brackets as RFC 5952 has it.

    The rare forms of IPv4 addresses, such as `127.1`, are those of POSIX's `inet_aton` and of the WHATWG's URLs.
    Raises ValueError where it is neither a name nor an address.
    """
    bare = written.removeprefix("[").removesuffix("]")
    if ":" in bare:
        return f"[{ipaddress.IPv6Address(bare)}]"
    name = bare.removesuffix(".").lower()
    if not name or written.startswith("["):
        raise ValueError("is not the name of a host")
    return _ipv4(name) if _IPV4.fullmatch(name) else name


def _ipv4(name: str) -> str:
    """An address of IPv4 with its four numbers; a name of digits that is none remains a name."""
    try:
        return socket.inet_ntoa(socket.inet_aton(name))
    except OSError:
        return name


def canonical_authority(written: str, scheme: str) -> str:
    """The one form of a Host field that is known to be good: its port is left out where the scheme implies it."""
    match = _HOST.fullmatch(written.encode("ascii"))
    if match is None:
        raise ValueError("is not the name of a host")
    name, port = canonical_host(match[1].decode()), int(match[2] or 0)
    return name if port in {0, _DEFAULT_PORTS.get(scheme)} else f"{name}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        name = canonical_host(host)
        return name == "localhost" or ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False
