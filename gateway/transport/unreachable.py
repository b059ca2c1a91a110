"""The reason why no connection could be made: in general words for callers, with host and port for operators."""

from __future__ import annotations

import errno
import socket
import ssl
from urllib.parse import urlsplit

from gateway.domain.errors import VendorUnreachable

_PORTS = {"http": 80, "https": 443}
_ERRNOS = {
    errno.ECONNREFUSED: "the connection was refused",
    errno.EHOSTUNREACH: "its host cannot be reached",
    errno.ENETUNREACH: "its network cannot be reached",
    errno.ECONNRESET: "the connection was reset",
}


def unreachable(url: str, error: Exception) -> VendorUnreachable:
    """Problem for a URL to which no connection could be made because of `error`."""
    cause, more = cause_of(error)
    problem = VendorUnreachable(f"No connection to the vendor could be made: {cause}.")
    problem.diagnosis = f"{_place(url)}: {cause}{f' ({more})' if more else ''}"
    return problem


def cause_of(error: Exception) -> tuple[str, str]:
    """The cause in general words, and further details from the system. Neither contains anything of a request."""
    match error:
        case ssl.SSLCertVerificationError():
            return "its certificate is not trusted", error.verify_message
        case ssl.SSLError():
            return "TLS could not be agreed on", (error.reason or "").replace("_", " ").lower()
        case socket.gaierror() | UnicodeError():
            return "its name was not found", ""
        case TimeoutError():
            return "it took too long", ""
        case OSError() if error.errno in _ERRNOS:
            return _ERRNOS[error.errno], ""
    return "it ended before anything was sent", ""


def _place(url: str) -> str:
    """Host and port of a URL."""
    try:
        parts = urlsplit(url)
        return f"{parts.hostname} port {parts.port or _PORTS.get(parts.scheme, '?')}"
    except ValueError:
        return "an invalid address"
