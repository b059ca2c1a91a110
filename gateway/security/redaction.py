"""Removes our credentials from replies of vendors: some repeat them in the text of an error."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache
from html import unescape
from urllib.parse import quote, unquote

from gateway.domain.model import HttpReply
from gateway.security.basic import pair_in

REDACTED = "[redacted]"
LEAST_SECRET = 16
"""Shortest secret, in characters. A shorter value is a name, or part of a date."""
LEAST_PART = 32
"""Shortest part of a credential that is a secret by itself, in characters: a signature after `Signature=`."""

_ESCAPES = ("\\", "&", "%")
"""The characters with which escapes of JSON, HTML and URLs begin."""
_RESERVED = re.compile(r"[^A-Za-z0-9._~-]")
_BETWEEN_PARTS = re.compile(r"[ &=;,\"]+")


def without_credentials(reply: HttpReply, credentials: Mapping[str, str]) -> HttpReply:
    """The reply to a request with these header fields, without their secrets in any of the usual encodings."""
    # A signature is new in each request, and its forms cost more than these looks at their lengths.
    longest = max([len(reply.content), *map(len, reply.headers.values())])
    long_enough = [value for value in credentials.values() if longest >= shortest(value)]
    if not long_enough:
        return reply
    whole = " ".join((reply.content.decode("latin-1"), *reply.headers.values()))
    longest = max(map(len, whole.split(" ")))
    secrets = [each for value in long_enough if longest >= shortest(value) for each in secrets_of(value)]
    if not secrets or _is_harmless(whole, secrets):
        return reply
    text = reply.content.decode("latin-1")  # each byte is one character, whatever its meaning
    redacted = _without_decoded(_without(text, secrets), secrets)
    headers = {name: _without_decoded(_without(value, secrets), secrets) for name, value in reply.headers.items()}
    content = reply.content if redacted is text else redacted.encode("latin-1", "replace")
    return HttpReply(reply.status, headers, content)


def _is_harmless(text: str, secrets: Collection[str]) -> bool:
    """True for a text without escapes and without these secrets."""
    lower = text.lower()
    for each in (*_ESCAPES, *secrets):  # noqa: SIM110 - `all` takes twice as long, and this is for each reply
        if each in lower:
            return False
    return True


@lru_cache(maxsize=64)
def shortest(value: str) -> int:
    """A length that no form of a secret in a header field falls below. No form has a space, nor has an escape of one.

    Each form is at least as long as the secret itself, and so is each escaped form.
    """
    pair = pair_in(value)
    credentials = value.rpartition(" ")[2]
    return LEAST_SECRET if pair else min(map(len, _parts(credentials)), default=len(credentials))


@lru_cache(maxsize=64)
def secrets_of(value: str) -> tuple[str, ...]:
    """The secrets in a header field, longer ones first, in lower case: the text after the scheme, and its long parts.

    The password of HTTP Basic is one too. Each comes unchanged, reversed, percent-encoded, in hexadecimal digits and
    in Base64.
    """
    pair = pair_in(value)
    password = secrets_of(pair[1]) if pair else ()
    credentials = value.rpartition(" ")[2]
    if len(credentials) < LEAST_SECRET:
        return password
    parts = _parts(credentials)
    # The encoded forms of a part are found in those of the whole too.
    encoded = (form for each in parts or [credentials] for form in _encoded(each))
    forms = (credentials, *_quoted(credentials), *parts, *encoded, *password)
    return tuple(dict.fromkeys(form.lower() for form in forms))


def _parts(credentials: str) -> list[str]:
    """The long parts of a text that has several."""
    return [part for part in _BETWEEN_PARTS.split(credentials) if len(part) >= LEAST_PART and part != credentials]


def _quoted(secret: str) -> Iterator[str]:
    """A secret as URLs encode it."""
    if _RESERVED.search(secret):
        yield quote(secret, safe="")
        yield quote(secret)


def _encoded(secret: str) -> Iterator[str]:
    """The usual encodings of a secret. Base64 depends on the number of bytes before it, modulo three."""
    yield from _quoted(secret)
    yield secret[::-1]
    content = secret.encode()
    yield content.hex()
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + content).decode("ascii")
        # The characters at both ends depend on the text beside the secret.
        certain = encoded[(0, 2, 3)[before] : len(encoded) - (4 if encoded.endswith("=") else 0)]
        yield certain
        if "+" in certain or "/" in certain:
            yield certain.replace("+", "-").replace("/", "_")


def _without_decoded(text: str, secrets: Collection[str]) -> str:
    """The text without secrets that are written with escapes of JSON, HTML or URLs."""
    if "\\" in text:
        text = _without_in(text, _json_unescaped, secrets)
    if "&" in text:
        text = _without_in(text, unescape, secrets)
    return _without_in(text, unquote, secrets) if "%" in text else text


def _without_in(text: str, decode: Callable[[str], str], secrets: Collection[str]) -> str:
    decoded = decode(text)
    redacted = _without(decoded, secrets)
    return text if redacted is decoded else redacted


def _json_unescaped(text: str) -> str:
    """JSON with as few escapes as possible; any other text unchanged."""
    try:
        return json.dumps(json.loads(text.encode("latin-1")))
    except (ValueError, RecursionError):
        return text


def _without(text: str, secrets: Collection[str]) -> str:
    """The text without these secrets, in any case; the same object if it contains none."""
    lower = text.lower()
    for secret in secrets:
        if secret in lower:
            text = re.sub(re.escape(secret), REDACTED, text, flags=re.IGNORECASE | re.ASCII)
            lower = text.lower()
    return text
