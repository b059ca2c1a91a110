"""The vocabulary: whatever a document or a schema says of it too, says the same."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.app import Catalogue
from gateway.domain import vocabulary
from gateway.domain.errors import catalogue as problems
from gateway.domain.errors import keeps_its_status
from gateway.domain.vocabulary import CONNECTION, PARAMETER, TIMESTAMP, Meaning, Source
from gateway.specs.document import SPECIFICATIONS

SCHEMAS = "#/components/schemas"
PROBLEM = f"{SCHEMAS}/Problem/properties"
DEPARTURE = f"{SCHEMAS}/ConnectionHealth/properties/contractDrift/properties/kinds"
BOUNDS = {
    "LONGEST_JOB_ID": [f"{SCHEMAS}/Job/properties/id/maxLength"],
    "LONGEST_STATUS": [f"{SCHEMAS}/VendorStatus/maxLength"],
    "LONGEST_GROUP": [f"{SCHEMAS}/JobGroup/maxLength"],
    "LONGEST_TIME": [f"{SCHEMAS}/Job/properties/timestamps/additionalProperties/maxLength"],
    "LONGEST_TEXT": [
        f"{PROBLEM}/{place}/maxLength" for place in ("errors/items/properties/detail", "vendor/properties/code")
    ],
    "LONGEST_CURSOR": [f"{SCHEMAS}/NextCursor/maxLength"],
    "LARGEST_PAGE": [f"{SCHEMAS}/JobList/properties/items/maxItems"],
    "MOST_DEPARTURES": [f"{DEPARTURE}/maxItems"],
    "LONGEST_PLACE": [f"{DEPARTURE}/items/properties/place/maxLength"],
    "LONGEST_DEPARTURE": [f"{DEPARTURE}/items/properties/detail/maxLength"],
}
"""Where `specs/gateway.yaml` says each bound."""


@pytest.fixture(scope="module")
def extensions() -> dict[str, Any]:
    """The schema of our extensions."""
    read: dict[str, Any] = json.loads((SPECIFICATIONS / "x-job-action.schema.json").read_text())
    return read


def test_the_schema_knows_every_meaning_and_no_other(extensions: dict[str, Any]) -> None:
    """A vendor's document may speak of each meaning that the code knows, and of no other."""
    meanings = extensions["$defs"]["errors"]["properties"]["meanings"]
    assert meanings["propertyNames"]["enum"] == list(Meaning)


def test_every_meaning_is_told_by_some_problem() -> None:
    """A meaning that no problem has would never be answered on a vendor's own API."""
    assert {kind.meaning for kind in problems()} - {None} == set(Meaning)


def test_a_meaning_of_a_reply_is_one_problem() -> None:
    """The meaning of a vendor's reply is certain: two problems for one meaning would be a guess."""
    replies = [meaning for kind in problems() for meaning in kind.replies]
    assert len(replies) == len(set(replies))


def test_statuses_that_say_more_are_those_of_invalid_requests() -> None:
    """Of the problems that vendors have one answer for, those with a status of their own keep it."""
    assert {kind.status for kind in problems() if keeps_its_status(kind)} == {408, 413, 414, 415, 431}


def test_documents_use_the_sources_that_there_are(catalogue: Catalogue) -> None:
    """A lens of an installed vendor carries no value that nothing reads or writes."""
    assert catalogue.vendors
    for vendor in catalogue.vendors.values():
        of = vendor.specification
        lenses = [of.job.lens, of.request, of.reply, *of.errors.envelopes.values()]
        lenses += [each.lens for each in of.actions.values()] + [each.lens for each in of.reads.values()]
        lenses += [each.reply for each in of.reads.values()] + [each.job.lens for each in of.reads.values()]
        used = {source for lens in lenses for source in lens.sources}
        assert used, vendor.name
        declared = {f"{CONNECTION}{name}" for name in of.connection_values}
        unknown = {name for name in used - set(Source) - declared if not name.startswith((PARAMETER, TIMESTAMP))}
        assert unknown == set(), vendor.name


@pytest.mark.parametrize("name", BOUNDS)
def test_bounds_are_those_of_the_document(catalogue: Catalogue, name: str) -> None:
    """A bound in the code is the one that clients read in the document."""
    said = [catalogue.api.document.at(place) for place in BOUNDS[name]]
    assert said == [getattr(vocabulary, name)] * len(said)
