"""Worker processes that share sockets, their companion if they need one, and their supervisor.

Heartbeat: once a second, the event loop of a worker writes a byte into a pipe. The first beat means that the worker is
ready; silence means that it hangs. The supervisor measures silence by its own checks rather than by the clock, so that
no worker is replaced only because the machine is too busy to run either of them.

If the supervisor has ended, for example because it was killed, its workers stop gracefully. Otherwise they would keep
the port.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from socket import socket
from types import FrameType

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from gateway.domain.errors import LedgerUnavailable
from gateway.serving.accept_filter import attach_syn_filter
from gateway.serving.accepting import Share, shares
from gateway.serving.forking import start
from gateway.serving.stopping import GRACE_SECONDS, STOP_SECONDS, StoppingServer
from gateway.settings.settings import ConfigurationError
from gateway.specs.document import SpecificationError

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.1
"""Seconds between checks of the workers."""
MOST_SECONDS = 1.0
"""Most seconds of silence that one check adds, however late it is."""
BEAT_TICKS = 10
"""Ticks of a server's main loop, at ten a second, between heartbeats."""
TOLD_SECONDS = 30.0
"""Seconds between log messages about a worker that is still starting."""
MOST_FAILED_STARTS = 3
"""Failed starts in a row after which the supervisor gives up."""
LONGEST_PAUSE = 60.0
"""Longest wait before another start, in seconds, if the supervisor does not give up."""
LEAVE_SECONDS = STOP_SECONDS + 7.0
"""Seconds after which a stopping worker is killed."""
UNREAD = 255
"""The exit code that `multiprocessing` gives a process if the one that it was forked from has ended."""
WORKER = "jobgate-worker"
"""The name that the system shows for a worker."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ServingFailed(OSError):
    """The workers cannot start. The message says why."""


@dataclass(frozen=True)
class Patience:
    """The time limits for a worker, in seconds: until it is ready, and between its signs of life."""

    start_seconds: float = 300.0
    health_seconds: float = 60.0


class WorkerServer(StoppingServer):
    """The server of one worker, with a heartbeat."""

    is_alone = False

    def __init__(self, configuration: uvicorn.Config, share: Share | None, line: Connection) -> None:
        """Write the heartbeat into the pipe `line`."""
        super().__init__(configuration)
        self.share = share
        self._line = line
        os.set_blocking(line.fileno(), False)

    async def on_tick(self, counter: int) -> bool:
        """Beat if it is time. Called ten times a second; returns True to stop."""
        if counter % BEAT_TICKS == 0:
            with suppress(OSError):  # the pipe is closed or full
                os.write(self._line.fileno(), b".")
        return await super().on_tick(counter)


@dataclass
class Ending:
    """Ends a worker when its supervisor has ended. `server` is None until it is made."""

    server: WorkerServer | None = None

    def follow_supervisor(self) -> None:
        """Wait until the supervisor has ended, then stop: gracefully if serving, immediately if still starting."""
        supervisor = multiprocessing.parent_process()
        if supervisor is None:
            return
        supervisor.join()
        if self.server is not None and self.server.started:
            log.error("the supervisor %s has ended, so worker %s stops.", supervisor.pid, os.getpid())
            # Without the supervisor, this worker has to attach the SYN filter itself.
            self.server.is_alone = True
            self.server.should_exit = True
            time.sleep(LEAVE_SECONDS)
        os._exit(STARTUP_FAILURE)


def hold_signals() -> None:
    """Block the signals that a service manager sends to every process, in the process that workers are forked from.

    They must not end it. Those for a worker that has just been forked wait until it calls `release_signals`.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGHUP})


def release_signals() -> None:
    """Take the signals that `hold_signals` blocks."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGHUP})


def show_as(name: str) -> None:
    """Let the system show this process by a name of at most 15 characters."""
    with suppress(OSError):  # only Linux has it
        Path("/proc/self/comm").write_text(name, encoding="ascii")


def work(pickled: bytes, listening: socket, share: Share | None, line: Connection) -> None:
    """Serve with a pickled configuration, in a worker process, until told to stop or the supervisor has ended.

    Making the application takes a while. The supervisor is watched during that time too.
    """
    release_signals()
    show_as(WORKER)
    ending = Ending()
    threading.Thread(target=ending.follow_supervisor, daemon=True).start()
    try:
        ending.server = server = WorkerServer(pickle.loads(pickled), share, line)  # noqa: S301 - the supervisor made it
        server.run([listening])
    except (ConfigurationError, SpecificationError, LedgerUnavailable) as error:
        log.error("this worker cannot start: %s", error)  # noqa: TRY400 - no traceback needed
        sys.exit(STARTUP_FAILURE)
    except KeyboardInterrupt:  # Ctrl+C reaches every process of the terminal
        pass


@dataclass(eq=False)
class Worker:
    """The supervisor's view of a process. `silence` has the seconds since its last beat, or since its start."""

    process: ForkServerProcess
    line: Connection
    share: Share | None = None
    is_ready: bool = False
    silence: float = 0.0

    @classmethod
    def start(cls, target: Callable[..., None], *given: object, share: Share | None = None) -> Worker:
        """Start a process that runs `target` with what is given and its end of the line. It has this share."""
        line, its_line = multiprocessing.Pipe()
        os.set_blocking(line.fileno(), False)
        process = multiprocessing.get_context("forkserver").Process(target=target, args=(*given, its_line))
        start(process)
        its_line.close()
        return cls(process, line, share)

    @property
    def pid(self) -> int | None:
        """The process id."""
        return self.process.pid

    @property
    def has_ended(self) -> bool:
        """True if the process has ended."""
        return self.process.exitcode is not None

    def listen(self, seconds: float) -> None:
        """Read the heartbeat, `seconds` after the last call."""
        if self._has_beaten():
            self.is_ready = True
            self.silence = 0.0
        else:
            self.silence += seconds

    def fault(self, patience: Patience) -> str | None:
        """The reason to replace it, or None."""
        code = self.process.exitcode
        if code is not None:
            return f"ended with exit code {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"
        if self.is_ready and self.silence > patience.health_seconds:
            return f"gave no sign of life for {patience.health_seconds:g} seconds (server.health_seconds)"
        if not self.is_ready and self.silence > patience.start_seconds:
            return f"was not ready after {patience.start_seconds:g} seconds (server.start_seconds)"
        return None

    def tell_to_stop(self) -> None:
        """Tell it to stop, by SIGTERM."""
        self.silence = 0.0
        if not self.has_ended:
            self.process.terminate()

    def let_go(self, seconds: float) -> None:
        """Close the line, which tells a companion to end, and wait for that."""
        self.line.close()
        self.process.join(seconds)

    def kill(self) -> None:
        """Kill it, even if `multiprocessing` takes it for ended since the process that it was forked from has ended."""
        if self.process.exitcode == UNREAD and self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        self.process.kill()
        self.process.join()
        self.line.close()
        if self.share is not None:
            self.share.leave()

    def _has_beaten(self) -> bool:
        with suppress(OSError):
            return bool(os.read(self.line.fileno(), 65_536))
        return False


@dataclass(frozen=True)
class Companion:
    """A process that all workers need. It starts with them, and ends after them, when its line is closed."""

    title: str
    target: Callable[..., None]
    given: tuple[object, ...]

    def start(self) -> Worker:
        """Start it."""
        return Worker.start(self.target, *self.given)


@dataclass(eq=False)
class Place:
    """The slot of one worker, or of the companion. During a replacement it has the successor too."""

    worker: Worker
    companion: Companion | None = None
    successor: Worker | None = None
    failed_starts: int = 0
    pause: float = 0.0

    @property
    def workers(self) -> list[Worker]:
        """The worker, and its successor if there is one."""
        return [self.worker, *([self.successor] if self.successor else [])]

    @property
    def title(self) -> str:
        """The name of its process in the log."""
        return self.companion.title if self.companion else "worker"

    @property
    def whose(self) -> str:
        """The same in a sentence."""
        return self.title if self.companion else "a worker process"


@dataclass
class Supervisor:
    """Keeps a number of workers serving, and their companion running.

    `ready` is called once, when all of them are ready; `check_again` before the workers are replaced.
    """

    configuration: uvicorn.Config
    listening: socket
    workers: int
    patience: Patience = field(default_factory=Patience)
    ready: Callable[[], None] | None = None
    check_again: Callable[[], None] | None = None
    companion: Companion | None = None
    _beside: list[Place] = field(init=False, default_factory=list)
    _places: list[Place] = field(init=False, default_factory=list)
    _to_replace: deque[Place] = field(init=False, default_factory=deque)
    _leaving: list[Worker] = field(init=False, default_factory=list)
    _signals: deque[int] = field(init=False, default_factory=deque)
    _was_whole: bool = field(init=False, default=False)
    _stops: bool = field(init=False, default=False)
    _failure: str | None = field(init=False, default=None)
    _shares: tuple[Share, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Make the memory that workers share."""
        self._shares = shares(self.workers)

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises ServingFailed if the workers cannot start."""
        for each in SIGNALS:
            signal.signal(each, self._take)
        if self.companion is not None:
            self._beside = [Place(self.companion.start(), self.companion)]
        for _ in range(self.workers):
            self._places.append(Place(self._started()))
        last = time.monotonic()
        while not self._stops:
            now = time.monotonic()
            self._check(min(now - last, MOST_SECONDS))
            last = now
            time.sleep(LOOK_SECONDS)
            self._handle_signals()
        self._stop()
        if self._failure:
            raise ServingFailed(self._failure)

    def _take(self, number: int, _: FrameType | None) -> None:
        self._signals.append(number)

    def _handle_signals(self) -> None:
        while self._signals:
            if self._signals.popleft() == signal.SIGHUP:
                self._reload()
            else:
                self._stops = True

    def _reload(self) -> None:
        """Replace the workers one by one with new ones that read the settings again, if the settings are valid."""
        try:
            if self.check_again is not None:
                self.check_again()
        except ConfigurationError as error:
            log.error("the settings were not reloaded; the old ones stay in use: %s", error)  # noqa: TRY400
            return
        # A replacement under way is repeated: its successor may have read the settings before they changed.
        self._to_replace = deque([*list(self._to_replace)[:1], *self._places])

    def _check(self, seconds: float) -> None:
        """Check all processes, `seconds` after the last check."""
        for place in (*self._beside, *self._places):
            self._check_place(place, seconds)
        self._replace()
        self._reap(seconds)
        if not self._was_whole and self._is_whole():
            self._was_whole = True
            if self.ready is not None:
                self.ready()

    def _is_whole(self) -> bool:
        places = (*self._beside, *self._places)
        return all(place.worker.is_ready and not place.worker.has_ended for place in places)

    def _check_place(self, place: Place, seconds: float) -> None:
        """Replace a failed process, immediately or after a pause."""
        for worker in place.workers:
            worker.listen(seconds)
            _log_slow_start(place.title, worker, seconds)
        if place.pause > 0:
            place.pause -= seconds
            if place.pause <= 0:
                place.worker = self._started_at(place)
            return
        if place.worker.is_ready:
            place.failed_starts = 0
        reason = place.worker.fault(self.patience)
        if reason is not None:
            self._mend(place, reason)

    def _mend(self, place: Place, reason: str) -> None:
        ended, title = place.worker, place.title
        ended.kill()
        if ended.is_ready:
            place.worker = self._started_at(place)
            log.error("%s %s %s; %s %s takes its place.", title, ended.pid, reason, title, place.worker.pid)
            return
        place.failed_starts += 1
        if place.failed_starts >= MOST_FAILED_STARTS and not self._can_wait():
            self._failure = (
                f"{place.whose} failed to start {place.failed_starts} times in a row; the last one {reason}. "
                "See the log above."
            )
            self._stops = True
            return
        place.pause = min(2.0**place.failed_starts, LONGEST_PAUSE)
        log.error(
            "%s %s did not start: it %s. The next attempt is in %g seconds.", title, ended.pid, reason, place.pause
        )

    def _can_wait(self) -> bool:
        """True if another worker serves meanwhile. At the first start, all workers must start."""
        return self._was_whole and any(place.worker.is_ready and not place.worker.has_ended for place in self._places)

    def _replace(self) -> None:
        """Continue to replace workers. A worker stops only when its successor is ready."""
        if not self._to_replace:
            return
        place = self._to_replace[0]
        if place.successor is None:
            place.successor = self._started()
            return
        reason = place.successor.fault(self.patience)
        if reason is not None:
            log.error("the settings were not reloaded: the new worker %s %s.", place.successor.pid, reason)
            place.successor.kill()
            place.successor = None
            self._to_replace.clear()
        elif place.successor.is_ready:
            self._exchange(place, place.successor)
            self._to_replace.popleft()
            if not self._to_replace:
                log.info("the settings were reloaded")

    def _exchange(self, place: Place, successor: Worker) -> None:
        if place.pause <= 0:
            place.worker.tell_to_stop()
            self._leaving.append(place.worker)
        place.worker, place.successor, place.pause, place.failed_starts = successor, None, 0.0, 0

    def _reap(self, seconds: float) -> None:
        """Remove the workers that have stopped, and kill those that take too long."""
        for worker in tuple(self._leaving):
            worker.silence += seconds
            if not worker.has_ended and worker.silence <= LEAVE_SECONDS:
                continue
            if not worker.has_ended:
                log.error("worker %s did not stop within %g seconds and was killed.", worker.pid, LEAVE_SECONDS)
            worker.kill()
            self._leaving.remove(worker)

    def _stop(self) -> None:
        """Stop all workers, then the companion.

        The SYN filter on the shared socket is attached here, once all workers know.
        """
        for place in self._places:
            self._leaving.extend(place.workers)
        for worker in self._leaving:
            worker.tell_to_stop()
        time.sleep(GRACE_SECONDS)
        attach_syn_filter(self.listening)
        self.listening.close()
        while self._leaving:
            time.sleep(LOOK_SECONDS)
            self._reap(LOOK_SECONDS)
            for place in self._beside:
                self._check_place(place, LOOK_SECONDS)
        for place in self._beside:
            place.worker.let_go(LEAVE_SECONDS)
            place.worker.kill()

    def _started(self) -> Worker:
        share = self._free_share()
        return Worker.start(work, pickle.dumps(self.configuration), self.listening, share, share=share)

    def _free_share(self) -> Share | None:
        """A share that no worker has; None if there are too many that stop."""
        there = [*self._leaving, *(worker for place in self._places for worker in place.workers)]
        taken = {worker.share.number for worker in there if worker.share is not None}
        return next((share for share in self._shares if share.number not in taken), None)

    def _started_at(self, place: Place) -> Worker:
        return self._started() if place.companion is None else place.companion.start()


def _log_slow_start(title: str, worker: Worker, seconds: float) -> None:
    if not worker.is_ready and not worker.has_ended and worker.silence % TOLD_SECONDS < seconds < worker.silence:
        log.warning("%s %s is still starting after %.0f seconds.", title, worker.pid, worker.silence)
