"""The address that a client called: from the request itself, or from the fields of a trusted proxy.

`X-Forwarded-*` fields are used only if the request comes from a trusted proxy. `Forwarded` (RFC 7239) is never used:
proxies that write `X-Forwarded-*` pass it on as their client sent it, so its origin is unknown.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from gateway.domain.errors import MalformedRequest
from gateway.edge.canonical import Fields, malformed
from gateway.edge.hosts import ANY_HOST, TrustedHosts, canonical_authority, host_name

FOR, HOST, PROTO, PREFIX = (b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-prefix")
SCHEMES = frozenset({"http", "https"})
LONGEST_PREFIX = 256
"""Longest path prefix of a proxy, in characters."""
PROBES = frozenset({"/livez", "/readyz"})
"""Paths that are served for every host: probes call an IP address, and the answer holds no secret."""

_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]+)*")
"""Text that needs no escaping in a header field, an HTML page or a script."""
_PORT = re.compile(r"(?<=[\].0-9]):[0-9]{1,5}\Z")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class CalledAddress:
    """The address that a client called: scheme, host and port as sent, and the path prefix that a proxy removed.

    The authority is empty for an HTTP/1.0 request without Host; links to this gateway are then paths.
    """

    scheme: str = "http"
    authority: str = ""
    prefix: str = ""

    @property
    def written(self) -> str:
        """The address in the client's spelling, which its signature can cover."""
        return f"{self.scheme}://{self.authority}{self.prefix}"

    @cached_property
    def root(self) -> str:
        """The canonical address, which precedes the path in links to this gateway."""
        if not self.authority:
            return self.prefix
        return f"{self.scheme}://{canonical_authority(self.authority, self.scheme)}{self.prefix}"


NOWHERE = CalledAddress()
"""For a request that is refused before its host is known."""


@lru_cache(maxsize=64)
def called(scheme: str, authority: str, prefix: str) -> CalledAddress:
    """A called address, from a cache, since clients use only a few."""
    return CalledAddress(scheme, authority, prefix)


@dataclass(frozen=True)
class Addresses:
    """The trusted hosts, the trusted proxies, and the scheme of clients if it differs from that of the connection."""

    hosts: TrustedHosts = ANY_HOST
    proxies: tuple[Network, ...] = ()
    scheme: str | None = None

    @classmethod
    def of(cls, hosts: TrustedHosts, proxies: Collection[str], scheme: str | None = None) -> Addresses:
        """Make it from settings. Raises ValueError if a proxy is neither an IP address nor a network."""
        return cls(hosts, tuple(map(ipaddress.ip_network, proxies)), scheme)

    def read(self, scope: Any, fields: Fields, path: str) -> CalledAddress:
        """Return the called address. Behind a trusted proxy, also put the client's address into the scope.

        Raises Misdirected if the host is not trusted, and MalformedRequest if a field is invalid.
        """
        hosts = ANY_HOST if path in PROBES else self.hosts
        scheme, host = self.scheme or scope.get("scheme", "http"), hosts.check(fields, scope["http_version"])
        if not (self.proxies and self._is_proxy(scope.get("client"))):
            return called(scheme, host, "")
        scope["client"] = self._client(scope["client"], fields)
        return called(_scheme(fields) or scheme, _host(fields, hosts) or host, _prefix(fields))

    def _is_proxy(self, client: tuple[str, int] | None) -> bool:
        address = _address(client[0]) if client else None
        return address is not None and self._has(address)

    def _has(self, address: Address) -> bool:
        return any(address in network for network in self.proxies)

    def _client(self, peer: tuple[str, int], fields: Fields) -> tuple[str, int]:
        """The last address that is not a trusted proxy. Anybody can have written those before it."""
        nearest = peer
        for told in reversed([*_list(fields, FOR)]):
            address = _address(_PORT.sub("", told).strip("[]"))
            if address is None:
                break
            nearest = (str(address), 0)
            if not self._has(address):
                break
        return nearest


ANY_ADDRESS = Addresses()
"""Accepts every host, and trusts no proxy."""


def _address(text: str) -> Address | None:
    """Parse an IP address, an IPv4-mapped IPv6 address as IPv4. None if it is not one."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _scheme(fields: Fields) -> str:
    told = _told(fields, PROTO).lower()
    if told and told not in SCHEMES:
        raise _useless(PROTO, "is neither http nor https")
    return told


def _host(fields: Fields, hosts: TrustedHosts) -> str:
    told = _told(fields, HOST)
    if told:
        name = host_name(told.encode("latin-1"))
        if name is None:
            raise _useless(HOST, "is not the name of a host")
        hosts.admit(name)
    return told


def _prefix(fields: Fields) -> str:
    told = _told(fields, PREFIX).removesuffix("/")
    if len(told) > LONGEST_PREFIX or not _PREFIX.fullmatch(told):
        raise _useless(PREFIX, "is not a plain path")
    return told


def _list(fields: Fields, name: bytes) -> Iterator[str]:
    for each in fields.get(name, b"").decode("latin-1").split(","):
        yield each.strip(" \t")


def _told(fields: Fields, name: bytes) -> str:
    """The last value of a field, which the nearest proxy wrote; empty without one."""
    *_, last = _list(fields, name)
    return last


def _useless(name: bytes, detail: str) -> MalformedRequest:
    return malformed(f"/header/{name.decode('ascii')}", f"{detail}; the proxy must set or remove it")
