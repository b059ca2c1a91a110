"""AWS Signature Version 4: a signature over the request, with a key for one day, region and service.

The rules are those of "Create a signed AWS API request" in AWS's documentation (IAM User Guide): the path is encoded
once more than it is sent, which holds for every service but S3.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import reduce
from urllib.parse import quote, unquote, urlsplit

from gateway.domain.model import HttpRequest
from gateway.security.schemes import Claim, Parts, Scheme, lower

ALGORITHM = "AWS4-HMAC-SHA256"
CLOCK_SKEW = timedelta(minutes=5)
"""Allowed difference between clocks: AWS wants a request within five minutes of the time in it, at most services.

From "AWS Signature Version 4 for API requests" (IAM User Guide).
"""

_TIME = "%Y%m%dT%H%M%SZ"
_END = "aws4_request"
_WRITTEN = re.compile(
    rf"{ALGORITHM} +"
    rf"Credential=(?P<key>[^/\s,]+)/(?P<scope>(?P<day>\d{{8}})/(?P<region>[^/\s,]+)/(?P<service>[^/\s,]+)/{_END}) *, *"
    r"SignedHeaders=(?P<headers>[^\s,]+) *, *"
    r"Signature=(?P<signature>[0-9a-f]{64})"
)
_SIGNED_BY_US = ("content-type", "host", "x-amz-date", "x-amz-security-token")
"""The headers that we sign, if the request has them."""


@dataclass(frozen=True)
class Scope:
    """The scope of a signature: the service, and the region; None: any region."""

    service: str
    region: str | None

    def sign(self, request: HttpRequest, parts: Parts, now: datetime) -> Mapping[str, str]:
        """The headers that sign a request, with a session token if there is one.

        Raises ValueError if the region is not known.
        """
        if self.region is None:
            raise ValueError("the region is not known")
        time = now.astimezone(UTC).strftime(_TIME)
        added = {"X-Amz-Date": time}
        if "session_token" in parts:
            added["X-Amz-Security-Token"] = parts["session_token"]
        headers = _with_host(request, added)
        names = [name for name in _SIGNED_BY_US if name in headers]
        scope = "/".join((time[:8], self.region, self.service, _END))
        signature = _signature(request, headers, names, scope, parts["secret_access_key"])
        credential = f"Credential={parts['access_key_id']}/{scope}"
        written = f"{ALGORITHM} {credential}, SignedHeaders={';'.join(names)}, Signature={signature}"
        return {**added, "Authorization": written}

    def verify(self, request: HttpRequest, now: datetime, _endpoint: str) -> Claim:
        """Read the signature of a request. Raises PermissionError with the reason if it cannot be valid."""
        headers = _with_host(request, {})
        written = _WRITTEN.fullmatch(headers.get("authorization", ""))
        if written is None:
            raise PermissionError(
                f"The Authorization header is not {ALGORITHM} with Credential, SignedHeaders, Signature."
            )
        names = written["headers"].split(";")
        needed = {"host", "x-amz-date", *(name for name in headers if name.startswith("x-amz-"))}
        if not needed <= set(names) <= headers.keys():
            raise PermissionError(
                "SignedHeaders must have host, every x-amz- header of the request, and no missing one."
            )
        if not _is_near(headers["x-amz-date"], now) or headers["x-amz-date"][:8] != written["day"]:
            raise PermissionError("Signature expired: X-Amz-Date is not within five minutes of now, and of its scope.")
        if written["service"] != self.service or self.region not in {None, written["region"]}:
            raise PermissionError(f"Credential should be scoped to {self.region or 'a region'} and {self.service}.")

        def proof(secret: str) -> str | None:
            made = _signature(request, headers, names, written["scope"], secret)
            return made if hmac.compare_digest(made, written["signature"]) else None

        return Claim(proof, written["key"])


def aws_signature(service: str, region: str | None) -> Scheme:
    """The scheme of a service in a region. Without a region, requests are only verified, for any region."""
    scope = Scope(service, region)
    return Scheme(
        "aws-signature",
        "authorization",
        scope.sign,
        scope.verify,
        f"{ALGORITHM} ",
        public=frozenset({"X-Amz-Date"}),
        lasts=2 * CLOCK_SKEW,
    )


def _signature(request: HttpRequest, headers: Mapping[str, str], names: Iterable[str], scope: str, secret: str) -> str:
    """The signature with this secret over these headers of a request."""
    canonical = _digest(_canonical(request, headers, names).encode())
    text = "\n".join((ALGORITHM, headers["x-amz-date"], scope, canonical))
    key = reduce(_mac, scope.split("/"), f"AWS4{secret}".encode())
    return _mac(key, text).hex()


def _canonical(request: HttpRequest, headers: Mapping[str, str], names: Iterable[str]) -> str:
    """The canonical request."""
    url, names = urlsplit(request.url), sorted(names)
    lines = [f"{name}:{' '.join(headers[name].split())}\n" for name in names]
    whole = (request.method, _path(url.path), _query(url.query), "".join(lines), ";".join(names))
    return "\n".join((*whole, _digest(request.content)))


def _path(path: str) -> str:
    """The path as it is sent, without dot segments and empty ones, encoded once more."""
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in {"", "."}:
            segments.append(segment)
    slash = "/" if segments and path.endswith("/") else ""
    return quote(f"/{'/'.join(segments)}{slash}", safe="/~")


def _query(query: str) -> str:
    """The parameters, each in the same encoding, sorted by name and value."""
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    return "&".join(
        f"{name}={value}" for name, value in sorted((_encoded(name), _encoded(value)) for name, _, value in pairs)
    )


def _encoded(text: str) -> str:
    return quote(unquote(text, errors="surrogateescape"), safe="~", errors="surrogateescape")


def _with_host(request: HttpRequest, added: Mapping[str, str]) -> dict[str, str]:
    """The headers by their names in lower case, with the host that was called."""
    return lower({**request.headers, **added}) | {"host": urlsplit(request.url).netloc}


def _is_near(time: str, now: datetime) -> bool:
    try:
        at = datetime.strptime(time, _TIME).replace(tzinfo=UTC)
    except ValueError:
        return False
    return abs(now - at) <= CLOCK_SKEW


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
