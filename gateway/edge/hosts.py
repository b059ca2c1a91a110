"""The hosts that this gateway answers for, so that no name that an attacker controls can be pointed at it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass

from gateway.domain.errors import Misdirected
from gateway.edge.canonical import Fields, malformed

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""The names of the machine itself."""

_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(?::[0-9]{0,5})?")


@dataclass(frozen=True)
class TrustedHosts:
    """The names for which requests are answered, in lower case; None: whatever name the network leads here."""

    names: frozenset[str] | None

    @classmethod
    def of(cls, listening_on: str, configured: Collection[str] | None = None) -> TrustedHosts:
        """The configured names; without any, loopback names where only this machine can reach the gateway.

        A page in a browser here could otherwise reach it by a name of the page's own (DNS rebinding).
        """
        if configured is not None:
            return cls(frozenset(name.lower() for name in configured))
        return cls(LOOPBACK | {listening_on} if is_loopback(listening_on) else None)

    def check(self, fields: Fields, http_version: str) -> None:
        """Refuse a request for another host. Raises Misdirected, or MalformedRequest where it names none."""
        host = fields.get(b"host")
        if host is None and http_version == "1.0":
            return
        name = host_name(host or b"")
        if name is None:
            raise malformed("/header/host", "is missing" if host is None else "is not the name of a host")
        if self.names is not None and name not in self.names:
            raise Misdirected("This gateway does not answer for the host in the request.")


ANY_HOST = TrustedHosts(None)
"""Where the name in a request is nobody's business."""


def host_name(value: bytes) -> str | None:
    """The name in a Host field in lower case, without its port; None where the field has no such form."""
    match = _HOST.fullmatch(value)
    return None if match is None else match[1].decode().lower()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
