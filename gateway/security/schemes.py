"""A security scheme as a pair of pure functions: one makes the credentials of a request, the other reads them."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gateway.domain.adapter import Signed, Signing
from gateway.domain.model import HttpRequest

Parts = Mapping[str, str]
"""The parts of a credential by their names in the settings, such as `username` and `password`."""

_IN_HEADERS = re.compile(r"[\x21-\x7e]+")
_FORMS: Mapping[str, tuple[re.Pattern[str], str]] = {
    "username": (re.compile(r"[^:\x00-\x1f\x7f]+"), "has a colon or a control character, which HTTP Basic forbids"),
    "token": (_IN_HEADERS, "has a blank, or a character that no header field can contain"),
    "key": (_IN_HEADERS, "has a blank, or a character that no header field can contain"),
    "access_key_id": (re.compile(r"[\w.-]+", re.ASCII), "is no access key id, such as AKIAIOSFODNN7EXAMPLE"),
    "secret_access_key": (_IN_HEADERS, "has a blank, or a character that is not ASCII"),
    "session_token": (_IN_HEADERS, "has a blank, or a character that no header field can contain"),
}
"""The form of the parts that have one, and the mistake of other texts."""


def misfit(part: str, text: str) -> str | None:
    """The reason why a text cannot be this part of a credential, with the remedy; None if it can be."""
    form, reason = _FORMS.get(part, (None, ""))
    return None if form is None or form.fullmatch(text) else f"{reason}. Copy it again from the vendor."


@dataclass(frozen=True)
class Claim:
    """The credentials of a request, not proven yet.

    `proof(secret)` returns what in the request proves that its sender has this secret; None if nothing does. The sender
    names itself as `client_id`, if the scheme has names. `presented` is the secret itself, if the request carries it.
    """

    proof: Signed
    client_id: str | None = None
    presented: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Scheme:
    """The authentication of requests by one security scheme of a vendor's document.

    `kind` is the kind of settings that fits. `sign(request, parts, now)` returns the headers to add; it raises
    ValueError if a part is malformed. `verify(request, now, endpoint)` reads them back; it raises PermissionError with
    the reason if they cannot be valid. Credentials are in the header `header`, in lower case, whose value begins with
    `prefix`, in any case. `public` and `lasts` are those of `Signing`.
    """

    kind: str
    header: str
    sign: Callable[[HttpRequest, Parts, datetime], Mapping[str, str]]
    verify: Callable[[HttpRequest, datetime, str], Claim]
    prefix: str = ""
    public: frozenset[str] = frozenset()
    lasts: timedelta | None = None

    @property
    def challenge(self) -> str:
        """The scheme in `WWW-Authenticate` (RFC 9110, 11.6.1): its name, or that of its header if it has none."""
        return f'{self.prefix.strip() or self.header} realm="jobgate"'

    def is_used_by(self, headers: Mapping[str, str]) -> bool:
        """True if these headers, with names in lower case, have credentials of this scheme."""
        return self.header in headers and headers[self.header].lower().startswith(self.prefix.lower())


def of_adapter(signing: Signing, header: str) -> Scheme:
    """The scheme of an adapter's own functions, with one secret."""
    return Scheme(
        "signature",
        header.lower(),
        lambda request, parts, now: signing.sign(request, parts["secret"], now),
        lambda request, now, endpoint: Claim(signing.verify(request, now, endpoint)),
        public=signing.public,
        lasts=signing.lasts,
    )


def lower(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers with their names in lower case."""
    return {name.lower(): value for name, value in headers.items()}


def presents(given: str) -> Signed:
    """The proof by a secret that stands in the request itself. It takes the same time for every secret."""
    return lambda secret: secret if hmac.compare_digest(given.encode(), secret.encode()) else None
