"""Before a request leaves: whom the client trusts, and that what did not leave is known not to have left."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from gateway.client import Client, ClientError, GatewayUnreachable
from gateway.serving.tls import self_signed
from tests.client.stub import KEY, Stub, stub_gateway

NAMES = ("127.0.0.1", "localhost")
VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A company's own authority."""
    return trustme.CA()


@pytest.fixture(scope="module")
def bundle(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The file of its certificate."""
    file = tmp_path_factory.mktemp("tls") / "authority.pem"
    authority.cert_pem.write_to_path(file)
    return str(file)


def https_for(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    """TLS with a certificate for these names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


@pytest.fixture
def private(authority: trustme.CA) -> Iterator[Stub]:
    """A gateway for which that authority vouches."""
    with stub_gateway(https_for(authority, *NAMES)) as started:
        started.answers({"items": []})
        yield started


def failure_of(url: str, **options: object) -> GatewayUnreachable:
    """Why an action is not answered."""
    with Client(url, KEY, connect_seconds=2.0, **options) as client, pytest.raises(GatewayUnreachable) as caught:  # type: ignore[arg-type]
        client.cancel("c", "j")
    return caught.value


@pytest.mark.parametrize("kind", [str, Path])
def test_a_private_authority_is_trusted_where_it_is_named(
    private: Stub, bundle: str, kind: Callable[[str], str | Path]
) -> None:
    """`verify` is the file of its certificate."""
    with Client(private.url, KEY, verify=kind(bundle)) as client:
        assert client.vendors() == ()


@pytest.mark.parametrize("name", VARIABLES)
def test_or_by_the_usual_variables(private: Stub, bundle: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A private authority is also trusted if a variable of requests, curl or OpenSSL names it."""
    monkeypatch.setenv(name, bundle)
    with Client(private.url, KEY) as client:
        assert client.vendors() == ()


def test_the_argument_comes_before_the_variables(private: Stub, monkeypatch: pytest.MonkeyPatch, bundle: str) -> None:
    """`verify=True` asks for the authorities that everybody trusts, and `verify=False` for none."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    assert "not trusted" in str(failure_of(private.url, verify=True))
    with pytest.warns(match="Unverified HTTPS"), Client(private.url, KEY, verify=False) as client:
        assert client.vendors() == ()


def test_a_certificate_for_development_is_trusted_by_itself() -> None:
    """The certificate of `--tls-self-signed` serves as its own authority."""
    with self_signed("127.0.0.1") as made:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(made.certificate, made.key)
        with stub_gateway(context) as stub, Client(stub.url, KEY, verify=made.certificate) as client:
            stub.answers({"items": []})
            assert client.vendors() == ()


def test_a_file_that_is_not_there_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The argument or the variable is named."""
    missing = tmp_path / "none.pem"
    with pytest.raises(ValueError, match=r"verify names .*none\.pem"):
        Client("https://gateway.test", KEY, verify=missing)
    monkeypatch.setenv("CURL_CA_BUNDLE", str(missing))
    with pytest.raises(ValueError, match=r"CURL_CA_BUNDLE names .*none\.pem"):
        Client("https://gateway.test", KEY)


def test_an_untrusted_certificate_is_named_as_the_cause(private: Stub) -> None:
    """Nothing was sent, and the message tells what to do."""
    failure = failure_of(private.url)
    assert (failure.outcome, private.received) == ("not_sent", [])
    assert "its certificate is not trusted (" in str(failure)
    assert "`verify`" in str(failure)


def test_a_certificate_of_another_host_too(authority: trustme.CA, bundle: str) -> None:
    """It is trusted, but not for this name."""
    with stub_gateway(https_for(authority, "elsewhere.test")) as stub:
        failure = failure_of(stub.url, verify=bundle)
    assert (failure.outcome, stub.received) == ("not_sent", [])
    assert "certificate is not valid for '127.0.0.1'" in str(failure)


@contextmanager
def speaking(answer: bytes | None) -> Iterator[str]:
    """The address of something that is no TLS server: it says this and hangs up, or (None) says nothing at all."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(4_096)
                if answer is None:
                    done.wait(20)
                else:
                    connection.sendall(answer)

        done = threading.Event()
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        done.set()
        thread.join()


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", None], ids=["http", "hung up", "silent"])
def test_a_handshake_that_fails_sent_nothing(answer: bytes | None) -> None:
    """A failed TLS handshake is certain not to have sent the request."""
    with speaking(answer) as address:
        assert failure_of(f"https://{address}", read_seconds=0.5).outcome == "not_sent"


def test_the_same_over_http_is_not_known() -> None:
    """The same failure over http leaves it unknown whether the request was sent."""
    with speaking(b"") as address:
        assert failure_of(f"http://{address}").outcome == "unknown"


@pytest.mark.parametrize("host", ["a" * 64 + ".test", "a..test", "[::1", "name.invalid", "127.0.0.1:1", "x:99999"])
def test_an_address_that_leads_nowhere_sent_nothing(host: str) -> None:
    """An unknown host, an invalid name and a closed port are certain not to have received the request."""
    assert failure_of(f"http://{host}").outcome == "not_sent"


def test_what_cannot_be_written_as_json_was_not_sent(private: Stub, bundle: str) -> None:
    """Where requests refuses the body, nothing left, although the request before did."""
    with Client(private.url, KEY, verify=bundle) as client:
        client.vendors()
        with pytest.raises(ClientError) as caught:
            client.cancel("c", "j", note=float("nan"))  # type: ignore[arg-type]
    assert (caught.value.outcome, len(private.received)) == ("not_sent", 1)
