"""What the demonstration expects, and what it takes for a difference."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.client import Attempt, Capability, JobAction, JobActionProblem, Origin, StatusPair
from gateway.demo.demo import Answer, Call, Expectation, Row, Step, accepted, applied, differences, expectation

JOB = "0b7c51f0-9d6e-4c52-8d53-5d2f3c1a7e01"
HONEST_CALL = Call("cancel", JOB, {}, "Running", "Cancelled", 204)
HONEST = Row(
    Step("a part", "a-vendor", "cancel", "Running", applied("Cancelled")),
    JOB,
    Answer(200, None, "applied", "Cancelled", 204),
    (HONEST_CALL,),
    "Cancelled",
)
REFUSED = Row(
    Step("a part", "a-vendor", "cancel", "Failed", Expectation(409, "wrong-state", ("rejected", "not_sent"), "Failed")),
    JOB,
    Answer(409, "wrong-state", "rejected", "Failed", 400),
    (replace(HONEST_CALL, before="Failed", after="Failed", status=400),),
    "Failed",
)
NOT_SENT = replace(REFUSED, answer=replace(REFUSED.answer, outcome="not_sent", vendor_status=None), calls=())
DELETED = replace(HONEST, step=replace(HONEST.step, expected=applied("Cancelled", deletes_job=True)), read_back="gone")
READ = replace(HONEST, answer=replace(HONEST.answer, vendor_status=None, is_settled_by_reading=True))
UNSUPPORTED = Row(
    Step("a part", "a-vendor", "close", "Failed", Expectation(422, "action-not-supported", ("not_sent",), "Failed")),
    JOB,
    Answer(422, "action-not-supported", "not_sent"),
    (),
    "Failed",
)


@pytest.mark.parametrize("row", [HONEST, REFUSED, NOT_SENT, DELETED, READ, UNSUPPORTED])
def test_no_difference(row: Row) -> None:
    """Anything as expected is no difference, whether a reply or a read told, or a refusal came before the sending."""
    assert list(differences(row)) == []


@pytest.mark.parametrize(
    ("row", "changes", "named"),
    [
        (HONEST, {"status": 409}, "HTTP status: expected 200, found 409"),
        (HONEST, {"code": "wrong-state"}, "problem: expected nothing, found wrong-state"),
        (HONEST, {"outcome": "unknown"}, "outcome: expected applied, found unknown"),
        (HONEST, {"outcome": "not_sent"}, "the sandbox's log: expected no call, found cancel of"),
        (HONEST, {"after": "Running"}, "job in the answer: expected Cancelled, found Running"),
        (HONEST, {"after": None}, "job in the answer: expected Cancelled, found nothing"),
        (HONEST, {"vendor_status": 200}, "the sandbox's log: expected cancel of"),
        (READ, {"after": "Running"}, "the sandbox's log: expected cancel of"),
        (READ, {"is_settled_by_reading": False}, "the sandbox's log: expected cancel of"),
        (REFUSED, {"outcome": "applied"}, "outcome: expected rejected or not_sent, found applied"),
        (REFUSED, {"code": "vendor-refused"}, "problem: expected wrong-state, found vendor-refused"),
        (NOT_SENT, {"outcome": "rejected"}, "the sandbox's log: expected cancel of"),
        (UNSUPPORTED, {"outcome": "rejected"}, "outcome: expected not_sent, found rejected"),
        (UNSUPPORTED, {"after": "Failed"}, "job in the answer: expected nothing, found Failed"),
    ],
)
def test_difference_in_the_answer(row: Row, changes: dict[str, Any], named: str) -> None:
    """Every member of the answer that is not as it should be is a difference, with the step that it is of."""
    (found, *_) = [each for each in differences(replace(row, answer=replace(row.answer, **changes))) if named in each]
    assert found.startswith(f"a-vendor, {row.step.action} on the {row.step.before} job {JOB}: ")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"action": "open"}, f"found open of {JOB} with no parameters (Running to Cancelled, HTTP 204)"),
        ({"job_id": "other"}, "found cancel of other with no parameters (Running to Cancelled, HTTP 204)"),
        ({"parameters": {"note": "n"}}, "with {'note': 'n'} (Running to Cancelled, HTTP 204)"),
        ({"before": "Paused"}, "(Paused to Cancelled, HTTP 204)"),
        ({"after": "Running"}, "(Running to Running, HTTP 204)"),
        ({"status": None}, "(Running to Cancelled, HTTP None)"),
    ],
)
def test_difference_in_the_log(changes: dict[str, Any], named: str) -> None:
    """Every member of a logged call that is not as answered is a difference, which shows both."""
    (found,) = differences(replace(HONEST, calls=(replace(HONEST_CALL, **changes),)))
    honest = f"expected cancel of {JOB} with no parameters (Running to Cancelled, HTTP 204)"
    assert f"the sandbox's log: {honest}, found " in found
    assert found.endswith(named)


@pytest.mark.parametrize("calls", [(), (HONEST_CALL, HONEST_CALL)])
def test_number_of_calls(calls: tuple[Call, ...]) -> None:
    """An action that was answered must have arrived at the vendor exactly once."""
    assert len(list(differences(replace(HONEST, calls=calls)))) == 1


def test_difference_in_the_job() -> None:
    """A job that is not read back as it should be is a difference."""
    found = list(differences(replace(UNSUPPORTED, read_back="Closed")))
    assert found == [f"a-vendor, close on the Failed job {JOB}: job read back: expected Failed, found Closed"]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("Running", Expectation(200, None, ("applied",), "Cancelled")),
        ("Failed", Expectation(409, "wrong-state", ("rejected", "not_sent"), "Failed")),
    ],
)
def test_expectation_of_a_native_action(status: str, expected: Expectation) -> None:
    """An action that the vendor has is applied from the statuses of the matrix, and refused from all others."""
    matrix = (StatusPair("scheduled", "Scheduled"), StatusPair("running", "Running"))
    native = Capability("cancel", "native", (), "once", matrix, StatusPair("cancelled", "Cancelled"))
    assert expectation(native, status) == expected


def test_an_unknown_outcome_is_not_taken_for_success() -> None:
    """A job action whose outcome is unknown is the 202 that it was answered with, and so a difference."""
    at = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
    unknown = JobAction(
        id="action-1",
        caller="somebody",
        connection="c",
        vendor="a-vendor",
        job_id=JOB,
        action="cancel",
        parameters={},
        status="unsettled",
        outcome="unknown",
        warnings=(),
        requested_at=at,
        origin=Origin(),
        attempts=(Attempt(at),),
        readings=(),
        problem=JobActionProblem("vendor-timed-out", "silence"),
    )
    assert accepted(unknown) == Answer(202, "vendor-timed-out", "unknown")
    found = "\n".join(differences(replace(HONEST, answer=accepted(unknown))))
    assert "HTTP status: expected 200, found 202" in found
    assert "problem: expected nothing, found vendor-timed-out" in found
    assert "outcome: expected applied, found unknown" in found


def test_expectation_of_an_unsupported_action() -> None:
    """An action that the vendor does not have is refused, changes nothing and is not sent."""
    expected = Expectation(422, "action-not-supported", ("not_sent",), "Failed")
    assert expectation(Capability("close", "unsupported", ()), "Failed") == expected
