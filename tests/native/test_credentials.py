"""Callers' credentials in their own form: signatures as Azure has them, tokens as Vonage grants them."""

from __future__ import annotations

import base64
import dataclasses
import hmac
import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, quote_plus, urlencode

import jwt
import pytest
from msgspec.structs import replace
from pydantic import SecretStr

from adapters.azure_job_router import sign
from gateway.app import Catalogue, Gateway
from gateway.domain.access import Caller
from gateway.domain.model import HttpRequest
from gateway.ledger.memory import MemoryLedger
from gateway.security.access_tokens import LIFE_SECONDS, signing_key
from gateway.security.keys import ApiKey, is_access_secret, issued, new_access_secret
from gateway.settings.settings import CallerSettings
from tests.native.fixtures import ACCEPT, AZURE, VERSION, VONAGE, VendorClients, job_path
from tests.support.asgi import Answer, call
from tests.support.clock import FakeClock
from tests.support.transport import FakeTransport
from tests.support.vendors import AZURE_JOB, VONAGE_JOB, obedient, settings

ROOT = "http://gateway.test"
SCOPES = {
    "desk": frozenset({"jobs:*", "connections:*"}),
    "reader": frozenset({"jobs:read", "connections:*"}),
    "canceller": frozenset({"jobs:cancel", "connections:*"}),
    "stranger": frozenset({"jobs:*", "connections:none"}),
}


class CredentialClients(VendorClients):
    """A gateway with callers that have access keys."""

    def __init__(self, catalogue: Catalogue, **others: Any) -> None:
        """Issue a key to each of them."""
        self.clock = FakeClock()
        transport = FakeTransport(otherwise=obedient)
        super().__init__(
            Gateway(settings(**others), catalogue, clock=self.clock, transport=transport, ledger=MemoryLedger()),
            transport,
        )
        now = self.clock.now()
        made = {name: issued(Caller(name, scopes), now, None, with_access_key=True) for name, scopes in SCOPES.items()}
        self.keys = {name: each.key for name, each in made.items()}
        self.texts = {name: each.text for name, each in made.items()}
        self.replace()

    def replace(self, **changed: Any) -> None:
        """Have these keys, with something of them changed."""
        self.gateway.keyring.replace(dataclasses.replace(key, **changed) for key in self.keys.values())

    def secret(self, name: str) -> str:
        """The access key of a caller."""
        return str(self.keys[name].access_secret)

    async def signed(self, who: str, method: str = "GET", path: str = "", **how: Any) -> Answer:
        """Ask with a signature."""
        return await self.sent(self.signature(who, method, path, **how))

    def signature(
        self,
        who: str,
        method: str,
        path: str,
        *,
        content: bytes = b"",
        connection: str = "contoso-prod",
        secret: str = "",
    ) -> HttpRequest:
        """A request with a signature."""
        url = f"{ROOT}/native/{AZURE}/{connection}{path or job_path(AZURE_JOB)}?{VERSION}"
        request = HttpRequest(method, url, {}, content)
        return replace(request, headers=dict(sign(request, secret or self.secret(who), self.clock.now())))

    async def sent(self, request: HttpRequest) -> Answer:
        """Send a request as it is."""
        body = json.loads(request.content) if request.content else None
        headers = [(name.lower(), value) for name, value in request.headers.items()]
        return await call(
            self.gateway.application, request.method, request.url.removeprefix(ROOT), body, headers, key=None
        )

    async def token(
        self, form: Mapping[str, str], headers: Iterable[tuple[str, str]] = (), vendor: str = VONAGE
    ) -> Answer:
        """Ask for a token."""
        path = {VONAGE: "/Auth/connect/token", AZURE: "/common/oauth2/token"}[vendor]
        return await posted(self.gateway, f"/native/{vendor}{path}", urlencode(form).encode(), headers)

    def form(self, who: str, **changed: str) -> dict[str, str]:
        """The form of a client that asks for a token."""
        usual = {
            "grant_type": "client_credentials",
            "client_id": self.keys[who].id,
            "client_secret": self.secret(who),
            "scope": "interaction-content:read",
        }
        return {name: value for name, value in {**usual, **changed}.items() if value}

    async def granted(self, who: str) -> str:
        """A token."""
        answer = await self.token(self.form(who))
        assert answer.status == 200, answer.body
        return str(answer.json["access_token"])


async def posted(gateway: Gateway, path: str, content: bytes, headers: Iterable[tuple[str, str]] = ()) -> Answer:
    """Post a form."""
    kind = [] if any(name == "content-type" for name, _ in headers) else [("content-type", FORM)]
    return await call(gateway.application, "POST", path, content, [*kind, *headers], key=None)


FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def clients(catalogue: Catalogue) -> CredentialClients:
    """A gateway with callers."""
    return CredentialClients(catalogue)


# Signatures


async def test_a_signature_lets_its_maker_in(clients: CredentialClients) -> None:
    """A valid signature authenticates reads and actions, with a body and without, and the record names the caller."""
    assert (await clients.signed("desk")).status == 200
    assert (await clients.signed("desk", "POST", job_path(AZURE_JOB, ":cancel"))).status == 200
    body = b'{"note": "Why"}'
    answer = await clients.signed("desk", "POST", job_path(AZURE_JOB, ":cancel"), content=body)
    assert answer.status == 200
    record = await clients.gateway.ledger.get(answer.headers["jobgate-job-action"], "desk")
    assert record is not None


async def test_a_signature_with_the_whole_endpoint_as_host_is_good_too(clients: CredentialClients) -> None:
    """Microsoft's SDK for Python signs the endpoint of its connection string as the host, with the path in it."""
    request = clients.signature("desk", "GET", "")
    endpoint = f"{ROOT}/native/{AZURE}/contoso-prod"
    text = "\n".join(["GET", request.url.removeprefix(ROOT), ""])
    digest, date = request.headers["x-ms-content-sha256"], request.headers["x-ms-date"]
    text += f"{date};{endpoint.removeprefix('http://')};{digest}"
    signed = base64.b64encode(hmac_of(clients.secret("desk"), text)).decode()
    assert (await clients.sent(with_signature(request, signed))).status == 200
    for host in ("gateway.test/native", "other.test", f"gateway.test/native/{AZURE}/contoso-test"):
        text = "\n".join(["GET", request.url.removeprefix(ROOT), f"{date};{host};{digest}"])
        signed = base64.b64encode(hmac_of(clients.secret("desk"), text)).decode()
        assert (await clients.sent(with_signature(request, signed))).status == 401


def hmac_of(secret: str, text: str) -> bytes:
    """HMAC-SHA256 with a secret in Base64."""
    return hmac.digest(base64.b64decode(secret), text.encode(), "sha256")


def with_signature(request: HttpRequest, signature: str) -> HttpRequest:
    """The request with another signature."""
    text = f"HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature={signature}"
    return replace(request, headers={**request.headers, "Authorization": text})


@pytest.mark.parametrize(("late", "status"), [(299, 200), (-299, 200), (301, 401), (-301, 401), (86_400, 401)])
async def test_a_signature_is_good_for_minutes(clients: CredentialClients, late: int, status: int) -> None:
    """A signature is valid for five minutes before and after its date, as at Azure."""
    request = clients.signature("desk", "GET", "")
    clients.clock.jump(timedelta(seconds=late))
    answer = await clients.sent(request)
    assert answer.status == status
    if status == 401:
        assert "x-ms-date" in answer.json["error"]["message"]


TAMPERED: dict[str, Any] = {
    "job": lambda request: replace(request, url=request.url.replace(AZURE_JOB, VONAGE_JOB)),
    "connection": lambda request: replace(request, url=request.url.replace("contoso-prod", "contoso-test")),
    "query": lambda request: replace(request, url=f"{request.url}&x=1"),
    "body": lambda request: replace(request, content=b'{"note": "Other"}'),
    "no body": lambda request: replace(request, content=b""),
    "content hash": lambda request: with_header(
        request, "x-ms-content-sha256", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    ),
    "no content hash": lambda request: with_header(request, "x-ms-content-sha256", None),
    "date": lambda request: with_header(request, "x-ms-date", "Mon, 05 Jan 2026 10:00:01 GMT"),
    "no date": lambda request: with_header(request, "x-ms-date", None),
    "signed headers": lambda request: with_header(
        request, "Authorization", request.headers["Authorization"].replace("x-ms-date;host;", "x-ms-date;")
    ),
    "signature": lambda request: with_header(
        request, "Authorization", request.headers["Authorization"].replace("&Signature=", "&Signature=A")
    ),
    "no signature": lambda request: with_header(request, "Authorization", "HMAC-SHA256 "),
}


def with_header(request: HttpRequest, name: str, value: str | None) -> HttpRequest:
    """The request with another header field, or without one."""
    changed = {**request.headers, name: value}
    return replace(request, headers={name: each for name, each in changed.items() if each is not None})


@pytest.mark.parametrize("tamper", list(TAMPERED.values()), ids=list(TAMPERED))
async def test_whatever_is_changed_is_refused(clients: CredentialClients, tamper: Any) -> None:
    """A changed request is refused in both of Azure's error shapes, and no vendor is called."""
    good = clients.signature("desk", "POST", job_path(AZURE_JOB, ":cancel"), content=b'{"note": "Why"}')
    answer = await clients.sent(tamper(good))
    assert (answer.status, answer.json["error"]["code"], answer.headers["x-ms-error-code"]) == (401, "Denied", "Denied")
    assert answer.json["error"] == answer.json["communicationError"]
    assert clients.transport.requests == []


async def test_a_content_hash_that_differs_is_told(clients: CredentialClients) -> None:
    """A wrong content hash is refused in the words of the live service (azure-rest-api-specs, issue 11767)."""
    good = clients.signature("desk", "POST", job_path(AZURE_JOB, ":cancel"), content=b'{"note": "Why"}')
    answer = await clients.sent(replace(good, content=b"{}"))
    assert answer.json["error"]["message"] == "Request 'x-ms-content-sha256' differs from generated content hash."


async def test_a_wrong_key_is_refused(clients: CredentialClients) -> None:
    """A key that was never issued signs nothing; neither do a key that is revoked and one that has ended."""
    wrong = base64.b64encode(b"x" * 32).decode()
    assert (
        (await clients.signed("desk", secret=wrong))
        .json["error"]["message"]
        .startswith("No access key of this gateway has signed the request.")
    )
    for change in ({"revoked_at": clients.clock.now()}, {"expires_at": clients.clock.now()}, {"access_secret": None}):
        clients.replace(**change)
        assert (await clients.signed("desk")).status == 401


async def test_without_any_access_key_it_is_said_how_to_make_one(catalogue: Catalogue) -> None:
    """A gateway without any access key answers how to make one."""
    clients = CredentialClients(catalogue)
    request = clients.signature("desk", "GET", "")
    clients.gateway.keyring.replace([])
    assert "--access-key" in (await clients.sent(request)).json["error"]["message"]


async def test_a_key_that_signs_is_in_use(clients: CredentialClients) -> None:
    """`jobgate keys list` tells when a key was used last, whatever it was used for: a signature or a token."""
    await clients.signed("desk")
    assert set(clients.gateway.keyring.take_used()) == {clients.keys["desk"].id}
    await clients.granted("reader")
    assert set(clients.gateway.keyring.take_used()) == {clients.keys["reader"].id}


async def test_keys_of_the_settings_sign_too(catalogue: Catalogue) -> None:
    """An access key can stand in the settings, for a caller with a name, or for the one with `api_key`."""
    secret, other = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
    callers = {
        "desk": CallerSettings(
            key=SecretStr("desk-key"), scopes=("jobs:read", "connections:*"), access_key=SecretStr(secret)
        )
    }
    clients = CredentialClients(catalogue, callers=callers, access_key=SecretStr(other))
    clients.gateway.keyring.replace([])
    assert (await clients.signed("desk", secret=secret)).status == 200
    assert (await clients.signed("desk", "POST", job_path(AZURE_JOB, ":cancel"), secret=secret)).status == 403
    assert (await clients.signed("desk", "POST", job_path(AZURE_JOB, ":cancel"), secret=other)).status == 200
    form = clients.form("desk", client_id="desk", client_secret=secret)
    assert (await clients.token(form)).status == 200
    assert (await clients.token(form | {"client_id": "default"})).status == 401


@pytest.mark.parametrize("text", ["", "short", "not base64!" * 4, base64.b64encode(b"x" * 15).decode()])
def test_a_poor_access_key_of_the_settings_is_refused(text: str) -> None:
    """An empty or too short access key in the settings is refused."""
    with pytest.raises(ValueError, match="Base64" if text else "is empty"):
        settings(access_key=SecretStr(text))


# Tokens


async def test_a_token_is_granted_as_vonage_does(clients: CredentialClients) -> None:
    """A token is granted for the form of Vonage's page, with its members, and the answer must not be cached."""
    answer = await clients.token(clients.form("desk"))
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json
    assert (body["token_type"], body["expires_in"]) == ("Bearer", LIFE_SECONDS)
    done = await clients.vonage("POST", f"/interactions/jobs/{VONAGE_JOB}/pause", key=body["access_token"])
    assert done.status == 204
    record = await clients.gateway.ledger.get(done.headers["jobgate-job-action"], "desk")
    assert record is not None


async def test_the_client_may_say_who_it_is_by_http_basic(clients: CredentialClients) -> None:
    """A client may use HTTP Basic, each part form-encoded (RFC 6749, 2.3.1), as in Vonage's older samples."""
    pair = f"{quote_plus(clients.keys['desk'].id)}:{quote_plus(clients.secret('desk'))}"
    header = ("authorization", f"Basic {base64.b64encode(pair.encode()).decode()}")
    form = clients.form("desk", client_id="", client_secret="")
    assert (await clients.token(form, [header])).status == 200
    both = await clients.token(clients.form("desk"), [header])
    assert (both.status, both.json["error"]) == (400, "invalid_request")
    for broken in ("Basic", "Basic !", "Basic bm90aGluZw=="):
        answer = await clients.token(form, [("authorization", broken)])
        assert (answer.status, answer.json["error"], answer.headers["www-authenticate"]) == (
            401,
            "invalid_client",
            'Basic realm="jobgate"',
        )


def test_a_secret_of_ours_is_the_same_in_a_form_that_is_not_encoded() -> None:
    """Clients that put the secret into a form or into HTTP Basic as it is, such as `curl --user`, are understood."""
    for _ in range(200):
        secret = new_access_secret()
        assert is_access_secret(secret)
        assert parse_qs(f"client_secret={secret}")["client_secret"] == [secret]


WRONG: dict[str, tuple[dict[str, str], int, str]] = {
    "secret": ({"client_secret": "wrong"}, 401, "invalid_client"),
    "no secret": ({"client_secret": ""}, 401, "invalid_client"),
    "client": ({"client_id": "nobody"}, 401, "invalid_client"),
    "no client": ({"client_id": ""}, 401, "invalid_client"),
    "grant": ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    "no grant": ({"grant_type": ""}, 400, "invalid_request"),
    "scope": ({"scope": "everything"}, 400, "invalid_scope"),
    "no scope": ({"scope": ""}, 400, "invalid_scope"),
    "empty scope": ({"scope": " "}, 400, "invalid_scope"),
}


@pytest.mark.parametrize(("changed", "status", "code"), WRONG.values(), ids=WRONG.keys())
async def test_no_other_client_gets_a_token(
    clients: CredentialClients, changed: dict[str, str], status: int, code: str
) -> None:
    """An unknown client gets no token, but an error of RFC 6749, 5.2."""
    answer = await clients.token(clients.form("desk", **changed))
    assert (answer.status, answer.json["error"], answer.headers["content-type"]) == (status, code, "application/json")
    assert answer.headers["cache-control"] == "no-store"


BODIES: dict[str, tuple[bytes, tuple[tuple[str, str], ...], int]] = {
    "no form": (b"{}", (("content-type", "application/json"),), 415),
    "twice": (b"grant_type=client_credentials&grant_type=client_credentials&scope=interaction-content:read", (), 400),
    "no UTF-8": (b"grant_type=%ff", (), 400),
    "no ASCII": ("grant_type=é".encode(), (), 400),
    "too large": (b"x=" + b"y" * 70_000, (), 413),
    "nothing": (b"", (), 400),
}


@pytest.mark.parametrize(("content", "headers", "status"), BODIES.values(), ids=BODIES.keys())
async def test_what_is_no_such_form_is_refused(
    clients: CredentialClients, content: bytes, headers: tuple[tuple[str, str], ...], status: int
) -> None:
    """A request for a token in another form is refused with an OAuth error."""
    answer = await posted(clients.gateway, f"/native/{VONAGE}/Auth/connect/token", content, headers)
    assert (answer.status, answer.json["error"]) == (status, "invalid_request")


async def test_a_token_ends(clients: CredentialClients) -> None:
    """A token ends after its lifetime, and with the key that it was granted to."""
    path = f"/interactions/jobs/{VONAGE_JOB}/pause"
    token = await clients.granted("desk")
    clients.clock.advance(LIFE_SECONDS - 1)
    assert (await clients.vonage("POST", path, key=token)).status == 204
    clients.clock.advance(2)
    assert (await clients.vonage("POST", path, key=token)).status == 401
    token = await clients.granted("desk")
    clients.replace(revoked_at=clients.clock.now())
    assert (await clients.vonage("POST", path, key=token)).status == 401


async def test_no_other_token_is_good(clients: CredentialClients) -> None:
    """A token that is unsigned, changed, or signed with another key or for another issuer is refused."""
    token = await clients.granted("desk")
    key = clients.keys["desk"].access_key
    assert key is not None
    ends = clients.clock.now() + timedelta(hours=1)
    claims = {"iss": "jobgate", "sub": key.id, "exp": ends}
    head, body, signature = token.split(".")
    other = (
        base64.urlsafe_b64encode(json.dumps({"iss": "jobgate", "sub": "x", "exp": 9e12}).encode()).decode().rstrip("=")
    )
    forged = [
        jwt.encode(claims, b"x" * 32, "HS256", {"kid": key.id}),
        jwt.encode(claims, base64.b64decode(key.secret), "HS256", {"kid": key.id}),
        jwt.encode(claims | {"iss": "other"}, signing_key(key), "HS256", {"kid": key.id}),
        jwt.encode({"iss": "jobgate", "sub": key.id}, signing_key(key), "HS256", {"kid": key.id}),
        jwt.encode(claims, signing_key(key), "HS256"),
        jwt.encode(claims, signing_key(key) * 2, "HS512", {"kid": key.id}),
        jwt.encode(claims, "", "none", {"kid": key.id}),
        f"{head}.{other}.{signature}",
        f"{head}.{body}.",
    ]
    for each in forged:
        assert (await clients.vonage("GET", "/interactions/jobs", key=each)).status == 401
    good = jwt.encode(claims, signing_key(key), "HS256", {"kid": key.id})
    assert (await clients.vonage("GET", "/interactions/jobs", key=good)).status == 200


NO_ENDS: list[Any] = ["x", "4000000000", 10**400, float("inf"), float("nan"), -1, 9e12, 253_402_300_800, True, [], {}]
"""What is no time at which a token can end."""


@pytest.mark.parametrize("ends", NO_ENDS, ids=lambda value: str(value)[:16])
async def test_a_token_that_ends_at_no_time_is_refused(clients: CredentialClients, ends: Any) -> None:
    """A token whose `exp` is no valid time is refused, even if the gateway's own key signed it."""
    key = clients.keys["desk"].access_key
    assert key is not None
    token = jwt.encode({"iss": "jobgate", "sub": key.id, "exp": ends}, signing_key(key), "HS256", {"kid": key.id})
    assert (await clients.vonage("GET", "/interactions/jobs", key=token)).status == 401
    assert (await call(clients.gateway.application, "GET", "/v1/connections", key=token)).status == 401


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "ended": ({"exp": 1_700_000_000}, "it has expired"),
    "no end": ({"exp": None}, "a required claim is missing"),
    "an end that is no time": ({"exp": "x"}, "its exp is not a valid time"),
    "another issuer": ({"iss": "other"}, "it is from another issuer"),
}


@pytest.mark.parametrize(("changed", "rule"), REFUSED.values(), ids=REFUSED.keys())
async def test_the_log_says_why_a_token_is_refused(
    clients: CredentialClients, caplog: pytest.LogCaptureFixture, changed: dict[str, Any], rule: str
) -> None:
    """The log names the rule that a refused token breaks, without the token; the caller learns no reason."""
    key = clients.keys["desk"].access_key
    assert key is not None
    claims = {"iss": "jobgate", "sub": key.id, "exp": 4_000_000_000, **changed}
    token = jwt.encode({k: v for k, v in claims.items() if v}, signing_key(key), "HS256", {"kid": key.id})
    answer = await call(clients.gateway.application, "GET", "/v1/connections", key=token)
    assert (answer.status, rule in str(answer.json)) == (401, False)
    assert [each.message for each in caplog.records] == [f"a token is refused: as a token of this gateway, {rule}"]
    assert not any(part in caplog.text for part in token.split("."))


async def test_the_log_says_why_a_key_or_a_signature_is_refused(
    clients: CredentialClients, caplog: pytest.LogCaptureFixture
) -> None:
    """The log tells unknown, ended and revoked keys and unknown signers apart, without the credential."""
    text, key = clients.texts["desk"], clients.keys["desk"]
    unsigned = replace(clients.signature("desk", "GET", ""), headers={"authorization": "HMAC-SHA256 x"})
    expected = []
    for changed, reason in (
        ({"expires_at": clients.clock.now()}, f"the API key {key.id} has expired"),
        ({"revoked_at": clients.clock.now()}, f"the API key {key.id} is revoked"),
    ):
        clients.replace(**changed)
        assert (await call(clients.gateway.application, "GET", "/v1/connections", key=text)).status == 401
        expected.append(f"a credential is refused: {reason}")
    for credential, reason in (
        (f"{text[:-4]}AAAA", "the key store has no such API key"),
        ("hunter2", "it is neither a key of the settings, nor a token, nor of the form of a key of the key store"),
    ):
        assert (await call(clients.gateway.application, "GET", "/v1/connections", key=credential)).status == 401
        expected.append(f"a credential is refused: {reason}")
    clients.replace()
    assert (await clients.signed("desk", secret=new_access_secret())).status == 401
    expected.append("a signed request is refused: no access key of this gateway has signed it")
    assert (await clients.sent(unsigned)).status == 401
    expected.append(
        "a signed request is refused: The request has no x-ms-date header, or one too far from the current time."
    )
    assert [each.message for each in caplog.records] == expected
    assert text.removeprefix("jobgate_")[:-4] not in caplog.text
    assert "hunter2" not in caplog.text


async def test_a_token_is_good_on_every_surface(clients: CredentialClients) -> None:
    """A token works on every surface, with the scopes of its caller."""
    token = await clients.granted("reader")
    assert (await clients.azure("GET", job_path(AZURE_JOB), key=token)).status == 200
    unified = await call(clients.gateway.application, "GET", "/v1/connections", key=token)
    assert unified.status == 200
    cancel = f"/v1/connections/contoso-prod/jobs/{AZURE_JOB}/cancel"
    assert (await call(clients.gateway.application, "POST", cancel, key=token)).status == 403


async def test_azure_has_a_token_endpoint_too(clients: CredentialClients) -> None:
    """The gateway has a token endpoint for Azure's clients too, because Azure's document names one."""
    scope = "https://communication.azure.com/.default"
    answer = await clients.token(clients.form("desk", scope=scope), vendor=AZURE)
    assert answer.status == 200
    assert (await clients.azure("GET", job_path(AZURE_JOB), key=answer.json["access_token"])).status == 200


# What callers may do


@pytest.mark.parametrize("form", ["signature", "token", "key"])
async def test_scopes_hold_as_on_the_unified_api(clients: CredentialClients, form: str) -> None:
    """With every kind of credential, an action needs its own scope, and a read needs the read scope."""
    expected = {
        "desk": (200, 200, 200, 204, 200),
        "reader": (200, 200, 403, 403, 200),
        "canceller": (403, 403, 200, 403, 403),
        "stranger": (404,) * 5,
    }
    for who, statuses in expected.items():
        if form == "signature":
            read = await clients.signed(who)
            jobs = await clients.signed(who, path="/routing/jobs")
            cancel = await clients.signed(who, "POST", job_path(AZURE_JOB, ":cancel"))
        else:
            key = clients.texts[who] if form == "key" else await clients.granted(who)
            read = await clients.azure("GET", job_path(AZURE_JOB), key=key)
            jobs = await clients.azure("GET", "/routing/jobs", key=key)
            cancel = await clients.azure("POST", job_path(AZURE_JOB, ":cancel"), key=key)
        key = clients.texts[who]
        pause = await clients.vonage("POST", f"/interactions/jobs/{VONAGE_JOB}/pause", key=key)
        exports = await clients.vonage("GET", "/interactions/jobs", key=key)
        answers = (read, jobs, cancel, pause, exports)
        assert tuple(each.status for each in answers) == statuses, who


async def test_refusals_of_access_are_in_the_vendors_words(clients: CredentialClients) -> None:
    """Refusals of access have each vendor's error shape and name the missing scope."""
    forbidden = await clients.azure("POST", job_path(AZURE_JOB, ":cancel"), key=clients.texts["reader"])
    assert forbidden.json["error"]["code"] == "Forbidden"
    assert "jobs:cancel" in forbidden.json["error"]["message"]
    forbidden = await clients.vonage("POST", f"/interactions/jobs/{VONAGE_JOB}/pause", key=clients.texts["reader"])
    assert (forbidden.status, "jobs:pause" in forbidden.json["message"]) == (403, True)


async def test_a_connection_of_others_is_not_there(clients: CredentialClients) -> None:
    """A connection that the caller may not use is answered exactly like one that does not exist."""
    others = await clients.azure("GET", job_path(AZURE_JOB), key=clients.texts["stranger"])
    nobodys = await clients.azure("GET", job_path(AZURE_JOB), key=clients.texts["desk"], connection="nowhere")
    assert (others.status, others.body) == (nobodys.status, nobodys.body)
    signed = await clients.signed("stranger")
    assert (signed.status, signed.body) == (others.status, others.body)


@pytest.mark.parametrize(
    "header", [None, "Bearer", "Bearer ", "Bearer wrong", "Basic eA==", "Bearer a.b.c", "HMAC-SHA256"]
)
async def test_nobody_gets_in(clients: CredentialClients, header: str | None) -> None:
    """Without valid credentials, no operation does anything."""
    for vendor, path, accept in (
        (AZURE, f"{job_path(AZURE_JOB)}?{VERSION}", ()),
        (VONAGE, "/interactions/jobs", (ACCEPT,)),
    ):
        headers = [*accept, *([("authorization", header)] if header else [])]
        connection = "contoso-prod" if vendor == AZURE else "vonage-emea"
        answer = await call(
            clients.gateway.application, "GET", f"/native/{vendor}/{connection}{path}", None, headers, key=None
        )
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "Bearer"
    assert clients.transport.requests == []


async def test_a_caller_that_asks_too_often_waits(catalogue: Catalogue) -> None:
    """A caller beyond its rate is refused in the vendor's own words with Retry-After, by key or by signature."""
    clients = CredentialClients(catalogue, rate_limit={"requests": 2, "seconds": 10})
    for _ in range(2):
        assert (await clients.signed("desk")).status == 200
    answer = await clients.signed("desk")
    assert (answer.status, answer.json["error"]["code"]) == (429, "ThrottleLimitExceededException")
    assert int(answer.headers["retry-after"]) >= 1
    assert (await clients.azure("GET", job_path(AZURE_JOB), key=clients.texts["reader"])).status == 200


def test_nothing_shows_an_access_key(clients: CredentialClients) -> None:
    """Keys, keyring and settings show no access key."""
    secret = clients.secret("desk")
    key: ApiKey = clients.keys["desk"]
    assert secret not in f"{key!r} {key.access_key!r} {clients.gateway.keyring!r} {clients.gateway.settings!r}"
