"""The gateway's address behind proxies: the fields of trusted proxies count, those of all others do not."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from pydantic import ValidationError

from adapters.azure_job_router import sign
from gateway.app import Catalogue, Gateway
from gateway.domain.access import Caller
from gateway.domain.model import HttpRequest
from gateway.edge.response_validation import ResponseValidation
from gateway.ledger.memory import MemoryLedger
from gateway.security.keys import issued
from gateway.settings.settings import ServerSettings
from tests.native.fixtures import AZURE, VERSION
from tests.support.asgi import Answer, call
from tests.support.clock import FakeClock
from tests.support.edge import CANCEL, JOB
from tests.support.transport import FakeTransport, reply
from tests.support.vendors import AZURE_JOB, azure_job, obedient, settings

FOR, HOST, PROTO, PREFIX = "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-prefix"
TOLD = {FOR: "198.51.100.7", HOST: "public.example", PROTO: "https", PREFIX: "/jobgate"}
PUBLIC = "https://public.example/jobgate"
UNCHANGED = "http://gateway.test"
LISTED = "/v1/connections/contoso-prod/jobs?limit=1"
NATIVE_LIST = f"/native/{AZURE}/contoso-prod/routing/jobs?{VERSION}&maxpagesize=1"


def listing(request: HttpRequest) -> Any:
    """A vendor whose lists have another page."""
    if "/routing/jobs?" in request.url:
        return reply(200, {"value": [azure_job("queued")], "nextLink": f"{request.url}&skipToken=2"})
    return obedient(request)


class ProxiedGateway:
    """A gateway behind the proxies of `proxies`; its requests come from 127.0.0.1."""

    def __init__(self, catalogue: Catalogue, proxies: tuple[str, ...] = ("127.0.0.0/8",), **server: Any) -> None:
        """Serve with these settings."""
        self.clock, self.ledger = FakeClock(), MemoryLedger()
        served = ServerSettings(
            **{"trusted_hosts": ("gateway.test", "public.example."), **server},
            trusted_proxies=proxies,
            response_validation=ResponseValidation.REFUSE,
        )
        self.gateway = Gateway(
            settings().model_copy(update={"server": served}),
            catalogue,
            clock=self.clock,
            transport=FakeTransport(otherwise=listing),
            ledger=self.ledger,
        )

    async def ask(self, method: str, target: str, told: dict[str, str], body: Any = None, **how: Any) -> Answer:
        """Ask through a proxy that tells this."""
        return await call(self.gateway.application, method, target, body, told.items(), **how)


@pytest.fixture
def proxied(catalogue: Catalogue) -> ProxiedGateway:
    """A gateway behind a trusted proxy."""
    return ProxiedGateway(catalogue)


@pytest.fixture
def alone(catalogue: Catalogue) -> ProxiedGateway:
    """A gateway whose trusted proxies are others."""
    return ProxiedGateway(catalogue, ("10.0.0.0/8", "fd00::/8"))


async def test_links_are_those_of_the_client(proxied: ProxiedGateway, catalogue: Catalogue) -> None:
    """Behind a proxy, every link leads to where the client called."""
    act = await proxied.ask("POST", CANCEL, TOLD)
    assert act.headers["content-location"] == f"/jobgate/v1/job-actions/{act.json['id']}"
    page = await proxied.ask("GET", LISTED, TOLD)
    assert page.headers["link"].startswith("</jobgate/v1/connections/contoso-prod/jobs?")
    native = await proxied.ask("GET", NATIVE_LIST, TOLD)
    assert native.json["nextLink"].startswith(f"{PUBLIC}/native/{AZURE}/contoso-prod/routing/jobs?")
    assert (await proxied.ask("GET", "/nope", TOLD)).json["type"] == f"{PUBLIC}/problems/unknown-path"
    assert (await proxied.ask("GET", "/", TOLD)).headers["location"] == "/jobgate/docs"
    document = (await proxied.ask("GET", "/openapi.json", TOLD)).json
    assert [each["url"] for each in document["servers"]] == ["/jobgate/v1"]
    for name, each in catalogue.natives.items():
        served = (await proxied.ask("GET", f"/native/{name}/openapi.json", TOLD)).json
        assert [server["url"] for server in served["servers"]] == [f"/jobgate/native/{name}"]
        urls = [
            flow["tokenUrl"]
            for scheme in served["components"]["securitySchemes"].values()
            for flow in scheme.get("flows", {}).values()
        ]
        assert [url for url in urls if url.startswith("/") and not url.startswith(f"/jobgate{each.base_path}/")] == []
    for target in ("/docs", "/docs/start.js", "/problems"):
        text = (await proxied.ask("GET", target, TOLD)).body.decode()
        assert '"/jobgate/' in text
        assert not any(f'"/{word}' in text for word in ("docs", "problems", "openapi.json", "native"))


async def test_a_record_without_an_end_leads_to_itself(catalogue: Catalogue) -> None:
    """The Location of what is still unsettled has the prefix too."""
    proxied = ProxiedGateway(catalogue)
    proxied.gateway.transport.otherwise = lambda each: (  # type: ignore[union-attr]
        reply(504, {}) if each.method == "POST" else listing(each)
    )
    act = await proxied.ask("POST", CANCEL, TOLD)
    assert (act.status, act.headers["location"]) == (202, f"/jobgate/v1/job-actions/{act.json['id']}")


@pytest.mark.parametrize("told", [TOLD, {**TOLD, PREFIX: "//evil.test", PROTO: "javascript", HOST: "evil.test"}])
async def test_nobody_else_is_believed(alone: ProxiedGateway, told: dict[str, str]) -> None:
    """From an address that is no trusted proxy's, the fields count for nothing, whatever they say."""
    assert (await alone.ask("GET", "/nope", told)).json["type"] == f"{UNCHANGED}/problems/unknown-path"
    assert (await alone.ask("GET", "/", told)).headers["location"] == "/docs"
    assert (await alone.ask("GET", LISTED, told)).headers["link"].startswith("</v1/")
    await alone.ask("POST", CANCEL, told)
    assert await client_of(alone) == "127.0.0.1"


async def client_of(proxied: ProxiedGateway) -> str | None:
    """The address in the origin of the last job action."""
    record = list(proxied.ledger._records.values())[-1]
    return record.requested.origin.address


async def test_without_the_setting_nobody_is_believed(catalogue: Catalogue) -> None:
    """Without the setting no proxy is trusted."""
    assert ServerSettings().trusted_proxies == ()
    proxied = ProxiedGateway(catalogue, ())
    assert (await proxied.ask("GET", "/nope", TOLD)).json["type"] == f"{UNCHANGED}/problems/unknown-path"


FORWARDED = 'for=198.51.100.7;host=public.example;proto=https, for="[2001:db8::1]"'


async def test_forwarded_is_not_read(proxied: ProxiedGateway) -> None:
    """`Forwarded` (RFC 7239) may be the client's own, passed on by a proxy that writes the other fields."""
    answer = await proxied.ask("GET", "/nope", {"forwarded": FORWARDED})
    assert answer.json["type"] == f"{UNCHANGED}/problems/unknown-path"


CLIENTS = [
    ("198.51.100.7", "198.51.100.7"),
    ("198.51.100.7:50123", "198.51.100.7"),
    ("[2001:db8::1]:443", "2001:db8::1"),
    ("2001:DB8:0::1", "2001:db8::1"),
    ("6.6.6.6, 198.51.100.7", "198.51.100.7"),
    ("6.6.6.6, 198.51.100.7, 127.0.0.9", "198.51.100.7"),
    ("127.0.0.7, 127.0.0.9", "127.0.0.7"),
    ("6.6.6.6, unknown", "127.0.0.1"),
    ("6.6.6.6, _hidden, 127.0.0.9", "127.0.0.9"),
    ("::ffff:198.51.100.7", "198.51.100.7"),
    ("<script>", "127.0.0.1"),
    ("", "127.0.0.1"),
]


@pytest.mark.parametrize(("told", "client"), CLIENTS)
async def test_the_ledger_knows_the_client(proxied: ProxiedGateway, told: str, client: str) -> None:
    """The origin of a job action is the nearest address that is no proxy's: what stands before it can be made up."""
    await proxied.ask("POST", CANCEL, {FOR: told})
    assert await client_of(proxied) == client


HOSTILE = [
    (PREFIX, "//evil.test", 400),
    (PREFIX, "https://evil.test", 400),
    (PREFIX, "/a//b", 400),
    (PREFIX, "/../x", 400),
    (PREFIX, "/./x", 400),
    (PREFIX, "/a\\b", 400),
    (PREFIX, "/a\r\nset-cookie: b", 400),
    (PREFIX, "/a%0d%0ab", 400),
    (PREFIX, '/"><script>', 400),
    (PREFIX, "/a?b", 400),
    (PREFIX, "a", 400),
    (PREFIX, "/" + "a" * 256, 400),
    (PROTO, "javascript", 400),
    (PROTO, "https://evil.test", 400),
    (HOST, "evil.test", 421),
    (HOST, "public.example@evil.test", 400),
    (HOST, "public.example/x", 400),
    (HOST, "public.example\r\nx: y", 400),
    (HOST, "public.example, evil.test", 421),
]


@pytest.mark.parametrize(("name", "value", "status"), HOSTILE)
async def test_hostile_values_are_refused(proxied: ProxiedGateway, name: str, value: str, status: int) -> None:
    """A forwarded value that is invalid or leads elsewhere is refused by the field's name and not repeated."""
    answer = await proxied.ask("GET", "/", {**TOLD, name: value})
    assert (answer.status, answer.json["type"].startswith("/problems/")) == (status, True)
    assert "evil" not in str(answer)
    if status == 400:
        assert [each["pointer"] for each in answer.json["errors"]] == [f"/header/{name}"]


HARMLESS = [
    (PREFIX, "/jobgate/", "https://public.example/jobgate"),
    (PREFIX, "/", "https://public.example"),
    (PREFIX, "/a/b.c~d", "https://public.example/a/b.c~d"),
    (PROTO, "HTTPS", PUBLIC),
    (PROTO, "http", "http://public.example/jobgate"),
    (HOST, "Public.Example.:443", PUBLIC),
    (HOST, "public.example:8443", "https://public.example:8443/jobgate"),
    (HOST, "evil.test, public.example", PUBLIC),
]


@pytest.mark.parametrize(("name", "value", "root"), HARMLESS)
async def test_equal_values_are_one(proxied: ProxiedGateway, name: str, value: str, root: str) -> None:
    """However a proxy writes the same address, links have one form; of several values the nearest proxy's counts."""
    answer = await proxied.ask("GET", "/nope", {**TOLD, name: value})
    assert answer.json["type"] == f"{root}/problems/unknown-path"


async def test_the_host_that_comes_is_checked_too(catalogue: Catalogue) -> None:
    """A page in a browser on the proxy's own machine cannot talk its way past the trusted hosts (DNS rebinding)."""
    proxied = ProxiedGateway(catalogue, trusted_hosts=("public.example",))
    assert (await proxied.ask("GET", "/docs", TOLD)).status == 421


async def test_probes_need_no_proxy(proxied: ProxiedGateway) -> None:
    """A probe is answered whatever is said of the host."""
    assert (await proxied.ask("GET", "/livez", {**TOLD, HOST: "10.0.0.7:9112"})).status == 200


@pytest.mark.parametrize("told", [TOLD, {}])
async def test_a_signature_counts_behind_a_proxy(proxied: ProxiedGateway, told: dict[str, str]) -> None:
    """A client of Azure's signs the address that it called: host and path are those before the proxy."""
    made = issued(Caller("desk", frozenset({"*"})), proxied.clock.now(), None, with_access_key=True)
    proxied.gateway.keyring.replace([made.key])
    path = f"/native/{AZURE}/contoso-prod/routing/jobs/{AZURE_JOB}?{VERSION}"
    request = HttpRequest("GET", f"{PUBLIC}{path}", {}, b"")
    request = replace(request, headers=dict(sign(request, str(made.key.access_secret), proxied.clock.now())))
    signed = {name.lower(): value for name, value in request.headers.items()}
    answer = await proxied.ask("GET", path, {**told, **signed}, key=None)
    assert answer.status == (200 if told else 401)


async def test_plain_http_behind_a_proxy_is_https_unless_it_tells(catalogue: Catalogue) -> None:
    """Behind a proxy, the gateway's address is https unless the proxy says otherwise."""
    proxied = ProxiedGateway(catalogue, plain_http=True)
    kind = "problems/unknown-path"
    assert (await proxied.ask("GET", "/nope", {})).json["type"] == f"https://gateway.test/{kind}"
    assert (await proxied.ask("GET", "/nope", {PROTO: "http"})).json["type"] == f"http://gateway.test/{kind}"


@pytest.mark.parametrize("network", ["10.0.0.1/8", "proxy.example", "", "10.0.0.0/33", "*"])
def test_a_proxy_that_is_no_network_is_refused(network: str) -> None:
    """What names no address and no network is a mistake in the settings."""
    with pytest.raises(ValidationError, match=r"such as 127\.0\.0\.1"):
        ServerSettings(trusted_proxies=(network,))


async def test_the_job_is_that_of_the_request(proxied: ProxiedGateway) -> None:
    """A prefix is no part of the path: the request is routed as it came."""
    assert (await proxied.ask("GET", JOB, TOLD)).json["id"] == AZURE_JOB
