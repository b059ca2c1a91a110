"""What proves who we are, cut out of what vendors say: some repeat it in the text of an error."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from urllib.parse import quote

from gateway.domain.model import HttpReply

REDACTED = "[redacted]"
LEAST_SECRET = 16
"""Characters. What proves who we are and is shorter is a name or a part of a date."""
LEAST_PART = 32
"""Characters. Longer parts of it are secrets by themselves, such as the signature in `SignedHeaders=…&Signature=…`."""

_RESERVED = re.compile(r"[^A-Za-z0-9._~-]")
_BETWEEN_PARTS = re.compile(r"[ &=;,\"]+")


def without_credentials(reply: HttpReply, credentials: Mapping[str, str]) -> HttpReply:
    """The reply to a request that had these header fields, without any of their secrets."""
    secrets = [secret for value in credentials.values() for secret in secrets_of(value)]
    content = reply.content
    for secret in secrets:
        content = content.replace(secret.encode(), REDACTED.encode())
    if b"\\" in content:
        content = _without_escaped(content, secrets)
    headers = {name: _without(text, secrets) for name, text in reply.headers.items()}
    return HttpReply(reply.status, headers, content)


@lru_cache(maxsize=64)
def secrets_of(value: str) -> tuple[str, ...]:
    """The secrets in a header field, longer ones first: what stands behind the scheme, and its long parts.

    Each as it is, and percent-encoded as in the text of a URL.
    """
    credentials = value.rpartition(" ")[2]
    if len(credentials) < LEAST_SECRET:
        return ()
    parts = [part for part in _BETWEEN_PARTS.split(credentials) if len(part) >= LEAST_PART and part != credentials]
    plain = [credentials, *parts]
    encoded = (form for each in plain if _RESERVED.search(each) for form in (quote(each, safe=""), quote(each)))
    return (*plain, *dict.fromkeys(encoded))


def _without_escaped(content: bytes, secrets: Iterable[str]) -> bytes:
    """JSON without secrets some of whose characters are written as escapes; anything else as it is."""
    try:
        text = json.dumps(json.loads(content))
    except (ValueError, RecursionError):
        return content
    redacted = _without(text, secrets)
    return content if redacted == text else redacted.encode()


def _without(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, REDACTED)
    return text
