"""Normalization of http and https URLs: equivalent URLs (RFC 3986, 6.2; RFC 9110, 4.2.3) get one form."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, urljoin, urlsplit

_PORTS = {"http": 80, "https": 443}
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")
_HOST = re.compile(r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=-]+")
_QUERY = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@/?%-]*")
_LEGAL = "!$&'()*+,;=:@/?%"


@dataclass(frozen=True)
class Address:
    """A URL without its fragment. `origin` and `path` are canonical; `query` is unchanged, None if there is none."""

    origin: str
    path: str
    query: str | None = None

    @classmethod
    def of(cls, url: str) -> Address:
        """Parse a URL. Raises ValueError if it is not an http or https URL, or if it names a user."""
        parts = urlsplit(url)
        query = parts.query if "?" in url.partition("#")[0] else None
        return cls(_origin(parts.scheme, parts.netloc), _without_dots(normal_encoding(parts.path)), query)

    def resolve(self, reference: str) -> Address:
        """Resolve a reference against this address (RFC 3986, 5). Raises ValueError if the result is not valid."""
        return Address.of(urljoin(str(self), reference))

    def __str__(self) -> str:
        """The URL."""
        return f"{self.origin}{self.path}" + ("" if self.query is None else f"?{self.query}")


@lru_cache(maxsize=256)
def origin_of(url: str) -> str:
    """The canonical scheme, host and port of a URL. Raises ValueError if it is not an http or https URL with a host."""
    parts = urlsplit(url)
    return _origin(parts.scheme, parts.netloc)


def canonical_base(url: str) -> str:
    """The canonical form of a base URL, without a slash at its end.

    Raises ValueError if it has a query or a fragment, or is not an http or https URL.
    """
    address = Address.of(url)
    if address.query is not None or "#" in url:
        raise ValueError("has a query or a fragment")
    return str(address).rstrip("/")


def normal_encoding(text: str) -> str:
    """Decode percent-encoded unreserved characters, and write the others in capitals (RFC 3986, 6.2.2.1, 6.2.2.2)."""
    return _ENCODED.sub(_least_encoded, text)


def legal_query(text: str) -> str:
    """The query with its illegal characters percent-encoded (RFC 3986, 3.4); a legal query is unchanged."""
    return text if _QUERY.fullmatch(text) else quote(text, safe=_LEGAL)


def is_legal_query(text: str) -> bool:
    """True if the text has only characters that are legal in a query."""
    return _QUERY.fullmatch(text) is not None


def canonical_host(written: str) -> str:
    """The canonical form of a host name or IP address: lower case, no dot at the end, IPv6 as in RFC 5952, in brackets.

    The characters of a name are not checked. Raises ValueError if the text is neither a name nor an address.
    """
    bare = written.removeprefix("[").removesuffix("]")
    if ":" in bare:
        return f"[{ipaddress.IPv6Address(bare)}]"
    name = bare.removesuffix(".").lower()
    if not name or written.startswith("["):
        raise ValueError("is not the name of a host")
    return name


def _origin(scheme: str, authority: str) -> str:
    named, colon, digits = authority.rpartition(":")
    has_port = bool(colon) and "]" not in digits
    written = named if has_port else authority
    port = digits if has_port else ""
    if scheme not in _PORTS or not _HOST.fullmatch(written) or not re.fullmatch("[0-9]{0,5}", port):
        raise ValueError("the URL is not one of http or https with a host, and no user")
    host = canonical_host(written)
    number = int(port or _PORTS[scheme])
    return f"{scheme}://{host}" if number == _PORTS[scheme] else f"{scheme}://{host}:{number}"


def _without_dots(path: str) -> str:
    """Remove the segments `.` and `..` from a path (RFC 3986, 5.2.4)."""
    segments = path.split("/")[1:]
    kept: list[str] = []
    for segment in segments:
        if segment == "..":
            kept = kept[:-1]
        elif segment != ".":
            kept.append(segment)
    ends_with_dots = segments[-1:] in ([".."], ["."])
    return "/" + "/".join([*kept, ""] if ends_with_dots and kept else kept)


def _least_encoded(match: re.Match[str]) -> str:
    character = chr(int(match[0][1:], 16))
    return character if _UNRESERVED.fullmatch(character) else match[0].upper()
