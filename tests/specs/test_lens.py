"""Lenses: what is written can be read back, for every vendor and for lenses that no vendor needs yet."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.model import JobAction
from gateway.specs.capabilities import ActionDefinition
from gateway.specs.lens import Lens, LensMismatch, Parts, Place
from gateway.specs.vendor import ActionMapping
from tests.support.documents import installed

CATALOGUE = installed()
MAPPINGS = [
    pytest.param(mapping, CATALOGUE.actions[mapping.action], id=f"{vendor.name}-{mapping.action}")
    for vendor in CATALOGUE.vendors.values()
    for mapping in vendor.specification.actions.values()
]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def job_actions(mapping: ActionMapping) -> st.SearchStrategy[JobAction]:
    """Every job action that a vendor can express."""
    parameters = st.fixed_dictionaries({}, optional=dict.fromkeys(sorted(mapping.parameters), TEXT))
    return st.builds(JobAction, st.just(mapping.action), TEXT, parameters)


@pytest.mark.parametrize(("mapping", "definition"), MAPPINGS)
@given(data=st.data())
def test_what_is_encoded_decodes_to_the_same(
    mapping: ActionMapping, definition: ActionDefinition, data: st.DataObject
) -> None:
    """decode(encode(action)) == action, for all that a vendor can express."""
    job_action = data.draw(job_actions(mapping))
    request = mapping.encode(job_action)
    assert mapping.decode(request.parts()) == job_action
    assert mapping.parameters <= definition.parameters.keys()


@pytest.mark.parametrize("vendor", list(CATALOGUE.vendors.values()), ids=lambda vendor: vendor.name)
@given(data=st.data())
def test_a_vendor_request_decodes_to_one_action(vendor: Any, data: st.DataObject) -> None:
    """Of several actions on one operation, a request is decoded to the one that made it."""
    mapping = data.draw(st.sampled_from(sorted(vendor.specification.actions.values(), key=lambda each: each.action)))
    job_action = data.draw(job_actions(mapping))
    request = mapping.encode(job_action)
    assert job_action in vendor.specification.decode(request.operation_id, request.parts())


@pytest.mark.parametrize("vendor", list(CATALOGUE.vendors.values()), ids=lambda vendor: vendor.name)
def test_a_request_of_no_action_decodes_to_none(vendor: Any) -> None:
    """Reads and foreign requests ask for no job action."""
    read = vendor.specification.list_read
    assert vendor.specification.decode(read.operation.operation_id, read.encode({"page.limit": 1}).parts()) == ()


EVERY_OPERATOR = Lens.compile(
    {
        "path.id": "job.id",
        "path.verb": {"const": "stop"},
        "query.version": {"const": 2},
        "header.X-Reason": {"from": "parameters.reason", "map": {"done": "D", "spam": "S"}},
        "body.task.priority": {"from": "parameters.priority", "default": 5},
        "body.task.note": "parameters.note",
    }
)


@given(
    st.fixed_dictionaries(
        {"job.id": TEXT},
        optional={
            "parameters.reason": st.sampled_from(["done", "spam"]),
            "parameters.priority": st.integers().filter(lambda priority: priority != 5),
            "parameters.note": TEXT,
        },
    )
)
def test_every_operator_is_read_in_both_directions(values: dict[str, Any]) -> None:
    """Copy, const, map and default come back; a value that equals its default counts as left out."""
    assert EVERY_OPERATOR.decode(EVERY_OPERATOR.encode(values)) == values


def test_every_operator_writes_what_it_says() -> None:
    """Each operator writes its value at its place."""
    assert EVERY_OPERATOR.encode({"job.id": "7", "parameters.reason": "spam"}) == {
        "path": {"id": "7", "verb": "stop"},
        "query": {"version": 2},
        "header": {"X-Reason": "S"},
        "body": {"task": {"priority": 5}},
    }


@pytest.mark.parametrize(
    ("place", "value"), [("path.verb", "start"), ("query.version", 3), ("header.x-reason", "unheard-of")]
)
def test_a_message_of_another_form_is_refused(place: str, value: object) -> None:
    """A differing constant, or a value outside a map, is a mismatch that names the place."""
    parts = EVERY_OPERATOR.encode({"job.id": "7", "parameters.reason": "spam"})
    parts["header"].clear()
    Place.parse(place).put(parts, value)  # type: ignore[arg-type]
    with pytest.raises(LensMismatch, match=rf"(?i){place}"):
        EVERY_OPERATOR.decode(parts)


def test_a_place_looks_into_nothing_but_objects() -> None:
    """A place below a string, a list or null reads as missing and never fails."""
    place = Place.parse("body.error.code")
    for body in (None, "error", ["error"], {"error": "code"}, {"error": None}, {}):
        assert place.get({"body": body}) is None


def test_what_a_lens_does_not_carry_is_named() -> None:
    """Each value without a rule is named by its place; header fields by any case, and members of what is copied not."""
    lens = Lens.compile({"path.id": "job.id", "header.If-Match": "job.version", "body.why": "parameters.note"})
    carried: Parts = {"path": {"id": "a"}, "header": {"if-match": "1"}, "body": {"why": {"text": "b"}}, "query": {}}
    assert lens.not_carried(carried) == []
    lost: Parts = {"query": {"notify": False}, "header": {"Prefer": "x"}, "body": {"how": {"fast": None, "many": []}}}
    assert list(map(str, lens.not_carried(lost))) == ["query.notify", "header.Prefer", "body.how.fast", "body.how.many"]
    assert list(map(str, lens.not_carried({"body": ["a"]}))) == ["body"]
    nested = Lens.compile({"body.why.text": "parameters.note"})
    assert nested.not_carried({"body": {"why": {}}}) == []
    assert list(map(str, nested.not_carried({"body": {"how": {}}}))) == ["body.how"]
