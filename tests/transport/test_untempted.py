"""Helpful habits of client libraries that a gateway must not have."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.sender import Sender
from tests.support.server import answer, raw_server

OK = answer(b"{}")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_redirects_are_not_followed(send: Sender, method: str, status: int) -> None:
    """A redirect is returned as it is; its target is not called and sees no credentials."""
    async with raw_server(OK) as elsewhere:
        redirect = answer(b"", f"Location: {elsewhere.url}/evil", status=f"{status} Moved")
        async with raw_server(redirect, each_request=True) as server:
            reply = await send(server.url, method, headers={"Authorization": "Bearer secret"})
    assert reply.status == status
    assert (len(server.requests), elsewhere.connections) == (1, 0)


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
async def test_proxies_of_the_environment_are_ignored(
    send: Sender, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """Proxies in the environment are ignored."""
    async with raw_server(OK) as proxy, raw_server(OK) as server:
        monkeypatch.setenv(variable, proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        await send(server.url)
    assert (server.connections, proxy.connections) == (1, 0)


async def test_a_netrc_is_ignored(send: Sender, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Passwords from ~/.netrc neither replace our credentials nor are added where we send none."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\ndefault login a password b\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    async with raw_server(OK, each_request=True) as server:
        await send(server.url)
        await send(server.url, headers={"Authorization": "Bearer ours"})
    without, ours = server.requests
    assert b"authorization" not in without.lower()
    assert ours.lower().count(b"authorization") == 1
    assert b"Authorization: Bearer ours\r\n" in ours


async def test_cookies_are_not_kept(send: Sender) -> None:
    """A vendor cannot make us remember anything from one caller's request to the next."""
    async with raw_server(answer(b"{}", "Set-Cookie: session=1; Path=/"), each_request=True) as server:
        await send(server.url)
        await send(server.url)
    assert len(server.requests) == 2
    assert all(b"cookie" not in request.lower() for request in server.requests)


@pytest.mark.parametrize("challenge", ["Basic", 'Digest realm="x", nonce="y"', "Negotiate"])
async def test_challenges_are_not_answered(send: Sender, challenge: str) -> None:
    """401 is handed over; the request is not sent again with anything else."""
    async with raw_server(answer(b"", f"WWW-Authenticate: {challenge}", status="401 No"), each_request=True) as server:
        reply = await send(server.url)
    assert (reply.status, len(server.requests)) == (401, 1)
