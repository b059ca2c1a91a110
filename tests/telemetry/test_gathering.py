"""The metrics of several processes together, whatever becomes of the processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from gateway.telemetry import gathering
from gateway.telemetry.gathering import Gatherer, Reporter
from gateway.telemetry.metrics import (
    HTTP_CLIENT_SECONDS,
    REQUESTS_SENT_AGAIN,
    UNDER_WAY,
    UNKNOWN,
    WORKERS,
    Measured,
    Metric,
    measured_by,
)
from tests.support.patience import PATIENCE, wait_until
from tests.telemetry.fixtures import page_of

MADE_UP = "connection-of-this-test"
"""A connection of this test, so that whatever else runs in this process counts elsewhere."""
TIMED = (MADE_UP, "POST", "vendor.example", "204", "")


def work(path: Path, line: Connection) -> None:
    """A worker: it counts as often as it is told to, until the line ends."""
    with measured_by(lambda: [(UNDER_WAY, (MADE_UP,), 2.0)]), Reporter(path).reporting():
        while times := line.recv():
            for _ in range(times):
                REQUESTS_SENT_AGAIN.add(MADE_UP)
                HTTP_CLIENT_SECONDS.observe(0.002, TIMED)
            line.send(times)


class Worker:
    """A worker process of this test."""

    def __init__(self, path: Path) -> None:
        """Start it."""
        self.line, its = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("spawn").Process(target=work, args=(path, its), daemon=True)
        self.process.start()
        its.close()

    def count(self, times: int) -> None:
        """Let it count, and wait until it has."""
        self.line.send(times)
        assert self.line.poll(PATIENCE)
        self.line.recv()

    def end(self) -> None:
        """Let it end."""
        self.line.send(0)
        self.process.join(PATIENCE)

    def kill(self) -> None:
        """Kill it."""
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.join(PATIENCE)


def total(gatherer: Gatherer, metric: Metric, *labels: str) -> float | None:
    """A series of a metric: its value, or the number of its observations; None if there is none."""
    values = dict(gatherer.gather().get(metric.name, [])).get(labels)
    return None if values is None else sum(values[1:]) if len(values) > 1 else values[0]


def test_sums_outlive_workers(tmp_path: Path) -> None:
    """Counts are exact at once; they stay when a worker has ended or was killed, while its gauges go with it."""
    gatherer = Gatherer()
    before = total(gatherer, REQUESTS_SENT_AGAIN, MADE_UP) or 0
    observed = total(gatherer, HTTP_CLIENT_SECONDS, *TIMED) or 0
    with gatherer.listening(tmp_path / "socket"):
        first, second = Worker(tmp_path / "socket"), Worker(tmp_path / "socket")
        first.count(3)
        second.count(4)
        assert total(gatherer, REQUESTS_SENT_AGAIN, MADE_UP) == before + 7
        assert total(gatherer, HTTP_CLIENT_SECONDS, *TIMED) == observed + 7
        assert total(gatherer, UNDER_WAY, MADE_UP) == 4
        assert total(gatherer, WORKERS) == 2
        first.count(1)
        first.end()
        assert total(gatherer, REQUESTS_SENT_AGAIN, MADE_UP) == before + 8
        assert total(gatherer, REQUESTS_SENT_AGAIN, MADE_UP) == before + 8
        second.kill()
        wait_until(lambda: total(gatherer, UNDER_WAY, MADE_UP) is None)
        assert total(gatherer, REQUESTS_SENT_AGAIN, MADE_UP) == before + 8
        third = Worker(tmp_path / "socket")
        third.count(5)
        assert total(gatherer, REQUESTS_SENT_AGAIN, MADE_UP) == before + 13
        third.end()
    assert list(tmp_path.iterdir()) == []


def test_a_worker_shows_the_sums_of_all(tmp_path: Path) -> None:
    """The page that a worker serves is that of all workers.

    Ledgers of other tests in this process may commit between two pages, so that a pair is taken again until it fits.
    """
    gatherer = Gatherer()
    before = total(gatherer, REQUESTS_SENT_AGAIN, MADE_UP) or 0
    with gatherer.listening(tmp_path / "socket"):
        other = Worker(tmp_path / "socket")
        other.count(2)
        page = page_of(Reporter(tmp_path / "socket").scrape())
        assert page["jobgate_vendor_requests_resent_total"][MADE_UP,] == before + 2
        wait_until(lambda: page_of(Reporter(tmp_path / "socket").scrape()) == page_of(gatherer.scrape()))
        other.end()


def test_a_worker_that_hangs_counts_with_what_it_said_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page does not wait long for a worker that is stopped, and has its last known counts."""
    monkeypatch.setattr(gathering, "ANSWER_SECONDS", 0.05)
    gatherer = Gatherer()
    before = total(gatherer, REQUESTS_SENT_AGAIN, MADE_UP) or 0
    with gatherer.listening(tmp_path / "socket"):
        worker = Worker(tmp_path / "socket")
        worker.count(2)
        wait_until(lambda: total(gatherer, REQUESTS_SENT_AGAIN, MADE_UP) == before + 2)
        assert worker.process.pid is not None
        os.kill(worker.process.pid, signal.SIGSTOP)
        assert total(gatherer, REQUESTS_SENT_AGAIN, MADE_UP) == before + 2
        os.kill(worker.process.pid, signal.SIGCONT)
        worker.end()


def test_the_database_is_asked_once_in_five_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gauges that cost a query are kept for a while, whoever asks for the page."""
    asked = []

    def query() -> Measured:
        asked.append(1)
        return [(UNKNOWN, ("c",), float(len(asked)))]

    gatherer = Gatherer(query)
    assert page_of(gatherer.scrape())["jobgate_unknown_outcomes"] == {("c",): 1}
    assert page_of(gatherer.scrape())["jobgate_unknown_outcomes"] == {("c",): 1}
    monkeypatch.setattr(gathering, "CACHED_SECONDS", 0.0)
    assert page_of(gatherer.scrape())["jobgate_unknown_outcomes"] == {("c",): 2}
