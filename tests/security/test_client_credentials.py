"""Bearer tokens: fetched once, kept to their end, and never shown."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qs

import pytest
from pydantic import SecretStr

from gateway.domain.errors import JobgateError, VendorTimedOut, VendorUnreachable
from gateway.domain.model import Effect, HttpReply, HttpRequest
from gateway.resilience.pipeline import OutboundRequest, Pipeline
from gateway.resilience.policy import Policy
from gateway.security.credentials import EARLY_SECONDS, ClientCredentials
from gateway.security.redaction import REDACTED
from tests.support.clock import FakeClock
from tests.support.transport import FakeTransport, Line, reply
from tests.support.vendors import CLIENT_SECRET, TOKEN_URL, token

ANY = HttpRequest("GET", "https://vendor.test/", {})
SECONDS = 10.0


class TokenCredentials:
    """Credentials, and the token endpoint that they ask."""

    def __init__(self, *script: Line) -> None:
        """Have the endpoint follow a script."""
        self.clock = FakeClock()
        self.transport = FakeTransport(script)
        self.credentials = ClientCredentials(
            client_id="client-1",
            client_secret=SecretStr(CLIENT_SECRET),
            token_url=TOKEN_URL,
            scopes=("interaction-content:read", "other"),
            transport=self.transport,
            clock=self.clock,
        )

    async def bearer(self) -> str:
        """The header that a request gets now."""
        headers = await self.credentials.headers(ANY, self.clock.monotonic() + SECONDS)
        assert headers.keys() == {"Authorization"}
        return headers["Authorization"]

    async def failure(self) -> JobgateError:
        """Why there is no token."""
        with pytest.raises(JobgateError) as caught:
            await self.bearer()
        return caught.value


async def test_the_request_is_the_one_of_the_documents() -> None:
    """A form with grant, client, secret and scopes goes to the token endpoint, and nowhere else."""
    tokens = TokenCredentials(token("abc"))
    assert await tokens.bearer() == "Bearer abc"
    (sent,) = tokens.transport.requests
    assert (sent.method, sent.url) == ("POST", TOKEN_URL)
    assert sent.headers == {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
    assert parse_qs(sent.content.decode(), strict_parsing=True) == {
        "grant_type": ["client_credentials"],
        "client_id": ["client-1"],
        "client_secret": [CLIENT_SECRET],
        "scope": ["interaction-content:read other"],
    }
    assert tokens.transport.deadlines == [tokens.clock.monotonic() + SECONDS]


@pytest.mark.parametrize("seconds", [7_200, "7200", 900, 900.5, 61])
async def test_a_token_is_kept_until_shortly_before_its_end(seconds: Any) -> None:
    """A token is used until 30 seconds before the end that the vendor named."""
    tokens = TokenCredentials(token("first", seconds), token("second", seconds))
    assert await tokens.bearer() == "Bearer first"
    tokens.clock.advance(float(seconds) - EARLY_SECONDS)
    assert await tokens.bearer() == "Bearer first"
    tokens.clock.advance(0.001)
    assert await tokens.bearer() == "Bearer second"
    assert await tokens.bearer() == "Bearer second"
    assert len(tokens.transport.requests) == 2


@pytest.mark.parametrize("seconds", [60, 29, 1, 0.5])
async def test_a_short_life_is_used_by_half(seconds: float) -> None:
    """A token that ends soon serves all who come in the first half of its life, so that they do not fetch one each."""
    tokens = TokenCredentials(token("first", seconds), token("second", seconds))
    assert {*await asyncio.gather(*(tokens.bearer() for _ in range(20)))} == {"Bearer first"}
    tokens.clock.advance(seconds / 2)
    assert await tokens.bearer() == "Bearer first"
    tokens.clock.advance(seconds / 1_000)
    await passed()
    assert await tokens.bearer() == "Bearer second"
    assert len(tokens.transport.requests) == 2


async def test_many_requests_at_once_fetch_one_token() -> None:
    """Twenty requests that need a token at the same time make one request for it."""
    tokens = TokenCredentials(token("only"))
    headers = await asyncio.gather(*(tokens.bearer() for _ in range(20)))
    assert set(headers) == {"Bearer only"}
    assert len(tokens.transport.requests) == 1


async def passed() -> None:
    """What goes on in the background has its turns."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_token_is_renewed_while_it_serves() -> None:
    """In a token's last minute one request starts its renewal, and no request waits for it."""
    tokens = TokenCredentials(token("old", 600), token("new", 600))
    await tokens.bearer()
    tokens.clock.advance(539)
    assert await tokens.bearer() == "Bearer old"
    await passed()
    assert len(tokens.transport.requests) == 1
    tokens.clock.advance(1)
    assert {*await asyncio.gather(*(tokens.bearer() for _ in range(9)))} == {"Bearer old"}
    await passed()
    assert await tokens.bearer() == "Bearer new"
    assert len(tokens.transport.requests) == 2


async def test_a_renewal_that_fails_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """After a failed renewal the old token stays in use, and the renewal is tried again ten seconds later."""
    tokens = TokenCredentials(token("old", 600), reply(500), token("new", 600))
    await tokens.bearer()
    tokens.clock.advance(541)
    for _ in range(9):
        assert await tokens.bearer() == "Bearer old"
        await passed()
    assert len(tokens.transport.requests) == 2
    assert "could not be renewed early: vendor-error" in caplog.text
    tokens.clock.advance(10)
    await tokens.bearer()
    await passed()
    assert await tokens.bearer() == "Bearer new"


OLD = {"Authorization": "Bearer old"}


async def test_a_token_that_is_turned_away_is_not_used_again() -> None:
    """After `renew` the next request gets a new token, and those after it the same."""
    tokens = TokenCredentials(token("old"), token("new"))
    await tokens.bearer()
    assert tokens.credentials.renew(OLD) is True
    assert {await tokens.bearer() for _ in range(3)} == {"Bearer new"}


async def test_only_the_token_that_was_refused_is_forgotten() -> None:
    """A refusal that comes late, of a token already replaced, costs the newer token nothing."""
    tokens = TokenCredentials(token("old"), token("new"))
    await tokens.bearer()
    for _ in range(3):
        assert tokens.credentials.renew(OLD) is True
        assert await tokens.bearer() == "Bearer new"
    assert len(tokens.transport.requests) == 2


class SingleTokenVendor:
    """A vendor with its token endpoint: each new token ends the older ones."""

    def __init__(self) -> None:
        """No token is good."""
        self.granted = self.refused = 0

    async def send(self, request: HttpRequest, deadline: float) -> HttpReply:
        """Grant a token, or hold one against the newest, with replies in another order than the requests."""
        if request.url == TOKEN_URL:
            self.granted += 1
            granted = token(str(self.granted))
            await passed()
            return granted
        is_good = request.headers["Authorization"] == f"Bearer {self.granted}"
        self.refused += not is_good
        for _ in range(1 + self.refused % 17):
            await asyncio.sleep(0)
        return reply(200 if is_good else 401)


async def test_sixty_requests_survive_the_end_of_their_token() -> None:
    """All succeed after one fetch, although each new token ends the older ones."""
    tokens, vendor = TokenCredentials(), SingleTokenVendor()
    tokens.transport.send = vendor.send  # type: ignore[method-assign]
    await tokens.bearer()
    vendor.granted += 1  # the vendor revokes the token
    pipeline = Pipeline(tokens.clock, vendor, Policy())
    outbound = OutboundRequest(ANY, Effect.ONCE, tokens.clock.monotonic() + SECONDS, tokens.credentials)
    carried = await asyncio.gather(*(pipeline.send(outbound) for _ in range(60)))
    assert [each.reply.status for each in carried] == [200] * 60
    assert (vendor.refused, vendor.granted) == (60, 3)


async def test_a_renewal_before_the_end_does_not_follow_another() -> None:
    """A token refused while its early renewal waits is fetched once: a second fetch would end the first's token."""
    tokens = TokenCredentials(token("old", 600), token("new", 600))
    await tokens.bearer()
    tokens.clock.advance(541)
    assert await tokens.bearer() == "Bearer old"
    tokens.credentials.renew(OLD)
    assert {*await asyncio.gather(*(tokens.bearer() for _ in range(9)))} == {"Bearer new"}
    await passed()
    assert len(tokens.transport.requests) == 2


async def test_those_who_wait_for_a_token_share_its_refusal() -> None:
    """Twenty requests at once ask a token endpoint once that refuses; a later one asks anew."""
    tokens = TokenCredentials(reply(401, {"error": "invalid_client"}), token("abc"))
    failures = await asyncio.gather(*(tokens.failure() for _ in range(20)))
    assert {each.code for each in failures} == {"vendor-denied-access"}
    assert len(tokens.transport.requests) == 1
    assert await tokens.bearer() == "Bearer abc"


async def test_a_request_short_of_time_fails_nobody_else() -> None:
    """A request that runs out of time while it fetches a token does not fail the others."""
    tokens = TokenCredentials(VendorTimedOut("its own deadline"), token("abc"))
    first, second = await asyncio.gather(tokens.failure(), tokens.bearer(), return_exceptions=True)
    assert isinstance(first, VendorTimedOut)
    assert second == "Bearer abc"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        pytest.param(reply(400, {"error": "invalid_scope"}), "vendor-denied-access", id="400"),
        pytest.param(reply(401, {"error": "invalid_client"}), "vendor-denied-access", id="401"),
        pytest.param(reply(403), "vendor-denied-access", id="403"),
        pytest.param(reply(404), "vendor-denied-access", id="404"),
        pytest.param(reply(429), "vendor-throttled", id="429"),
        pytest.param(reply(500), "vendor-error", id="500"),
        pytest.param(reply(503), "vendor-unavailable", id="503"),
        pytest.param(reply(302), "vendor-reply-not-understood", id="302"),
        pytest.param(reply(204), "vendor-reply-not-understood", id="204"),
        pytest.param(VendorUnreachable("refused"), "vendor-unreachable", id="refused"),
        pytest.param(VendorTimedOut("silence"), "vendor-timed-out", id="silence"),
    ],
)
async def test_a_failure_says_whose_it_is(answer: Line, code: str) -> None:
    """4xx is about the credentials, 5xx and silence about the vendor; and a later request may succeed."""
    tokens = TokenCredentials(answer, token("abc"))
    assert (await tokens.failure()).code == code
    assert await tokens.bearer() == "Bearer abc"


GOOD: dict[str, Any] = {"access_token": "abc", "expires_in": 7_200}
NO_TOKENS: list[Any] = [None, "", 7, ["abc"], {}, "a b", "a\r\nX: 1", "\u00e9", "\0"]
NO_ENDS: list[Any] = [None, 0, -1, "-5", "", "soon", "1e999", "nan", [], {}, True, float("nan"), float("inf"), 10**400]


def str_of(value: Any) -> str:
    """The name of a case, of a length that can be shown."""
    return str(value)[:64]


@pytest.mark.parametrize(
    "body",
    [
        None,
        b"<html>",
        b"{",
        b"[" * 100_000,
        [],
        "abc",
        {},
        {"expires_in": 7_200},
        *(GOOD | {"access_token": value} for value in NO_TOKENS),
        *(GOOD | {"token_type": value} for value in ("mac", 7, ["bearer"])),
        b'{"access_token": "abc", "expires_in": ' + b"9" * 5_000 + b"}",
    ],
    ids=str_of,
)
async def test_a_reply_without_a_usable_token_is_not_understood(body: Any) -> None:
    """What is no bearer token, or could not stand in a header, is not taken for a token."""
    tokens = TokenCredentials(reply(200, body))
    assert (await tokens.failure()).code == "vendor-reply-not-understood"


@pytest.mark.parametrize(
    "body",
    [
        {"access_token": "abc"},
        *({"access_token": "abc", "expires_in": value} for value in NO_ENDS),
        b'{"access_token": "abc", "expires_in": 1e999}',
    ],
    ids=str_of,
)
async def test_a_token_whose_end_is_not_told_is_used_for_five_minutes(body: Any) -> None:
    """RFC 6749 only recommends `expires_in`; without it, or where it is no number, the token has a usual life."""
    tokens = TokenCredentials(reply(200, body), token("second"))
    assert await tokens.bearer() == "Bearer abc"
    tokens.clock.advance(300 - EARLY_SECONDS)
    assert await tokens.bearer() == "Bearer abc"
    tokens.clock.advance(0.001)
    assert await tokens.bearer() == "Bearer second"


@pytest.mark.parametrize("kind", ["Bearer", "bearer", "BEARER"])
async def test_the_type_of_a_token_is_the_same_in_any_case(kind: str) -> None:
    """The type has no case (RFC 6749, 5.1), and goes out as RFC 6750 writes it."""
    tokens = TokenCredentials(reply(200, GOOD | {"token_type": kind}))
    assert await tokens.bearer() == "Bearer abc"


async def test_nobody_waits_longer_than_its_own_deadline() -> None:
    """A request whose deadline comes first does not wait for another's that is still fetching the token."""
    tokens = TokenCredentials()
    arrived = asyncio.Event()

    async def never(request: HttpRequest, deadline: float) -> HttpReply:
        arrived.set()
        await asyncio.Event().wait()
        raise AssertionError(request, deadline)

    tokens.transport.send = never  # type: ignore[method-assign]
    first = asyncio.ensure_future(tokens.credentials.headers(ANY, tokens.clock.monotonic() + 60))
    await arrived.wait()
    with pytest.raises(VendorTimedOut):
        await tokens.credentials.headers(ANY, tokens.clock.monotonic() + 0.05)
    first.cancel()


async def test_a_request_that_is_given_up_does_not_block_the_others() -> None:
    """If the request that fetches the token is cancelled, the next one fetches it."""
    tokens = TokenCredentials(token("first"), token("second"))
    first = asyncio.ensure_future(tokens.bearer())
    await asyncio.sleep(0)
    first.cancel()
    assert await asyncio.wait_for(tokens.bearer(), 1.0) in {"Bearer first", "Bearer second"}


def test_a_dry_run_asks_nobody_and_shows_nothing() -> None:
    """Redacted credentials need no token and contain none."""
    tokens = TokenCredentials()
    assert tokens.credentials.redacted(ANY) == {"Authorization": f"Bearer {REDACTED}"}
    assert tokens.transport.requests == []


async def test_neither_secret_nor_token_is_shown() -> None:
    """No representation of the credentials, of their token, or of an error of theirs holds a secret."""
    tokens = TokenCredentials(token("secret-token"), reply(401, {"error": CLIENT_SECRET}))
    await tokens.bearer()
    shown = repr(tokens.credentials) + str(vars(tokens.credentials))
    tokens.credentials.renew({"Authorization": "Bearer secret-token"})
    problem = await tokens.failure()
    shown += repr(problem) + str(problem) + repr(problem.explanation)
    assert "secret-token" not in shown
    assert CLIENT_SECRET not in shown
