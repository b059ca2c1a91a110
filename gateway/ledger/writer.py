"""The group-committing writer: one thread writes the operations of many requests, with one commit for a batch.

It commits to the database itself, or hands its batches to the process that writes for all workers (`stores.py`). What
must not be lost stays here until it is written, whoever writes it.

Operations that arrive during a commit form the next batch. Those submitted in one turn of the event loop and the next
reach the thread together, since a commit costs as much as writing a dozen job actions. Results go back in slices, so
that clients fall out of step: those who are answered together send their next requests together, and each then waits
for the CPU time of all the others.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Sequence
from contextlib import suppress
from itertools import accumulate, groupby
from time import perf_counter
from typing import Any, NamedTuple

from gateway.domain.errors import LedgerUnavailable
from gateway.domain.model import Outcome
from gateway.domain.ports import Clock
from gateway.domain.record import Concluded, Sent
from gateway.ledger.database import Database, is_passing, is_storage_failure, unavailable
from gateway.ledger.diagnosis import reason
from gateway.ledger.operations import Append, Claim, Operation, stored_form
from gateway.ledger.queries import get
from gateway.ledger.stores import DatabaseStore, Store
from gateway.ledger.together import Together
from gateway.telemetry.metrics import LEDGER_FAILURES, LEDGER_SECONDS

log = logging.getLogger(__name__)

LARGEST_BATCH = 512
SLICE = 8
"""Results that are handed back in one turn of the event loop."""
PATIENCE_SECONDS = 0.05
"""Longest time for which an operation that can wait is kept back, so that it shares a commit with others."""
RETRY_SECONDS = 0.25
"""Seconds between two attempts to write operations that must not be lost."""
PROOF_SECONDS = 1.0
"""Seconds for which a successful write counts as evidence that the storage works."""


class Submitted(NamedTuple):
    """Operations to be written in one transaction, and the future of their result.

    `is_together`: they belong to one of several job actions that go on together (`together.py`).
    """

    operations: tuple[Operation, ...]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    is_together: bool = False


class Writer:
    """Writes operations in the order of their submission. Its thread starts with the first of them."""

    def __init__(self, database: Database, clock: Clock, store: Store | None = None) -> None:
        """Write to `store`, by default to `database` itself."""
        self._database = database
        self._clock = clock
        self._store = store or DatabaseStore(database, clock)
        self._queue: queue.SimpleQueue[Sequence[Submitted] | None] = queue.SimpleQueue()
        self._gathered: dict[asyncio.AbstractEventLoop, list[Submitted]] = {}
        self._handing_over: set[asyncio.AbstractEventLoop] = set()
        self._being_patient: dict[asyncio.AbstractEventLoop, asyncio.TimerHandle] = {}
        self._unwritten: list[Submitted] = []
        self.together = Together(self.hand_over)
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._written_at: float | None = None

    @property
    def has_just_written(self) -> bool:
        """True if the last write succeeded, less than `PROOF_SECONDS` ago."""
        return self._written_at is not None and self._clock.monotonic() - self._written_at < PROOF_SECONDS

    def open(self) -> None:
        """Get ready to write. Raises OSError."""
        self._store.open()

    def submit(
        self, *operations: Operation, is_patient: bool = False, action: str | None = None
    ) -> asyncio.Future[Any]:
        """Write operations, all or none. The future has the result of the last one once they are on the storage.

        Those that are patient wait for others, at most `PATIENCE_SECONDS`, to be written with the same commit. Those of
        a job `action` that has joined `together` wait for those of the others.

        It raises IntegrityError if a row with the same identity exists, LedgerUnavailable if the storage fails.
        """
        loop = asyncio.get_running_loop()
        is_together = action in self.together
        submitted = Submitted(operations, loop, loop.create_future(), is_together)
        self._gathered.setdefault(loop, []).append(submitted)
        if action is not None and is_together:
            self.together.wait(action, loop, is_last=not is_sending(operations[-1]))
        elif is_patient:
            if loop not in self._being_patient:
                self._being_patient[loop] = loop.call_later(PATIENCE_SECONDS, self.hand_over, loop)
        elif loop not in self._handing_over:
            self._handing_over.add(loop)
            loop.call_soon(loop.call_soon, self.hand_over, loop)
        return submitted.future

    def hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        """Pass the operations submitted on `loop` to the thread, without waiting for more. Called in that loop."""
        self._handing_over.discard(loop)
        self.together.handed_over()
        waiting = self._being_patient.pop(loop, None)
        if waiting is not None:
            waiting.cancel()
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
        """Write everything submitted so far, and end the thread."""
        self.hand_over(asyncio.get_running_loop())
        await asyncio.to_thread(self._end)

    def _end(self) -> None:
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None
        self._store.close()

    def _run(self) -> None:
        while (batch := self._next_batch()) is not None:
            self._write_with_unwritten(batch)
        self._write_with_unwritten([])
        if self._unwritten:
            log.error(
                "the ledger stops with %d outcomes unwritten; the next start reads the jobs to find them out.",
                len(self._unwritten),
            )

    def _write_with_unwritten(self, batch: Sequence[Submitted]) -> None:
        """Write operations that could not be written before, and then a batch."""
        waiting, self._unwritten = [*self._unwritten, *batch], []
        for start in range(0, len(waiting), LARGEST_BATCH):
            self._write(waiting[start : start + LARGEST_BATCH])

    def _next_batch(self) -> list[Submitted] | None:
        """Wait for the next batch. None: the thread must end."""
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
        """Write a batch. If one of its members cannot be written, write each on its own."""
        try:
            results = self._commit([operation for each in batch for operation in each.operations])
        except Exception as error:  # noqa: BLE001 - those who wait must get the error, whatever it is
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
        """Add a postponed conclusion after the events that others have written since, if its outcome is certain."""
        append = late.operations[-1]
        if not isinstance(append, Append) or append.record.outcome is Outcome.UNKNOWN:
            return
        try:
            with self._database.reading.connect() as connection:
                stored = get(connection, append.record.id)
        except Exception as error:  # noqa: BLE001 - the thread must go on, and try again
            self._put_off([late], error)
            return
        if stored is not None and append.event not in stored.later:
            again = Append(stored.with_event(append.event), append.event, append.due)
            self._write([late._replace(operations=(again,))])

    def _commit(self, operations: Sequence[Operation]) -> Sequence[Any]:
        begun = perf_counter()
        results = self._store.commit([stored_form(operation) for operation in operations])
        LEDGER_SECONDS.observe(perf_counter() - begun)
        self._written_at = self._clock.monotonic()
        return results

    def _put_off(self, batch: Sequence[Submitted], error: Exception) -> None:
        """Keep the operations that must not be lost for later, and answer all of them with the failure."""
        log.error("the ledger's database failed: %s", reason(error))
        LEDGER_FAILURES.add()
        self._written_at = None
        self._unwritten += [each for each in batch if must_be_kept(each.operations[-1])]
        _answer([(each, failure(each.operations[-1])) for each in batch])


def _answer(results: Sequence[tuple[Submitted, Any]]) -> None:
    """Resolve the futures, with one call for each event loop, since waking a loop is the costliest part."""
    for loop, those in groupby(results, key=lambda each: each[0].loop):
        with suppress(RuntimeError):  # the loop has ended, and nobody waits
            loop.call_soon_threadsafe(_resolve, list(those))


def _resolve(results: Sequence[tuple[Submitted, Any]]) -> None:
    """Resolve the futures: those that go on together at once, outcomes first, so that more can join them in time."""
    at_once = [each for each in results if each[0].is_together]
    at_once.sort(key=lambda each: is_sending(each[0].operations[-1]))
    for submitted, result in at_once:
        _resolve_one(submitted.future, result)
    _resolve_slice(results if not at_once else [each for each in results if not each[0].is_together])


def _resolve_slice(results: Sequence[tuple[Submitted, Any]], start: int = 0) -> None:
    """Resolve a slice of the futures now, and the others in the next turns of the loop, which reads in between."""
    end = start + SLICE
    if end < len(results):
        results[0][0].loop.call_soon(_resolve_slice, results, end)
    for submitted, result in results[start:end]:
        _resolve_one(submitted.future, result)


def _resolve_one(future: asyncio.Future[Any], result: Any) -> None:
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)


def is_sending(operation: Operation) -> bool:
    """True if the operation records that a job action is about to be sent."""
    return isinstance(operation, Claim) or (isinstance(operation, Append) and isinstance(operation.event, Sent))


def must_be_kept(operation: Operation) -> bool:
    """True if the operation is retried until it is written, since a known outcome must not be lost.

    An action that was never sent, and has neither key nor signature, can be lost.
    """
    if not isinstance(operation, Append) or not isinstance(operation.event, Concluded):
        return False
    return bool(operation.record.sent) or operation.record.requested.is_named


def failure(operation: Operation) -> LedgerUnavailable:
    """The problem for an operation that could not be written."""
    if isinstance(operation, Append) and operation.record.sent and not isinstance(operation.event, Sent):
        return unavailable(Outcome.UNKNOWN, operation.record.id)
    return unavailable(Outcome.NOT_SENT)
