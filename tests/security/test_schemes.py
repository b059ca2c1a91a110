"""HTTP Basic, bearer tokens and API keys: read back as they are made, and never from anything else."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from requests.auth import _basic_auth_str

from gateway.domain.model import HttpRequest
from gateway.security.api_key import api_key
from gateway.security.basic import BASIC
from gateway.security.bearer import BEARER_TOKEN
from gateway.security.schemes import Parts, Scheme, lower

NOW = datetime(2024, 1, 2, tzinfo=UTC)
REQUEST = HttpRequest("GET", "https://vendor.test/jobs", {"Accept": "*/*"})
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1)
KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1)


def signed(scheme: Scheme, parts: Parts) -> HttpRequest:
    """The request with the credentials."""
    return replace(REQUEST, headers={**REQUEST.headers, **scheme.sign(REQUEST, parts, NOW)})


@given(TEXTS.filter(lambda text: ":" not in text), TEXTS)
def test_basic_is_read_back(username: str, password: str) -> None:
    """User name and password come back, colons of the password included, and no other password fits."""
    claim = BASIC.verify(signed(BASIC, {"username": username, "password": password}), NOW, "")
    assert (claim.client_id, claim.presented) == (username, password)
    assert claim.proof(password) == password
    assert claim.proof(f"{password}-") is None


def test_basic_is_that_of_others() -> None:
    """The header is the one that other clients send."""
    sent = BASIC.sign(REQUEST, {"username": "desk", "password": "a:b"}, NOW)
    assert sent == {"Authorization": _basic_auth_str("desk", "a:b")}


@pytest.mark.parametrize(
    "credentials",
    ["", "!", base64.b64encode(b"no colon").decode(), base64.b64encode(b"\xff:\xff").decode()],
    ids=["empty", "no Base64", "no colon", "no UTF-8"],
)
def test_what_is_no_basic_is_refused(credentials: str) -> None:
    """A header without a name and a password is refused with the reason, and without its text."""
    with pytest.raises(PermissionError, match="user name and a password") as caught:
        BASIC.verify(replace(REQUEST, headers={"authorization": f"Basic {credentials}"}), NOW, "")
    assert not credentials or credentials not in str(caught.value)


@given(KEYS)
def test_a_bearer_token_is_read_back(token: str) -> None:
    """The token comes back, and no other fits; the name of the scheme may be in any case (RFC 9110, 11.1)."""
    sent = signed(BEARER_TOKEN, {"token": token})
    for header in (sent.headers["Authorization"], sent.headers["Authorization"].replace("Bearer", "bearer ", 1)):
        claim = BEARER_TOKEN.verify(replace(sent, headers={"authorization": header}), NOW, "")
        assert (claim.client_id, claim.presented, claim.proof(token)) == (None, token, token)
        assert claim.proof(f"{token}-") is None


@pytest.mark.parametrize("header", ["", "Bearer", "Basic YTpi"])
def test_what_is_no_bearer_token_proves_nothing(header: str) -> None:
    """Another scheme, or no token, fits no secret."""
    claim = BEARER_TOKEN.verify(replace(REQUEST, headers={"authorization": header}), NOW, "")
    assert claim.proof("YTpi") is None


@given(KEYS)
def test_an_api_key_is_read_back(key: str) -> None:
    """The key is the value of the header that the document names, in any case of its name."""
    scheme = api_key("X-Desk-Key")
    request = signed(scheme, {"key": key})
    assert request.headers["X-Desk-Key"] == key
    claim = scheme.verify(replace(request, headers={"x-desk-key": key}), NOW, "")
    assert (claim.client_id, claim.presented, claim.proof(key)) == (None, key, key)
    assert claim.proof(f"{key}-") is None


@pytest.mark.parametrize(
    ("scheme", "header", "is_used"),
    [
        (BASIC, ("Authorization", "basic YTpi"), True),
        (BASIC, ("Authorization", "Bearer YTpi"), False),
        (BASIC, ("Accept", "*/*"), False),
        (api_key("X-Desk-Key"), ("x-desk-key", "a"), True),
        (api_key("X-Desk-Key"), ("Authorization", "a"), False),
    ],
)
def test_a_scheme_knows_its_credentials(scheme: Scheme, header: tuple[str, str], is_used: bool) -> None:
    """Credentials of another scheme are none of this one, so that a document can offer several."""
    assert scheme.is_used_by(lower(dict([header]))) is is_used
