"""`jobgate config test`: proves a connection of the settings, without a gateway and without changing any job."""

from __future__ import annotations

import json
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import trustme
from typer.testing import CliRunner

from gateway.cli import application
from gateway.startup.serve import Running
from tests.client.stub import stub_gateway
from tests.support.commands import KEY, jobgate, write


def run(folder: Path, connection: dict[str, Any], name: str = "mine") -> Any:
    """`jobgate config test NAME`, with one connection in the settings."""
    environment = {
        "JOBGATE_CONNECTIONS__MINE": json.dumps({**connection, "plain_http": True}),
        "JOBGATE_STATE_FOLDER": str(folder),
        "JOBGATE_VENDOR_SECONDS": "3",
    }
    return CliRunner().invoke(application, ["config", "test", name], env=environment)


def of_sandbox(stack: Running, vendor: str) -> dict[str, Any]:
    """The settings of a connection to a simulated vendor, its secrets written out."""
    found = next(each for each in stack.gateway.settings.connections.values() if each.vendor == vendor)
    kept: dict[str, Any] = json.loads(found.model_dump_json())
    for name in ("secret", "client_secret"):
        if name in kept["authentication"]:
            kept["authentication"][name] = getattr(found.authentication, name).get_secret_value()
    return kept


@pytest.mark.parametrize("vendor", ["azure-job-router", "vonage-contact-center"])
def test_a_connection_that_works(stack: Running, tmp_path: Path, vendor: str) -> None:
    """It logs in and reads jobs; the vendor was asked for nothing that changes one."""
    sandbox = stack.sandbox.vendor(vendor)
    sandbox.reset()
    said = run(tmp_path, of_sandbox(stack, vendor))
    assert (said.exit_code, said.stdout) == (
        0,
        f"mine works: {vendor} accepted the credentials and returned 1 job.\n",
    ), said.output
    assert {each.method for each in sandbox.log() if "token" not in each.path} == {"GET"}


@pytest.mark.parametrize("vendor", ["azure-job-router", "vonage-contact-center"])
def test_a_wrong_secret(stack: Running, tmp_path: Path, vendor: str) -> None:
    """A wrong secret is reported as refused by the vendor, and the secret is not shown."""
    connection = of_sandbox(stack, vendor)
    authentication = connection["authentication"]
    field = "secret" if "secret" in authentication else "client_secret"
    authentication[field] = "d3Jvbmctd3Jvbmctd3Jvbmc="
    said = run(tmp_path, connection)
    assert said.exit_code == 2
    told = " ".join(said.stderr.split())
    assert told.count("Access denied by the vendor") == 1
    assert re.search(r"mine does not work: Access denied by the vendor\. \S.* answered 40[01]\b", told), told
    assert "d3Jvbmctd3Jvbmctd3Jvbmc=" not in said.output


def test_a_vendor_that_is_not_there(stack: Running, tmp_path: Path) -> None:
    """A vendor that does not listen is reported as unreachable."""
    connection = of_sandbox(stack, "azure-job-router") | {"endpoint": "http://127.0.0.1:9"}
    said = run(tmp_path, connection)
    assert (said.exit_code, "(vendor-unreachable)" in said.stderr) == (2, True)


def test_a_connection_that_nobody_knows(stack: Running, tmp_path: Path) -> None:
    """An unknown connection is refused with a list of the known ones."""
    said = run(tmp_path, of_sandbox(stack, "azure-job-router"), "yours")
    assert (said.exit_code, "known: mine" in said.stderr) == (1, True)


def unused_port() -> int:
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


@contextmanager
def untrusted() -> Iterator[int]:
    """The port of a server whose certificate nobody vouches for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost", "127.0.0.1").configure_cert(context)
    with stub_gateway(context) as stub:
        yield int(stub.url.rpartition(":")[2])


@pytest.mark.parametrize("vendor", ["azure-job-router", "vonage-contact-center"])
@pytest.mark.parametrize(
    ("scheme", "host", "cause"),
    [
        ("http", "127.0.0.1", "the connection was refused"),
        ("http", "name.invalid", "its name was not found"),
        ("https", "127.0.0.1", "its certificate is not trusted ("),
    ],
)
def test_no_connection(stack: Running, tmp_path: Path, vendor: str, scheme: str, host: str, cause: str) -> None:
    """A failed connection is reported with host, port and cause, also for the token endpoint, and without secrets."""
    connection = of_sandbox(stack, vendor)
    authentication = connection["authentication"]
    with untrusted() if scheme == "https" else nullcontext(unused_port()) as port:
        address = f"{scheme}://{host}:{port}"
        connection["endpoint"] = address
        if "token_url" in authentication:
            authentication["token_url"] = f"{address}/token"
        said = run(tmp_path, connection)
    assert said.exit_code == 2
    assert f"Vendor unreachable. {host} port {port}: {cause}" in said.stderr
    assert authentication.get("secret", authentication.get("client_secret")) not in said.stderr


def test_a_failure_is_said_once(tmp_path: Path) -> None:
    """Standard error has the cause in one line, however many attempts there were."""
    port = unused_port()
    write(
        tmp_path / "jobgate.toml",
        f"""
[connections.contoso]
vendor = "azure-job-router"
endpoint = "http://127.0.0.1:{port}"
plain_http = true
authentication = {{ kind = "signature", scheme = "accessKey", secret = "{KEY}" }}
""",
    )
    said = jobgate(tmp_path, "config", "test", "contoso")
    assert said.stderr.count("the connection was refused") == 1, said.stderr
