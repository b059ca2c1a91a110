"""The supervisor: which workers it replaces and why, when it gives up, and how its workers end."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import forkserver
from typing import Any, cast

import pytest

from gateway.serving import supervisor as supervising
from gateway.serving.accepting import ABSENT
from gateway.serving.listening import HOST, ServerOptions, listen, supervisor
from gateway.serving.supervisor import (
    LEAVE_SECONDS,
    MOST_FAILED_STARTS,
    Companion,
    Patience,
    ServingFailed,
    Supervisor,
    Worker,
)
from gateway.settings.settings import ConfigurationError
from tests.serving.process import KEY, SECONDS, children, served, writers

PATIENCE = Patience(start_seconds=300, health_seconds=60)


class Process:
    """A process that is none."""

    def __init__(self, pid: int) -> None:
        """It runs."""
        self.pid = pid
        self.exitcode: int | None = None
        self.was_told = False

    def terminate(self) -> None:
        """Be told to stop."""
        self.was_told = True

    def kill(self) -> None:
        """Be ended, unless it has."""
        if self.exitcode is None:
            self.exitcode = -signal.SIGKILL

    def join(self, seconds: float | None = None) -> None:
        """It never takes long."""


@dataclass(eq=False)
class Stage(Supervisor):
    """A supervisor whose workers are no processes: the test beats and ends for them."""

    started: list[Worker] = field(default_factory=list)
    lines: list[Any] = field(default_factory=list)

    def _started(self) -> Worker:
        line, its_line = multiprocessing.Pipe(duplex=False)
        os.set_blocking(line.fileno(), False)
        self.started.append(Worker(cast("Any", Process(len(self.started) + 1)), line))
        self.lines.append(its_line)
        return self.started[-1]

    def process(self, number: int) -> Process:
        """The process of the worker that was started as this one, from 1 on."""
        return cast("Process", self.started[number - 1].process)

    def beat(self, *numbers: int) -> None:
        """Let workers give a sign of life."""
        for number in numbers:
            os.write(self.lines[number - 1].fileno(), b".")

    def wait(self, seconds: int, *beating: int) -> None:
        """Let time pass, in which these workers beat."""
        for _ in range(seconds):
            if not self._stops:
                self.beat(*beating)
                self._check(1.0)


@pytest.fixture
def stage() -> Stage:
    """One with two workers, which are starting."""
    made = Stage(cast("Any", None), cast("Any", None), 2, PATIENCE)
    made._places = [supervising.Place(made._started()) for _ in range(2)]
    return made


def test_a_slow_start_is_told_and_waited_for(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """Workers may take five minutes to start; meanwhile the log says that they are still at it."""
    greetings: list[str] = []
    stage.ready = lambda: greetings.append("ready")
    stage.wait(299)
    assert len(stage.started) == 2
    assert "worker 1 is still starting after 30 seconds" in caplog.text
    assert greetings == []
    stage.wait(1, 1, 2)
    stage.wait(50, 1, 2)
    assert greetings == ["ready"]
    assert len(stage.started) == 2


def test_a_worker_that_never_starts_is_replaced_and_in_the_end_given_up(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """Each replacement is told with its reason; after some in a row the supervisor ends, and says why."""
    stage.beat(1)
    for _ in range(MOST_FAILED_STARTS):
        stage.wait(310, 1)
    assert caplog.text.count("was not ready after 300 seconds (server.start_seconds)") == MOST_FAILED_STARTS - 1
    assert stage._stops
    assert stage._failure is not None
    assert "failed to start 3 times in a row; the last one was not ready after 300 seconds" in stage._failure


def test_while_one_serves_a_gateway_that_was_whole_is_not_given_up(stage: Stage) -> None:
    """Where a worker cannot be replaced, the others go on serving, and it is tried again after growing pauses."""
    stage.wait(1, 1, 2)
    stage.process(2).exitcode = -signal.SIGSEGV
    for _ in range(5 * MOST_FAILED_STARTS):
        stage.wait(61, 1)
        stage.process(len(stage.started)).exitcode = 3
    assert not stage._stops
    assert len(stage.started) > 2 + MOST_FAILED_STARTS
    assert not stage.process(1).was_told


@pytest.mark.parametrize(
    ("befall", "reason"),
    [
        (lambda stage: setattr(stage.process(2), "exitcode", -signal.SIGKILL), "was ended by SIGKILL"),
        (lambda stage: setattr(stage.process(2), "exitcode", 0), "ended with exit code 0"),
        (lambda stage: stage.wait(61, 1), "gave no sign of life for 60 seconds (server.health_seconds)"),
    ],
    ids=["killed", "ended", "hung"],
)
def test_a_worker_that_is_of_no_use_is_replaced(
    stage: Stage, caplog: pytest.LogCaptureFixture, befall: Callable[[Stage], None], reason: str
) -> None:
    """A worker that ends or hangs is replaced immediately, and the log names it with the reason."""
    stage.wait(1, 1, 2)
    befall(stage)
    stage.wait(1, 1)
    assert f"worker 2 {reason}; worker 3 takes its place." in caplog.text
    assert len(stage.started) == 3


def test_a_supervisor_that_had_no_turn_blames_nobody(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the machine stood still for an hour, the hour counts as a second of silence."""
    stage.wait(1, 1, 2)
    times = iter([0.0, 0.25, 3_600.0, 7_200.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(times, 7_200.0))
    monkeypatch.setattr(time, "sleep", lambda _: stage._signals.extend([signal.SIGTERM] * (len(seen) > 2)))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(stage, "_stop", lambda: None)
    seen: list[float] = []
    monkeypatch.setattr(stage, "_check", seen.append)
    stage.run()
    assert seen == [0.25, 1.0, 1.0]


def test_a_reload_replaces_one_worker_after_the_other(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """A worker is told to stop once its successor serves, then comes the next one; the log says when all are new."""
    caplog.set_level(logging.INFO)
    stage.wait(1, 1, 2)
    stage._signals.append(signal.SIGHUP)
    stage._handle_signals()
    stage.wait(2, 1, 2)
    assert len(stage.started) == 3
    assert not stage.process(1).was_told
    stage.wait(1, 1, 2, 3)
    assert stage.process(1).was_told
    stage.process(1).exitcode = 0
    stage.wait(1, 2, 3)
    assert not stage.process(2).was_told
    assert "the settings were reloaded" not in caplog.text
    stage.wait(1, 2, 3, 4)
    assert stage.process(2).was_told
    assert caplog.text.count("the settings were reloaded") == 1
    assert [place.worker.pid for place in stage._places] == [3, 4]


def test_a_reload_whose_workers_do_not_start_changes_nothing(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """If new workers do not start, the old ones go on, and the log does not say that the settings were reloaded."""
    caplog.set_level(logging.INFO)
    stage.wait(1, 1, 2)
    stage._signals.append(signal.SIGHUP)
    stage._handle_signals()
    stage.wait(1, 1, 2)
    stage.process(3).exitcode = 3
    stage.wait(5, 1, 2)
    assert "the settings were not reloaded: the new worker 3 ended with exit code 3." in caplog.text
    assert "the settings were reloaded" not in caplog.text
    assert not stage.process(1).was_told
    assert len(stage.started) == 3


def test_settings_that_are_no_good_replace_nobody(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """Bad settings are found before a worker is started, and the log names the mistake."""

    def refuse() -> None:
        raise ConfigurationError("api_key: too short")

    stage.check_again = refuse
    stage.wait(1, 1, 2)
    stage._signals.append(signal.SIGHUP)
    stage._handle_signals()
    stage.wait(2, 1, 2)
    assert "the settings were not reloaded; the old ones stay in use: api_key: too short" in caplog.text
    assert len(stage.started) == 2


def test_a_share_belongs_to_one_worker(stage: Stage) -> None:
    """A new worker gets a share that nobody has, also nobody who stops; that of one that was killed counts no more."""
    first, second, third, fourth, *_ = stage._shares
    stage.started[0].share, stage.started[1].share = first, third
    assert stage._free_share() is second
    stage._leaving.append(stage._started())
    stage._leaving[0].share = second
    assert stage._free_share() is fourth
    first.hold(5)
    stage.started[0].kill()
    assert first.held[first.number] == ABSENT


def test_a_slow_reload_does_not_keep_the_supervisor_from_stopping(stage: Stage) -> None:
    """SIGTERM stops the supervisor immediately, also during a slow reload."""
    stage.wait(1, 1, 2)
    stage._signals.append(signal.SIGHUP)
    stage._handle_signals()
    stage.wait(1, 1, 2)
    stage._signals.append(signal.SIGTERM)
    stage._handle_signals()
    assert stage._stops


def test_whoever_does_not_leave_is_killed(
    stage: Stage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that hangs when it is told to stop does not keep the supervisor for ever; the log tells of it."""
    stage.wait(1, 1, 2)
    stage.process(1).exitcode = 0
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with socket.socket() as listening:
        stage.listening = listening
        stage._stop()
    assert stage.process(2).was_told
    assert stage.process(2).exitcode == -signal.SIGKILL
    assert f"worker 2 did not stop within {LEAVE_SECONDS:g} seconds and was killed." in caplog.text
    assert "worker 1" not in caplog.text


@pytest.fixture
def accompanied(stage: Stage) -> Stage:
    """The same with a companion, process 3."""
    companion = Assistant("the assistant", cast("Any", stage._started), ())
    stage._beside = [supervising.Place(companion.start(), companion)]
    return stage


@dataclass(frozen=True)
class Assistant(Companion):
    """A companion that is no process."""

    def start(self) -> Worker:
        """Start it."""
        made: Worker = cast("Any", self.target)()
        return made


def test_a_companion_is_needed_and_replaced(accompanied: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """The greeting waits for the companion; one that ends or hangs is replaced, and the workers stay."""
    greetings: list[str] = []
    accompanied.ready = lambda: greetings.append("ready")
    accompanied.wait(2, 1, 2)
    assert greetings == []
    accompanied.wait(1, 1, 2, 3)
    assert greetings == ["ready"]
    accompanied.process(3).exitcode = -signal.SIGKILL
    accompanied.wait(1, 1, 2)
    assert "the assistant 3 was ended by SIGKILL; the assistant 4 takes its place." in caplog.text
    accompanied.wait(1, 1, 2, 4)
    accompanied.wait(61, 1, 2)
    assert "the assistant 4 gave no sign of life for 60 seconds" in caplog.text
    assert [place.worker.pid for place in accompanied._places] == [1, 2]


def test_a_companion_that_never_starts_is_given_up(accompanied: Stage) -> None:
    """At the first start, all have to start, the companion too."""
    accompanied.wait(1, 1, 2)
    for _ in range(MOST_FAILED_STARTS):
        accompanied.process(len(accompanied.started)).exitcode = 3
        accompanied.wait(10, 1, 2)
    assert accompanied._failure is not None
    assert "the assistant failed to start 3 times in a row; the last one ended with exit code 3" in accompanied._failure


def test_a_companion_stops_last_and_is_replaced_until_then(
    accompanied: Stage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While workers drain, their companion is kept; its line is closed when the last of them has left."""
    accompanied.wait(1, 1, 2, 3)
    accompanied.process(3).exitcode = -signal.SIGKILL
    turns = iter(range(100))

    def sleep(_: float) -> None:
        if next(turns) == 3:
            assert not accompanied._beside[0].worker.line.closed
            accompanied.process(1).exitcode = accompanied.process(2).exitcode = 0

    monkeypatch.setattr(time, "sleep", sleep)
    with socket.socket() as listening:
        accompanied.listening = listening
        accompanied._stop()
    assert "the assistant 4 takes its place" in caplog.text
    assert accompanied._beside[0].worker.line.closed
    assert not accompanied.process(4).was_told


def test_a_reload_leaves_the_companion(accompanied: Stage) -> None:
    """New settings replace the workers, not what they write through."""
    accompanied.wait(1, 1, 2, 3)
    accompanied._signals.append(signal.SIGHUP)
    accompanied._handle_signals()
    accompanied.wait(1, 1, 2, 3)
    accompanied.wait(2, 1, 2, 3, 4)
    accompanied.wait(2, 2, 3, 4, 5)
    assert [place.worker.pid for place in accompanied._places] == [4, 5]
    assert accompanied._beside[0].worker.pid == 3


def useless() -> object:
    """An application that cannot be made."""
    raise ConfigurationError("nothing is as it should be")


@pytest.mark.timeout(3 * SECONDS)
def test_workers_that_cannot_start_end_the_supervisor(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """If workers cannot start, the log has their messages without a stack trace, and `serve` fails with the reason."""
    monkeypatch.setattr(supervising, "MOST_FAILED_STARTS", 1)
    kept = {each: signal.getsignal(each) for each in supervising.SIGNALS}
    # One that a test before has left would write to where that test's errors went.
    forkserver._forkserver._stop()  # type: ignore[attr-defined]
    try:
        with listen(HOST, 0) as listening, pytest.raises(ServingFailed, match="ended with exit code 3"):
            supervisor(useless, ServerOptions(banner="never said"), 1, listening).run()
    finally:
        for each, handler in kept.items():
            signal.signal(each, handler)
    said = capfd.readouterr()
    assert "this worker cannot start: nothing is as it should be" in said.err
    assert "Traceback" not in said.err
    assert said.out == ""


def is_gone(pid: int) -> bool:
    """Whether a process has ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.timeout(3 * SECONDS)
def test_workers_end_with_their_supervisor() -> None:
    """After `kill -9` of the supervisor, what was begun is answered, then its workers are gone and the port is free."""
    with served("--workers", "2", "--no-access-log") as (process, url):
        host, port = url.removeprefix("http://").split(":")
        workers = [*children(process), *writers(process)]
        assert len(workers) == 3
        with socket.create_connection((host, int(port)), timeout=SECONDS) as connection:
            connection.sendall(b"GET /v1/connections HTTP/1.1\r\nHost: localhost\r\n")
            # A second one is answered, so the first has been taken too.
            with socket.create_connection((host, int(port)), timeout=SECONDS) as other:
                other.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                assert other.recv(12) == b"HTTP/1.1 200"
            os.kill(process.pid, signal.SIGKILL)
            connection.sendall(f"Authorization: Bearer {KEY}\r\n\r\n".encode())
            assert connection.recv(12) == b"HTTP/1.1 200"
        end = time.monotonic() + SECONDS
        while not all(map(is_gone, workers)):
            assert time.monotonic() < end, "a worker is still there"
            time.sleep(0.05)
        process.wait(SECONDS)
        listen(host, int(port)).close()
