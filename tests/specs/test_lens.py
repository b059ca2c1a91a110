"""Lenses: what is written can be read back, with every operator. The kit tries the lenses of every vendor."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.times import canonical_date_time
from gateway.specs.lens import Lens, LensMismatch, Parts, Place, UnmappableValue

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
EVERY_OPERATOR = Lens.compile(
    {
        "path.id": "job.id",
        "path.verb": {"const": "stop"},
        "query.version": {"const": 2},
        "header.X-Reason": {"from": "parameters.reason", "map": {"done": "D", "spam": "S"}},
        "body.task.priority": {"from": "parameters.priority", "default": 5},
        "body.task.note": "parameters.note",
        "body.task.steps": {"const": ["tidy", {"and": "close"}]},
        "body.task.end": {"from": "parameters.closeAt", "as": "epoch-seconds"},
        "body.task.began": {"from": "job.timestamps.createdAt", "as": "epoch-milliseconds", "default": 0},
        "body.task.kind": {"from": "error.code", "until": ":", "map": {"late": "L"}},
        "body.errors.0.text": "error.message",
        "body.errors.0.at.0": "error.target",
    }
)
MICROSECONDS = st.integers(1, 2**52).map(
    lambda since: canonical_date_time((datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=since)).isoformat())
)
"""Canonical times that a number of 53 bits holds to the microsecond."""


@given(
    st.fixed_dictionaries(
        {"job.id": TEXT},
        optional={
            "parameters.reason": st.sampled_from(["done", "spam"]),
            "parameters.priority": st.integers().filter(lambda priority: priority != 5),
            "parameters.note": TEXT,
            "parameters.closeAt": MICROSECONDS,
            "job.timestamps.createdAt": MICROSECONDS,
            "error.code": st.just("late"),
            "error.message": TEXT,
            "error.target": TEXT,
        },
    )
)
def test_every_operator_is_read_in_both_directions(values: dict[str, Any]) -> None:
    """Every operator's value comes back; a value that equals its default counts as left out."""
    assert EVERY_OPERATOR.decode(EVERY_OPERATOR.encode(values)) == values


def test_every_operator_writes_what_it_says() -> None:
    """Each operator writes its value at its place."""
    assert EVERY_OPERATOR.encode({"job.id": "7", "parameters.reason": "spam"}) == {
        "path": {"id": "7", "verb": "stop"},
        "query": {"version": 2},
        "header": {"X-Reason": "S"},
        "body": {"task": {"priority": 5, "steps": ["tidy", {"and": "close"}], "began": 0}},
    }


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("path.verb", "start"),
        ("query.version", 3),
        ("header.x-reason", "unheard-of"),
        ("body.task.steps", ["tidy"]),
        ("body.task.steps", "['tidy', {'and': 'close'}]"),
        ("body.task.end", "2026-01-05T09:30:00Z"),
        ("body.task.end", 1e300),
        ("body.task.end", True),
        ("body.task.began", -1e17),
        ("body.task.kind", "early:late"),
    ],
)
def test_a_message_of_another_form_is_refused(place: str, value: object) -> None:
    """A differing constant, or a value outside a map, is a mismatch that names the place."""
    parts = EVERY_OPERATOR.encode({"job.id": "7", "parameters.reason": "spam"})
    parts["header"].clear()
    Place.parse(place).put(parts, value)  # type: ignore[arg-type]
    with pytest.raises(LensMismatch, match=rf"(?i){place}"):
        EVERY_OPERATOR.decode(parts)


def test_a_time_as_a_number_is_the_same_time() -> None:
    """Whole numbers stay whole, fractions keep microseconds, and any offset is UTC at the vendor."""
    for text, seconds, milliseconds in (
        ("2026-01-05T09:30:00Z", 1767605400, 1767605400000),
        ("2026-01-05T10:30:00.25+01:00", 1767605400.25, 1767605400250),
        ("2026-01-05T09:30:00.0000019Z", 1767605400.000001, 1767605400000.001),
        ("1969-12-31T23:59:59.5Z", -0.5, -500),
    ):
        for form, number in (("epoch-seconds", seconds), ("epoch-milliseconds", milliseconds)):
            lens = Lens.compile({"body.at": {"from": "parameters.closeAt", "as": form}})
            encoded = lens.encode({"parameters.closeAt": text})
            assert (encoded["body"]["at"], type(encoded["body"]["at"])) == (number, type(number))
    (decoded,) = Lens.compile({"body.at": {"from": "a", "as": "epoch-seconds"}}).decode({"body": {"at": 5.0}}).values()
    assert decoded == "1970-01-01T00:00:05Z"


@pytest.mark.parametrize("value", ["today", "2026-02-30T00:00:00Z", 7, ["2026-01-05T09:30:00Z"]])
def test_what_is_no_time_cannot_be_written_as_one(value: Any) -> None:
    """A text that is no time is refused like a word that a map does not have."""
    with pytest.raises(UnmappableValue, match=r"parameters\.closeAt is not one of a date-time of RFC 3339"):
        EVERY_OPERATOR.encode({"job.id": "7", "parameters.closeAt": value})


def test_what_cannot_be_read_in_a_reply_is_left_out() -> None:
    """A reply is read as far as it can be: nonsense costs its own value, and raises nothing."""
    lens = Lens.compile(
        {
            "body.id": "job.id",
            "body.kind": {"const": "ticket"},
            "body.at": {"from": "job.timestamps.createdAt", "as": "epoch-milliseconds"},
            "body.code": {"from": "error.code", "until": ":"},
        }
    )
    nonsense: tuple[Any, ...] = ("soon", 1e300, [], True, float("nan"))
    for at in nonsense:
        assert lens.legible({"body": {"id": "7", "kind": "call", "at": at, "code": "Late: very"}}) == {
            "job.id": "7",
            "error.code": "Late",
        }
    assert lens.legible({"body": {"at": 0, "code": 5}}) == {
        "job.timestamps.createdAt": "1970-01-01T00:00:00Z",
        "error.code": 5,
    }
    assert lens.read("error.code", {"body": {"code": "Late"}}) == "Late"


def test_a_default_can_be_a_value_of_the_account() -> None:
    """The account's value is written if no other is there, and counts as left out when it is read."""
    lens = Lens.compile({"body.code": {"from": "parameters.code", "default": "connection.code"}})
    bound = lens.bound({"connection.code": "C1"})
    assert bound.encode({}) == {"body": {"code": "C1"}}
    assert bound.decode({"body": {"code": "C1"}}) == {}
    assert bound.decode(bound.encode({"parameters.code": "C2"})) == {"parameters.code": "C2"}
    assert not bound.is_for_another_account({"body": {"code": "C2"}})


def test_a_bound_value_is_a_constant() -> None:
    """A value of the connection is written everywhere, and a message with another one is for another account."""
    lens = Lens.compile(
        {
            "path.id": "job.id",
            "query.Workspace": "connection.workspace",
            "body.zone": {"from": "connection.region", "map": {"eu": "E", "us": "U"}},
            "body.mode": {"const": "fast"},
        }
    )
    bound = lens.bound({"connection.workspace": "WS1", "connection.region": "eu"})
    message = bound.encode({"job.id": "7"})
    assert message == {"path": {"id": "7"}, "query": {"Workspace": "WS1"}, "body": {"zone": "E", "mode": "fast"}}
    assert bound.decode(message) == {"job.id": "7"}
    assert lens.decode(message) == {"job.id": "7", "connection.workspace": "WS1", "connection.region": "eu"}
    assert not bound.is_for_another_account(message)
    assert not bound.is_for_another_account({"query": {}, "body": {"mode": "slow"}})
    assert bound.is_for_another_account({"query": {"Workspace": "WS2"}})
    assert bound.is_for_another_account({"body": {"zone": "U"}})
    with pytest.raises(UnmappableValue):
        lens.bound({"connection.region": "asia"})


def test_the_first_element_of_a_list_is_a_place() -> None:
    """A list is written with one element, and its first is read; an object may have a member of that name."""
    lens = Lens.compile({"body.errors.0.code": "error.code", "body.errors.0.message": "error.message"})
    message = lens.encode({"error.code": "late", "error.message": "Too late."})
    assert message == {"body": {"errors": [{"code": "late", "message": "Too late."}]}}
    assert lens.decode({"body": {"errors": [{"code": "late"}, {"code": "early"}]}}) == {"error.code": "late"}
    assert lens.decode({"body": {"errors": {"0": {"code": "late"}}}}) == {"error.code": "late"}
    assert lens.decode({"body": {"errors": []}}) == {}
    message["body"]["errors"] = ["late"]
    assert Place.parse("body.errors.0").get(message) == "late"
    Place.parse("body.errors.0").put(message, "early")
    assert message == {"body": {"errors": ["early"]}}


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
