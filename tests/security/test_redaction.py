"""Credentials that a vendor repeats are cut out in every usual form."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.model import HttpReply
from gateway.security.redaction import REDACTED, secrets_of, shortest, without_credentials

SIGNATURE = "q/8+Zk2v9aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456="
TOKEN = "tok-3n.AbCdEfGhIjKlMnOpQrStUvWxYz0123456789"
PASSWORD = "p4ss:word.ZyXwVuTsRqPoNmLkJiHgFeDcBa9876543210"
HEADERS = {
    "Authorization": f"HMAC-SHA256 SignedHeaders=date;host;x-ms-content-sha256&Signature={SIGNATURE}",
    "X-Token": f"Bearer {TOKEN}",
    "X-Basic": f"basic {base64.b64encode(f'desk:{PASSWORD}'.encode()).decode()}",
}
FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "capitals": str.upper,
    "lower case": str.lower,
    "reversed": lambda text: text[::-1],
    "Base64": lambda text: base64.b64encode(text.encode()).decode(),
    "Base64 behind a byte": lambda text: base64.b64encode(b"-" + text.encode() + b"-").decode(),
    "Base64 behind two": lambda text: base64.b64encode(b"--" + text.encode() + b"--").decode(),
    "base64url": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal in capitals": lambda text: text.encode().hex().upper(),
    "percent-encoded": lambda text: quote(text, safe=""),
    "percent-encoded throughout": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "escaped for HTML": lambda text: "".join(f"&#{ord(each)};" for each in text),
    "some of it escaped for HTML": lambda text: html.escape(text).replace("=", "&#x3D;").replace("+", "&plus;"),
    "escaped slashes": lambda text: text.replace("/", "\\/"),
    "escaped for JSON": lambda text: "".join(f"\\u{ord(each):04x}" for each in text),
}


def held(text: str) -> tuple[str, ...]:
    """Enough of a form to know it by; at its ends Base64 depends on what stands there."""
    return text[8:24], text[8:24].lower()


@pytest.mark.parametrize("name", list(FORMS))
@pytest.mark.parametrize("secret", [SIGNATURE, TOKEN, PASSWORD], ids=["signature", "token", "password"])
def test_every_usual_form_is_cut(name: str, secret: str) -> None:
    """Every usual form of a secret is cut from body and header fields, and the rest stays."""
    form = FORMS[name](secret)
    body = f'{{"message": "before {form} after", "n": 1}}'
    reply = without_credentials(HttpReply(400, {"x-echo": f"a {form} b"}, body.encode()), HEADERS)
    for text in (reply.content.decode(), reply.headers["x-echo"] if "escaped for JSON" not in name else REDACTED):
        if "slashes" not in name or text.startswith("{"):
            assert REDACTED in text
            assert not [each for each in held(form) if each in text]
    message = json.loads(reply.content)["message"]
    assert message.startswith("before ")
    assert message.endswith(" after")


def test_anything_else_is_the_very_same() -> None:
    """Content without a secret stays the same bytes."""
    for content in (
        b"",
        b"\xff\x00\\&%",
        b'{"a": "\\u00e9 &amp; %20", "b": 1.0}',
        b"<p>&lt;</p>",
        b"[" * 5_000 + b"\\",
    ):
        headers = {"x": "caf\u00e9 %41 &amp; \\"}
        reply = without_credentials(HttpReply(200, headers, content), HEADERS)
        assert (reply.content, reply.headers) == (content, headers)


@given(
    scheme=st.sampled_from(["", "Bearer ", "HMAC-SHA256 SignedHeaders=date&Signature=", "Basic "]),
    secret=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=90),
)
def test_a_reply_without_long_words_needs_no_closer_look(scheme: str, secret: str) -> None:
    """No form of a secret has a space, or is shorter than the length from which replies are looked at closely."""
    value = scheme + (base64.b64encode(b"desk:" + secret.encode()).decode() if scheme == "Basic " else secret)
    for form in secrets_of(value):
        assert " " not in form
        assert len(form) >= shortest(value)
