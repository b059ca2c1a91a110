"""What every vendor must do, tried through the gateway's own API against the simulators.

No vendor is named here: the cases come from the documents, so a new vendor is covered as soon as it is installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urljoin

import pytest
import requests

from gateway.client import Client, ProblemError
from gateway.domain.model import Result
from gateway.domain.vocabulary import Meaning
from gateway.engine.connections import Vendor
from gateway.startup.serve import Running
from gateway.startup.serve import sandbox_name as name_among
from tests.support.documents import installed

CATALOGUE = installed()


def sandbox_name(vendor: str) -> str:
    """The connection to the simulator of a vendor."""
    return name_among(vendor, CATALOGUE.vendors)


@dataclass(frozen=True)
class Case:
    """An action, tried on a job in a status, at a vendor that behaves in one of the ways its documents allow."""

    vendor: Vendor
    action: str
    status: str
    wrong_state_status: int
    envelope: str

    def __str__(self) -> str:
        """The case as a test's name."""
        return f"{self.vendor.name}-{self.action}-{self.status}-{self.wrong_state_status}-{self.envelope}"

    @property
    def allowed(self) -> bool:
        """Whether the document allows the action in this status."""
        return self.vendor.specification.allows(self.action, self.status)


def cases() -> Iterator[Case]:
    """Every vendor, action and status, in every way that the documents leave open."""
    for vendor in CATALOGUE.vendors.values():
        errors = vendor.specification.errors
        for action in CATALOGUE.actions:
            for status in vendor.specification.clear_statuses:
                for answer in errors.meanings[Meaning.WRONG_STATE]:
                    for envelope in errors.envelopes:
                        yield Case(vendor, action, status, answer.status, envelope)


@pytest.mark.sampled(0.3, kind=lambda case: (case.vendor.name, case.action, case.allowed))
@pytest.mark.parametrize("case", list(cases()), ids=str)
def test_action_in_status(case: Case, client: Client, stack: Running) -> None:
    """An action does at the vendor what the document says, once, and the answer tells the truth about it."""
    sandbox = stack.sandbox.vendor(case.vendor.name)
    sandbox.configure(wrong_state_status=case.wrong_state_status, envelope=case.envelope)
    job_id = sandbox.create_job(case.status)
    connection = sandbox_name(case.vendor.name)
    mapping = case.vendor.specification.actions.get(case.action)
    if case.allowed:
        assert mapping is not None
        done = getattr(client, case.action)(connection, job_id, wait=20)
        assert (done.status, done.outcome, done.job.vendor_status) == ("succeeded", "applied", mapping.to_status)
    else:
        with pytest.raises(ProblemError) as refused:
            getattr(client, case.action)(connection, job_id)
        assert refused.value.code == ("action-not-supported" if mapping is None else "wrong-state")
        if mapping is not None:
            assert refused.value.job is not None
            assert refused.value.job.vendor_status == case.status
    sent = [entry for entry in sandbox.log() if entry.job_action]
    expected = (case.status, mapping.to_status) if case.allowed and mapping else (case.status, case.status)
    assert [(each.before, each.after or each.before) for each in sent] in ([expected], [])
    assert len(sent) == 1 if case.allowed else len(sent) <= 1
    if case.allowed and mapping and mapping.result is Result.GONE:
        with pytest.raises(ProblemError, match="unknown-job"):
            client.job(connection, job_id)
    else:
        assert client.job(connection, job_id).vendor_status == expected[1]


STATUSES = [
    pytest.param(vendor, status, id=f"{vendor.name}-{status}")
    for vendor in CATALOGUE.vendors.values()
    for status in vendor.specification.clear_statuses
]


@pytest.mark.parametrize(("vendor", "status"), STATUSES)
def test_a_job_in_any_status_is_terminated(vendor: Vendor, status: str, client: Client, stack: Running) -> None:
    """The job ends by the steps of the capability matrix, which a dry run shows, or the answer says why not."""
    sandbox, connection = stack.sandbox.vendor(vendor.name), sandbox_name(vendor.name)
    job_id = sandbox.create_job(status)
    (ways,) = (each for each in client.vendor(vendor.name).terminate if each.vendor_status == status)
    if ways.graceful is None:
        with pytest.raises(ProblemError) as refused:
            client.terminate(connection, job_id)
        assert (refused.value.code, refused.value.outcome) == ("not-ended", "not_sent")
        expected: list[str] = []
    else:
        plan = client.terminate(connection, job_id, dry_run=True)
        assert tuple(each.action for each in plan.steps) == ways.graceful
        assert client.job(connection, job_id).vendor_status == status
        done = client.terminate(connection, job_id, note="Over", wait=20)
        assert (done.outcome, done.already_so) == ("applied", not ways.graceful)
        assert tuple(each.action for each in done.steps) == ways.graceful
        steps = list(client.job_actions(parent=done.id))
        assert [each.id for each in reversed(steps)] == [each.id for each in done.steps]
        assert client.job(connection, job_id).final
        expected = list(ways.graceful)
    assert [entry.job_action.action for entry in sandbox.log() if entry.job_action] == expected


@pytest.mark.parametrize("vendor", list(CATALOGUE.vendors.values()), ids=lambda vendor: vendor.name)
def test_jobs_tell_what_may_be_done(vendor: Vendor, client: Client) -> None:
    """Every job of a vendor says its status in both words, which actions it allows, and why not the others."""
    connection = sandbox_name(vendor.name)
    rows = list(client.jobs(connection))
    jobs = [client.job(connection, row.id) for row in rows]
    assert {job.vendor_status for job in jobs} == set(vendor.specification.clear_statuses)
    assert {row.vendor_status for row in rows} >= vendor.specification.vague_statuses
    for job in [*rows, *jobs]:
        status = vendor.specification.statuses[job.vendor_status]
        assert (job.status, job.final) == (status.pair.status, status.final)
        allowed = {action for action in CATALOGUE.actions if vendor.specification.allows(action, job.vendor_status)}
        assert set(job.allowed_actions) == allowed
        assert {blocked.action for blocked in job.blocked_actions} == CATALOGUE.actions.keys() - allowed


@pytest.mark.parametrize("vendor", list(CATALOGUE.vendors.values()), ids=lambda vendor: vendor.name)
def test_jobs_are_listed_whole_and_by_status(vendor: Vendor, client: Client, stack: Running) -> None:
    """Paging through a list shows every job once; a filter shows those in that status, and all of them."""
    connection = sandbox_name(vendor.name)
    everything = sorted(job.id for job in client.jobs(connection))
    assert sorted(job["id"] for job in listed(stack, connection, limit=5)) == everything
    assert len(everything) == len(set(everything)) == len(stack.sandbox.vendor(vendor.name).jobs())
    statuses = {each.pair.status for each in vendor.specification.statuses.values()}
    found = {status: listed(stack, connection, limit=5, status=status) for status in statuses}
    assert sorted(job["id"] for jobs in found.values() for job in jobs) == everything
    assert all(job["status"] == status for status, jobs in found.items() for job in jobs)


def listed(stack: Running, connection: str, **query: int | str) -> list[dict[str, Any]]:
    """The jobs of a connection, page by page as the Link headers lead."""
    url: str | None = f"{stack.url}/v1/connections/{connection}/jobs?{urlencode(query)}"
    jobs = []
    while url is not None:
        reply = requests.get(url, headers={"Authorization": f"Bearer {stack.api_key}"}, timeout=20)
        reply.raise_for_status()
        assert len(reply.json()["items"]) <= 5
        jobs += reply.json()["items"]
        url = urljoin(url, reply.links["next"]["url"]) if "next" in reply.links else None
    return jobs


NATIVE = [
    pytest.param(vendor, action, id=f"{vendor.name}-{action}")
    for vendor in CATALOGUE.vendors.values()
    for action in vendor.supported_actions
]


@pytest.mark.parametrize(("vendor", "action"), NATIVE)
def test_dry_run_sends_nothing(vendor: Vendor, action: str, client: Client, stack: Running) -> None:
    """A dry run shows the exact request and no action reaches the vendor; the job stays as it is."""
    mapping = vendor.specification.actions[action]
    sandbox = stack.sandbox.vendor(vendor.name)
    job_id = sandbox.create_job(mapping.from_statuses[0])
    preview = client.preview(action, sandbox_name(vendor.name), job_id)
    assert preview.vendor_request.method == mapping.operation.method
    assert preview.vendor_request.url.startswith(stack.sandbox.endpoint(vendor.name))
    assert "[redacted]" in " ".join(preview.vendor_request.headers.values())
    assert [entry for entry in sandbox.log() if entry.job_action] == []
    assert client.job(sandbox_name(vendor.name), job_id).vendor_status == mapping.from_statuses[0]
