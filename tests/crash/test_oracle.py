"""The oracle of the crash tests reports every kind of violation."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from gateway.ledger.database import Database
from gateway.ledger.tables import job_actions
from tests.crash.deployment import CANCEL, Deployment
from tests.crash.oracle import Answer, Call, Record, WantedAction, broken_parts, violations

AT = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
DONE = Answer(200, record="r1", outcome="applied")
WANTED = WantedAction("azure-sandbox", "cancel", "j1", ["k1"], [DONE])
RECORD = Record("r1", "j1", "cancel", "k1", "succeeded", "applied", "vendor-reply", AT, 1)
CALL = Call("j1", AT + timedelta(milliseconds=5), has_effect=True)
FAILED = replace(RECORD, status="failed", outcome="rejected")
AGAIN = replace(RECORD, id="r2", requested_at=AT + timedelta(seconds=9))


def test_what_is_as_it_should_be_passes() -> None:
    """An action that was done, recorded and acknowledged once is no violation."""
    assert violations([WANTED], [RECORD], [CALL]) == []


def test_a_key_that_was_let_go_of_may_be_used_again() -> None:
    """An action that was not sent, and was asked for again with the same key, is no violation."""
    not_sent = replace(RECORD, status="failed", outcome="not_sent", problem="interrupted")
    done = replace(WANTED, answers=[replace(DONE, record="r2")])
    assert violations([done], [not_sent, AGAIN], [replace(CALL, at=AT + timedelta(seconds=10))]) == []


@pytest.mark.parametrize(
    ("wanted", "records", "calls", "told"),
    [
        (WANTED, [], [], "acknowledged and lost"),
        (WANTED, [], [CALL], "nobody asked for"),
        (WANTED, [RECORD], [CALL, CALL], "2 calls, of which 1 are recorded"),
        (WANTED, [replace(RECORD, attempts=2)], [CALL, CALL], "done 2 times"),
        (WANTED, [RECORD], [], "done 0 times, and recorded otherwise"),
        (WANTED, [RECORD], [replace(CALL, has_effect=False)], "done 0 times, and recorded otherwise"),
        (WANTED, [FAILED], [CALL], "done 1 times, and recorded otherwise"),
        (WANTED, [FAILED], [], "said to be applied"),
        (WANTED, [replace(RECORD, outcome="not_sent")], [CALL], "said not to be sent, and sent"),
        (WANTED, [replace(RECORD, status="unsettled")], [CALL], "not settled"),
        (WANTED, [replace(RECORD, requested_at=AT + timedelta(seconds=1))], [CALL], "sent before it was recorded"),
        (WANTED, [replace(RECORD, key="k2")], [CALL], "the record of something else"),
        (WANTED, [RECORD, replace(AGAIN, outcome="rejected")], [CALL], "the same key was used once more"),
        (WANTED, [replace(FAILED, problem="wrong-state"), AGAIN], [], "the same key was used once more"),
        (WANTED, [RECORD, AGAIN], [CALL, replace(CALL, at=AT + timedelta(seconds=10))], "done 2 times: "),
        (replace(WANTED, answers=[]), [], [], "not done, although"),
        (replace(WANTED, answers=[replace(DONE, record=None)]), [RECORD], [CALL], "acknowledged without a record"),
        (replace(WANTED, answers=[Answer(500, "gateway-error"), DONE]), [RECORD], [CALL], "a fault of the gateway"),
    ],
    ids=lambda each: each.replace(" ", "-") if isinstance(each, str) else "",
)
def test_what_must_not_be_is_seen(wanted: WantedAction, records: list[Record], calls: list[Call], told: str) -> None:
    """The oracle finds each kind of lost, repeated or misreported action."""
    assert [each for each in violations([wanted], records, calls) if told in each]


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_a_ledger_that_was_tampered_with_is_seen(deployment: Deployment, address: str) -> None:
    """An index that departs from the events is found, by the audit as well, and a whole ledger passes."""
    deployment.start()
    deployment.ask(deployment.want(CANCEL))
    assert broken_parts(address) == []
    database = Database.at(address)
    with database.writing.begin() as connection:
        connection.execute(update(job_actions).values(status="failed"))
    database.dispose()
    assert len(broken_parts(address)) == 2
