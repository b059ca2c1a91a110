"""What the simulated vendors do to jobs: exactly what their documents say."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from gateway.domain.model import JobAction, Result
from gateway.domain.vocabulary import Meaning
from gateway.sandbox.refusal import Refusal
from gateway.specs.vendor import ActionMapping, ErrorReply, VendorSpecification
from tests.sandbox.fixtures import SPECIFICATIONS, Clock, VendorClient, departures, made_up


@dataclass(frozen=True)
class Case:
    """An action on a job in a status, at a vendor that behaves in one of the ways its documents leave open."""

    vendor: VendorSpecification
    action: str
    status: str
    wrong_state: ErrorReply
    envelope: str

    def __str__(self) -> str:
        """The case as a test's name."""
        return f"{self.vendor.name}-{self.action}-{self.status}-{self.wrong_state.status}-{self.envelope}"


CASES = [
    Case(vendor, action, status, answer, envelope)
    for vendor in SPECIFICATIONS
    for action in vendor.actions
    for status in vendor.clear_statuses
    for answer in vendor.errors.meanings[Meaning.WRONG_STATE]
    for envelope in vendor.errors.envelopes
]


def meant(vendor: VendorSpecification, action: str, status: str) -> ActionMapping:
    """The action that the request for an action is on a job in this status, if several share the request."""
    alike = [each for each in vendor.actions.values() if each.is_alike(vendor.actions[action])]
    return next((each for each in alike if status in each.from_statuses), alike[0])


GONE = "gone"


def left(client: VendorClient, job_id: str) -> str:
    """The status of a job; `gone` if the vendor has deleted it."""
    try:
        return client.status_of(job_id)
    except Refusal:
        return GONE


def left_by(mapping: ActionMapping) -> str:
    """The status in which an action leaves a job; `gone` if it deletes the job."""
    return GONE if mapping.result is Result.GONE else mapping.to_status


@pytest.mark.sampled(0.3, kind=lambda case: (case.vendor.name, case.action))
@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_action_does_what_the_transition_table_says(case: Case, clients: dict[str, VendorClient]) -> None:
    """An action moves a job where the table allows it, and is refused in the chosen way where it does not."""
    client = clients[case.vendor.name]
    client.vendor.configure(wrong_state_status=case.wrong_state.status, envelope=case.envelope)
    job_id = client.vendor.create_job(case.status)
    mapping = meant(case.vendor, case.action, case.status)
    answer = client.perform(case.action, job_id)
    allowed = case.status in mapping.from_statuses
    after = mapping.to_status if allowed else case.status
    assert departures(mapping.operation, answer) == []
    assert (answer.status // 100 == 2) is allowed
    assert left(client, job_id) == (left_by(mapping) if allowed else case.status)
    (entry,) = client.vendor.log()
    assert (entry.before, entry.after, entry.status) == (case.status, after, answer.status)
    assert entry.job_action is not None
    assert (entry.job_action.action, entry.job_action.job_id) == (mapping.action, job_id)
    if not allowed:
        assert answer.status == case.wrong_state.status
        envelope = case.vendor.errors.envelopes[case.wrong_state.envelope or case.envelope]
        said = envelope.decode({"header": answer.headers, "body": answer.json})
        assert said["error.message"] == case.wrong_state.message
        assert said.get("error.code") == case.wrong_state.code


def test_every_action_can_be_tried_in_every_status(client: VendorClient) -> None:
    """Beside the documents' own jobs there is, for every action, one more job in every status."""
    jobs = [client.specification.job.decode({"body": job}) for job in client.vendor.jobs()]
    examples = len(client.specification.examples)
    assert len({job["job.id"] for job in jobs}) == len(jobs) == examples * (1 + len(client.specification.actions))
    for status in client.specification.clear_statuses:
        assert sum(job["job.vendorStatus"] == status for job in jobs) > len(client.specification.actions)


def test_an_unknown_job_is_refused(client: VendorClient) -> None:
    """Every action on a job that is not there gets the document's answer for that, and changes nothing."""
    documented, *_ = client.specification.errors.meanings[Meaning.UNKNOWN_JOB]
    before = client.vendor.jobs()
    for action, mapping in client.specification.actions.items():
        answer = client.perform(action, "00000000-0000-4000-8000-000000000000")
        assert answer.status == documented.status
        assert departures(mapping.operation, answer) == []
        entry = client.vendor.log()[-1]
        assert (entry.before, entry.after) == (None, None)
    assert client.vendor.jobs() == before


def part_of_a_job() -> list[Any]:
    """The actions that name a part of a job, such as an assignment."""
    return [
        pytest.param(vendor.name, action, id=f"{vendor.name}-{action}")
        for vendor in SPECIFICATIONS
        for action, mapping in vendor.actions.items()
        if mapping.find
    ]


@pytest.mark.parametrize(("name", "action"), part_of_a_job())
def test_an_unknown_part_of_a_job_is_refused(name: str, action: str, clients: dict[str, VendorClient]) -> None:
    """An action that names a part that the job does not have is answered like one on an unknown job."""
    client = clients[name]
    mapping = client.specification.actions[action]
    job_id = client.vendor.create_job(mapping.from_statuses[0])
    answer = client.perform(action, job_id, **{name: made_up(mapping, name) for name in mapping.find})
    assert answer.status == client.specification.errors.meanings[Meaning.UNKNOWN_JOB][0].status
    assert client.status_of(job_id) == mapping.from_statuses[0]


def deferrable() -> list[Any]:
    """The actions that can be asked for at a later time."""
    return [
        pytest.param(vendor.name, action, id=f"{vendor.name}-{action}")
        for vendor in SPECIFICATIONS
        for action, mapping in vendor.actions.items()
        if mapping.deferred_by
    ]


@pytest.mark.parametrize(("name", "action"), deferrable())
def test_an_action_for_later_waits_for_its_time(
    name: str, action: str, clients: dict[str, VendorClient], clock: Clock
) -> None:
    """An action for a future time is accepted at once and leaves the job as it is until then."""
    client = clients[name]
    mapping = client.specification.actions[action]
    job_id = client.vendor.create_job(mapping.from_statuses[0])
    later = clock.now() + timedelta(hours=1)
    note = {"note": "Later"} if "note" in mapping.parameters else {}
    answer = client.perform(action, job_id, **{str(mapping.deferred_by): later.isoformat()}, **note)
    assert (answer.status // 100, client.status_of(job_id)) == (2, mapping.from_statuses[0])
    (entry,) = client.vendor.log()
    assert (entry.before, entry.after) == (mapping.from_statuses[0],) * 2
    clock.advance(3_599)
    assert client.status_of(job_id) == mapping.from_statuses[0]
    clock.advance(1)
    assert client.status_of(job_id) == mapping.to_status
    assert "Later" in str(client.vendor.job(job_id)) or not note


@pytest.mark.parametrize(("name", "action"), deferrable())
@pytest.mark.parametrize("time", ["0001-01-01T00:00:00.0000000Z", "2026-01-05T09:59:59.999+00:00"])
def test_an_action_for_the_past_happens_at_once(
    name: str, action: str, time: str, clients: dict[str, VendorClient]
) -> None:
    """A time that is over, even the earliest there is, is no deferral."""
    client = clients[name]
    mapping = client.specification.actions[action]
    job_id = client.vendor.create_job(mapping.from_statuses[0])
    client.perform(action, job_id, **{str(mapping.deferred_by): time})
    assert client.status_of(job_id) == client.vendor.log()[-1].after == mapping.to_status


@pytest.mark.parametrize(("name", "action"), deferrable())
def test_an_action_for_later_is_dropped_when_the_job_moved_on(
    name: str, action: str, clients: dict[str, VendorClient], clock: Clock
) -> None:
    """When its time comes and the job is in a status that does not allow it, nothing happens, then or later."""
    client = clients[name]
    mapping = client.specification.actions[action]
    job_id = client.vendor.create_job(mapping.from_statuses[0])
    client.perform(action, job_id, **{str(mapping.deferred_by): (clock.now() + timedelta(seconds=10)).isoformat()})
    elsewhere = next(each for each in client.specification.clear_statuses if each not in mapping.from_statuses)
    client.vendor.set_status(job_id, elsewhere)
    clock.advance(10)
    assert client.status_of(job_id) == elsewhere
    client.vendor.set_status(job_id, mapping.from_statuses[0])
    assert client.status_of(job_id) == mapping.from_statuses[0]


def test_jobs_stand_still_without_the_clock(client: VendorClient, clock: Clock) -> None:
    """As long as nobody asks for it, no job moves by itself."""
    before = client.vendor.jobs()
    clock.advance(86_400)
    assert client.vendor.jobs() == before


def journey(specification: VendorSpecification, status: str) -> list[str]:
    """The statuses that a job goes through by itself."""
    passed = [status]
    while following := [to for origin, to in specification.transitions if origin == passed[-1]]:
        passed.append(following[0])
    return passed


def test_jobs_move_by_themselves_when_the_clock_is_on(client: VendorClient, clock: Clock) -> None:
    """With the clock on, a job makes the first transition out of its status each time the seconds are over."""
    clock.advance(1_000)
    client.vendor.configure(clock_seconds=10)
    assert client.specification.transitions
    for origin in client.specification.clear_statuses:
        job_id = client.vendor.create_job(origin)
        for status in journey(client.specification, origin):
            assert client.status_of(job_id) == status
            clock.advance(9)
            assert client.status_of(job_id) == status
            clock.advance(1)


def test_jobs_move_while_nobody_looks(client: VendorClient, clock: Clock) -> None:
    """A job that nobody read for a while has made as many transitions as there was time for."""
    client.vendor.configure(clock_seconds=10)
    passed = {
        client.vendor.create_job(each): journey(client.specification, each)
        for each in client.specification.clear_statuses
    }
    clock.advance(25)
    assert {job_id: left(client, job_id) for job_id in passed} == {
        job_id: GONE if is_deleted(client.specification, each) else each[min(2, len(each) - 1)]
        for job_id, each in passed.items()
    }


def is_deleted(specification: VendorSpecification, passed: list[str]) -> bool:
    """True if a job that goes this way is gone after two transitions: it ends before, and the vendor deletes it."""
    return specification.deletes_ended_jobs and len(passed) <= 2 and specification.status(passed[-1]).final


def test_the_clock_counts_from_when_it_is_switched_on(client: VendorClient, clock: Clock) -> None:
    """Time that passed before the clock was on does not move anything."""
    before = client.vendor.jobs()
    clock.advance(1_000)
    client.vendor.configure(clock_seconds=10)
    assert client.vendor.jobs() == before


def test_every_system_transition_can_be_made_by_hand(client: VendorClient) -> None:
    """Each transition of the document is possible by hand, whether it is the first of its status or not."""
    assert client.specification.transitions
    for origin, to in client.specification.transitions:
        job_id = client.vendor.create_job(origin)
        client.vendor.advance(job_id, to)
        assert client.status_of(job_id) == to


def test_other_system_transitions_are_refused(client: VendorClient) -> None:
    """A transition that the document does not have is refused, and the refusal says where a job can go."""
    for origin in client.specification.clear_statuses:
        choices = [to for at, to in client.specification.transitions if at == origin]
        job_id = client.vendor.create_job(origin)
        with pytest.raises(ValueError, match=", ".join(choices) or "nowhere"):
            client.vendor.advance(job_id, origin)
        if not choices:
            with pytest.raises(ValueError, match="nowhere"):
                client.vendor.advance(job_id)
        assert client.status_of(job_id) == origin


def test_a_moved_job_can_be_acted_on(client: VendorClient) -> None:
    """A job that was moved by hand has what a job of its new status has, so that actions on it succeed."""
    assert all(mapping.from_statuses for mapping in client.specification.actions.values())
    assert client.specification.actions
    for action, mapping in client.specification.actions.items():
        for status in mapping.from_statuses:
            job_id = client.vendor.create_job(next(iter(client.specification.clear_statuses)))
            client.vendor.set_status(job_id, status)
            assert client.perform(action, job_id).status // 100 == 2
            assert left(client, job_id) == left_by(mapping)


def test_a_moved_job_keeps_what_is_its_own(client: VendorClient) -> None:
    """Moving a job there and back changes neither its id nor the traces that clients left in it."""
    first, *others = client.specification.clear_statuses
    job_id = client.vendor.create_job(first)
    before = client.vendor.job(job_id)
    for status in (*others, first):
        client.vendor.set_status(job_id, status)
        assert client.specification.job.decode({"body": client.vendor.job(job_id)})["job.id"] == job_id
    assert before.keys() <= client.vendor.job(job_id).keys()
    assert client.status_of(job_id) == first


def test_of_two_at_once_only_one_succeeds(client: VendorClient) -> None:
    """Of many clients that ask for the same action on the same job at once, exactly one is served."""
    actions = client.specification.actions
    action, mapping = next(
        (name, each)
        for name, each in actions.items()
        if not any(each.to_status in other.from_statuses for other in actions.values() if each.is_alike(other))
    )
    for _ in range(5):
        job_id = client.vendor.create_job(mapping.from_statuses[0])
        request = client.action_request(JobAction(action, job_id))
        with ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(lambda _, request=request: client.send(request).status // 100, range(8)))
        assert sorted(statuses) == [2, *[4] * 7]
