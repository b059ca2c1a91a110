"""The group-committing writer: one thread writes what many requests want written, and one commit serves them all.

While a commit is under way, what comes meanwhile waits, and is the next batch. What is submitted in one turn of the
event loop and the next goes to the thread together: a commit costs as much as writing a dozen job actions.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Sequence
from contextlib import suppress
from itertools import accumulate, groupby
from typing import Any, NamedTuple

from gateway.domain.errors import LedgerUnavailable
from gateway.domain.model import Outcome
from gateway.domain.ports import Clock
from gateway.domain.record import Concluded, Sent
from gateway.ledger.chain import Segment
from gateway.ledger.database import Database, is_passing, is_storage_failure, unavailable
from gateway.ledger.diagnosis import reason
from gateway.ledger.operations import Append, Operation, write
from gateway.ledger.queries import get

log = logging.getLogger(__name__)

LARGEST_BATCH = 512
RETRY_SECONDS = 0.25
"""How long to wait before what must be kept is tried once more."""
PROOF_SECONDS = 1.0
"""For how long a batch that was written proves that others can be."""


class Submitted(NamedTuple):
    """Operations that wait to be written together, and who waits for them."""

    operations: tuple[Operation, ...]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]


class Writer:
    """Writes operations in the order in which they are submitted. Its thread starts with the first of them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Write to `database`."""
        self._database = database
        self._clock = clock
        self._queue: queue.SimpleQueue[Sequence[Submitted] | None] = queue.SimpleQueue()
        self._gathered: dict[asyncio.AbstractEventLoop, list[Submitted]] = {}
        self._unwritten: list[Submitted] = []
        self._segment: Segment | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._place: tuple[int, int] | None = None
        self._written_at: float | None = None

    @property
    def has_just_written(self) -> bool:
        """Whether the last batch was written, within the last second."""
        return self._written_at is not None and self._clock.monotonic() - self._written_at < PROOF_SECONDS

    def submit(self, *operations: Operation) -> asyncio.Future[Any]:
        """Have operations written, all or none. The future has the last one's result once they are on the storage.

        Or it has what went wrong: IntegrityError where something of the same identity is there, LedgerUnavailable.
        """
        loop = asyncio.get_running_loop()
        submitted = Submitted(operations, loop, loop.create_future())
        gathered = self._gathered.get(loop)
        if gathered is None:
            gathered = self._gathered[loop] = []
            loop.call_soon(loop.call_soon, self.hand_over, loop)
        gathered.append(submitted)
        return submitted.future

    def hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give the thread what was submitted on an event loop, whose turn it is, without waiting for more."""
        gathered = self._gathered.pop(loop, None)
        if gathered is not None:
            self._start()
            self._queue.put(gathered)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="ledger writer", daemon=True)
                self._thread.start()

    async def close(self) -> None:
        """Write what was submitted, and end."""
        self.hand_over(asyncio.get_running_loop())
        await asyncio.to_thread(self._end)

    def _end(self) -> None:
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while (batch := self._next_batch()) is not None:
            self._write_with_unwritten(batch)
        self._write_with_unwritten([])
        if self._unwritten:
            log.error("the ledger ends with %d outcomes unwritten; they will be read back.", len(self._unwritten))

    def _write_with_unwritten(self, batch: Sequence[Submitted]) -> None:
        """Write what could not be written before, and then a batch."""
        waiting, self._unwritten = [*self._unwritten, *batch], []
        for start in range(0, len(waiting), LARGEST_BATCH):
            self._write(waiting[start : start + LARGEST_BATCH])

    def _next_batch(self) -> list[Submitted] | None:
        """What waits, as soon as anything does; None where it is time to end."""
        batch: list[Submitted] = []
        with suppress(queue.Empty):
            gathered = self._queue.get(timeout=RETRY_SECONDS if self._unwritten else None)
            while gathered is not None:
                batch += gathered
                if len(batch) >= LARGEST_BATCH:
                    return batch
                gathered = self._queue.get_nowait()
            if not batch:
                return None
            self._queue.put(None)
        return batch

    def _write(self, batch: Sequence[Submitted]) -> None:
        """Write a batch; where one of it cannot be written, each on its own."""
        try:
            results = self._commit([operation for each in batch for operation in each.operations])
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it, whatever it is
            # Nobody knows whether a commit that failed took effect, so the next one begins a new segment.
            self._segment = None
            if is_passing(error):
                self._write(batch)
            elif is_storage_failure(error):
                self._put_off(batch, error)
            elif len(batch) > 1:
                for each in batch:
                    self._write([each])
            elif batch[0].future.done():
                self._write_on_top(batch[0])
            else:
                _answer([(batch[0], error)])
        else:
            last = accumulate(len(each.operations) for each in batch)
            _answer([(each, results[position - 1]) for each, position in zip(batch, last, strict=True)])

    def _write_on_top(self, late: Submitted) -> None:
        """Write a conclusion that was kept for later on top of what others have written since, where it is certain."""
        append = late.operations[-1]
        if not isinstance(append, Append) or append.record.outcome is Outcome.UNKNOWN:
            return
        try:
            with self._database.reading.connect() as connection:
                stored = get(connection, append.record.id)
        except Exception as error:  # noqa: BLE001 - the thread must live, and try again
            self._put_off([late], error)
            return
        if stored is not None and append.event not in stored.later:
            again = Append(stored.with_event(append.event), append.event, append.due)
            self._write([late._replace(operations=(again,))])

    def _commit(self, operations: Sequence[Operation]) -> Sequence[Any]:
        place = self._database.place
        if self._place not in {None, place}:
            raise OSError("the file is another one than at the start; put it back, or restart")
        self._place = place
        with self._database.writing.begin() as connection:
            segment, results = write(connection, self._segment, operations, self._clock.now())
        self._segment = segment
        self._written_at = self._clock.monotonic()
        return results

    def _put_off(self, batch: Sequence[Submitted], error: Exception) -> None:
        """Keep for later what must be kept, and tell everybody that the storage failed."""
        log.error("the ledger's database failed: %s", reason(error))
        self._written_at = None
        self._unwritten += [each for each in batch if must_be_kept(each.operations[-1])]
        _answer([(each, failure(each.operations[-1])) for each in batch])


def _answer(results: Sequence[tuple[Submitted, Any]]) -> None:
    """Tell those who wait; once for each event loop, since waking one costs more than all the rest."""
    for loop, those in groupby(results, key=lambda each: each[0].loop):
        with suppress(RuntimeError):  # the loop has ended, and nobody waits
            loop.call_soon_threadsafe(_resolve, list(those))


def _resolve(results: Sequence[tuple[Submitted, Any]]) -> None:
    for submitted, result in results:
        if submitted.future.done():
            continue
        if isinstance(result, Exception):
            submitted.future.set_exception(result)
        else:
            submitted.future.set_result(result)


def must_be_kept(operation: Operation) -> bool:
    """Whether it is written however long that takes: what is known of an outcome must not be lost.

    Of what was never sent, and has no key that would wait for it, nothing needs to be known.
    """
    if not isinstance(operation, Append) or not isinstance(operation.event, Concluded):
        return False
    return bool(operation.record.sent) or operation.record.requested.is_named


def failure(operation: Operation) -> LedgerUnavailable:
    """What to tell of an operation that could not be written."""
    if isinstance(operation, Append) and operation.record.sent and not isinstance(operation.event, Sent):
        return unavailable(Outcome.UNKNOWN, operation.record.id)
    return unavailable(Outcome.NOT_SENT)
