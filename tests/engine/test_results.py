"""Results of actions: a reply that is the job, one that only accepts, a job that has changed, a job that is gone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from gateway.app import Catalogue
from gateway.domain.entity_tags import entity_tag
from gateway.domain.errors import JobChanged, VendorTimedOut
from gateway.domain.model import HttpReply, Outcome, Result
from gateway.domain.record import JobActionRecord, SettledBy
from gateway.engine.wire import VendorReply
from gateway.specs.capabilities import capabilities
from gateway.specs.lens import Lens
from tests.support.scripted_engine import ScriptedEngine
from tests.support.transport import Line, reply
from tests.support.vendors import AZURE_JOB, TARGETS, azure_error, azure_job, completed_job

CANCEL, CLOSE = TARGETS[:2]
SILENCE = VendorTimedOut("The vendor did not answer in time.")
GONE = azure_error(404, "NotFound")
LAST_CONFIRMATION = 15.0

Make = Callable[..., ScriptedEngine]


@pytest.fixture
def made_of(catalogue: Catalogue) -> Make:
    """A function that makes an engine for a variant of Azure: with other members of its document, or of its actions."""

    def make(
        result: Result = Result.DONE, to_status: str | None = None, version_at: str | None = None, **members: Any
    ) -> ScriptedEngine:
        version = Lens.compile({version_at: "job.version"}).rules if version_at else ()
        azure = catalogue.vendors["azure-job-router"]
        actions = {
            name: replace(
                each, result=result, to_status=to_status or each.to_status, lens=Lens((*each.lens.rules, *version))
            )
            for name, each in azure.specification.actions.items()
        }
        specification = replace(azure.specification, actions=actions, **members)
        row = capabilities(specification, catalogue.actions)
        vendors = {**catalogue.vendors, azure.name: replace(azure, specification=specification, capabilities=row)}
        return ScriptedEngine(replace(catalogue, vendors=vendors))

    return make


async def performed(made: ScriptedEngine, *script: Line) -> JobActionRecord:
    """Cancel a job, with these replies of the vendor."""
    made.transport.script.extend(script)
    return (await made.actions.perform(made.ask(CANCEL))).record


async def looked_at(made: ScriptedEngine, seconds: float, *script: Line) -> JobActionRecord:
    """Let time pass and the reconciler run; return the record."""
    made.clock.advance(seconds)
    made.transport.script.extend(script)
    (record,) = await made.reconciler.reconcile_due()
    return record


# A reply that is the job


async def test_the_status_in_the_reply_is_recorded(made_of: Make) -> None:
    """The job in the reply tells the status and the version after the action, whatever the document expects."""
    made = made_of(Result.JOB)
    made.transport.script.append(reply(200, azure_job("queued", etag='"7"')))
    result = await made.actions.perform(made.ask(CANCEL))
    assert result.record.outcome is Outcome.APPLIED
    assert result.record.job is not None
    assert result.record.job.vendor_status == "queued"
    assert result.job is not None
    assert (result.job.id, result.job.version) == (AZURE_JOB, '"7"')
    assert len(made.sent) == 1


async def test_the_version_beside_the_job_counts(made_of: Make) -> None:
    """A header field of the reply with the version is read as in the reply to a read."""
    made = made_of(Result.JOB)
    made.transport.script.append(reply(200, azure_job("cancelled"), {"etag": '"8"'}))
    result = await made.actions.perform(made.ask(CANCEL))
    assert result.job is not None
    assert result.job.version == '"8"'


@pytest.mark.parametrize(
    "body",
    [{}, None, {"id": AZURE_JOB}, azure_job("cancelled", "another")],
    ids=["empty", "none", "no status", "other"],
)
async def test_a_reply_that_is_not_the_job_leaves_the_outcome_unknown(made_of: Make, body: Any) -> None:
    """If the reply should be the job and is not, nothing is claimed until a read shows it."""
    made = made_of(Result.JOB)
    record = await performed(made, reply(200, body))
    assert record.outcome is Outcome.UNKNOWN
    assert record.problem is not None
    assert record.problem.code == "vendor-reply-not-understood"
    record = await looked_at(made, 0.5, reply(200, azure_job("cancelled")))
    assert record.outcome is Outcome.APPLIED


# A reply that only accepts


async def test_an_accepted_action_is_settled_by_the_job(made_of: Make) -> None:
    """The vendor's success means accepted: unknown, with a problem that says so; the job shows the end."""
    made = made_of(Result.ACCEPTED)
    record = await performed(made, reply(200, {}))
    assert (record.outcome, record.is_settled) == (Outcome.UNKNOWN, False)
    assert record.problem is not None
    assert record.problem.code == "not-confirmed"
    record = await looked_at(made, 0.5, reply(200, azure_job("cancelled")))
    assert record.conclusion is not None
    assert (record.outcome, record.conclusion.settled_by) == (Outcome.APPLIED, SettledBy.READING)


async def test_an_accepted_action_may_take_its_time(made_of: Make) -> None:
    """A job that is unchanged for long does not show that an accepted action is not carried out."""
    made = made_of(Result.ACCEPTED)
    await performed(made, reply(200, {}))
    for seconds in (LAST_CONFIRMATION, 60.0, 600.0):
        record = await looked_at(made, seconds, reply(200, azure_job("queued")))
        assert record.outcome is Outcome.UNKNOWN
        assert record.conclusion is not None
        assert record.conclusion.settled_by is None


async def test_what_was_accepted_was_done_even_if_the_job_can_end_by_itself(made_of: Make) -> None:
    """The vendor does what it accepts; without its word, the end of such a job shows nothing."""
    by_itself = (("queued", "cancelled"),)
    made = made_of(Result.ACCEPTED, transitions=by_itself)
    await performed(made, reply(200, {}))
    record = await looked_at(made, 0.5, reply(200, azure_job("cancelled")))
    assert record.outcome is Outcome.APPLIED
    silent = made_of(Result.ACCEPTED, transitions=by_itself)
    await performed(silent, SILENCE)
    record = await looked_at(silent, 0.5, reply(200, azure_job("cancelled")))
    assert record.outcome is Outcome.UNKNOWN


async def test_what_was_accepted_can_come_after_other_changes(made_of: Make) -> None:
    """A job that has changed otherwise, and can still change, does not show that an accepted action is not done."""
    made = made_of(Result.ACCEPTED, transitions=(("queued", "completed"), ("completed", "closed")))
    await performed(made, reply(200, {}))
    assert (await looked_at(made, 60.0, reply(200, azure_job("completed")))).outcome is Outcome.UNKNOWN
    assert (await looked_at(made, 60.0, reply(200, azure_job("closed")))).outcome is Outcome.REJECTED


# Replies that are no objects


@pytest.mark.parametrize(
    ("content", "understood"), [(b"", True), (b"{}", True), (b'""', False), (b"<p>", False), (b"[]", False)]
)
def test_a_reply_is_understood_if_the_document_has_it(catalogue: Catalogue, content: bytes, understood: bool) -> None:
    """Nothing and objects are understood; other JSON only if the document allows it, and no other text."""
    operation = catalogue.vendors["azure-job-router"].specification.actions["cancel"].operation
    assert VendorReply.of(HttpReply(200, {}, content)).is_understood(operation) is understood


# Changed


async def test_412_is_a_changed_job(made_of: Make) -> None:
    """A vendor that says 412 without more has compared versions: nothing was done."""
    made = made_of(version_at="header.If-Match")
    request = made.ask(CANCEL)
    versioned = structs.replace(request, job_action=structs.replace(request.job_action, version='"1"'))
    made.transport.script.append(azure_error(412, "PreconditionFailed"))
    record = (await made.actions.perform(versioned)).record
    assert made.sent[0].headers["If-Match"] == '"1"'
    assert record.outcome is Outcome.REJECTED
    assert record.problem is not None
    assert record.problem.code == JobChanged.code


@pytest.mark.parametrize(
    ("version", "tag"),
    [
        ('"a"', '"a"'),
        ('W/"a"', 'W/"a"'),
        (7, '"7"'),
        ("a-7", '"a-7"'),
        (None, None),
        ("", None),
        (True, None),
        ({}, None),
        ('a"b', None),
        ("a b", None),
        ("a" * 999, None),
    ],
)
def test_a_version_is_shown_as_an_entity_tag(version: object, tag: str | None) -> None:
    """An entity tag stays as it is, other versions come into quotes, and what cannot be one is left out."""
    assert entity_tag(version) == tag


# Gone


async def test_a_job_that_was_read_and_is_gone_has_ended(made_of: Make) -> None:
    """A reading showed the job, the next one finds none: the action that ends jobs was carried out."""
    made = made_of(deletes_ended_jobs=True)
    await performed(made, SILENCE)
    assert (await looked_at(made, 0.5, reply(200, azure_job("queued")))).outcome is Outcome.UNKNOWN
    record = await looked_at(made, 2.0, GONE)
    assert record.conclusion is not None
    assert (record.outcome, record.conclusion.settled_by) == (Outcome.APPLIED, SettledBy.READING)
    assert record.job is not None
    assert record.job.vendor_status == "cancelled"
    assert [each.problem for each in record.readings] == [None, "unknown-job"]


async def test_a_job_that_was_read_before_sending_counts_too(made_of: Make) -> None:
    """The request itself read the job to find a parameter."""
    made = made_of(deletes_ended_jobs=True)
    request = made.request("contoso-prod", "close", AZURE_JOB)
    made.transport.script.extend([reply(200, completed_job("a-1")), SILENCE])
    await made.actions.perform(request)
    assert (await looked_at(made, 0.5, GONE)).outcome is Outcome.APPLIED


@pytest.mark.parametrize(
    ("variant", "seen"),
    [
        pytest.param({"deletes_ended_jobs": True}, False, id="never seen"),
        pytest.param({"deletes_ended_jobs": False}, True, id="a vendor that keeps jobs"),
        pytest.param({"deletes_ended_jobs": True, "to_status": "queued"}, True, id="an action that ends no job"),
    ],
)
async def test_a_job_that_is_gone_proves_nothing_else(made_of: Make, variant: dict[str, Any], seen: bool) -> None:
    """Without the vendor's word, an earlier reading and an end, the outcome stays unknown."""
    made = made_of(**variant)
    await performed(made, SILENCE)
    if seen:
        await looked_at(made, 0.5, reply(200, azure_job("assigned")))
    record = await looked_at(made, 2.0, GONE)
    assert record.outcome is Outcome.UNKNOWN
    assert not record.is_settled


async def test_a_job_that_an_action_should_delete_shows_the_outcome(made_of: Make) -> None:
    """A job that is still there shows that it was not deleted, whatever its status; one that is gone, that it was."""
    kept, deleted = (made_of(Result.GONE, deletes_ended_jobs=True) for _ in range(2))
    for made in (kept, deleted):
        record = await performed(made, reply(200, azure_job("queued")), SILENCE)
        assert (record.outcome, [each.job is not None for each in record.readings]) == (Outcome.UNKNOWN, [True])
    assert (await looked_at(deleted, 0.5, GONE)).outcome is Outcome.APPLIED
    assert (await looked_at(kept, 0.5, reply(200, azure_job("queued")))).outcome is Outcome.UNKNOWN
    assert (await looked_at(kept, 2.0, reply(200, azure_job("cancelled")))).outcome is Outcome.REJECTED


async def test_a_job_that_is_not_there_is_not_deleted(made_of: Make) -> None:
    """An action that deletes a job is not sent if the job is not there, so that a later absence proves it."""
    made = made_of(Result.GONE, deletes_ended_jobs=True)
    record = await performed(made, GONE)
    assert record.problem is not None
    assert (record.outcome, record.problem.code, made.actions_sent) == (Outcome.NOT_SENT, "unknown-job", [])


async def test_another_action_may_have_ended_the_job(made_of: Make) -> None:
    """Of two actions that may have ended the job, none is told to be the one."""
    made = made_of(deletes_ended_jobs=True)
    await performed(made, SILENCE)
    await performed(made, SILENCE)
    for seconds, line in ((0.5, reply(200, azure_job("queued"))), (2.0, GONE)):
        made.clock.advance(seconds)
        made.transport.script.extend([line, line])
        records = await made.reconciler.reconcile_due()
        assert {each.outcome for each in records} == {Outcome.UNKNOWN}
