"""A derived status follows from the job alone, and a job can be written that has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.specs.derivation import Derivation
from gateway.specs.job_shape import JobShape
from gateway.specs.lens import UnmappableValue

Objects = list[Mapping[str, Any]]
AT = "2026-01-05T12:00:00Z"
PEOPLE = {"role": {"equal": ["agent"]}, "calls": {"some": {"state": {"equal": ["on", 1]}}}}
VENDOR: Mapping[str, Any] = {
    "job": {"body.id": "job.id", "body.ended": "job.timestamps.endedAt", "body.opened": "job.timestamps.openedAt"},
    "derivedStatus": [
        {"is": "wrapping", "when": {"body.ended": "present", "body.wrap.done": "absent", "body.wrap.at": "present"}},
        {"is": "ended", "when": {"body.ended": "present"}},
        {"is": "held", "when": {"body.held": {"laterThan": "body.resumed"}}},
        {"is": "talking", "when": {"body.people": {"some": PEOPLE}}},
        {"is": "secret", "when": {"body.secret": {"equal": [True, "yes", 2]}}},
        {"is": "new"},
    ],
}
JOBS: Mapping[str, Mapping[str, Any]] = {
    "wrapping": {"id": "1", "ended": "2026-01-05T09:30:00Z", "wrap": {"at": "2026-01-05T09:30:00Z"}},
    "ended": {"id": "2", "ended": "2026-01-05T09:30:00Z", "wrap": {"at": "x", "done": 1}},
    "held": {"id": "3", "held": "2026-01-05T09:30:00Z", "resumed": "2026-01-05T10:30:00+02:00"},
    "talking": {
        "id": "4",
        "people": [{"role": "customer"}, {"role": "agent", "calls": [{"state": "off"}, {"state": "on"}]}],
    },
    "secret": {"id": "5", "secret": 2},
    "new": {"id": "6"},
}
SHAPE = JobShape.compile(VENDOR, {}).with_examples(JOBS.values())
SIMPLE = st.sampled_from(
    [None, True, 0, 10**400, 1.5, float("nan"), "", "agent", "on", "2026-01-05T09:30:00Z", "0001-01-01T00:00:00+23:59"]
)
JSON = st.recursive(
    SIMPLE,
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["at", "role", "calls"]), inner),
    max_leaves=6,
)
TIMES = st.sampled_from(["job.timestamps.endedAt", "job.timestamps.openedAt"])
MEMBERS = st.sampled_from(["ended", "wrap", "held", "resumed", "people", "secret"])


def status_of(**job: Any) -> str:
    """The status of a job by the rules."""
    return SHAPE.status_of(job)


@pytest.mark.parametrize("status", JOBS)
def test_the_first_rule_whose_tests_all_hold_counts(status: str) -> None:
    """Each example job is in its status, whatever the rules after its own would say."""
    assert SHAPE.status_of(JOBS[status]) == status
    assert SHAPE.decode({"body": JOBS[status]})["job.vendorStatus"] == status


@pytest.mark.parametrize(
    ("held", "resumed", "is_held"),
    [
        ("2026-01-05T09:30:00Z", None, True),
        ("2026-01-05T09:30:00Z", "2026-01-05T09:30:00Z", False),
        ("2026-01-05T09:30:00.5Z", "2026-01-05T09:30:00Z", True),
        (1704067300.5, 1704067300, True),
        (1704067300, 1704067300.5, False),
        (1704067300, "2026-01-05T09:30:00Z", False),
        (None, 1, False),
        (True, None, False),
        ("soon", None, False),
        ("2026-01-05T09:30:00Z", "soon", False),
    ],
)
def test_times_are_compared_as_times(held: Any, resumed: Any, *, is_held: bool) -> None:
    """A time is later than an earlier one and than none: texts with texts, numbers with numbers, nothing else."""
    assert (status_of(held=held, resumed=resumed) == "held") is is_held


def test_values_are_equal_as_in_json() -> None:
    """True is not 1, and a text is no number."""
    found = [status_of(secret=each) for each in (True, "yes", 2, 2.0, 1, "2", False, None, [2])]
    assert found == [*["secret"] * 4, *["new"] * 5]


def test_one_element_must_pass_all_tests() -> None:
    """Two elements that pass one test each are not enough, nor is something that is no list."""
    agent, customer = {"role": "agent", "calls": []}, {"role": "customer", "calls": [{"state": "on"}]}
    assert status_of(people=[agent, customer]) == "new"
    assert status_of(people=[agent, {"role": "agent", "calls": [{"state": 1}]}]) == "talking"
    assert status_of(people={"role": "agent", "calls": [{"state": "on"}]}) == "new"


@given(st.dictionaries(MEMBERS, JSON))
def test_no_reply_is_too_strange(job: dict[str, Any]) -> None:
    """Any JSON has a status: a vendor's nonsense is not an error of ours."""
    assert SHAPE.status_of(job) in JOBS


@given(st.sampled_from(sorted(JOBS)), st.text(min_size=1), st.dictionaries(TIMES, st.just("2025-12-24T18:00:00Z")))
def test_what_is_written_is_read_back(status: str, job_id: str, times: dict[str, str]) -> None:
    """The lens law with a derived status: id and status come back, and so do the times that fit the status."""
    values = {"job.id": job_id, "job.vendorStatus": status, **times}
    read = SHAPE.decode(SHAPE.encode(values, AT))
    fitting = {name: value for name, value in values.items() if "ended" not in name or status in {"wrapping", "ended"}}
    assert fitting.items() <= read.items()


def test_no_more_is_written_than_the_rule_needs() -> None:
    """Another vendor's job gets the members that its rule tests, the one element that counts, and its own times."""
    own = {"job.id": "9", "job.timestamps.endedAt": "2025-12-24T18:00:00Z"}
    written = {status: SHAPE.encode({**own, "job.vendorStatus": status}, AT)["body"] for status in JOBS}
    assert written == {
        "wrapping": {"id": "9", "ended": "2025-12-24T18:00:00Z", "wrap": {"at": AT}},
        "ended": {"id": "9", "ended": "2025-12-24T18:00:00Z"},
        "held": {"id": "9", "held": AT},
        "talking": {"id": "9", "people": [{"role": "agent", "calls": [{"state": "off"}, {"state": "on"}]}]},
        "secret": {"id": "9", "secret": 2},
        "new": {"id": "9"},
    }


def test_more_is_written_if_an_earlier_rule_would_count() -> None:
    """If the values of its own rule show another status, all that the rules test come from the example."""
    rules: Objects = [
        {"is": "raw", "when": {"body.kind": "absent"}},
        {"is": "hot", "when": {"body.hot": "present"}},
        {"is": "z"},
    ]
    jobs: Objects = [{"id": "1"}, {"id": "2", "kind": "k", "hot": 1}, {"id": "3", "kind": "k"}]
    shape = JobShape.compile({"job": {"body.id": "job.id"}, "derivedStatus": rules}, {}).with_examples(jobs)
    assert shape.encode({"job.id": "9", "job.vendorStatus": "hot"}, AT)["body"] == {"id": "9", "kind": "k", "hot": 1}


def test_a_status_without_an_example_cannot_be_written() -> None:
    """Nothing is made up: a job cannot be shown in a status of which the document has no example."""
    with pytest.raises(UnmappableValue, match=r"job\.vendorStatus"):
        SHAPE.encode({"job.id": "9", "job.vendorStatus": "lost"}, AT)


@given(st.sampled_from(sorted(JOBS)), st.sampled_from(sorted(JOBS)))
def test_a_job_takes_the_status_of_an_example(before: str, after: str) -> None:
    """What the rules test is as in the example, and the rest of the job stays."""
    job = {**JOBS[before], "more": {"a": 1}}
    changed = SHAPE.in_status_of(job, JOBS[after])
    assert (SHAPE.status_of(changed), changed["id"], changed["more"]) == (after, job["id"], {"a": 1})
    assert SHAPE.status_of(job) == before


def test_an_object_stands_before_its_members() -> None:
    """A test of an object and one of its member do not undo each other."""
    rules: Objects = [{"is": "a", "when": {"body.x.y": "present", "body.x": "present"}}, {"is": "b"}]
    shape = JobShape.compile({"job": {"body.id": "job.id"}, "derivedStatus": rules}, {})
    shape = shape.with_examples([{"id": "1", "x": {"y": 1, "z": 2}}, {"id": "2"}])
    assert shape.encode({"job.id": "9", "job.vendorStatus": "a"}, AT)["body"] == {"id": "9", "x": {"y": 1, "z": 2}}
    assert [str(place) for place in Derivation.compile(rules).places] == ["body.x", "body.x.y"]


def test_a_member_of_a_needed_object_stays() -> None:
    """If a rule needs a whole object, what other rules test in it is not taken out of it."""
    rules: Objects = [
        {"is": "both", "when": {"body.x.y": "present", "body.z": "present"}},
        {"is": "x", "when": {"body.x": "present"}},
        {"is": "none"},
    ]
    shape = JobShape.compile({"job": {"body.id": "job.id"}, "derivedStatus": rules}, {})
    shape = shape.with_examples([{"id": "1", "x": {"y": 1}}])
    assert shape.encode({"job.id": "9", "job.vendorStatus": "x"}, AT)["body"] == {"id": "9", "x": {"y": 1}}
