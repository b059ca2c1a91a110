"""Where the metrics are served: on the port for administration, and on the main one for those who may see them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from pydantic import SecretStr

from gateway.app import Catalogue, Gateway
from gateway.edge.admin_port import open_metrics
from gateway.ledger.memory import MemoryLedger
from gateway.serving.listening import in_background
from gateway.settings.settings import CallerSettings, ConfigurationError, Settings, with_server
from gateway.startup.telemetry import admin_port, metrics_of
from gateway.telemetry.gathering import Gatherer
from tests.serving.process import KEY, SECONDS, children, served
from tests.support.asgi import call
from tests.support.patience import wait_until
from tests.support.vendors import settings
from tests.telemetry.fixtures import Page, page_of

DESK = "key-of-a-desk-that-may-only-read-jobs"
ROUTE = "/v1/connections"


@pytest.fixture
def wired() -> Settings:
    """Settings with `/metrics` on the main port, and a caller that may only read jobs."""
    desk = CallerSettings(key=SecretStr(DESK), scopes=("jobs:read", "connections:*"))
    return with_server(settings(callers={"desk": desk}), metrics=True)


@pytest.fixture
def gateway(catalogue: Catalogue, wired: Settings) -> Gateway:
    """A gateway that shows its metrics."""
    return Gateway(wired, catalogue, ledger=MemoryLedger(), metrics=Gatherer())


async def test_the_main_port_shows_metrics_to_those_who_may(gateway: Gateway) -> None:
    """On the main port a key with the scope `metrics:read` is needed: 401 without one, 403 with another."""
    shown = await call(gateway.application, "GET", "/metrics")
    assert (shown.status, shown.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert "jobgate_workers" in page_of(shown.body)
    refused = await call(gateway.application, "GET", "/metrics", key=None)
    assert (refused.status, refused.json["code"]) == (401, "unauthenticated")
    forbidden = await call(gateway.application, "GET", "/metrics", key=DESK)
    assert (forbidden.status, forbidden.json["code"]) == (403, "forbidden")
    assert "metrics:read" in forbidden.json["detail"]


async def test_the_main_port_has_no_metrics_unless_asked(catalogue: Catalogue) -> None:
    """Without the setting there is no such page, whoever asks."""
    gateway = Gateway(settings(), catalogue, ledger=MemoryLedger(), metrics=Gatherer())
    assert (await call(gateway.application, "GET", "/metrics")).status == 404


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The port for administration."""
    gatherer = Gatherer()
    with in_background(open_metrics(gatherer.scrape, gatherer.media_type)) as started:
        yield started


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/metrics", 200), ("HEAD", "/metrics", 200), ("GET", "/", 404), ("POST", "/metrics", 405)],
)
def test_the_port_for_administration_has_the_metrics_only(url: str, method: str, path: str, status: int) -> None:
    """Without a key, it answers for `/metrics`, and nothing else."""
    answer = requests.request(method, f"{url}{path}", timeout=SECONDS)
    assert answer.status_code == status
    assert bool(answer.content) == (method == "GET")


def test_nothing_is_gathered_unless_somebody_can_see_it(tmp_path: Path) -> None:
    """Without a port and without the page, there is nothing that gathers; the port is on loopback by default."""
    kept = settings(state_folder=tmp_path)
    assert kept.server.admin_host == "127.0.0.1"
    with metrics_of(kept) as metrics, admin_port(kept, metrics) as served_at:
        assert (metrics, served_at) == (None, None)
    with metrics_of(with_server(kept, metrics=True)) as metrics:
        assert metrics is not None
    asked = with_server(kept, admin_port=0)
    with metrics_of(asked) as metrics, admin_port(asked, metrics) as served_at:
        assert (served_at or "").startswith("http://127.0.0.1:")
    with pytest.raises(ConfigurationError, match="admin_port"):
        with_server(kept, admin_port=65_536)


@pytest.mark.timeout(5 * SECONDS)
def test_workers_are_added_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With two workers the page counts every request exactly; one that dies takes nothing away and leaves no file."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with served("--workers", "2", "--no-access-log", "--admin-port", str(port)) as (process, url):
        for _ in range(20):
            ask(url)
        assert answered(port) == 20
        assert scraped(port)["jobgate_workers"][()] == 2
        (place,) = tmp_path.glob("jobgate-metrics-*")
        assert place.stat().st_mode & 0o077 == 0
        before = children(process)
        os.kill(before[0], signal.SIGKILL)
        wait_until(lambda: scraped(port)["jobgate_workers"][()] == 2 and set(children(process)) != set(before))
        kept = answered(port)
        for _ in range(20):
            ask(url)
        assert answered(port) == kept + 20 <= 40
        assert sorted(each.name for each in place.iterdir()) == ["in-use", "socket"]
        stop(process)
    assert list(tmp_path.glob("jobgate-metrics-*")) == []


def ask(url: str) -> None:
    """One request, on a connection of its own."""
    headers = {"Authorization": f"Bearer {KEY}", "Connection": "close"}
    assert requests.get(f"{url}{ROUTE}", headers=headers, timeout=SECONDS).status_code == 200


def scraped(port: int) -> Page:
    """The page, read as Prometheus does."""
    return page_of(requests.get(f"http://127.0.0.1:{port}/metrics", timeout=SECONDS).content)


def answered(port: int) -> float:
    """How many requests for the connections were answered."""
    counts = scraped(port).get("http_server_request_duration_seconds_count", {})
    return sum(value for labels, value in counts.items() if ROUTE in labels)


def stop(process: subprocess.Popen[str]) -> None:
    """Stop the gateway as a service manager does."""
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=SECONDS)
    assert (process.returncode, "Traceback" in said) == (0, False), said
