"""The most jobs that a batch can have, in whatever way they are selected."""

from __future__ import annotations

import pytest
from msgspec.json import encode
from sqlalchemy import update

from gateway.app import Catalogue
from gateway.batches import preparing
from gateway.domain.batches import LARGEST_BATCH, ItemOutcome, Progress
from gateway.ledger.tables import batches
from tests.batches.conftest import CONNECTION, House, database_of, queued, refs

PLACES = (
    "BatchItem/properties/position/maximum",
    "BatchLimits/properties/maxItems/maximum",
    "Confirmation/properties/count/maximum",
    "Batch/properties/manifest/properties/count/maximum",
)
"""Where the document says the limit."""


async def test_one_job_too_many_is_refused(house: House) -> None:
    """The 100,000th job of a batch is added, and the next one is refused, with the limit, and not added."""
    batch = await house.create(select={"pages": True})
    nearly = Progress({str(ItemOutcome.PENDING): LARGEST_BATCH - 1})
    with database_of(house).writing.begin() as connection:
        row = update(batches).where(batches.c.id == batch["id"])
        connection.execute(row.values(progress=encode(nearly).decode()))
    at = f"/batches/{batch['id']}/items?page="
    pages = enumerate((refs(queued(house, number)) for number in (2, 1, 1)), 1)
    answers = [await house.ask("POST", f"{at}{number}", page) for number, page in pages]
    assert [each.status for each in answers] == [409, 200, 409]
    refused = answers[2].json
    assert (refused["code"], refused["detail"]) == ("batch-too-large", "A batch has at most 100000 jobs.")
    seen = (await house.ask("GET", f"/batches/{batch['id']}")).json
    assert seen["progress"]["items"] == LARGEST_BATCH


async def test_a_filter_that_finds_too_many_jobs_is_refused(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch whose filter finds one job too many ends before anything is sent, with the limit; one fewer is taken."""
    monkeypatch.setattr(preparing, "LARGEST_BATCH", 3)
    select = {"filter": {"connections": [CONNECTION], "statuses": ["queued"]}}
    queued(house, 3)
    await house.go_on_until(await house.create(select=select), "awaiting_confirmation")
    queued(house, 4)
    ended = await house.go_on_until(await house.create(select=select), "aborted")
    assert (ended["why"]["code"], ended["why"]["detail"]) == ("maxItems", "The filter finds more than 3 jobs.")
    assert not house.vendor.asked


@pytest.mark.parametrize("place", PLACES)
def test_the_document_says_the_limit(catalogue: Catalogue, place: str) -> None:
    """Every number in the document that comes of the limit is the limit."""
    assert catalogue.api.document.at(f"#/components/schemas/{place}") == LARGEST_BATCH == 100_000
