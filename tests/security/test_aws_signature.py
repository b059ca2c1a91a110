"""AWS Signature Version 4: made and checked as AWS's own library makes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as with_

from gateway.domain.model import HttpRequest
from gateway.security.aws_signature import CLOCK_SKEW, aws_signature
from gateway.security.schemes import Parts

NOW = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
PARTS = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
SCHEME = aws_signature("connect", "us-east-1")
JSON = {"Content-Type": "application/json"}
STOP = HttpRequest(
    "POST",
    "https://connect.us-east-1.amazonaws.com/contact/stop",
    JSON,
    b'{"ContactId":"cccccccc-1111-2222-3333-dddddddddddd","InstanceId":"aaaaaaaa-1111-2222-3333-bbbbbbbbbbbb"}',
)
DESCRIBE = HttpRequest(
    "GET",
    "https://connect.us-east-1.amazonaws.com/contacts/aaaaaaaa-1111-2222-3333-bbbbbbbbbbbb/"
    "cccccccc-1111-2222-3333-dddddddddddd",
    {},
)


def theirs(request: HttpRequest, parts: Parts = PARTS, at: datetime = NOW, region: str = "us-east-1") -> HttpRequest:
    """The request with the headers of botocore's signature."""
    written = AWSRequest(request.method, request.url, dict(request.headers), request.content)
    written.context["timestamp"] = f"{at:%Y%m%dT%H%M%SZ}"
    key = Credentials(parts["access_key_id"], parts["secret_access_key"], parts.get("session_token"))
    signer = SigV4Auth(key, "connect", region)
    signer._modify_request_before_signing(written)
    text = signer.string_to_sign(written, signer.canonical_request(written))
    signer._inject_signature_to_request(written, signer.signature(text, written))
    return with_(request, headers=dict(written.headers.items()))


def ours(request: HttpRequest, parts: Parts = PARTS, at: datetime = NOW) -> HttpRequest:
    """The request with the headers of our signature."""
    return with_(request, headers={**request.headers, **SCHEME.sign(request, parts, at)})


def proof(request: HttpRequest, at: datetime = NOW, secret: str = PARTS["secret_access_key"]) -> str | None:
    """The signature, if it is good."""
    return SCHEME.verify(request, at, "").proof(secret)


@pytest.mark.parametrize(
    ("request_", "signature"),
    [
        (STOP, "72b516dbf0a5b5fc5b411ea69381ab25dea6fef08292ba8769fe94808bf74393"),
        (DESCRIBE, "b3d41e7ad7b12b5bcce7e9c6b97aca511a67a101d55370af0d23ae8fa91f3f40"),
    ],
    ids=["stop", "describe"],
)
def test_the_headers_have_the_published_shape(request_: HttpRequest, signature: str) -> None:
    """Credential, signed headers and signature stand in Authorization as AWS documents it, with a known signature."""
    names = "content-type;host;x-amz-date" if request_.content else "host;x-amz-date"
    assert SCHEME.sign(request_, PARTS, NOW) == {
        "X-Amz-Date": "20240102T030405Z",
        "Authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20240102/us-east-1/connect/aws4_request, "
        f"SignedHeaders={names}, Signature={signature}",
    }


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
ODD = st.sampled_from(["a", "B", "%2F", "%25", "~", "-", ".", "%20", "%C3%A4", "a=b", "+", "/", "//x/", "/./", "/../"])
PATHS = st.lists(ODD, max_size=6).map("".join)
QUERIES = st.lists(
    st.tuples(*[st.lists(st.sampled_from(["a", "b", "Z", "%20", "%2B", "~", "%C3%A4"]), max_size=3).map("".join)] * 2)
).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs))


@given(PATHS, QUERIES, st.binary(max_size=20), st.sampled_from(["", ":8443"]), st.booleans())
def test_the_official_library_signs_the_same(path: str, query: str, body: bytes, port: str, is_session: bool) -> None:
    """For any path, query, body and port, botocore signs the same request with the same headers."""
    url = f"https://connect.us-east-1.amazonaws.com{port}/{path}{f'?{query}' if query else ''}"
    parts = PARTS | ({"session_token": "IQoJb3JpZ2luX2VjE=="} if is_session else {})
    request = HttpRequest("POST", url, JSON, body)
    assert dict(ours(request, parts).headers) == dict(theirs(request, parts).headers)


@given(PATHS, QUERIES, st.binary(max_size=20), st.sampled_from(["", ":8443"]), st.booleans())
def test_what_the_official_library_signs_is_accepted(
    path: str, query: str, body: bytes, port: str, is_session: bool
) -> None:
    """A client that signs with botocore, and adds headers of its own, is known by its key."""
    url = f"http://127.0.0.1{port}/native/{path}{f'?{query}' if query else ''}"
    parts = PARTS | ({"session_token": "IQoJb3JpZ2luX2VjE=="} if is_session else {})
    request = theirs(HttpRequest("POST", url, {**JSON, "amz-sdk-request": "attempt=1;  max=3"}, body), parts)
    assert SCHEME.verify(request, NOW, "").client_id == "AKIDEXAMPLE"
    assert proof(request)
    assert proof(request, secret="another") is None


SIGNED = ours(STOP, PARTS | {"session_token": "a-token"})
CHANGES: Mapping[str, HttpRequest] = {
    "method": with_(SIGNED, method="PUT"),
    "path": with_(SIGNED, url=SIGNED.url.replace("stop", "pause")),
    "query": with_(SIGNED, url=f"{SIGNED.url}?a=b"),
    "host": with_(SIGNED, url=SIGNED.url.replace("us-east-1", "us-west-2")),
    "port": with_(SIGNED, url=SIGNED.url.replace(".com/", ".com:8443/")),
    "body": with_(SIGNED, content=SIGNED.content + b" "),
    "type": with_(SIGNED, headers={**SIGNED.headers, "Content-Type": "text/plain"}),
    "time": with_(SIGNED, headers={**SIGNED.headers, "X-Amz-Date": "20240102T030406Z"}),
    "token": with_(SIGNED, headers={**SIGNED.headers, "X-Amz-Security-Token": "b-token"}),
}


@pytest.mark.parametrize("changed", CHANGES.values(), ids=CHANGES)
def test_whatever_is_changed_is_refused(changed: HttpRequest) -> None:
    """A signature proves nothing for another request."""
    assert proof(SIGNED)
    assert proof(changed) is None


def rewritten(old: str, new: str, **more: str) -> HttpRequest:
    """The signed request with another header Authorization, and further headers."""
    written = SIGNED.headers["Authorization"]
    assert old in written
    return with_(SIGNED, headers={**SIGNED.headers, **more, "Authorization": written.replace(old, new)})


IMPOSSIBLE = {
    "no signature": (rewritten(", Signature=", ", Sign="), "with Credential, SignedHeaders, Signature"),
    "host not signed": (rewritten("host;", ""), "SignedHeaders"),
    "date not signed": (rewritten("x-amz-date;", ""), "SignedHeaders"),
    "token not signed": (rewritten(";x-amz-security-token", ""), "SignedHeaders"),
    "another x-amz- header": (rewritten("host", "host", **{"X-Amz-Target": "a"}), "SignedHeaders"),
    "a header that is not there": (rewritten("host;", "host;x-other;"), "SignedHeaders"),
    "another day": (rewritten("20240102", "20240103"), "expired"),
    "no time": (rewritten("host", "host", **{"X-Amz-Date": "yesterday"}), "expired"),
    "another service": (rewritten("/connect/", "/s3/"), "us-east-1 and connect"),
    "another region": (rewritten("/us-east-1/", "/us-west-2/"), "us-east-1 and connect"),
}


@pytest.mark.parametrize(("request_", "reason"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_what_no_key_can_have_signed_is_refused_with_the_reason(request_: HttpRequest, reason: str) -> None:
    """Host, time and each x-amz- header must be signed, for this day, region and service."""
    with pytest.raises(PermissionError, match=reason):
        SCHEME.verify(request_, NOW, "")


@pytest.mark.parametrize("skew", [CLOCK_SKEW, -CLOCK_SKEW])
def test_a_signature_is_accepted_for_five_minutes(skew: timedelta) -> None:
    """The clocks may differ by five minutes, and no more; for twice as long the signature names its request."""
    assert timedelta(minutes=5) == CLOCK_SKEW
    assert SCHEME.lasts == 2 * CLOCK_SKEW
    assert proof(SIGNED, NOW + skew)
    with pytest.raises(PermissionError, match="expired"):
        proof(SIGNED, NOW + skew * 1.01)


def test_a_region_that_is_not_known_is_any_region() -> None:
    """On the vendor's own API, a client's region is not compared where the gateway knows none."""
    anywhere = aws_signature("connect", None)
    for region in ("us-east-1", "eu-central-1"):
        request = theirs(STOP, region=region)
        assert anywhere.verify(request, NOW, "").proof(PARTS["secret_access_key"])
    with pytest.raises(ValueError, match="region"):
        anywhere.sign(STOP, PARTS, NOW)


def test_only_the_time_is_public() -> None:
    """A dry run shows the time of a signature, and nothing else of it."""
    assert replace(SCHEME).public == {"X-Amz-Date"}
