"""The address by which a client called: that of the request itself, or the one that a trusted proxy tells.

`X-Forwarded-*` fields count only where the request comes from a proxy of the settings. `Forwarded` (RFC 7239) never
counts: proxies that write the former pass the latter on as their client sent it, and nobody could tell who wrote it.
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
PROBES = frozenset({"/livez", "/readyz"})
"""Paths that are answered whatever the host: who probes calls an address, and learns nothing that is a secret."""

_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]+)*")
"""Text that means the same in a header field, a page and a script."""
_PORT = re.compile(r"(?<=[\].0-9]):[0-9]{1,5}\Z")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class CalledAddress:
    """How a client called: `authority` is host and port as it wrote them, `prefix` what a proxy cut off the path.

    Without an authority, which HTTP/1.0 does not ask for, links that lead here are paths.
    """

    scheme: str = "http"
    authority: str = ""
    prefix: str = ""

    @property
    def written(self) -> str:
        """The address in the client's own spelling, over which it may have made a signature."""
        return f"{self.scheme}://{self.authority}{self.prefix}"

    @cached_property
    def root(self) -> str:
        """The address in canonical form, before the path of every link that leads here."""
        if not self.authority:
            return self.prefix
        return f"{self.scheme}://{canonical_authority(self.authority, self.scheme)}{self.prefix}"


NOWHERE = CalledAddress()
"""The address of a request that is refused before its host is known."""


@lru_cache(maxsize=64)
def called(scheme: str, authority: str, prefix: str) -> CalledAddress:
    """An address. Clients call by few of them, so that each is made once."""
    return CalledAddress(scheme, authority, prefix)


@dataclass(frozen=True)
class Addresses:
    """The addresses of this gateway: its hosts, the proxies before it, and the scheme that clients use if not ours."""

    hosts: TrustedHosts = ANY_HOST
    proxies: tuple[Network, ...] = ()
    scheme: str | None = None

    @classmethod
    def of(cls, hosts: TrustedHosts, proxies: Collection[str], scheme: str | None = None) -> Addresses:
        """Addresses by the settings. Raises ValueError where a proxy is no address and no network."""
        return cls(hosts, tuple(map(ipaddress.ip_network, proxies)), scheme)

    def read(self, scope: Any, fields: Fields, path: str) -> CalledAddress:
        """The address that was called. Behind a proxy the scope then names the client instead of it.

        Raises Misdirected for another host, and MalformedRequest.
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
        """The nearest address that is no proxy of ours: whatever stands before it, anybody may have written."""
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
"""Of a server that answers for every host, without a proxy."""


def _address(text: str) -> Address | None:
    """An address; one of IPv4 in the clothes of IPv6 is one of IPv4."""
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
    """The last value of a field, which the nearest proxy wrote; empty where there is none."""
    *_, last = _list(fields, name)
    return last


def _useless(name: bytes, detail: str) -> MalformedRequest:
    return malformed(f"/header/{name.decode('ascii')}", f"{detail}; the proxy has to set or remove it")
