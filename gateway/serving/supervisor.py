"""Worker processes that share sockets, and the supervisor that looks after them.

A worker beats: once a second, the event loop that serves writes a byte into a pipe. The first beat says that the
worker is ready, silence that it hangs. The supervisor counts silence by its own turns rather than by the clock, so no
worker is blamed where the machine is too busy to run either of them.

A worker whose supervisor is gone, for instance killed, stops as if it had been told to. Otherwise it would keep the
port.
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
from multiprocessing.context import SpawnProcess
from socket import socket
from types import FrameType

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from gateway.domain.errors import LedgerUnavailable
from gateway.serving.accept_filter import turn_away
from gateway.serving.stopping import GRACE_SECONDS, STOP_SECONDS, StoppingServer
from gateway.settings.settings import ConfigurationError
from gateway.specs.document import SpecificationError

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.1
"""How often the supervisor looks after its workers."""
MOST_SECONDS = 1.0
"""How much silence one look counts at most, however late it comes."""
BEAT_TICKS = 10
"""After how many turns of a server's main loop, ten a second, it beats."""
TOLD_SECONDS = 30.0
"""How often it is told that a worker is still starting."""
MOST_FAILED_STARTS = 3
"""How often in a row a worker may fail to start before the supervisor gives up."""
LONGEST_PAUSE = 60.0
"""How long a supervisor that does not give up waits at most before it starts a worker again."""
LEAVE_SECONDS = STOP_SECONDS + 7.0
"""How long a worker that was told to stop may take before it is killed."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ServingFailed(OSError):
    """The workers do not start. The message says why."""


@dataclass(frozen=True)
class Patience:
    """How long the supervisor waits for a worker: until it has started, and for a sign of life from then on."""

    start_seconds: float = 300.0
    health_seconds: float = 60.0


class WorkerServer(StoppingServer):
    """The server of one worker. It beats, and ends with its supervisor."""

    is_alone = False

    def __init__(self, configuration: uvicorn.Config, line: Connection) -> None:
        """Beat into `line`."""
        super().__init__(configuration)
        self._line = line
        os.set_blocking(line.fileno(), False)

    async def on_tick(self, counter: int) -> bool:
        """Do what is to be done ten times a second; gives whether to stop."""
        if counter % BEAT_TICKS == 0:
            with suppress(OSError):  # nobody listens, or for so long that the pipe is full
                os.write(self._line.fileno(), b".")
        return await super().on_tick(counter)


@dataclass
class Ending:
    """How a worker ends where its supervisor does. `server`: as soon as there is one."""

    server: WorkerServer | None = None

    def come_with_supervisor(self) -> None:
        """Wait until the supervisor is gone, then stop: gently what serves, at once what is still starting."""
        supervisor = multiprocessing.parent_process()
        if supervisor is None:
            return
        supervisor.join()
        if self.server is not None and self.server.started:
            log.error("the supervisor %s is gone, so worker %s stops.", supervisor.pid, os.getpid())
            # Nobody else shuts the door for all of them now.
            self.server.is_alone = True
            self.server.should_exit = True
            time.sleep(LEAVE_SECONDS)
        os._exit(STARTUP_FAILURE)


def work(pickled: bytes, sockets: list[socket], line: Connection) -> None:
    """Serve by a pickled configuration, in a worker process, until told to stop or the supervisor is gone.

    To read it is to load all that serves, which takes a while, in which the supervisor may end too.
    """
    ending = Ending()
    threading.Thread(target=ending.come_with_supervisor, daemon=True).start()
    try:
        ending.server = server = WorkerServer(pickle.loads(pickled), line)  # noqa: S301 - the supervisor made it
        server.run(sockets)
    except (ConfigurationError, SpecificationError, LedgerUnavailable) as error:
        log.error("this worker cannot start: %s", error)  # noqa: TRY400 - it says all
        sys.exit(STARTUP_FAILURE)
    except KeyboardInterrupt:  # the terminal has told everybody
        pass


@dataclass(eq=False)
class Worker:
    """A worker process as its supervisor sees it. `silence`: the seconds since its last beat, or since its start."""

    process: SpawnProcess
    line: Connection
    is_ready: bool = False
    silence: float = 0.0

    @classmethod
    def start(cls, configuration: uvicorn.Config, sockets: list[socket]) -> Worker:
        """Start one."""
        line, its_line = multiprocessing.Pipe(duplex=False)
        os.set_blocking(line.fileno(), False)
        given = pickle.dumps(configuration), sockets, its_line
        process = multiprocessing.get_context("spawn").Process(target=work, args=given)
        process.start()
        its_line.close()
        return cls(process, line)

    @property
    def pid(self) -> int | None:
        """The number of its process."""
        return self.process.pid

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended."""
        return self.process.exitcode is not None

    def listen(self, seconds: float) -> None:
        """Hear whether it has beaten, so many seconds after it was last listened to."""
        if self._has_beaten():
            self.is_ready = True
            self.silence = 0.0
        else:
            self.silence += seconds

    def fault(self, patience: Patience) -> str | None:
        """The reason to replace it, None where there is none."""
        code = self.process.exitcode
        if code is not None:
            return f"ended with exit code {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"
        if self.is_ready and self.silence > patience.health_seconds:
            return f"gave no sign of life for {patience.health_seconds:g} seconds (server.health_seconds)"
        if not self.is_ready and self.silence > patience.start_seconds:
            return f"was not ready after {patience.start_seconds:g} seconds (server.start_seconds)"
        return None

    def tell_to_stop(self) -> None:
        """Tell it to stop."""
        self.silence = 0.0
        if not self.has_ended:
            self.process.terminate()

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.join()
        self.line.close()

    def _has_beaten(self) -> bool:
        with suppress(OSError):
            return bool(os.read(self.line.fileno(), 65_536))
        return False


@dataclass(eq=False)
class Place:
    """A place for a worker: who has it, and, where that one is being replaced, who is to have it."""

    worker: Worker
    successor: Worker | None = None
    failed_starts: int = 0
    pause: float = 0.0

    @property
    def workers(self) -> list[Worker]:
        """All that have to do with it."""
        return [self.worker, *([self.successor] if self.successor else [])]


@dataclass
class Supervisor:
    """Keeps so many workers serving. `ready` is called once, when all are; `check_again` before they are replaced."""

    configuration: uvicorn.Config
    sockets: list[socket]
    workers: int
    patience: Patience = field(default_factory=Patience)
    ready: Callable[[], None] | None = None
    check_again: Callable[[], None] | None = None
    _places: list[Place] = field(init=False, default_factory=list)
    _to_replace: deque[Place] = field(init=False, default_factory=deque)
    _leaving: list[Worker] = field(init=False, default_factory=list)
    _signals: deque[int] = field(init=False, default_factory=deque)
    _was_whole: bool = field(init=False, default=False)
    _stops: bool = field(init=False, default=False)
    _failure: str | None = field(init=False, default=None)

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises ServingFailed where the workers do not start."""
        for each in SIGNALS:
            signal.signal(each, self._take)
        self._places = [Place(self._started()) for _ in range(self.workers)]
        last = time.monotonic()
        while not self._stops:
            now = time.monotonic()
            self._look(min(now - last, MOST_SECONDS))
            last = now
            time.sleep(LOOK_SECONDS)
            self._heed_signals()
        self._stop()
        if self._failure:
            raise ServingFailed(self._failure)

    def _take(self, number: int, _: FrameType | None) -> None:
        self._signals.append(number)

    def _heed_signals(self) -> None:
        while self._signals:
            if self._signals.popleft() == signal.SIGHUP:
                self._reload()
            else:
                self._stops = True

    def _reload(self) -> None:
        """Have the workers replaced, one after the other, by such as read the settings anew, where those are good."""
        try:
            if self.check_again is not None:
                self.check_again()
        except ConfigurationError as error:
            log.error("the settings were not reloaded, and the old ones hold: %s", error)  # noqa: TRY400 - it says all
            return
        # A place whose turn has begun comes once more: its successor may have read the settings before they changed.
        self._to_replace = deque([*list(self._to_replace)[:1], *self._places])

    def _look(self, seconds: float) -> None:
        """Look after everybody, so many seconds after the last time."""
        for place in self._places:
            for worker in place.workers:
                worker.listen(seconds)
                _tell_of_slow_start(worker, seconds)
            self._look_after(place, seconds)
        self._replace()
        self._let_leave(seconds)
        if not self._was_whole and self._is_whole():
            self._was_whole = True
            if self.ready is not None:
                self.ready()

    def _is_whole(self) -> bool:
        return all(place.worker.is_ready and not place.worker.has_ended for place in self._places)

    def _look_after(self, place: Place, seconds: float) -> None:
        """Replace a worker that is of no use, at once or after a pause."""
        if place.pause > 0:
            place.pause -= seconds
            if place.pause <= 0:
                place.worker = self._started()
            return
        if place.worker.is_ready:
            place.failed_starts = 0
        reason = place.worker.fault(self.patience)
        if reason is not None:
            self._mend(place, reason)

    def _mend(self, place: Place, reason: str) -> None:
        ended = place.worker
        ended.kill()
        if ended.is_ready:
            place.worker = self._started()
            log.error("worker %s %s; worker %s takes its place.", ended.pid, reason, place.worker.pid)
            return
        place.failed_starts += 1
        if place.failed_starts >= MOST_FAILED_STARTS and not self._can_wait():
            self._failure = (
                f"a worker process failed to start {place.failed_starts} times in a row; the last one {reason}. "
                "The log above has what it said."
            )
            self._stops = True
            return
        place.pause = min(2.0**place.failed_starts, LONGEST_PAUSE)
        log.error("worker %s did not start: it %s. Another starts in %g seconds.", ended.pid, reason, place.pause)

    def _can_wait(self) -> bool:
        """Whether there is somebody who serves meanwhile; at the first start, all have to."""
        return self._was_whole and any(place.worker.is_ready and not place.worker.has_ended for place in self._places)

    def _replace(self) -> None:
        """Go on replacing workers as was asked for: whoever leaves does so once the successor serves."""
        if not self._to_replace:
            return
        place = self._to_replace[0]
        if place.successor is None:
            place.successor = self._started()
            return
        reason = place.successor.fault(self.patience)
        if reason is not None:
            log.error("the settings were not reloaded: worker %s, a new one, %s.", place.successor.pid, reason)
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

    def _let_leave(self, seconds: float) -> None:
        """Take leave of those who were told to stop, and kill whoever does not."""
        for worker in tuple(self._leaving):
            worker.silence += seconds
            if not worker.has_ended and worker.silence <= LEAVE_SECONDS:
                continue
            if not worker.has_ended:
                log.error("worker %s did not stop within %g seconds, and was killed.", worker.pid, LEAVE_SECONDS)
            worker.kill()
            self._leaving.remove(worker)

    def _stop(self) -> None:
        """Tell everybody to stop, and shut the door that they share; one of them alone could not."""
        for place in self._places:
            self._leaving.extend(place.workers)
        for worker in self._leaving:
            worker.tell_to_stop()
        time.sleep(GRACE_SECONDS)
        turn_away(self.sockets[0])
        for each in self.sockets:
            each.close()
        while self._leaving:
            time.sleep(LOOK_SECONDS)
            self._let_leave(LOOK_SECONDS)

    def _started(self) -> Worker:
        return Worker.start(self.configuration, self.sockets)


def _tell_of_slow_start(worker: Worker, seconds: float) -> None:
    if not worker.is_ready and not worker.has_ended and worker.silence % TOLD_SECONDS < seconds < worker.silence:
        log.warning("worker %s is still starting after %.0f seconds.", worker.pid, worker.silence)
