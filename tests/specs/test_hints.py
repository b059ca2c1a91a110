"""Hints of documents, which stand where a person could not read what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.specs.document import SPECIFICATIONS, load
from gateway.specs.operations import Api, Operation
from gateway.specs.schemas import Validator


@pytest.fixture(scope="module")
def api() -> Api:
    """The unified API."""
    return Api.compile(load(SPECIFICATIONS / "gateway.yaml"))


def told(operation: Operation, **query: Any) -> list[str]:
    """The errors of a query."""
    return [each.detail for each in operation.check({"path": {}, "query": query, "header": {}})]


def test_a_form_is_told_in_words_and_once(api: Api) -> None:
    """A value that departs from a pattern, and from a format too, has one error, without a regular expression."""
    (duration,) = told(api.operations["findJobs"], olderThan="5m")
    assert duration.startswith("has another form; write a duration of ISO 8601")
    (label,) = told(api.operations["listJobActions"], label="incident:INC-1")
    assert label.endswith("such as incident=INC-4711")
    assert "^" not in duration + label


def test_a_hint_stands_at_items_too(api: Api) -> None:
    """The hint of an array is told at each item, after the value that was probably meant."""
    (status,) = told(api.operations["findJobs"], status=["canceled"])
    assert status.endswith('; the closest is "cancelled"; for a vendor\'s own word, use vendorStatus')


def test_a_schema_inside_another_has_its_own_hint(api: Api) -> None:
    """A hint is found wherever its schema is, also below a list of alternatives."""
    schema = {"allOf": [{"properties": {"a": {"type": "string", "pattern": "^x", "x-hint": "write x"}}}]}
    (error,) = Validator(api.document, schema).errors({"a": "y"})
    assert (error.pointer, error.detail) == ("/a", "has another form; write x")
