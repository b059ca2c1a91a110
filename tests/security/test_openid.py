"""Tokens of an OpenID Connect issuer, with a real one that signs them and publishes its keys over HTTP."""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from gateway.app import Catalogue, Gateway
from gateway.domain.access import Caller
from gateway.domain.clock import SystemClock
from gateway.domain.errors import IssuerUnavailable, VendorUnreachable
from gateway.ledger.memory import MemoryLedger
from gateway.security.openid import AWAY_SECONDS, KEYS_SECONDS, UNKNOWN_SECONDS, Issuer, OpenIdTokens, keys_of
from gateway.security.web_tokens import TokenRefused
from gateway.settings.settings import OpenIdSettings
from gateway.transport.http import HttpTransport
from tests.support.asgi import call
from tests.support.clock import FakeClock
from tests.support.server import RawServer, raw_server
from tests.support.transport import FakeTransport
from tests.support.vendors import obedient, settings

AUDIENCE = "jobgate"
PRIVATE: dict[str, Any] = {
    "rsa": rsa.generate_private_key(public_exponent=65_537, key_size=2_048),
    "ec": ec.generate_private_key(ec.SECP256R1()),
    "other": rsa.generate_private_key(public_exponent=65_537, key_size=2_048),
}
ENDLESS = [
    f"{urlsafe_b64encode(header).decode().rstrip('=')}.e30.AA"
    for header in (b"[" * 6_000, b'{"alg":"RS256","x":' + b"[" * 6_000, b'{"alg":"RS256","x":' + b"9" * 5_000 + b"}")
]
"""Tokens whose headers are too deep or too long for a JSON reader."""
ALGORITHMS = {"rsa": "RS256", "ec": "ES256", "other": "RS256"}


class ServedIssuer:
    """An issuer that is served on loopback, and what checks its tokens."""

    def __init__(self, server: RawServer, published: list[str]) -> None:
        """Publish these keys."""
        self.server, self.published = server, published
        self.named: str | None = server.url
        self.clock = FakeClock()
        self.transport = HttpTransport(SystemClock(), [server.url])
        issuer = Issuer(server.url, AUDIENCE, ("RS256", "ES256"), "sub", "scope", "sub")
        self.tokens = OpenIdTokens(issuer, RealTimeTransport(self.transport), self.clock)

    def token(self, key: str = "rsa", key_id: str | None = None, **claims: Any) -> str:
        """A token that is good, but for what is given."""
        now = int(self.clock.now().timestamp())
        usual = {"iss": self.server.url, "aud": AUDIENCE, "sub": "desk", "scope": "jobs:read connections:*"}
        content = {**usual, "iat": now, "exp": now + 3_000, **claims}
        kept = {name: value for name, value in content.items() if value is not None}
        return jwt.encode(kept, PRIVATE[key], ALGORITHMS[key], {"kid": key if key_id is None else key_id})

    async def caller(self, token: str) -> Caller | None:
        """Whose token it is; None where it is refused."""
        try:
            return await self.tokens.identify(token)
        except TokenRefused:
            return None

    async def rule(self, token: str) -> str:
        """The rule that a token breaks."""
        with pytest.raises(TokenRefused) as refused:
            await self.tokens.identify(token)
        return str(refused.value)


class RealTimeTransport:
    """A transport whose deadlines are those of a clock that stands still."""

    def __init__(self, transport: HttpTransport) -> None:
        """Send by it."""
        self._transport = transport

    async def send(self, request: Any, deadline: float) -> Any:
        """Send, within five real seconds."""
        return await self._transport.send(request, SystemClock().monotonic() + 5)


def published(names: list[str]) -> bytes:
    """A key set (RFC 7517)."""
    algorithms: dict[str, Any] = {"rsa": jwt.algorithms.RSAAlgorithm, "ec": jwt.algorithms.ECAlgorithm}
    made = []
    for written in names:
        name, _, key_id = written.partition(" as ")
        kind = algorithms["ec" if name == "ec" else "rsa"]
        made.append({**json.loads(kind.to_jwk(PRIVATE[name].public_key())), "kid": key_id or name, "use": "sig"})
    return json.dumps({"keys": made}).encode()


@asynccontextmanager
async def issuer(*names: str) -> AsyncIterator[ServedIssuer]:
    """An issuer with these keys."""
    keys = list(names)

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"openid-configuration" in server.requests[-1]:
            content = json.dumps({"issuer": served.named, "jwks_uri": f"{server.url}/keys"}).encode()
        else:
            content = published(keys)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(content), content))

    async with raw_server(serve, each_request=True) as server:
        served = ServedIssuer(server, keys)
        yield served
        await served.transport.close()


async def test_a_good_token_tells_who_calls() -> None:
    """A token's subject and scopes make the caller, which is never the owner of an API key."""
    async with issuer("rsa", "ec") as served:
        for key in ("rsa", "ec"):
            caller = await served.caller(served.token(key))
            assert caller == Caller("jwt:desk", frozenset({"jobs:read", "connections:*"}), "desk")
        listed = served.token(scope=["jobs:cancel", 7, "audit:read"])
        assert (await served.caller(listed)) == Caller("jwt:desk", frozenset({"jobs:cancel", "audit:read"}), "desk")
        nothing = await served.caller(served.token(scope=None))
        assert nothing is not None
        assert nothing.scopes == frozenset()


def test_an_issuer_is_kept_as_it_is_written() -> None:
    """An issuer keeps the slash at the end of its name."""
    for issuer_url in ("https://tenant.example/", "https://tenant.example", "https://tenant.example/v2.0"):
        assert OpenIdSettings(issuer=issuer_url, audience=AUDIENCE).issuer == issuer_url


async def test_the_slash_of_an_issuer_counts_and_is_no_part_of_the_address() -> None:
    """Its keys are found, and its tokens are those that name it with the slash."""
    async with issuer("rsa") as served:
        served.named = url = f"{served.server.url}/"
        named = Issuer(url, AUDIENCE, ("RS256",), "sub", "scope", "sub")
        tokens = OpenIdTokens(named, RealTimeTransport(served.transport), served.clock)
        assert await tokens.identify(served.token(iss=f"{served.server.url}/")) is not None
        with pytest.raises(TokenRefused, match="another issuer"):
            await tokens.identify(served.token())
        assert served.server.targets == ["/.well-known/openid-configuration", "/keys"]


async def test_the_document_of_an_issuer_names_it(caplog: pytest.LogCaptureFixture) -> None:
    """Keys of a document that names another issuer, or none, are not used (OpenID Connect Discovery 1.0, 4.3)."""
    async with issuer("rsa") as served:
        token = served.token()
        for named in (f"{served.server.url}/", "https://issuer.example", None):
            served.named = named
            served.clock.advance(UNKNOWN_SECONDS)
            with pytest.raises(IssuerUnavailable):
                await served.tokens.identify(token)
        assert "/keys" not in served.server.targets
        assert "names another issuer" in caplog.text
        served.named = served.server.url
        served.clock.advance(UNKNOWN_SECONDS)
        assert await served.caller(token) is not None
        served.named = "https://issuer.example"
        served.clock.advance(KEYS_SECONDS)
        assert await served.caller(token) is not None, "the keys that are known serve on"


NO_TIMES: list[Any] = ["x", "4000000000", 10**400, float("inf"), float("nan"), -1, 253_402_300_800, True, [], {}]
"""Values that are no existing time (RFC 7519, 2)."""
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "another issuer": ({"iss": "https://elsewhere.test"}, "it is from another issuer"),
    "no issuer": ({"iss": None}, "a required claim is missing"),
    "another audience": ({"aud": "others"}, "it is for another audience"),
    "other audiences": ({"aud": ["others", "jobgate2"]}, "it is for another audience"),
    "no audience": ({"aud": None}, "a required claim is missing"),
    "ended": ({"exp": 1_700_000_000}, "it has expired"),
    "ended, with a point": ({"exp": 1_700_000_000.5}, "it has expired"),
    "without an end": ({"exp": None}, "a required claim is missing"),
    "not yet": ({"nbf": 4_000_000_000}, "it is not valid yet"),
    "made in the future": ({"iat": 4_000_000_000}, "it is not valid yet"),
    "no subject": ({"sub": None}, "its sub is not a text of 1 to 255 printable characters"),
    "an empty subject": ({"sub": ""}, "its sub is not a text of 1 to 255 printable characters"),
    "a subject with a line break": ({"sub": "a\nb"}, "its sub is not a text of 1 to 255 printable characters"),
    "a subject of any length": ({"sub": "a" * 256}, "its sub is not a text of 1 to 255 printable characters"),
    "a subject that is a number": ({"sub": 7}, "it cannot be read"),
    "signed by another": ({"key": "other", "key_id": "rsa"}, "its signature is wrong"),
    "a key that is not published": ({"key": "other", "key_id": "other"}, "the issuer publishes no key of its id"),
    **{
        f"{name} is {value!s:.12}": ({name: value}, f"its {name} is not a valid time")
        for name in ("exp", "nbf", "iat")
        for value in NO_TIMES
    },
}


@pytest.mark.parametrize(("changed", "rule"), list(BAD.values()), ids=list(BAD))
async def test_no_other_token_is_anybodys(changed: dict[str, Any], rule: str) -> None:
    """A token that breaks any rule of issuer, audience, time, subject or signature is refused by that rule."""
    async with issuer("rsa", "ec") as served:
        assert await served.rule(served.token(**changed)) == rule


@pytest.mark.parametrize("subject", ["a" * 61, "system:serviceaccount:team:" + "a" * 44, "a" * 255])
async def test_a_subject_may_be_as_long_as_the_standard_has_it(subject: str) -> None:
    """A subject has up to 255 ASCII characters (OpenID Connect Core 1.0, 2)."""
    async with issuer("rsa") as served:
        caller = await served.caller(served.token(sub=subject))
        assert caller is not None
        assert caller.name == f"jwt:{subject}"


async def test_equal_forms_of_a_token_are_one() -> None:
    """Audience as a text or in a list, times with a point, and times a little off: the token is good."""
    async with issuer("rsa") as served:
        now = served.clock.now().timestamp()
        for claims in ({"aud": [AUDIENCE, "others"]}, {"exp": now + 60.5}, {"exp": now - 29}, {"nbf": now + 29}):
            assert await served.caller(served.token(**claims)) is not None


STRANGE_KEYS: list[Any] = [
    7,
    {},
    {"kty": 7},
    {"kty": "RSA", "n": 7, "e": "AQAB", "kid": "x"},
    {"kty": "RSA", "n": "", "e": "AQAB", "kid": "x"},
    {"kty": "RSA", "n": "\u00e9", "e": "AQAB", "kid": "x"},
    {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "x"},
    {"kty": "EC", "crv": ["P-256"], "x": "AA", "y": "AA", "kid": "x"},
    {"kty": "oct", "k": [], "kid": "x"},
]


@pytest.mark.parametrize("strange", STRANGE_KEYS, ids=str)
def test_a_key_that_cannot_be_used_harms_no_other(strange: Any) -> None:
    """Unusable keys in a key set are ignored (RFC 7517, 5), and a set without usable keys is refused."""
    good = json.loads(published(["rsa"]))["keys"]
    assert keys_of({"keys": [strange, *good]}).keys() == {"rsa"}
    for nothing in ({"keys": [strange]}, {"keys": strange}, {}):
        with pytest.raises(ValueError, match="no key that can be used"):
            keys_of(nothing)


async def test_what_is_no_token_is_nobodys() -> None:
    """Tokens without a signature, with one of another kind, cut short or of endless length identify nobody."""
    async with issuer("rsa") as served:
        good = served.token()
        claims = jwt.decode(good, options={"verify_signature": False})
        head, body, signature = good.split(".")
        symmetric = jwt.encode(claims, "k" * 64, "HS256", {"kid": "rsa"})
        unsigned = jwt.encode(claims, "", "none", {"kid": "rsa"})
        for text in (
            symmetric,
            unsigned,
            f"{head}.{body}.",
            f"{head}..{signature}",
            "..",
            "a.b.c",
            good + "a" * 9_000,
            *ENDLESS,
        ):
            assert await served.caller(text) is None, text[:80]
        assert await served.caller(good) is not None


async def test_keys_are_fetched_once_and_rotated() -> None:
    """Many requests at once fetch the keys once; a new key is found when it is used; a withdrawn one is forgotten."""
    async with issuer("rsa") as served:
        await asyncio.gather(*(served.caller(served.token()) for _ in range(20)))
        assert len(served.server.requests) == 2
        served.published[:] = ["ec"]
        assert await served.caller(served.token("ec")) is None, "it was looked just now"
        served.clock.advance(UNKNOWN_SECONDS)
        found = await asyncio.gather(*(served.caller(served.token("ec")) for _ in range(20)))
        assert None not in found, "all wait for the one fetch"
        assert len(served.server.requests) == 4
        assert await served.caller(served.token("rsa")) is None


async def test_unknown_keys_do_not_make_us_ask_again_and_again() -> None:
    """Tokens with unknown key ids cause at most one fetch of the keys in half a minute."""
    async with issuer("rsa") as served:
        for number in range(50):
            assert await served.caller(served.token(key_id=f"invented-{number}")) is None
        assert len(served.server.requests) == 2


async def test_keys_are_looked_at_again_in_time() -> None:
    """A key that is withdrawn serves for ten minutes at most."""
    async with issuer("rsa", "ec") as served:
        assert await served.caller(served.token("ec")) is not None
        served.published[:] = ["rsa"]
        assert await served.caller(served.token("ec")) is not None
        served.clock.advance(KEYS_SECONDS)
        assert await served.caller(served.token("ec")) is None


async def test_a_key_that_is_replaced_under_its_id_is_found() -> None:
    """An issuer that publishes a new key under the old id is known again after half a minute, not after ten."""
    async with issuer("rsa") as served:
        assert await served.caller(served.token()) is not None
        served.published[:] = ["other as rsa"]
        replaced = served.token("other", "rsa")
        assert await served.caller(replaced) is None, "it was looked just now"
        served.clock.advance(UNKNOWN_SECONDS)
        found = await asyncio.gather(*(served.caller(replaced) for _ in range(20)))
        assert None not in found
        assert len(served.server.requests) == 4
        assert await served.caller(served.token()) is None
        assert len(served.server.requests) == 4


async def test_those_who_wait_for_an_issuer_share_its_failure() -> None:
    """Requests that wait for an issuer share its failure and do not wait for another."""

    class Dragging(FakeTransport):
        async def send(self, request: Any, deadline: float) -> Any:
            clock.advance(2 * AWAY_SECONDS)
            return await super().send(request, deadline)

    clock, transport = FakeClock(), Dragging(otherwise=VendorUnreachable("away"))
    tokens = OpenIdTokens(Issuer("https://issuer.test", AUDIENCE, ("RS256",), "sub", "scope", "sub"), transport, clock)
    token = jwt.encode({"sub": "desk"}, PRIVATE["rsa"], "RS256", {"kid": "rsa"})
    found = await asyncio.gather(*(tokens.identify(token) for _ in range(20)), return_exceptions=True)
    assert {type(each) for each in found} == {IssuerUnavailable}
    assert len(transport.requests) == 1


async def test_an_issuer_that_is_away() -> None:
    """If the issuer is away, known keys still work; without keys, the answer says that tokens cannot be checked."""
    async with issuer("rsa") as served:
        token = served.token()
        await served.caller(token)
    served.clock.advance(KEYS_SECONDS)
    assert await served.caller(token) is not None
    fresh = OpenIdTokens(served.tokens._issuer, served.tokens._transport, served.clock)
    transport = FakeTransport(otherwise=VendorUnreachable("away"))
    fresh._transport = transport
    for _ in range(5):
        with pytest.raises(IssuerUnavailable):
            await fresh.identify(token)
    assert len(transport.requests) == 1, "nobody waits for one failure after the other"
    served.clock.advance(AWAY_SECONDS)
    with pytest.raises(IssuerUnavailable):
        await fresh.identify(token)
    assert len(transport.requests) == 2


async def test_the_api_takes_tokens(catalogue: Catalogue) -> None:
    """A token opens what its scopes say, and the record of an action has its subject."""
    async with issuer("rsa") as served:
        openid = OpenIdSettings(issuer=served.server.url, audience=AUDIENCE, plain_http=True)
        wired = settings().model_copy(update={"openid": openid})
        transport = VendorBesideIssuer(served.server.url, RealTimeTransport(served.transport))
        made = Gateway(wired, catalogue, clock=served.clock, transport=transport, ledger=MemoryLedger())
        path = "/v1/connections/contoso-prod/jobs/8780b28c-7079-4de1-9143-4d369289e958"
        assert (await call(made.application, "GET", path, key=served.token())).status == 200
        refused = await call(made.application, "POST", f"{path}/cancel", key=served.token())
        assert (refused.status, refused.json["code"]) == (403, "forbidden")
        answer = await call(made.application, "POST", f"{path}/cancel", key=served.token(scope="jobs:* connections:*"))
        assert (answer.status, answer.json["caller"]) == (200, "jwt:desk")


class VendorBesideIssuer(FakeTransport):
    """An obedient vendor, beside a real issuer."""

    def __init__(self, url: str, issuer_transport: RealTimeTransport) -> None:
        """Send what is for the issuer there."""
        super().__init__(otherwise=obedient)
        self._url, self._issuer = url, issuer_transport

    async def send(self, request: Any, deadline: float) -> Any:
        """Send to the one or the other."""
        if request.url.startswith(self._url):
            return await self._issuer.send(request, deadline)
        return await super().send(request, deadline)
