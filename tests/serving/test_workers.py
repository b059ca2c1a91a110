"""`jobgate serve` as a process: what it prints, its workers, and how it stops."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from tests.serving.process import KEY, SECONDS, children, origins, processes, served, writers
from tests.support.patience import wait_until


def status(url: str) -> int:
    """What a request on a connection of its own is answered."""
    headers = {"Authorization": f"Bearer {KEY}", "Connection": "close"}
    return requests.get(f"{url}/v1/connections", headers=headers, timeout=SECONDS).status_code


def test_workers_share_a_port_and_are_replaced() -> None:
    """Two workers answer on one port; one that dies is replaced; all stop when the server is told to."""
    with served("--workers", "2", "--no-access-log") as (process, url):
        workers = children(process)
        assert len(workers) == 2
        assert {status(url) for _ in range(20)} == {200}
        os.kill(workers[0], signal.SIGKILL)
        end = time.monotonic() + SECONDS
        while set(children(process)) in ({workers[1]}, set(workers)) and time.monotonic() < end:
            time.sleep(0.2)
        replaced = set(children(process))
        assert len(replaced) == 2
        assert workers[0] not in replaced
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=SECONDS)
        assert process.returncode == 0
        assert "Traceback" not in said
        assert children(process) == []


@pytest.mark.timeout(5 * SECONDS)
def test_one_process_writes_for_all_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several workers share a writer, reached by its user only; it is replaced when it dies, and leaves nothing."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with served("--workers", "2", "--no-access-log") as (process, url):
        (writer,) = writers(process)
        (place,) = tmp_path.glob("jobgate-writer-*")
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
        assert stat.S_IMODE((place / "socket").stat().st_mode) == 0o600
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(writer, number)
        assert requests.get(f"{url}/readyz", timeout=SECONDS).status_code == 200
        assert writers(process) == [writer]
        os.kill(writer, signal.SIGKILL)
        assert requests.get(f"{url}/readyz", timeout=SECONDS).status_code == 200
        wait_until(lambda: writers(process) not in ([], [writer]))
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=SECONDS)
        assert process.returncode == 0
    assert "the ledger's writer" in said
    assert list(tmp_path.glob("jobgate-writer-*")) == []


@pytest.mark.timeout(5 * SECONDS)
def test_the_process_that_workers_are_forked_from() -> None:
    """SIGTERM, which service managers send to every process, does not end it; if it ends, all it forked is replaced."""
    with served("--workers", "2", "--no-access-log") as (process, url):
        workers, (origin,) = children(process), origins(process)
        os.kill(origin, signal.SIGTERM)
        os.kill(workers[0], signal.SIGKILL)
        wait_until(lambda: len(children(process)) == 2 and workers[0] not in children(process))
        assert origins(process) == [origin]
        workers = children(process)
        os.kill(origin, signal.SIGKILL)
        wait_until(lambda: len(children(process)) == 2 and not set(workers) & set(children(process)))
        assert {status(url) for _ in range(20)} == {200}
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=SECONDS)
        assert process.returncode == 0
        assert "Traceback" not in said


def test_a_lone_worker_writes_itself() -> None:
    """With one worker there is no other process."""
    with served("--no-access-log") as (process, url):
        assert status(url) == 200
        assert processes(process) == []


@pytest.mark.parametrize("options", [[], ["--workers", "2"], ["--sandbox"]], ids=str)
def test_ctrl_c_stops_everything_quietly(options: list[str]) -> None:
    """Ctrl+C reaches every process of the terminal; each ends, and none complains."""
    with served(*options) as (process, url):
        assert status(url) == 200
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=SECONDS)
    assert "Traceback" not in said
    assert "Exception" not in said


def test_a_signal_to_every_process_stops_everything_quietly() -> None:
    """SIGTERM to every process, as of a service manager, stops the server as SIGTERM to itself does."""
    with served("--workers", "2") as (process, url):
        assert status(url) == 200
        os.killpg(process.pid, signal.SIGTERM)
        said, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0
    assert "Traceback" not in said
    assert "failed" not in said


def test_the_access_log_can_be_switched_off() -> None:
    """With `--no-access-log` nothing is printed for a request; without it there is a line."""
    for options, lines in ((["--no-access-log"], 0), ([], 1)):
        with served(*options) as (process, url):
            assert status(url) == 200
            process.send_signal(signal.SIGTERM)
            said, _ = process.communicate(timeout=SECONDS)
        assert said.count("GET /v1/connections") == lines, said


WRONG = """[server]
workers = 0
trusted_hosts = ["a b"]
response_validation = "maybe"
color = 1
"""


def test_a_mistake_is_told_before_anything_starts(tmp_path: Path) -> None:
    """A setting that is wrong stops `serve` with a sentence, however many workers there would be."""
    file = tmp_path / "jobgate.toml"
    file.write_text(WRONG, encoding="utf-8")
    command = [str(Path(sys.executable).with_name("jobgate")), "serve", "--config", str(file), "--workers", "2"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    for key in ("server.workers", "server.trusted_hosts.0", "server.response_validation", "server.color"):
        assert key in result.stderr
