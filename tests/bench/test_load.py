"""What wrk reports, and how it is read."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from bench.load import Load, parse, run
from bench.processes import BenchError
from bench.servers import running_vendor
from bench.work import VENDOR_TARGET, WORK
from tests.support.tools import tool

REPORT = """\
Running 2s test @ http://127.0.0.1:9001/
Requests/sec:  1000.00
{"requests":2000,"microseconds":2000000,"p50":950,"p90":1500,"p99":12345,"status":10,"connect":1,"read":2,"write":3,"timeout":4}
"""


def test_report() -> None:
    """Times become seconds and milliseconds; answers that are errors or late do not count as throughput."""
    load = parse(REPORT)
    assert load == Load(2_000, 2.0, 0.95, 1.5, 12.345, 10, 1, 2, 3, 4)
    assert (load.good, load.errors) == (993.0, 20)


@pytest.mark.parametrize("output", ["", "unable to connect", "[]", "{}", REPORT.replace("timeout", "time")])
def test_no_report(output: str) -> None:
    """Output that is no report raises an error that contains all of it."""
    with pytest.raises(BenchError, match="wrk printed no report"):
        parse(output)


def test_run(tmp_path: Path) -> None:
    """A run of one second counts what the vendor answered."""
    tool("wrk", "wrk")
    with running_vendor(tmp_path, 0.0) as place:
        load = run(place.upstream + VENDOR_TARGET, 2, 1)
    assert load.requests > 10
    assert load.errors == 0
    assert 0 < load.p50 <= load.p90 <= load.p99 < 1_000
    assert 0.9 < load.seconds < 3


def test_keys(tmp_path: Path) -> None:
    """Each request has an idempotency key of its own, and another run has others; without keys there is none."""
    tool("wrk", "wrk")
    with running_vendor(tmp_path, 0.0) as place:
        keys = [last_key(place.upstream, with_keys=True), last_key(place.upstream, with_keys=True)]
        assert last_key(place.upstream, with_keys=False) is None
    parts = [(key or "").rpartition("-") for key in keys]
    assert parts[0][0] != parts[1][0]
    assert all(len(prefix) == 36 and int(number) > 10 for prefix, _, number in parts)


def last_key(upstream: str, *, with_keys: bool) -> str | None:
    """The idempotency key of the last request of a run. Keys are counted; wrk may make one that it does not send."""
    count = requests.get(f"{upstream}/last", timeout=5).json()["count"]
    run(upstream + VENDOR_TARGET, 2, 1, with_keys=with_keys)
    last = requests.get(f"{upstream}/last", timeout=5).json()
    assert {"Content-Type: application/json", "Authorization: Bearer bench"} <= set(last["headers"])
    assert last["body"] == WORK.body
    key = next((line.split(": ")[1] for line in last["headers"] if line.startswith("Idempotency-Key: ")), None)
    sent = last["count"] - count
    assert key is None or int(key.rpartition("-")[2]) in {sent, sent + 1}
    return key


def test_nobody_there() -> None:
    """A port where nobody listens is reported as such, not counted as slow."""
    tool("wrk", "wrk")
    with pytest.raises(BenchError, match=r"wrk failed: .*Connection refused"):
        run("http://127.0.0.1:9/", 1, 1)
