"""Signing in at an OpenID Connect issuer, which a script plays."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import SecretStr

from gateway.app import Catalogue
from gateway.domain.model import HttpReply, HttpRequest
from gateway.ledger.memory import MemoryLedger
from gateway.security.code_flow import Attempt
from gateway.settings.settings import OpenIdSettings
from tests.console.visitor import Visitor, text_of
from tests.support.clock import FakeClock
from tests.support.scripted_gateway import ScriptedGateway
from tests.support.transport import reply
from tests.support.vendors import CLIENT_SECRET, settings

ISSUER = "https://login.example"
KEY = ec.generate_private_key(ec.SECP256R1())
AWAY = "__Host-jobgate-sign-in"


class Issuer:
    """An issuer: it publishes its document and keys, and exchanges one code."""

    def __init__(self, clock: FakeClock) -> None:
        """Begin without an attempt."""
        self.clock = clock
        self.asked: dict[str, str] = {}
        self.exchanged: list[HttpRequest] = []
        self.identity: dict[str, Any] = {}

    def answer(self, request: HttpRequest) -> HttpReply:
        """Answer one request of the gateway."""
        path = urlsplit(request.url).path
        if path.endswith("openid-configuration"):
            named = {"authorization_endpoint": f"{ISSUER}/authorize?tenant=1", "token_endpoint": f"{ISSUER}/token"}
            return reply(200, {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys", **named})
        if path == "/keys":
            key = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(KEY.public_key()))
            return reply(200, {"keys": [{**key, "kid": "1", "use": "sig"}]})
        self.exchanged.append(request)
        identity = {"iss": ISSUER, "aud": "console", "nonce": self.asked["nonce"], **self.identity}
        access = {"iss": ISSUER, "aud": "jobgate", "sub": "ann", "scope": "jobs:read connections:*"}
        tokens = {"access_token": self.token(access), "id_token": self.token(identity), "token_type": "Bearer"}
        return reply(200, tokens)

    def token(self, claims: dict[str, Any]) -> str:
        """A signed token that is good for an hour."""
        now = int(self.clock.now().timestamp())
        return jwt.encode({**claims, "iat": now, "exp": now + 3_600}, KEY, "ES256", {"kid": "1"})


class Away(Visitor):
    """A visitor that goes to the issuer and comes back."""

    issuer: Issuer
    away = ""

    async def leave(self) -> dict[str, str]:
        """Go to the issuer, and return what it is asked."""
        answer = await self.get("/sign-in/openid?back=/jobs")
        assert answer.status == 303, answer.body
        there = urlsplit(answer.headers["location"])
        assert (there.scheme, there.netloc, there.path) == ("https", "login.example", "/authorize")
        self.issuer.asked = {name: value[0] for name, value in parse_qs(there.query).items()}
        self.away = next(each for each in self.set_cookies if each.startswith(AWAY)).partition(";")[0]
        return self.issuer.asked

    async def come_back(self, **changes: str) -> Any:
        """Come back from another site: the browser sends the cookie that is Lax, and not the one that is Strict."""
        self.cookie = ""
        query = {"state": self.issuer.asked["state"], "code": "code-1", **changes}
        return await self.get(f"/sign-in/openid/finish?{'&'.join(map('='.join, query.items()))}", ("cookie", self.away))


@pytest.fixture
def away(catalogue: Catalogue) -> Away:
    """Somebody at a gateway with an issuer."""
    clock = FakeClock()
    openid = OpenIdSettings(
        issuer=ISSUER, audience="jobgate", client_id="console", client_secret=SecretStr(CLIENT_SECRET)
    )
    scripted = ScriptedGateway(catalogue, MemoryLedger(), clock, settings().model_copy(update={"openid": openid}))
    made = Away(scripted)
    made.issuer = Issuer(clock)
    scripted.vendor.otherwise = made.issuer.answer
    return made


async def test_somebody_signs_in_at_the_issuer(away: Away) -> None:
    """The browser goes to the issuer and back, and the console then shows what the token allows."""
    asked = await away.leave()
    assert (asked["response_type"], asked["client_id"], asked["code_challenge_method"]) == ("code", "console", "S256")
    assert asked["redirect_uri"] == "http://gateway.test/console/sign-in/openid/finish"
    answer = await away.come_back()
    assert answer.status == 200
    assert 'content="0; url=/console/jobs"' in text_of(answer)
    page = text_of(await away.get("/key"))
    assert "jwt:ann" in page
    assert "jobs:read" in page


async def test_the_code_is_exchanged_with_its_verifier(away: Away) -> None:
    """The code is exchanged by the client's own credentials, and the verifier of the challenge."""
    asked = await away.leave()
    await away.come_back()
    (request,) = away.issuer.exchanged
    form = {name: value[0] for name, value in parse_qs((request.content or b"").decode()).items()}
    attempt = Attempt("", "", form["code_verifier"])
    assert (form["code"], form["redirect_uri"]) == ("code-1", asked["redirect_uri"])
    assert attempt.challenge == asked["code_challenge"]
    assert request.headers["Authorization"].startswith("Basic ")


async def test_the_cookie_of_an_attempt_is_another(away: Away) -> None:
    """The cookie that comes back from another site is Lax, ends soon, and is no session."""
    await away.leave()
    cookie = next(each for each in away.set_cookies if each.startswith(AWAY))
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax", "Max-Age=600"} <= set(cookie.split("; "))
    away.cookie = away.away.partition("=")[2]
    assert (await away.get("/overview")).status == 303


@pytest.mark.parametrize("wrong", ["state", "nonce", "audience", "cookie", "issuer"])
async def test_another_attempt_signs_nobody_in(away: Away, wrong: str) -> None:
    """A code of another attempt, an ID token for another one, or a browser without the cookie signs nobody in."""
    await away.leave()
    if wrong == "cookie":
        away.away = f"{AWAY}=x"
    away.issuer.identity = {"nonce": {"nonce": "x"}, "audience": {"aud": "x"}, "issuer": {"iss": "x"}}.get(wrong, {})
    answer = await away.come_back(**({"state": "x"} if wrong == "state" else {}))
    assert answer.headers["location"] == "/console/sign-in?reason=openid"
    assert (await away.get("/overview")).status == 303


async def test_an_issuer_that_is_away_is_said(away: Away) -> None:
    """If the issuer does not answer, the form says that it did not sign anybody in."""
    away.scripted.vendor.otherwise = reply(500)
    answer = await away.get("/sign-in/openid")
    assert answer.headers["location"] == "/console/sign-in?reason=openid"
