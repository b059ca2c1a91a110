"""Tokens of an OpenID Connect issuer, with a real one that signs them and publishes its keys over HTTP."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from gateway.app import Catalogue, Gateway
from gateway.clock import SystemClock
from gateway.config import OpenIdSettings
from gateway.domain.access import Caller
from gateway.domain.errors import IssuerUnavailable, VendorUnreachable
from gateway.ledger.memory import MemoryLedger
from gateway.security.openid import AWAY_SECONDS, KEYS_SECONDS, UNKNOWN_SECONDS, Issuer, OpenIdTokens
from gateway.transport import HttpTransport
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
ALGORITHMS = {"rsa": "RS256", "ec": "ES256", "other": "RS256"}


class House:
    """An issuer that is served on loopback, and what checks its tokens."""

    def __init__(self, server: RawServer, published: list[str]) -> None:
        """Publish these keys."""
        self.server, self.published = server, published
        self.clock = FakeClock()
        self.transport = HttpTransport(SystemClock(), [server.url])
        issuer = Issuer(server.url, AUDIENCE, ("RS256", "ES256"), "sub", "scope")
        self.tokens = OpenIdTokens(issuer, Lasting(self.transport), self.clock)

    def token(self, key: str = "rsa", key_id: str | None = None, **claims: Any) -> str:
        """A token that is good, but for what is given."""
        now = int(time.time())
        usual = {"iss": self.server.url, "aud": AUDIENCE, "sub": "desk", "scope": "jobs:read connections:*"}
        content = {**usual, "iat": now, "exp": now + 300, **claims}
        kept = {name: value for name, value in content.items() if value is not None}
        return jwt.encode(kept, PRIVATE[key], ALGORITHMS[key], {"kid": key if key_id is None else key_id})


class Lasting:
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
async def issuer(*names: str) -> AsyncIterator[House]:
    """An issuer with these keys."""
    keys = list(names)

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"openid-configuration" in server.requests[-1]:
            content = json.dumps({"issuer": server.url, "jwks_uri": f"{server.url}/keys"}).encode()
        else:
            content = published(keys)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(content), content))

    async with raw_server(serve, each_request=True) as server:
        house = House(server, keys)
        yield house
        await house.transport.close()


async def test_a_good_token_tells_who_calls() -> None:
    """Subject and scopes are the issuer's; whoever comes with a token is never taken for the owner of an API key."""
    async with issuer("rsa", "ec") as house:
        for key in ("rsa", "ec"):
            caller = await house.tokens.identify(house.token(key))
            assert caller == Caller("jwt:desk", frozenset({"jobs:read", "connections:*"}))
        listed = house.token(scope=["jobs:cancel", 7, "audit:read"])
        assert (await house.tokens.identify(listed)) == Caller("jwt:desk", frozenset({"jobs:cancel", "audit:read"}))
        nothing = await house.tokens.identify(house.token(scope=None))
        assert nothing is not None
        assert nothing.scopes == frozenset()


def test_an_issuer_is_kept_as_it_is_written() -> None:
    """A slash at its end is a part of its name, which its tokens repeat."""
    for issuer_url in ("https://tenant.example/", "https://tenant.example", "https://tenant.example/v2.0"):
        assert OpenIdSettings(issuer=issuer_url, audience=AUDIENCE).issuer == issuer_url


async def test_the_slash_of_an_issuer_counts_and_is_no_part_of_the_address() -> None:
    """Its keys are found, and its tokens are those that name it with the slash."""
    async with issuer("rsa") as house:
        named = Issuer(f"{house.server.url}/", AUDIENCE, ("RS256",), "sub", "scope")
        tokens = OpenIdTokens(named, Lasting(house.transport), house.clock)
        assert await tokens.identify(house.token(iss=f"{house.server.url}/")) is not None
        assert await tokens.identify(house.token()) is None
        assert house.server.targets == ["/.well-known/openid-configuration", "/keys"]


BAD: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "https://elsewhere.test"},
    "no issuer": {"iss": None},
    "another audience": {"aud": "others"},
    "no audience": {"aud": None},
    "ended": {"exp": 1_700_000_000},
    "without an end": {"exp": None},
    "not yet": {"nbf": 4_000_000_000},
    "no subject": {"sub": None},
    "an empty subject": {"sub": ""},
    "a subject with a line break": {"sub": "a\nb"},
    "a subject of any length": {"sub": "a" * 100},
    "signed by another": {"key": "other", "key_id": "rsa"},
    "a key that is not published": {"key": "other", "key_id": "other"},
}


@pytest.mark.parametrize("changed", list(BAD.values()), ids=list(BAD))
async def test_no_other_token_is_anybodys(changed: dict[str, Any]) -> None:
    """What is not signed by the issuer for us, now and about somebody, identifies nobody."""
    async with issuer("rsa", "ec") as house:
        assert await house.tokens.identify(house.token(**changed)) is None


async def test_what_is_no_token_is_nobodys() -> None:
    """Tokens without a signature, with one of another kind, cut short or of endless length identify nobody."""
    async with issuer("rsa") as house:
        good = house.token()
        claims = jwt.decode(good, options={"verify_signature": False})
        head, body, signature = good.split(".")
        symmetric = jwt.encode(claims, "k" * 64, "HS256", {"kid": "rsa"})
        unsigned = jwt.encode(claims, "", "none", {"kid": "rsa"})
        for text in (symmetric, unsigned, f"{head}.{body}.", f"{head}..{signature}", "..", "a.b.c", good + "a" * 9_000):
            assert await house.tokens.identify(text) is None
        assert await house.tokens.identify(good) is not None


async def test_keys_are_fetched_once_and_rotated() -> None:
    """Many requests at once fetch the keys once; a new key is found when it is used; a withdrawn one is forgotten."""
    async with issuer("rsa") as house:
        await asyncio.gather(*(house.tokens.identify(house.token()) for _ in range(20)))
        assert len(house.server.requests) == 2
        house.published[:] = ["ec"]
        assert await house.tokens.identify(house.token("ec")) is None, "it was looked just now"
        house.clock.advance(UNKNOWN_SECONDS)
        found = await asyncio.gather(*(house.tokens.identify(house.token("ec")) for _ in range(20)))
        assert None not in found, "all wait for the one fetch"
        assert len(house.server.requests) == 4
        assert await house.tokens.identify(house.token("rsa")) is None


async def test_unknown_keys_do_not_make_us_ask_again_and_again() -> None:
    """Tokens with invented keys have the keys fetched every half minute at most."""
    async with issuer("rsa") as house:
        for number in range(50):
            assert await house.tokens.identify(house.token(key_id=f"invented-{number}")) is None
        assert len(house.server.requests) == 2


async def test_keys_are_looked_at_again_in_time() -> None:
    """A key that is withdrawn serves for ten minutes at most."""
    async with issuer("rsa", "ec") as house:
        assert await house.tokens.identify(house.token("ec")) is not None
        house.published[:] = ["rsa"]
        assert await house.tokens.identify(house.token("ec")) is not None
        house.clock.advance(KEYS_SECONDS)
        assert await house.tokens.identify(house.token("ec")) is None


async def test_a_key_that_is_replaced_under_its_id_is_found() -> None:
    """An issuer that publishes a new key under the old id is known again after half a minute, not after ten."""
    async with issuer("rsa") as house:
        assert await house.tokens.identify(house.token()) is not None
        house.published[:] = ["other as rsa"]
        replaced = house.token("other", "rsa")
        assert await house.tokens.identify(replaced) is None, "it was looked just now"
        house.clock.advance(UNKNOWN_SECONDS)
        found = await asyncio.gather(*(house.tokens.identify(replaced) for _ in range(20)))
        assert None not in found
        assert len(house.server.requests) == 4
        assert await house.tokens.identify(house.token()) is None
        assert len(house.server.requests) == 4


async def test_those_who_wait_for_an_issuer_share_its_failure() -> None:
    """However long an issuer takes to fail, nobody who waited for that waits for another failure."""

    class Dragging(FakeTransport):
        async def send(self, request: Any, deadline: float) -> Any:
            clock.advance(2 * AWAY_SECONDS)
            return await super().send(request, deadline)

    clock, transport = FakeClock(), Dragging(otherwise=VendorUnreachable("away"))
    tokens = OpenIdTokens(Issuer("https://issuer.test", AUDIENCE, ("RS256",), "sub", "scope"), transport, clock)
    token = jwt.encode({"sub": "desk"}, PRIVATE["rsa"], "RS256", {"kid": "rsa"})
    found = await asyncio.gather(*(tokens.identify(token) for _ in range(20)), return_exceptions=True)
    assert {type(each) for each in found} == {IssuerUnavailable}
    assert len(transport.requests) == 1


async def test_an_issuer_that_is_away() -> None:
    """Keys that are known serve on; without any, it is said that tokens cannot be checked now."""
    async with issuer("rsa") as house:
        token = house.token()
        await house.tokens.identify(token)
    house.clock.advance(KEYS_SECONDS)
    assert await house.tokens.identify(token) is not None
    fresh = OpenIdTokens(house.tokens._issuer, house.tokens._transport, house.clock)
    transport = FakeTransport(otherwise=VendorUnreachable("away"))
    fresh._transport = transport
    for _ in range(5):
        with pytest.raises(IssuerUnavailable):
            await fresh.identify(token)
    assert len(transport.requests) == 1, "nobody waits for one failure after the other"
    house.clock.advance(AWAY_SECONDS)
    with pytest.raises(IssuerUnavailable):
        await fresh.identify(token)
    assert len(transport.requests) == 2


async def test_the_api_takes_tokens(catalogue: Catalogue) -> None:
    """A token opens what its scopes say, and the record of an action has its subject."""
    async with issuer("rsa") as house:
        openid = OpenIdSettings(issuer=house.server.url, audience=AUDIENCE, plain_http=True)
        wired = settings().model_copy(update={"openid": openid})
        transport = Forked(house.server.url, Lasting(house.transport))
        made = Gateway(wired, catalogue, clock=house.clock, transport=transport, ledger=MemoryLedger())
        path = "/v1/connections/contoso-prod/jobs/8780b28c-7079-4de1-9143-4d369289e958"
        assert (await call(made.application, "GET", path, key=house.token())).status == 200
        refused = await call(made.application, "POST", f"{path}/cancel", key=house.token())
        assert (refused.status, refused.json["code"]) == (403, "forbidden")
        answer = await call(made.application, "POST", f"{path}/cancel", key=house.token(scope="jobs:* connections:*"))
        assert (answer.status, answer.json["caller"]) == (200, "jwt:desk")


class Forked(FakeTransport):
    """An obedient vendor, beside a real issuer."""

    def __init__(self, url: str, issuer_transport: Lasting) -> None:
        """Send what is for the issuer there."""
        super().__init__(otherwise=obedient)
        self._url, self._issuer = url, issuer_transport

    async def send(self, request: Any, deadline: float) -> Any:
        """Send to the one or the other."""
        if request.url.startswith(self._url):
            return await self._issuer.send(request, deadline)
        return await super().send(request, deadline)
