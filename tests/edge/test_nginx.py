"""The proxy of docs/going-live.md: nginx with the settings that stand there, and the gateway with those beside them."""

from __future__ import annotations

import socket
import subprocess
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from markdown_it import MarkdownIt

from gateway.app import Catalogue, Gateway
from gateway.ledger.memory import MemoryLedger
from gateway.serving.listening import in_background
from gateway.settings.settings import ServerSettings
from tests.support.edge import CANCEL
from tests.support.tools import tool
from tests.support.transport import FakeTransport
from tests.support.vendors import API_KEY, obedient, settings

PAGE = (Path(__file__).parents[2] / "docs" / "going-live.md").read_text("utf-8")
SECONDS = 30
KEY = {"Authorization": f"Bearer {API_KEY}"}


def block(word: str) -> str:
    """The block of the page that holds a word."""
    fences = (token.content for token in MarkdownIt().parse(PAGE) if token.type == "fence")
    return next(each for each in fences if word in each)


def free_port() -> int:
    """A port that is free for now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def nginx(folder: Path, gateway: str) -> Iterator[int]:
    """The proxy of the page before a gateway; gives its port."""
    port = free_port()
    location = block("proxy_pass").replace("http://127.0.0.1:8080", gateway)
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/nginx.pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;\n"
        f"fastcgi_temp_path {folder}/a; uwsgi_temp_path {folder}/b; scgi_temp_path {folder}/c;\n"
        f"server {{ listen 127.0.0.1:{port}; {location} }} }}\n"
    )
    with subprocess.Popen([tool("nginx", "nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf")]) as process:
        try:
            wait_for(port)
            yield port
        finally:
            process.terminate()


def wait_for(port: int) -> None:
    """Wait until somebody listens."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        with socket.socket() as connection:
            if connection.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail("nginx did not start")


def test_links_are_right_behind_the_proxy_of_the_page(catalogue: Catalogue, tmp_path: Path) -> None:
    """With the settings of the page, clients of the proxy are led to the proxy, and the ledger knows who they are."""
    tool("nginx", "nginx")
    served = ServerSettings(**tomllib.loads(block("trusted_proxies"))["server"])
    ledger = MemoryLedger()
    made = settings().model_copy(update={"server": served})
    gateway = Gateway(made, catalogue, transport=FakeTransport(otherwise=obedient), ledger=ledger)
    with in_background(gateway.application) as url, nginx(tmp_path, url) as port:
        root = f"http://127.0.0.1:{port}/jobgate"
        called = {"Host": f"Gateway.example:{port}", "X-Forwarded-For": "198.51.100.7", "X-Forwarded-Host": "evil.test"}
        missing = requests.get(f"{root}/nope", headers=called, timeout=SECONDS)
        act = requests.post(f"{root}{CANCEL}", headers={**called, **KEY}, timeout=SECONDS)
        document = requests.get(f"{root}/openapi.json", headers=called, timeout=SECONDS)
        other = requests.get(f"{root}/nope", headers={"Host": "evil.test"}, timeout=SECONDS)
    assert missing.json()["type"] == f"http://gateway.example:{port}/jobgate/problems/unknown-path"
    assert act.headers["Content-Location"] == f"/jobgate/v1/job-actions/{act.json()['id']}"
    assert [each["url"] for each in document.json()["servers"]] == ["/jobgate/v1"]
    assert other.status_code == 421
    # Who stands before the nearest address that is no proxy's may be made up; here the client is on this machine too.
    assert {each.requested.origin.address for each in ledger._records.values()} == {"198.51.100.7"}
