"""Finds the jobs of several connections that meet a filter.

The lists of the connections are walked one after the other. A list that the vendor filters by one status at a time is
walked once for each status; what a vendor cannot filter is filtered here. A connection that cannot be read does not
end the search: it is named, with the problem.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gateway.domain.encoding import decode_cursor, dump, encode_cursor, unknown_cursor
from gateway.domain.errors import JobgateError, UnknownCursor, ValueNotSupported
from gateway.domain.finding import JobFilter
from gateway.domain.model import Job, Json
from gateway.domain.vocabulary import LARGEST_PAGE, LONGEST_CURSOR, UNKNOWN_STATUS, Source
from gateway.engine.calls import CallContext
from gateway.engine.connections import Connection, Directory
from gateway.engine.jobs import Jobs
from gateway.engine.paging import bad_next_page
from gateway.engine.wire import json_value

MOST_PAGES_READ = 100
"""Most pages of vendors' lists that are read for one page of ours."""
MOST_SHARES = 4
"""Number of connections between which the time for a page is divided; the others go on with the time that is left."""
LEAST_SECONDS = 2.0
"""Shortest time for a call, in seconds, unless the request allows less: a vendor that is well answers within it."""

NewContext = Callable[[], CallContext]
"""Makes the context of the next call to a vendor."""
Walk = Mapping[str, Json]
"""The filters of one walk through a vendor's list, by their sources."""


class Position(Struct, frozen=True):
    """A place in a search: a page of a walk through a connection's list, after so many of the page's wanted jobs.

    `cursor` is the cursor of the page; None for the first.
    """

    connection: str
    walk: int = 0
    cursor: str | None = None
    skipped: int = 0


class Found(Struct, frozen=True):
    """The wanted jobs of one page of a connection's list, or the problem for which the connection is left.

    `left_out` is the number of jobs that may be wanted, but do not show it. The search goes on at `following`; None:
    this was its last page. `position` is that of this page.
    """

    position: Position
    jobs: tuple[Job, ...] = ()
    left_out: int = 0
    problem: JobgateError | None = None
    following: Position | None = None

    @property
    def connection(self) -> str:
        """The name of the connection."""
        return self.position.connection


class FoundPage(Struct, frozen=True):
    """A page of wanted jobs of several connections. `problems` are by the connections that could not be read."""

    jobs: tuple[Job, ...]
    next_cursor: str | None
    left_out: int
    problems: Mapping[str, JobgateError]


class Counted(Struct, frozen=True):
    """The number of a connection's wanted jobs in each common status.

    `left_out` as for Found. With a `problem` the rest of the list could not be read.
    """

    connection: str
    statuses: Mapping[str, int]
    left_out: int
    problem: JobgateError | None = None


@dataclass(frozen=True)
class Finder:
    """Finds jobs of several connections."""

    jobs: Jobs
    directory: Directory

    async def found(
        self, wanted: JobFilter, new_context: NewContext, start: Position | None = None, limit: int = LARGEST_PAGE
    ) -> AsyncIterator[Found]:
        """Yield what is found, a page of a vendor's list at a time, from `start`, by default from the beginning.

        A vendor is asked for pages of at most `limit` jobs. Each call gets a context from `new_context`. Raises
        UnknownConnection, and UnknownCursor if `start` is not a place in this search.
        """
        at = next(self._beginnings(wanted, 0), None) if start is None else self._checked(wanted, start)
        while at is not None:
            found = await self._at(wanted, at, new_context(), limit)
            yield found
            at = found.following

    async def page(self, wanted: JobFilter, context: CallContext, cursor: str | None, limit: int) -> FoundPage:
        """Return a page of at most `limit` jobs. `cursor` is from an earlier page. Raises as `found`.

        No call takes the time of the connections after it. The page ends early when half of the time is over, or many
        pages of vendors have been read.
        """
        clock = self.jobs.calls.clock
        enough = (clock.monotonic() + context.deadline) / 2
        start = None if cursor is None else position_in(cursor)
        jobs: list[Job] = []
        left_out, pages = 0, 0
        problems: dict[str, JobgateError] = {}
        waiting = len(self._names(wanted)) if start is None else self._waiting(wanted, start)

        def share() -> CallContext:
            return shared(context, waiting, clock.monotonic())

        async for found in self.found(wanted, share, start, limit):
            waiting = 0 if found.following is None else self._waiting(wanted, found.following)
            room = limit - len(jobs)
            jobs += found.jobs[:room]
            left_out += found.left_out
            pages += 1
            if found.problem is not None:
                problems[found.connection] = found.problem
            if len(found.jobs) > room:
                rest = replace(found.position, skipped=found.position.skipped + room)
                return FoundPage(tuple(jobs), cursor_at(rest), left_out, problems)
            if len(jobs) == limit or pages == MOST_PAGES_READ or clock.monotonic() >= enough:
                following = None if found.following is None else cursor_at(found.following)
                return FoundPage(tuple(jobs), following, left_out, problems)
        return FoundPage(tuple(jobs), None, left_out, problems)

    async def count(self, wanted: JobFilter, context: CallContext) -> tuple[Counted, ...]:
        """Return the numbers of wanted jobs of each connection. All connections are read at the same time.

        Raises UnknownConnection.
        """
        names = [self.directory.connection(name).name for name in self._names(wanted)]
        counts = (self._count(replace(wanted, connections=(name,)), context) for name in names)
        return tuple(await asyncio.gather(*counts))

    async def _count(self, wanted: JobFilter, context: CallContext) -> Counted:
        """The count of one connection."""
        statuses: Counter[str] = Counter()
        left_out, problem = 0, None
        async for found in self.found(wanted, lambda: context):
            statuses.update(job.status.status for job in found.jobs)
            left_out += found.left_out
            problem = found.problem
        return Counted(wanted.connections[0], statuses, left_out, problem)

    async def _at(self, wanted: JobFilter, at: Position, context: CallContext, limit: int) -> Found:
        """The jobs at a position, or the problem with it."""
        connection = self.directory.connection(at.connection)
        walks = walks_of(connection, wanted)
        try:
            page = await self.jobs.listed(connection, walks[at.walk], limit, at.cursor, context)
            following = None
            if page.next_cursor is not None:
                following = fitting(connection, Position(at.connection, at.walk, page.next_cursor))
        except UnknownCursor:
            raise
        except ValueNotSupported:  # the vendor has no queue or type of this form
            return Found(at, following=self._after(wanted, at.connection))
        except JobgateError as error:
            return Found(at, problem=error, following=self._after(wanted, at.connection))
        if following is None and at.walk + 1 < len(walks):
            following = Position(at.connection, at.walk + 1)
        now = self.jobs.calls.clock.now()
        answers = [(job, wanted.fits(job, now)) for job in page.items]
        jobs = tuple(job for job, fits in answers if fits)
        left_out = 0 if at.skipped else sum(fits is None for _, fits in answers)
        return Found(at, jobs[at.skipped :], left_out, None, following or self._after(wanted, at.connection))

    def _names(self, wanted: JobFilter) -> tuple[str, ...]:
        """The names of the connections to be searched, each once."""
        return tuple(dict.fromkeys(wanted.connections))

    def _waiting(self, wanted: JobFilter, at: Position) -> int:
        """The number of connections from this position on."""
        names = self._names(wanted)
        return len(names) - names.index(at.connection) if at.connection in names else 0

    def _beginnings(self, wanted: JobFilter, first: int) -> Iterator[Position]:
        """The beginnings of the connections that can have wanted jobs, from the one with the index `first`."""
        for name in self._names(wanted)[first:]:
            if walks_of(self.directory.connection(name), wanted):
                yield Position(name)

    def _after(self, wanted: JobFilter, name: str) -> Position | None:
        """The beginning of the connection after this one; None if it is the last."""
        return next(self._beginnings(wanted, self._names(wanted).index(name) + 1), None)

    def _checked(self, wanted: JobFilter, at: Position) -> Position:
        """The position, if it is in this search. Raises UnknownCursor."""
        if at.connection not in self._names(wanted) or at.connection not in self.directory.connections:
            raise unknown_cursor()
        if not 0 <= at.walk < len(walks_of(self.directory.connection(at.connection), wanted)) or at.skipped < 0:
            raise unknown_cursor()
        return at


def shared(context: CallContext, connections: int, now: float) -> CallContext:
    """The context of a call to the first of so many connections, with its share of the time that is left."""
    left = context.deadline - now
    share = max(left / min(connections, MOST_SHARES), LEAST_SECONDS) if connections > 1 else left
    return replace(context, deadline=now + min(share, left))


def walks_of(connection: Connection, wanted: JobFilter) -> tuple[Walk, ...]:
    """The walks through a connection's list that find all wanted jobs; none if it can have no wanted job."""
    specification = connection.specification
    read = specification.list_read
    shape = specification.job if read is None else read.job
    groups = {Source.JOB_QUEUE: wanted.queue, Source.JOB_TYPE: wanted.type}
    common: Walk = {name.value: value for name, value in groups.items() if value is not None}
    if common.keys() - shape.values:
        return ()
    if not (wanted.statuses or wanted.vendor_statuses) or UNKNOWN_STATUS in wanted.statuses:
        return (common,)
    words = [
        word
        for word, known in specification.statuses.items()
        if (not wanted.statuses or known.pair.status in wanted.statuses)
        and (not wanted.vendor_statuses or word in wanted.vendor_statuses)
    ]
    if not words:
        return ()
    if read is None or read.lens.place_of(Source.JOB_VENDOR_STATUS) is None:
        return (common,)
    if read.takes_several_statuses:
        return ({**common, Source.JOB_VENDOR_STATUS: words},)
    return tuple({**common, Source.JOB_VENDOR_STATUS: word} for word in words)


def fitting(connection: Connection, at: Position) -> Position:
    """The position, if a cursor can hold it. Raises VendorReplyNotUnderstood."""
    if len(cursor_at(replace(at, skipped=LARGEST_PAGE))) > LONGEST_CURSOR:
        raise bad_next_page(connection)
    return at


def cursor_at(position: Position) -> str:
    """The cursor of a position. It holds that of the vendor's page decoded, so that it is hardly longer."""
    head = dump([position.connection, position.walk, position.skipped])
    tail = b"" if position.cursor is None else b"\n" + decode_cursor(position.cursor)
    return encode_cursor(head + tail)


def position_in(cursor: str) -> Position:
    """The position in a cursor. Raises UnknownCursor if the cursor is not one of ours."""
    head, line_break, tail = decode_cursor(cursor).partition(b"\n")
    try:
        found: Any = json_value(head)
        connection, walk, skipped = found
    except (ValueError, RecursionError, TypeError):
        raise unknown_cursor() from None
    if type(connection) is not str or type(walk) is not int or type(skipped) is not int:
        raise unknown_cursor()
    return Position(connection, walk, encode_cursor(tail) if line_break else None, skipped)
