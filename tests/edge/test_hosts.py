"""The hosts that a gateway answers for: no other name that leads here is served."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from gateway.domain.errors import MalformedRequest, Misdirected
from gateway.domain.urls import canonical_base
from gateway.edge.hosts import ANY_HOST, TrustedHosts, called_host
from gateway.settings.settings import ServerSettings
from tests.support.edge import Edge
from tests.support.vendors import API_KEY

LOOPBACK_NAMES = [b"localhost", b"LocalHost:8080", b"127.0.0.1", b"127.0.0.1:1", b"[::1]", b"[::1]:8080"]
LOOPBACK_NAMES += [b"localhost.", b"[0:0:0:0:0:0:0:1]", b"[0000::0001]:80", b"127.1", b"0x7F.0.0.1", b"2130706433"]
OTHER_NAMES = [b"evil.test", b"127.0.0.1.evil.test", b"localhost.evil.test:8080", b"[::2]", b"10.0.0.1", b"localhost.."]
NO_NAMES = [
    b"",
    b":80",
    b"a b",
    b"a/b",
    b"user@localhost",
    b"localhost:x",
    b"localhost, evil.test",
    b"[::1",
    b"\xff",
    b"[::g]",
    b"[127.0.0.1]",
    b".",
    b"1::2",
]


SPELLINGS = ["LocalHost", "localhost.", "0:0:0:0:0:0:0:1", "[::1]", "127.1"]


@pytest.mark.parametrize("listening_on", ["127.0.0.1", "::1", "localhost", "127.8.8.8", *SPELLINGS])
def test_a_gateway_for_this_machine_answers_for_loopback_names(listening_on: str) -> None:
    """Without a setting, a gateway on a loopback address takes no name that a page in a browser could have made."""
    hosts = TrustedHosts.of(listening_on)
    for name in LOOPBACK_NAMES:
        hosts.check({b"host": name}, "1.1")
    for name in OTHER_NAMES:
        with pytest.raises(Misdirected):
            hosts.check({b"host": name}, "1.1")


@pytest.mark.parametrize("listening_on", ["0.0.0.0", "::", "192.0.2.1", "gateway.test"])  # noqa: S104 - that is the case
def test_a_gateway_for_others_answers_for_every_name(listening_on: str) -> None:
    """Without a setting, a gateway that others can reach takes every name, but not a malformed one."""
    hosts = TrustedHosts.of(listening_on)
    for name in (*LOOPBACK_NAMES, *OTHER_NAMES):
        hosts.check({b"host": name}, "1.1")
    for name in NO_NAMES:
        with pytest.raises(MalformedRequest):
            hosts.check({b"host": name}, "1.1")


def test_the_setting_is_all_that_counts() -> None:
    """With a setting, exactly its names are served, in any case and at any port."""
    hosts = TrustedHosts.of("127.0.0.1", ["Gateway.test"])
    hosts.check({b"host": b"gateway.TEST:443"}, "1.1")
    with pytest.raises(Misdirected):
        hosts.check({b"host": b"localhost"}, "1.1")


EQUAL = {
    "gateway.example": ["Gateway.Example", "gateway.example.", "GATEWAY.EXAMPLE."],
    "[2001:db8::a]": ["[2001:DB8:0:0:0:0:0:A]", "2001:db8::a", "2001:0db8::000a", "[2001:db8::0.0.0.10]"],
    "192.0.2.1": ["192.0.2.1.", "0xC0.0.2.1", "192.0.513", "3221225985"],
}


@pytest.mark.parametrize(("canonical", "written"), [(one, each) for one, others in EQUAL.items() for each in others])
def test_equal_hosts_are_one(canonical: str, written: str) -> None:
    """Equal hosts match however the settings and the request spell them (RFC 3986, 6.2.2 and 7.4)."""
    assert called_host(written) == canonical
    bracketed = f"[{written}]" if ":" in written and not written.startswith("[") else written
    for setting, sent in ((canonical, bracketed), (written, canonical), (written, f"{bracketed}:8080")):
        TrustedHosts.of("127.0.0.1", [setting]).check({b"host": sent.encode()}, "1.1")


@pytest.mark.parametrize("setting", [("gateway.example.",), ("[0:0::1]",), ("::1",), ("Gateway.Example",)])
def test_settings_hold_the_canonical_form(setting: tuple[str]) -> None:
    """Names in the settings are canonical from when they are read."""
    assert ServerSettings(trusted_hosts=setting).trusted_hosts == (called_host(setting[0]),)


@pytest.mark.parametrize(("written", "host"), [("[::1]", "::1"), ("0:0::1", "::1"), ("LocalHost", "localhost")])
def test_the_address_to_listen_on_is_canonical(written: str, host: str) -> None:
    """However the address to listen on is written, it is the one that the system and a certificate know."""
    assert ServerSettings(host=written).host == host


@pytest.mark.parametrize("setting", ["a b", "gateway.example:443", "[::g]", "::g", "https://gateway.example", "", "."])
def test_a_setting_that_is_no_host_is_refused(setting: str) -> None:
    """An invalid host name is refused when the settings are read."""
    with pytest.raises(ValidationError):
        ServerSettings(trusted_hosts=(setting,))


@pytest.mark.parametrize("target", ["/livez", "/readyz", "/%6Civez"])
@pytest.mark.parametrize("host", ["10.244.1.7:9112", "[fd00::7]:9112", "evil.test"])
def test_probes_answer_for_every_host(edge: Edge, target: str, host: str) -> None:
    """Kubernetes calls a pod by its address, which no settings can name."""
    request = f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    response = edge.client.send(request)
    assert (response.status, response.json["status"]) == (200, "ok")
    assert edge.client.send(request.replace(b"GET ", b"GET /nope")).status == 421


def test_a_probe_says_nothing_of_anybody(edge: Edge) -> None:
    """What a page of a hostile name could read of a probe, by DNS rebinding, names no connection, vendor or caller."""
    said = str(edge.ask("GET", "/readyz", key=None).json)
    assert not any(name in said for name in (*edge.gateway.directory.connections, *edge.gateway.directory.vendors))


@pytest.mark.parametrize("name", NO_NAMES)
def test_what_is_no_name_is_refused(name: bytes) -> None:
    """A Host that names no host is malformed, also where every name is served (RFC 9112, 3.2)."""
    with pytest.raises(MalformedRequest):
        ANY_HOST.check({b"host": name}, "1.1")


def test_a_missing_name() -> None:
    """HTTP/1.1 wants a Host field; HTTP/1.0 had none."""
    ANY_HOST.check({}, "1.0")
    with pytest.raises(MalformedRequest):
        ANY_HOST.check({}, "1.1")


@pytest.mark.parametrize("target", ["/v1/vendors", "/livez/x", "/docs", "/nowhere", "/openapi.json"])
@pytest.mark.parametrize("host", ["evil.test", "gateway.test.evil.test", "127.0.0.1"])
def test_another_host_is_refused(edge: Edge, target: str, host: str) -> None:
    """A request for another host gets 421 at every address, with or without a key."""
    for key in (f"Authorization: Bearer {API_KEY}\r\n", ""):
        request = f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{key}\r\n".encode()
        assert edge.refused("misdirected", lambda: edge.client.send(request))["status"] == 421  # noqa: B023 - at once


def test_a_request_without_a_host_is_refused(edge: Edge) -> None:
    """HTTP/1.1 without Host is 400 (RFC 9112, 3.2)."""
    request = b"GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n"
    assert (
        edge.refused("malformed-request", lambda: edge.client.send(request))["errors"][0]["pointer"] == "/header/host"
    )
    assert edge.client.send(b"GET /livez HTTP/1.0\r\n\r\n").status == 200


@pytest.mark.parametrize("written", ["http://127.1:8080", "http://0x7f.0.0.1:8080/"])
def test_a_url_has_no_rare_notation_of_an_address(written: str) -> None:
    """In a URL, a rare notation of an IPv4 address is another host than the address (RFC 3986, 7.4)."""
    assert called_host(written.removeprefix("http://").partition(":")[0]) == "127.0.0.1"
    assert canonical_base(written) != canonical_base("http://127.0.0.1:8080")
