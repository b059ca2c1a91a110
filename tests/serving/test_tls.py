"""https: with a certificate of the settings, or with one for development."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest
import requests
import trustme

from gateway.edge.exchange import Receive, Scope, Send
from gateway.serving.listening import HOST, ServerOptions, listen, server
from gateway.serving.tls import Certificate, self_signed
from gateway.settings.settings import ConfigurationError, ServerSettings, Settings, with_server
from gateway.startup.checks import require_protected_access, require_usable_certificate
from tests.serving.process import AT_LENGTH, KEY, served
from tests.support.patience import PATIENCE, wait_until

ALICE = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Somebody who vouches for certificates."""
    return trustme.CA()


@pytest.fixture(scope="module")
def files(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A certificate, its key, and the authority's own certificate."""
    folder = tmp_path_factory.mktemp("tls")
    issued = authority.issue_cert("127.0.0.1", "localhost")
    chain, key, trusted = folder / "chain.pem", folder / "key.pem", folder / "authority.pem"
    for pem in issued.cert_chain_pems:
        pem.write_to_path(chain, append=True)
    issued.private_key_pem.write_to_path(key)
    key.chmod(0o600)
    authority.cert_pem.write_to_path(trusted)
    return chain, key, trusted


@pytest.mark.parametrize("workers", [1, 2] if AT_LENGTH else [1])
def test_a_certificate_of_the_settings(files: tuple[Path, Path, Path], workers: int) -> None:
    """Clients that trust its issuer are served; those that speak http are not, and harm nobody."""
    chain, key, trusted = map(str, files)
    options = ("--sandbox", "--workers", str(workers), "--tls-cert", chain, "--tls-key", key)
    with served(*options) as (_, url):
        assert url.startswith("https://")
        for _ in range(3):
            answer = requests.get(f"{url}/v1/connections", headers=ALICE, verify=trusted, timeout=20)
            assert answer.status_code == 200
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(f"{url}/livez", timeout=20)
        with pytest.raises(requests.exceptions.ConnectionError):
            requests.get(f"{url.replace('https', 'http')}/livez", timeout=20)
        assert requests.get(f"{url}/livez", verify=trusted, timeout=20).status_code == 200


def test_a_certificate_for_development() -> None:
    """A development certificate is made at the start, and the printed commands work unchanged with it."""
    with served("--sandbox", "--tls-self-signed") as (process, url):
        trusted = str(next(Path("/tmp").glob("jobgate-tls-*/certificate.pem")))  # noqa: S108 - where it is made
        assert requests.get(f"{url}/livez", verify=trusted, timeout=20).status_code == 200
        assert requests.get(url.replace("127.0.0.1", "localhost") + "/livez", verify=trusted, timeout=20).ok
        process.terminate()
        said, _ = process.communicate(timeout=20)
        assert "Traceback" not in said
        assert not Path(trusted).exists()


def test_a_made_certificate_is_its_owners(tmp_path: Path) -> None:
    """Nobody else can read the key; the certificate is for this machine's names and the host of the settings."""
    with self_signed("gateway.test") as made:
        assert made.key.stat().st_mode & 0o077 == 0
        shown = subprocess.run(
            ["openssl", "x509", "-in", str(made.certificate), "-noout", "-text"],  # noqa: S607 - found on the path
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        names = set(re.findall(r"(?:DNS|IP Address):[^,\s]+", shown))
        assert {"DNS:localhost", "DNS:gateway.test", "IP Address:127.0.0.1"} <= names
        context = ssl.create_default_context(cafile=str(made.certificate))
        assert context.cert_store_stats()["x509_ca"] == 1
    assert not made.key.exists()


@pytest.mark.parametrize(("version", "is_spoken"), [("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)])
def test_an_old_protocol_is_refused(files: tuple[Path, Path, Path], version: str, is_spoken: bool) -> None:
    """Protocols older than TLS 1.2 are refused."""
    chain, key, trusted = map(str, files)
    with served("--sandbox", "--tls-cert", chain, "--tls-key", key) as (_, url):
        place = url.removeprefix("https://")
        asked = ["openssl", "s_client", "-connect", place, "-CAfile", trusted, version, "-cipher", "ALL:@SECLEVEL=0"]
        said = subprocess.run(asked, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False)
        assert ("Verify return code: 0 (ok)" in said.stdout and said.returncode == 0) is is_spoken


def test_what_cannot_be_used_is_refused(files: tuple[Path, Path, Path], tmp_path: Path) -> None:
    """A missing or invalid file, a key of another certificate and a key that everybody can read are refused."""
    chain, key, trusted = files
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense", encoding="utf-8")
    for pair in ((trusted, key), (nonsense, key), (chain, nonsense), (tmp_path / "missing.pem", key)):
        nonsense.chmod(0o600)
        with pytest.raises(ConfigurationError, match=r"server\.tls_cert, tls_key: "):
            require_usable_certificate(*pair)
    nonsense.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        require_usable_certificate(chain, nonsense)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "gateway.test"])  # noqa: S104 - to be refused
def test_plain_http_to_others_has_to_be_meant(host: str) -> None:
    """On an address that others can reach, plain http needs a setting that says so."""
    with pytest.raises(ConfigurationError, match=r"tls_cert and tls_key; or plain_http = true, behind a proxy"):
        require_protected_access(Settings(server=ServerSettings(host=host)))
    require_protected_access(Settings(server=ServerSettings(host=host, plain_http=True)))
    require_protected_access(Settings(server=ServerSettings(host=host, tls_self_signed=True)))


@pytest.mark.parametrize(
    "given",
    [
        {"tls_cert": Path("a")},
        {"tls_key": Path("a")},
        {"tls_cert": Path("a"), "tls_key": Path("b"), "tls_self_signed": True},
    ],
)
def test_settings_that_contradict_themselves(given: dict[str, object]) -> None:
    """A certificate without its key, and two certificates at once, are refused."""
    with pytest.raises(ConfigurationError, match=r"server: .*tls_cert"):
        with_server(Settings(), **given)


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer everything."""
    if scope["type"] == "lifespan":
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def test_a_handshake_is_finished_at_a_stop(files: tuple[Path, Path, Path]) -> None:
    """A client whose connection was accepted before the stop, and that greets after it, is still answered."""
    chain, key, trusted = files
    listening = listen(HOST, 0)
    place = listening.getsockname()
    serving = server(answer, ServerOptions(certificate=Certificate(chain, key)))
    serving.grace_seconds, serving.stop_seconds = 0.2, PATIENCE
    thread = threading.Thread(target=serving.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    wait_until(lambda: serving.started)
    with socket.create_connection(place, PATIENCE) as plain:
        wait_until(lambda: not serving.connections.is_empty)
        serving.should_exit = True
        wait_until(lambda: listening.fileno() == -1)
        with ssl.create_default_context(cafile=trusted).wrap_socket(plain, server_hostname="localhost") as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.recv(64).startswith(b"HTTP/1.1 200 ")
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_a_failed_handshake_holds_nothing(files: tuple[Path, Path, Path]) -> None:
    """A connection whose handshake fails counts no more."""
    chain, key, _ = files
    listening = listen(HOST, 0)
    serving = server(answer, ServerOptions(certificate=Certificate(chain, key)))
    serving.grace_seconds = 0.0
    thread = threading.Thread(target=serving.run, kwargs={"sockets": [listening]}, daemon=True)
    place = listening.getsockname()
    thread.start()
    wait_until(lambda: serving.started)
    with socket.create_connection(place, PATIENCE) as client:
        wait_until(lambda: not serving.connections.is_empty)
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        wait_until(lambda: serving.connections.is_empty)
    serving.should_exit = True
    thread.join(PATIENCE)
    assert not thread.is_alive()
