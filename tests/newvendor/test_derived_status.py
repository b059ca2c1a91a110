"""A vendor whose jobs have no status, stand inside the reply, and look otherwise in lists: the document is enough."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from gateway.client import Client, ProblemError
from gateway.dialects.words import Words
from gateway.domain.model import Job, StatusPair
from gateway.sandbox.vendor import VendorSandbox
from gateway.specs import lint
from gateway.startup.serve import Running

HERE = Path(__file__).parent
INSTALLED = "phone_desk"
CONNECTION = "phone-sandbox"
CLEAR = ("NEW", "QUEUED", "TALKING", "HELD", "WRAPPING", "ENDED")
IN_ROWS = {"NEW": "NEW", "QUEUED": "QUEUED", "TALKING": "LIVE", "HELD": "LIVE", "WRAPPING": "OVER", "ENDED": "OVER"}
"""What a row of the list tells of a job in each status."""


@pytest.fixture
def vendor(desk: Running) -> VendorSandbox:
    """The simulated phone desk."""
    return desk.sandbox.vendor("phone-desk")


def asked(
    desk: Running, path: str, *, connection: str = CONNECTION, body: Any = None, **query: str
) -> requests.Response:
    """A request by the vendor's own client: with a body a POST."""
    url = f"{desk.url}/native/phone-desk/{connection}{path}"
    method, headers = "GET" if body is None else "POST", {"X-Phone-Key": desk.access_key}
    return requests.request(method, url, json=body, params=query, headers=headers, timeout=20)


def rows_of(desk: Running, connection: str) -> Iterator[Mapping[str, Any]]:
    """All rows of the list of a connection, as the vendor's own clients read them."""
    number = pages = 1
    while number <= pages:
        page = asked(desk, "/contacts", connection=connection, size="10", page=str(number)).json()
        yield from page["Contacts"]
        number, pages = number + 1, page["Pages"]


def derived(desk: Running, job: Mapping[str, Any], *, is_row: bool = False) -> str:
    """The status of a job that the rules of the document give."""
    specification = desk.gateway.catalogue.vendors["phone-desk"].specification
    return (specification.reads["listContacts"].job if is_row else specification.job).status_of(job)


def test_its_document_passes_the_lint() -> None:
    """The lint finds nothing in a document that uses every test of a derived status."""
    text = (HERE / "phone_desk.yaml").read_text()
    assert all(
        f": {test}" in text or f"{{{test}:" in text for test in ("present", "absent", "equal", "laterThan", "some")
    )
    assert lint.check(HERE / "phone_desk.yaml") == []


@pytest.mark.parametrize("status", CLEAR)
def test_a_job_is_read_by_its_id(client: Client, vendor: VendorSandbox, status: str) -> None:
    """A job that stands inside the reply is found there, its status is derived, and its actions are those allowed."""
    job = client.job(CONNECTION, vendor.create_job(status))
    assert (job.vendor_status, job.final) == (status, status == "ENDED")
    allowed = {"NEW": ("cancel",), "QUEUED": ("cancel",), "TALKING": ("pause",), "HELD": ("restart",)}
    assert job.allowed_actions == {**allowed, "WRAPPING": ("close",), "ENDED": ()}[status]


@pytest.mark.parametrize("status", CLEAR)
def test_the_same_job_is_read_from_a_row(client: Client, vendor: VendorSandbox, status: str) -> None:
    """A row shows the same job; if it cannot tell the status, no action is allowed, and the reason says what to do."""
    job_id = vendor.create_job(status)
    (row,) = (each for each in client.jobs(CONNECTION) if each.id == job_id)
    assert row.vendor_status == IN_ROWS[status]
    assert row.timestamps["createdAt"] == client.job(CONNECTION, job_id).timestamps["createdAt"]
    if status in {"NEW", "QUEUED"}:
        assert row.allowed_actions == ("cancel",)
    else:
        assert (row.status, row.allowed_actions) == ("unknown", ())
        reasons = {
            each.reason for each in row.blocked_actions if each.action in {"cancel", "close", "pause", "restart"}
        }
        assert reasons == {"The list does not tell the status of this job. Read the job to see."}


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [
        ("cancel", "NEW", "ENDED"),
        ("cancel", "QUEUED", "ENDED"),
        ("close", "WRAPPING", "ENDED"),
        ("pause", "TALKING", "HELD"),
        ("restart", "HELD", "TALKING"),
    ],
)
def test_an_action_changes_the_derived_status(
    client: Client, vendor: VendorSandbox, action: str, before: str, after: str
) -> None:
    """The simulator changes what the rules look at, so that the action shows in the job, and only once."""
    job_id = vendor.create_job(before)
    done = client.act(action, CONNECTION, job_id)
    assert (done.outcome, done.job and done.job.vendor_status) == ("applied", after)
    assert client.job(CONNECTION, job_id).vendor_status == after
    with pytest.raises(ProblemError) as refused:
        client.act(action, CONNECTION, job_id)
    assert refused.value.code == "wrong-state"


@pytest.mark.parametrize("before", CLEAR)
@pytest.mark.parametrize("after", CLEAR)
def test_every_change_gives_the_new_status(desk: Running, vendor: VendorSandbox, before: str, after: str) -> None:
    """From each status to each other, the job keeps its id, and is in the new status by the rules."""
    job_id = vendor.create_job(before)
    moved = vendor.set_status(job_id, after)
    assert (moved["Id"], derived(desk, moved)) == (job_id, after)


def test_a_status_of_rows_is_no_state_of_a_job(vendor: VendorSandbox) -> None:
    """The simulator puts no job into a status that only stands for what a row does not tell."""
    with pytest.raises(ValueError, match="no such status"):
        vendor.create_job("LIVE")


def test_ids_look_like_those_of_the_examples(vendor: VendorSandbox) -> None:
    """Every id of the sandbox has the prefix, the characters and the length of the examples', and is the only one."""
    ids = [str(job["Id"]) for job in (*vendor.jobs(), vendor.job(vendor.create_job("NEW")))]
    assert all(re.fullmatch("CT[0-9a-f]{32}", each) for each in ids)
    assert len(set(ids)) == len(ids) == len(CLEAR) * 5 + 1
    vendor.reset()
    assert [str(job["Id"]) for job in vendor.jobs()] == ids[:-1]


def test_its_own_clients_get_its_own_shapes(desk: Running, vendor: VendorSandbox) -> None:
    """The vendor's clients get the reply around the job, and rows as rows; an action of theirs is carried out."""
    job_id = vendor.create_job("TALKING")
    contact = asked(desk, f"/contacts/{job_id}").json()["Contact"]
    assert (contact["Id"], derived(desk, contact)) == (job_id, "TALKING")
    rows = asked(desk, "/contacts", size="10").json()["Contacts"]
    assert {"ContactId", "Started"} <= rows[0].keys()
    held = asked(desk, "/change", body={"ContactId": job_id, "Verb": "hold"})
    assert (held.status_code, held.json()) == (200, {})
    assert derived(desk, vendor.job(job_id)) == "HELD"
    refused = asked(desk, "/change", body={"ContactId": job_id, "Verb": "hold"})
    assert (refused.status_code, refused.headers["X-Phone-Fault"]) == (409, "Conflict")


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ("created", "NEW"),
        ("queued", "QUEUED"),
        ("assigned", "TALKING"),
        ("waitingForActivation", "HELD"),
        ("completed", "WRAPPING"),
        ("closed", "ENDED"),
        ("cancelled", "ENDED"),
    ],
)
def test_jobs_of_another_vendor_satisfy_the_rules(desk: Running, status: str, shown: str) -> None:
    """A job of another vendor is shown with what the rule of its status needs, and no more, alone and as a row."""
    job_id = desk.sandbox.vendor("azure-job-router").create_job(status)
    contact = asked(desk, f"/contacts/{job_id}", connection="azure-sandbox").json()["Contact"]
    assert (contact["Id"], derived(desk, contact)) == (job_id, shown)
    specification = desk.gateway.catalogue.vendors["phone-desk"].specification
    assert specification.job.derivation is not None
    rule = next(each for each in specification.job.derivation.rules if each.status == shown)
    assert contact.keys() <= {"Id", "StartedAt", *(place.keys[0] for place in rule.places)}
    (row,) = (each for each in rows_of(desk, "azure-sandbox") if each["ContactId"] == job_id)
    assert derived(desk, row, is_row=True) == IN_ROWS[shown]


def test_a_job_without_a_word_is_not_shown_as_another(desk: Running) -> None:
    """A status that the dialect has no word for is not derived from nothing: the job is left out, not shown as new."""
    pair = StatusPair("unknown", "strange")
    job = Job("CT1", "azure-sandbox", "azure-job-router", pair, False, (), (), {}, {})  # noqa: FBT003 - not final
    words = Words(desk.gateway.catalogue.vendors["phone-desk"].specification, datetime.now(UTC))
    assert words.job(job) is None


def test_its_jobs_are_there_for_clients_of_other_vendors(desk: Running, vendor: VendorSandbox) -> None:
    """A client of another vendor reads the job in its own words, and acts on it."""
    job_id = vendor.create_job("QUEUED")
    url = f"{desk.url}/native/azure-job-router/{CONNECTION}/routing/jobs/{job_id}"
    bearer, version = {"Authorization": f"Bearer {desk.api_key}"}, {"api-version": "2023-11-01"}
    assert requests.get(url, params=version, headers=bearer, timeout=20).json()["status"] == "queued"
    cancelled = requests.post(f"{url}:cancel", params=version, headers=bearer, timeout=20)
    assert (cancelled.status_code, derived(desk, vendor.job(job_id))) == (200, "ENDED")
