"""The hosts that a gateway answers for: no other name that leads here is served."""

from __future__ import annotations

import pytest

from gateway.domain.errors import MalformedRequest, Misdirected
from gateway.edge.hosts import ANY_HOST, TrustedHosts
from tests.support.edge import Edge
from tests.support.vendors import API_KEY

LOOPBACK_NAMES = [b"localhost", b"LocalHost:8080", b"127.0.0.1", b"127.0.0.1:1", b"[::1]", b"[::1]:8080"]
OTHER_NAMES = [b"evil.test", b"127.0.0.1.evil.test", b"localhost.evil.test:8080", b"[::2]", b"10.0.0.1", b"localhost."]
NO_NAMES = [b"", b":80", b"a b", b"a/b", b"user@localhost", b"localhost:x", b"localhost, evil.test", b"[::1", b"\xff"]


@pytest.mark.parametrize("listening_on", ["127.0.0.1", "::1", "localhost", "127.8.8.8"])
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
    """Without a setting, a gateway that others can reach cannot know the names that they use."""
    for name in (*LOOPBACK_NAMES, *OTHER_NAMES):
        TrustedHosts.of(listening_on).check({b"host": name}, "1.1")


def test_the_setting_is_all_that_counts() -> None:
    """With a setting, exactly its names are served, in any case and at any port."""
    hosts = TrustedHosts.of("127.0.0.1", ["Gateway.test"])
    hosts.check({b"host": b"gateway.TEST:443"}, "1.1")
    with pytest.raises(Misdirected):
        hosts.check({b"host": b"localhost"}, "1.1")


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


@pytest.mark.parametrize("target", ["/v1/vendors", "/livez", "/docs", "/nowhere"])
@pytest.mark.parametrize("host", ["evil.test", "gateway.test.evil.test", "127.0.0.1"])
def test_another_host_is_refused(edge: Edge, target: str, host: str) -> None:
    """421 for every address, before anybody asks for the key."""
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
