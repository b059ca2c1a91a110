"""Labels of job actions: kept in the record, never sent to a vendor, and a way to find the record again."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.problems import Problems
from tests.support.scripted_gateway import ScriptedGateway, in_memory
from tests.support.transport import reply
from tests.support.vendors import TARGETS, azure_job

CANCEL = TARGETS[0]
LABELS = {"incident": "INC-43", "asked-by.team": "night = owls"}
PATH = f"/v1/connections/{CANCEL.connection}/jobs/{CANCEL.job_id}"


async def listed(scripted: ScriptedGateway, query: str) -> list[str]:
    """The ids of a list of job actions."""
    answer = await scripted.get(f"/v1/job-actions?{query}")
    assert answer.status == 200, answer.body
    return [each["id"] for each in answer.json["items"]]


async def test_labels_are_kept_and_found(scripted: ScriptedGateway) -> None:
    """The record has the labels, each of them finds it, and the vendor gets the action without them."""
    scripted.answers(CANCEL.applied, CANCEL.applied)
    other = await scripted.act(CANCEL)
    answer = await scripted.act(CANCEL, body={"note": "Closing job", "labels": LABELS})
    assert (answer.status, answer.json["labels"]) == (200, LABELS)
    assert "labels" not in answer.json["parameters"]
    assert "labels" not in other.json
    assert b"INC-43" not in b"".join(each.content for each in scripted.vendor.requests)
    assert answer.json["warnings"] == [each for each in answer.json["warnings"] if each["parameter"] != "labels"]
    for label in ("incident=INC-43", "asked-by.team=night%20%3D%20owls", "incident=INC-43&action=cancel"):
        assert await listed(scripted, f"label={label}") == [answer.json["id"]]
    for label in ("incident=INC-4", "incident=INC-43&action=close", "incident=INC-43&caller=somebody-else"):
        assert await listed(scripted, f"label={label}") == []


async def test_strict_requests_may_have_labels(scripted: ScriptedGateway) -> None:
    """A label is no parameter that a vendor could fail to carry."""
    scripted.answers(CANCEL.applied)
    answer = await scripted.act(CANCEL, body={"labels": LABELS}, headers=[("prefer", "handling=strict")])
    assert answer.status == 200


async def test_the_steps_of_a_termination_have_its_labels(scripted: ScriptedGateway) -> None:
    """A search by a label finds the termination, and each of its steps."""
    scripted.answers(reply(200, azure_job("queued")), CANCEL.applied)
    answer = await scripted.ask("POST", f"{PATH}/terminate", {"labels": LABELS}, [])
    assert (answer.status, answer.json["labels"]) == (200, LABELS)
    assert await listed(scripted, "label=incident=INC-43") == [answer.json["steps"][0]["id"], answer.json["id"]]


@in_memory
async def test_other_labels_make_another_request(scripted: ScriptedGateway) -> None:
    """A key stands for a request with its labels."""
    scripted.answers(CANCEL.applied)
    same = {"labels": {"b": "2", "a": "1"}}
    first = await scripted.act(CANCEL, "key-1", same)
    again = await scripted.act(CANCEL, "key-1", {"labels": {"a": "1", "b": "2"}})
    assert again.json["id"] == first.json["id"]
    for body in ({"labels": {"a": "1"}}, {}):
        refused = await scripted.act(CANCEL, "key-1", body)
        assert (refused.status, refused.json["code"]) == (422, "idempotency-key-reused")


@in_memory
@pytest.mark.parametrize("path", ["cancel", "close", "terminate"])
@pytest.mark.parametrize(
    ("labels", "pointer"),
    [
        ({"Secret-Name": "x"}, "/body/labels"),
        ({"1a": "x"}, "/body/labels"),
        ({"": "x"}, "/body/labels"),
        ({"a" * 64: "x"}, "/body/labels"),
        ({"a\n": "x"}, "/body/labels"),
        ({f"a{number}": "x" for number in range(17)}, "/body/labels"),
        ({"a": ""}, "/body/labels/a"),
        ({"a": "x\u0000"}, "/body/labels/a"),
        ({"a": "x" * 257}, "/body/labels/a"),
        ({"a": 1}, "/body/labels/a"),
        ("a=x", "/body/labels"),
    ],
)
async def test_labels_that_are_none(
    scripted: ScriptedGateway, problems: Problems, path: str, labels: Any, pointer: str
) -> None:
    """A wrong name or value is refused by its place, and nothing of it comes back."""
    answer = await scripted.ask("POST", f"{PATH}/{path}", {"labels": labels}, [])
    problem = problems.check(answer, answer.headers)
    assert problem["code"] == "malformed-request"
    assert [each["pointer"] for each in problem["errors"]] == [pointer]
    assert b"Secret-Name" not in answer.body
    assert scripted.vendor.requests == []


@in_memory
@pytest.mark.parametrize("label", ["incident", "=INC-43", "incident=", "Incident=x", "a=%00", f"a={'x' * 257}"])
async def test_searches_that_are_none(scripted: ScriptedGateway, problems: Problems, label: str) -> None:
    """A search takes a label as `name=value`."""
    answer = await scripted.get(f"/v1/job-actions?label={label}")
    assert problems.check(answer, answer.headers)["code"] == "malformed-request"
