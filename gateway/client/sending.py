"""Requests over HTTP that note if their first byte may have been sent."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from .errors import GatewayUnreachable

AUTHORITIES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
"""Environment variables with the file of trusted certificate authorities; the first one that is set is used."""


is_sent: ContextVar[bool] = ContextVar("is_sent", default=False)
"""True if the first byte of the present request may have been sent."""


class _HttpConnection(HTTPConnection):
    def send(self, data: Any) -> None:
        """Send a part of a request, and note after connecting that bytes may have been sent."""
        if self.sock is None:
            self.connect()
        is_sent.set(True)
        super().send(data)


class _HttpsConnection(_HttpConnection, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


class Adapter(HTTPAdapter):
    """The transport adapter of requests that sets `is_sent` when it starts to send."""

    def init_poolmanager(self, *arguments: Any, **settings: Any) -> None:
        """Create the connection pools."""
        super().init_poolmanager(*arguments, **settings)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}


def trusted(verify: bool | str | Path | None) -> bool | str:  # noqa: FBT001 - as requests has it
    """The trusted certificates, as `verify` of requests. Raises ValueError if the file does not exist."""
    name, value = "verify", verify
    if value is None:
        name, value = next(((each, os.environ[each]) for each in AUTHORITIES if os.environ.get(each)), (name, True))
    if isinstance(value, bool):
        return value
    if not Path(value).exists():
        raise ValueError(f"{name} names a file of certificates that does not exist: {value}")
    return str(value)


def unreachable(url: str, error: Exception) -> GatewayUnreachable:
    """The failure of the present request, with its cause in words."""
    if is_sent.get():
        return GatewayUnreachable(f"No answer from {url}: {_reason(error)}", "unknown")
    return GatewayUnreachable(f"Nothing was sent to {url}: {_reason(error)}", "not_sent")


def _reason(error: Exception) -> str:
    """The root cause of an error, in words."""
    causes = [*_causes(error)]
    untrusted = next((each for each in causes if isinstance(each, ssl.SSLCertVerificationError)), None)
    if untrusted is not None:
        return f"its certificate is not trusted ({untrusted.verify_message}); name a trusted one with `verify`"
    said = next((each.strerror for each in causes if isinstance(each, OSError) and each.strerror), None)
    return said or str(causes[-1])


def _causes(error: object) -> Iterator[BaseException]:
    """An error of requests, then the errors of urllib3 and of the system inside it."""
    while isinstance(error, BaseException):
        yield error
        wrapped = (getattr(error, "reason", None), *error.args, error.__cause__)
        error = next((each for each in wrapped if isinstance(each, BaseException)), None)
