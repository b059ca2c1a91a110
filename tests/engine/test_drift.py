"""Contract drift: replies that depart from the vendor's document are counted, and never an error by themselves."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.domain.model import HttpReply
from gateway.domain.vocabulary import MOST_DEPARTURES
from tests.support.scripted_engine import MakeEngine, ScriptedEngine
from tests.support.transport import Line, reply
from tests.support.vendors import AZURE_JOB, VONAGE_JOB, azure_job, token, vonage_job, vonage_page

AZURE, VONAGE = "contoso-prod", "vonage-emea"


async def read(made: ScriptedEngine, connection: str = AZURE) -> None:
    """Read a job."""
    job_id = AZURE_JOB if connection == AZURE else VONAGE_JOB
    await made.jobs.get(made.connection(connection), job_id, made.calls.context())


def kinds(made: ScriptedEngine, connection: str = AZURE) -> dict[tuple[int, str, str], int]:
    """The departures so far."""
    found = made.connection(connection).drift.kinds
    return {(each.status, each.place, each.detail): count for each, count in found.items()}


def listed(*jobs: Any) -> HttpReply:
    """A page of Vonage's list, of the media type that its document has."""
    page = vonage_page(jobs)
    return HttpReply(page.status, {"content-type": "application/vnd.newvoicemedia.v1+json"}, page.content)


async def test_what_fits_is_no_departure(make_engine: MakeEngine) -> None:
    """Replies that match the documents are not counted as drift."""
    made = make_engine(reply(200, azure_job("queued")), token(), listed(vonage_job("Running")))
    await read(made)
    await read(made, VONAGE)
    assert kinds(made) == kinds(made, VONAGE) == {}
    assert made.connection(AZURE).drift.count == 0


DEPARTURES: dict[str, tuple[Line, tuple[int, str]]] = {
    "a status that is a number": (reply(200, azure_job("queued", priority="high")), (200, "/body/priority")),
    "a time that is none": (reply(200, azure_job("queued", enqueuedAt="soon")), (200, "/body/enqueuedAt")),
    "another media type": (
        reply(200, azure_job("queued"), {"content-type": "text/plain"}),
        (200, "/header/content-type"),
    ),
}


@pytest.mark.parametrize(("answer", "place"), list(DEPARTURES.values()), ids=list(DEPARTURES))
async def test_a_departure_is_counted_and_the_reply_understood(
    make_engine: MakeEngine, answer: Line, place: tuple[int, str], caplog: pytest.LogCaptureFixture
) -> None:
    """A departure is logged once for each kind with its place, and the caller gets the usual answer."""
    made = make_engine(answer, answer, answer)
    for _ in range(3):
        await read(made)
    ((status, where, _),) = kinds(made)
    assert (status, where) == place
    assert list(kinds(made).values()) == [3] == [made.connection(AZURE).drift.count]
    assert len(caplog.messages) == 1
    assert made.connection("contoso-test").drift.count == 0


async def test_departures_in_a_list_are_of_one_kind(make_engine: MakeEngine) -> None:
    """Equal departures of several list items are one kind."""
    jobs: list[Any] = [vonage_job("Running", startDate=7) for _ in range(4)]
    made = make_engine(token(), listed(*jobs, vonage_job("Running")))
    await read(made, VONAGE)
    assert [(where, count) for (_, where, _), count in kinds(made, VONAGE).items()] == [("/body/jobs/*/startDate", 4)]


async def test_nothing_that_a_vendor_sends_is_shown(make_engine: MakeEngine, caplog: pytest.LogCaptureFixture) -> None:
    """Neither log nor health holds a value of the vendor's; strange names are made harmless."""
    made = make_engine(reply(200, azure_job("queued", priority="s3cret-value", labels={"a\nb\x1b": ["s3cret-value"]})))
    await read(made)
    shown = f"{kinds(made)} {caplog.text}"
    assert made.connection(AZURE).drift.count > 0
    assert "s3cret" not in shown
    assert "\x1b" not in shown
    assert caplog.messages
    assert all("\n" not in message for message in caplog.messages)


async def test_kinds_have_an_end(make_engine: MakeEngine) -> None:
    """The number of kinds of drift is limited, so that a vendor cannot fill the memory."""
    answers = [
        reply(200, azure_job("queued", labels={f"label-{number}": []})) for number in range(MOST_DEPARTURES + 20)
    ]
    made = make_engine(*answers)
    for _ in answers:
        await read(made)
    assert made.connection(AZURE).drift.count == len(answers)
    assert len(kinds(made)) <= MOST_DEPARTURES


async def test_too_deep_to_be_compared(make_engine: MakeEngine) -> None:
    """A reply that the validator cannot follow is a departure, and no error."""
    deep: Any = 1
    for _ in range(400):
        deep = {"a": deep}
    made = make_engine(reply(200, azure_job("queued", labels={"deep": deep})))
    await read(made)
    assert made.connection(AZURE).drift.count > 0
