"""What is asked of a ledger: pages of `GET /v1/job-actions`, by each of its filters and by several."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from types import MappingProxyType
from typing import Any

from sqlalchemy import event, select

from bench.growth.filling import CALLERS, YEAR, Year
from gateway.domain.model import Outcome
from gateway.domain.record import JobActionStatus, Selection
from gateway.domain.times import first_id_at, milliseconds
from gateway.ledger import queries
from gateway.ledger.database import Database
from gateway.ledger.tables import job_actions

LIMIT = 50
CALLER = CALLERS[0]
WEEK = timedelta(days=7)
"""The smallest ledger has a whole page of it."""
_SAMPLES = 200


@dataclass(frozen=True)
class Question:
    """A page that somebody asks for: of which job actions, and before which id."""

    selection: Selection
    before: str | None = None


@dataclass(frozen=True)
class Asker:
    """Thinks of questions about a ledger. `jobs` are some that it has."""

    year: Year
    jobs: tuple[str, ...]
    random: Random

    def ask(self, **wanted: Any) -> Question:
        """Ask for what a caller sees of the job actions that are wanted."""
        return Question(Selection(caller=CALLER, **wanted))

    def of_a_job(self) -> Question:
        """Ask for what was done to a job."""
        return self.ask(job_id=self.random.choice(self.jobs))

    def of_a_week(self) -> Question:
        """Ask for what was done in one of the year's weeks."""
        since = self.moment(0, 0.98)
        return self.ask(since=since, until=since + WEEK)

    def long_ago(self) -> Question:
        """Ask for a page that somebody reaches who has gone through almost all of them."""
        return replace(self.ask(), before=first_id_at(milliseconds(self.moment(0.05, 0.2))))

    def moment(self, earliest: float, latest: float) -> datetime:
        """A moment between these parts of the year."""
        return self.year.end - YEAR * (1 - self.random.uniform(earliest, latest))


APPLIED = JobActionStatus.SUCCEEDED
QUESTIONS: Mapping[str, Callable[[Asker], Question]] = MappingProxyType(
    {
        "the newest": Asker.ask,
        "`connection`": lambda asker: asker.ask(connection="americas"),
        "`jobId`": Asker.of_a_job,
        "`action`": lambda asker: asker.ask(action="cancel"),
        "`status`": lambda asker: asker.ask(status=APPLIED),
        "`outcome`": lambda asker: asker.ask(outcome=Outcome.REJECTED),
        "`since` and `until`": Asker.of_a_week,
        "`connection`, `action` and `status`": lambda asker: asker.ask(
            connection="americas", action="cancel", status=APPLIED
        ),
        "the same, and nothing is found": lambda asker: asker.ask(
            connection="americas", action="pause", status=APPLIED
        ),
        "a rare `outcome`": lambda asker: asker.ask(outcome=Outcome.UNKNOWN),
        "a rare `connection`": lambda asker: asker.ask(connection="pilot"),
        "far back, by a cursor": Asker.long_ago,
    }
)
"""Each by what is written on the page. Whoever asks sees job actions of their own only, so `caller` is in all."""


def asker(database: Database, year: Year) -> Asker:
    """Who asks about a ledger, with jobs that are in it."""
    made = Asker(year, (), Random(year.size))  # noqa: S311 - nothing is secret
    columns = job_actions.c
    with database.reading.connect() as connection:
        moments = (first_id_at(milliseconds(made.moment(0, 0.9))) for _ in range(_SAMPLES))
        nearest = (
            select(columns.job_id).where(columns.caller == CALLER, columns.id >= moment).order_by(columns.id).limit(1)
            for moment in moments
        )
        jobs = tuple(connection.execute(statement).scalar_one() for statement in nearest)
    return replace(made, jobs=jobs)


def plan(database: Database, question: Question) -> tuple[str, ...]:
    """How the database finds a page: what it says of each statement, each line once."""
    asked: list[tuple[str, Any]] = []
    with database.reading.connect() as connection:
        event.listen(connection, "before_cursor_execute", lambda *given: asked.append((given[2], given[3])))
        queries.page(connection, question.selection, LIMIT, question.before)
        lines = [
            str(row[-1])
            for statement, values in [each for each in asked if each[0].startswith("SELECT")]
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        ]
    return tuple(dict.fromkeys(lines))
