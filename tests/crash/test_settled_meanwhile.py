"""A gateway that was paused and goes on when another one takes over its record."""

from __future__ import annotations

import pytest

from gateway.app import Catalogue
from gateway.domain.model import HttpReply
from gateway.domain.record import JobActionRecord
from tests.support.scripted_engine import ScriptedEngine
from tests.support.transport import reply
from tests.support.vendors import TARGETS

CANCEL = TARGETS[0]


@pytest.mark.parametrize(
    "answer", [reply(200, {}), CANCEL.refusal(429), CANCEL.refusal(404)], ids=["2xx", "429", "404"]
)
async def test_what_was_settled_meanwhile_stays_so(
    catalogue: Catalogue, answer: HttpReply, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record that was settled between being taken and being read is left as it is, and its job is not read."""
    made = ScriptedEngine(catalogue, [*CANCEL.before(), answer, *([CANCEL.no_job()] if answer.status == 404 else [])])
    settled = (await made.actions.perform(made.ask(CANCEL))).record
    assert settled.is_settled
    asked = len(made.transport.requests)
    made.transport.otherwise = CANCEL.job(CANCEL.allowed_in)

    async def take_due(*_: object) -> tuple[JobActionRecord, ...]:
        return (settled,)

    monkeypatch.setattr(made.ledger, "take_due", take_due)
    await made.reconciler.reconcile_due()
    assert await made.only_record() == settled
    assert len(made.transport.requests) == asked
