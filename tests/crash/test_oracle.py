"""The judge of the other tests here is no fool: it sees each thing that must not be."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from gateway.ledger.database import Database
from gateway.ledger.tables import job_actions
from tests.crash.gateways import CANCEL, World
from tests.crash.oracle import Answer, Call, Record, Wish, broken_parts, violations

AT = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
DONE = Answer(200, record="r1", outcome="applied")
WISH = Wish("azure-sandbox", "cancel", "j1", ["k1"], [DONE])
RECORD = Record("r1", "j1", "cancel", "k1", "succeeded", "applied", "vendor-reply", AT, 1)
CALL = Call("j1", AT + timedelta(milliseconds=5), has_effect=True)
FAILED = replace(RECORD, status="failed", outcome="rejected")
AGAIN = replace(RECORD, id="r2", requested_at=AT + timedelta(seconds=9))


def test_what_is_as_it_should_be_passes() -> None:
    """An action that was done, recorded and acknowledged once is no violation."""
    assert violations([WISH], [RECORD], [CALL]) == []


def test_a_key_that_was_let_go_of_may_be_used_again() -> None:
    """An action that was not sent, and was asked for again with the same key, is no violation."""
    not_sent = replace(RECORD, status="failed", outcome="not_sent", problem="interrupted")
    done = replace(WISH, answers=[replace(DONE, record="r2")])
    assert violations([done], [not_sent, AGAIN], [replace(CALL, at=AT + timedelta(seconds=10))]) == []


@pytest.mark.parametrize(
    ("wish", "records", "calls", "told"),
    [
        (WISH, [], [], "acknowledged and lost"),
        (WISH, [], [CALL], "nobody asked for"),
        (WISH, [RECORD], [CALL, CALL], "2 calls, of which 1 are recorded"),
        (WISH, [replace(RECORD, attempts=2)], [CALL, CALL], "done 2 times"),
        (WISH, [RECORD], [], "done 0 times, and recorded otherwise"),
        (WISH, [RECORD], [replace(CALL, has_effect=False)], "done 0 times, and recorded otherwise"),
        (WISH, [FAILED], [CALL], "done 1 times, and recorded otherwise"),
        (WISH, [FAILED], [], "said to be applied"),
        (WISH, [replace(RECORD, outcome="not_sent")], [CALL], "said not to be sent, and sent"),
        (WISH, [replace(RECORD, status="unsettled")], [CALL], "not settled"),
        (WISH, [replace(RECORD, requested_at=AT + timedelta(seconds=1))], [CALL], "sent before it was recorded"),
        (WISH, [replace(RECORD, key="k2")], [CALL], "the record of something else"),
        (WISH, [RECORD, replace(AGAIN, outcome="rejected")], [CALL], "the same key was used once more"),
        (WISH, [replace(FAILED, problem="wrong-state"), AGAIN], [], "the same key was used once more"),
        (WISH, [RECORD, AGAIN], [CALL, replace(CALL, at=AT + timedelta(seconds=10))], "done 2 times: "),
        (replace(WISH, answers=[]), [], [], "not done, although"),
        (replace(WISH, answers=[replace(DONE, record=None)]), [RECORD], [CALL], "acknowledged without a record"),
        (replace(WISH, answers=[Answer(500, "gateway-error"), DONE]), [RECORD], [CALL], "a fault of the gateway"),
    ],
    ids=lambda each: each.replace(" ", "-") if isinstance(each, str) else "",
)
def test_what_must_not_be_is_seen(wish: Wish, records: list[Record], calls: list[Call], told: str) -> None:
    """Each way to lose, to repeat or to tell untruths is found."""
    assert [each for each in violations([wish], records, calls) if told in each]


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_a_ledger_that_was_tampered_with_is_seen(a_world: World, address: str) -> None:
    """An index that departs from the events is found, by the audit as well, and a whole ledger passes."""
    a_world.start()
    a_world.ask(a_world.wish(CANCEL))
    assert broken_parts(address) == []
    database = Database.at(address)
    with database.writing.begin() as connection:
        connection.execute(update(job_actions).values(status="failed"))
    database.dispose()
    assert len(broken_parts(address)) == 2
