"""The queries of the benchmark: pages of `GET /v1/job-actions`, by each of its filters and by several."""

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
"""The smallest ledger has at least one full page for a week."""
_SAMPLES = 200


@dataclass(frozen=True)
class Question:
    """A query for a page: the selected job actions, and the id before which the page starts."""

    selection: Selection
    before: str | None = None


@dataclass(frozen=True)
class QuestionMaker:
    """Makes questions about a ledger. `jobs` are some jobs in it."""

    year: Year
    jobs: tuple[str, ...]
    random: Random

    def ask(self, **wanted: Any) -> Question:
        """Ask for the selected job actions of a caller."""
        return Question(Selection(caller=CALLER, **wanted))

    def of_a_job(self) -> Question:
        """Ask for the job actions of a job."""
        return self.ask(job_id=self.random.choice(self.jobs))

    def of_a_week(self) -> Question:
        """Ask for the job actions in a week of the year."""
        since = self.moment(0, 0.98)
        return self.ask(since=since, until=since + WEEK)

    def long_ago(self) -> Question:
        """Ask for one of the last pages, as by a cursor."""
        return replace(self.ask(), before=first_id_at(milliseconds(self.moment(0.05, 0.2))))

    def moment(self, earliest: float, latest: float) -> datetime:
        """A random time between two fractions of the year."""
        return self.year.end - YEAR * (1 - self.random.uniform(earliest, latest))


APPLIED = JobActionStatus.SUCCEEDED
QUESTIONS: Mapping[str, Callable[[QuestionMaker], Question]] = MappingProxyType(
    {
        "the newest": QuestionMaker.ask,
        "`connection`": lambda maker: maker.ask(connection="americas"),
        "`jobId`": QuestionMaker.of_a_job,
        "`action`": lambda maker: maker.ask(action="cancel"),
        "`status`": lambda maker: maker.ask(status=APPLIED),
        "`outcome`": lambda maker: maker.ask(outcome=Outcome.REJECTED),
        "`since` and `until`": QuestionMaker.of_a_week,
        "`connection`, `action` and `status`": lambda maker: maker.ask(
            connection="americas", action="cancel", status=APPLIED
        ),
        "the same, and nothing is found": lambda maker: maker.ask(
            connection="americas", action="pause", status=APPLIED
        ),
        "a rare `outcome`": lambda maker: maker.ask(outcome=Outcome.UNKNOWN),
        "a rare `connection`": lambda maker: maker.ask(connection="pilot"),
        "far back, by a cursor": QuestionMaker.long_ago,
    }
)
"""The questions by their names on the page. A caller sees only its own job actions, so all filter by `caller`."""


def question_maker(database: Database, year: Year) -> QuestionMaker:
    """A maker of questions about a ledger, with jobs in it."""
    made = QuestionMaker(year, (), Random(year.size))  # noqa: S311 - nothing is secret
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
    """The query plan of a page: the distinct lines of all its statements."""
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
