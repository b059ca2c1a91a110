"""The behaviour that every vendor must have, tried through the gateway's own API against the simulator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urljoin

from gateway.app import Catalogue
from gateway.client import Job, ProblemError
from gateway.domain.vocabulary import Meaning
from gateway.engine.connections import Vendor
from gateway.kit.checks import Check, Place
from gateway.kit.own_client import SECONDS, read
from gateway.kit.stand import GONE, Stand, left_by
from gateway.security.redaction import REDACTED

PAGE = 5
"""Jobs on a page of the lists that are read."""


STALE = '"stale"'
"""A version that no job has."""


@dataclass(frozen=True)
class Case:
    """An action, tried on a job in a status, at a vendor that behaves in one of the ways its documents allow."""

    action: str
    status: str
    wrong_state_status: int
    envelope: str

    def __str__(self) -> str:
        """The case as a part of a check's name."""
        return f"{self.action} in {self.status}, refused with {self.wrong_state_status} in {self.envelope}"

    @property
    def place(self) -> Place:
        """The place in the document that the case is about."""
        mend = "Compare `from`, `to`, the request and errors.meanings with the vendor's documentation."
        return Place(f"x-job-action of {self.action}, on a job in {self.status}", mend)


def cases(vendor: Vendor, actions: Iterator[str]) -> Iterator[Case]:
    """Every action in every status, in every way that the documents leave open."""
    errors = vendor.specification.errors
    for action in actions:
        for status in vendor.specification.clear_statuses:
            for answer in errors.meanings[Meaning.WRONG_STATE]:
                for envelope in errors.envelopes:
                    yield Case(action, status, answer.status, envelope)


def checks(catalogue: Catalogue, vendor: Vendor) -> Iterator[Check]:
    """The checks of a vendor through the unified API."""
    for case in cases(vendor, iter(catalogue.actions)):
        allowed = vendor.specification.allows(case.action, case.status)
        yield Check.of(action_in_status, case, kind=(case.action, allowed))
    for status in vendor.specification.clear_statuses:
        yield Check.of(job_is_terminated, status, kind=status)
    yield Check.of(jobs_tell_what_may_be_done)
    if vendor.specification.list_read is not None:
        yield Check.of(jobs_are_listed_whole_and_by_status)
    for action in vendor.supported_actions:
        yield Check.of(dry_run_sends_nothing, action, kind=action)
        yield Check.of(version_of_the_job_counts, action, kind=action)


def action_in_status(stand: Stand, case: Case) -> None:
    """An action does at the vendor what the document says, once, and the answer tells the truth about it."""
    sandbox, place = stand.sandbox, case.place
    sandbox.configure(wrong_state_status=case.wrong_state_status, envelope=case.envelope)
    job_id = sandbox.create_job(case.status)
    mapping = stand.specification.actions.get(case.action)
    is_allowed = mapping is not None and case.status in mapping.from_statuses
    after = mapping.to_status if mapping is not None and is_allowed else case.status
    if is_allowed:
        _expect_applied(stand, case, job_id, after)
    else:
        _expect_refused(stand, case, job_id, "action-not-supported" if mapping is None else "wrong-state")
    sent = [(each.before, each.after or each.before) for each in sandbox.log() if each.job_action]
    place.require(sent == [(case.status, after)] or (not is_allowed and not sent), f"the vendor saw the changes {sent}")
    left = left_by(mapping) if mapping is not None and is_allowed else case.status
    place.expect("the status at the vendor", stand.status_of(job_id), left)
    place.expect("the status that is read", _read_status(stand, job_id), left)


def _read_status(stand: Stand, job_id: str) -> str:
    """The status of a job as the gateway reads it; `GONE` if it does not find the job."""
    try:
        return stand.client.job(stand.connection, job_id).vendor_status
    except ProblemError as problem:
        if problem.code == "unknown-job":
            return GONE
        raise


def _expect_applied(stand: Stand, case: Case, job_id: str, after: str) -> None:
    done = getattr(stand.client, case.action)(stand.connection, job_id, wait=SECONDS)
    case.place.expect("the outcome", (done.status, done.outcome), ("succeeded", "applied"))
    case.place.expect("the reported status", done.job and done.job.vendor_status, after)


def _expect_refused(stand: Stand, case: Case, job_id: str, code: str) -> None:
    refused = _refusal(stand, case, job_id)
    case.place.expect("the problem's code", refused.code, code)
    if code == "wrong-state":
        case.place.expect("the problem's job", refused.job and refused.job.vendor_status, case.status)


def _refusal(stand: Stand, case: Case, job_id: str) -> ProblemError:
    try:
        getattr(stand.client, case.action)(stand.connection, job_id)
    except ProblemError as problem:
        return problem
    raise case.place.departure("the action was not refused")


def job_is_terminated(stand: Stand, status: str) -> None:
    """A job ends by the steps of the capability matrix, which a dry run shows, or the answer says why not."""
    place = Place(f"the way to the end from {status}", "Compare `from` and `to` of the actions, and `final`.")
    job_id = stand.sandbox.create_job(status)
    ways = stand.client.vendor(stand.vendor.name).terminate
    (steps,) = (each.graceful for each in ways if each.vendor_status == status)
    if steps is None:
        place.expect("the refusal", _not_ended(stand, job_id), ("not-ended", "not_sent"))
    else:
        _expect_ended(stand, place, job_id, steps)
    sent = [each.job_action.action for each in stand.sandbox.log() if each.job_action]
    place.expect("what the vendor was asked for", sent, list(steps or ()))


def _not_ended(stand: Stand, job_id: str) -> tuple[str, str | None] | None:
    """The code and the outcome of the refusal to terminate a job; None if it is not refused."""
    try:
        stand.client.terminate(stand.connection, job_id)
    except ProblemError as problem:
        return problem.code, problem.outcome
    return None


def _expect_ended(stand: Stand, place: Place, job_id: str, steps: tuple[str, ...]) -> None:
    plan = stand.client.terminate(stand.connection, job_id, dry_run=True)
    place.expect("the plan", tuple(each.action for each in plan.steps), steps)
    done = stand.client.terminate(stand.connection, job_id, wait=SECONDS)
    place.expect("the outcome", (done.outcome, done.already_so), ("applied", not steps))
    kept = [each.action for each in stand.client.job_actions(parent=done.id)]
    place.expect("the recorded steps", kept, list(reversed(steps)))
    place.require(stand.client.job(stand.connection, job_id).final, "the job has not ended")


def jobs_tell_what_may_be_done(stand: Stand) -> None:
    """Every job of a vendor says its status in both words, which actions it allows, and why not the others."""
    jobs = [stand.client.job(stand.connection, job_id) for job_id in stand.job_ids()]
    rows = list(stand.client.jobs(stand.connection)) if stand.specification.list_read else []
    place = Place("x-job-vendor.statuses", "Show an example job in each status, in the replies of a read.")
    place.expect(
        "the set of statuses of the jobs", {job.vendor_status for job in jobs}, set(stand.specification.clear_statuses)
    )
    vague = stand.specification.vague_statuses - {row.vendor_status for row in rows}
    place.require(not vague, f"no row of the list is {', '.join(vague)}")
    for job in [*rows, *jobs]:
        _expect_truth(stand, job)


def _expect_truth(stand: Stand, job: Job) -> None:
    specification = stand.specification
    status = specification.statuses[job.vendor_status]
    place = Place(f"x-job-vendor.statuses.{job.vendor_status}", "Correct the status, or `from` of the actions.")
    place.expect("its meaning", (job.status, job.final), (status.pair.status, status.final))
    actions = stand.running.gateway.catalogue.actions.keys()
    allowed = {action for action in actions if specification.allows(action, job.vendor_status)}
    place.expect("the allowed actions", set(job.allowed_actions), allowed)
    place.expect("the blocked actions", {each.action for each in job.blocked_actions}, actions - allowed)


def jobs_are_listed_whole_and_by_status(stand: Stand) -> None:
    """Paging through a list shows every job once; a filter shows those in that status, and all of them."""
    place = Place("x-job-read of the list", "Compare `items`, the way to the next page and the filter with the reply.")
    everything = sorted(stand.job_ids())
    place.expect("the list", sorted(job.id for job in stand.client.jobs(stand.connection)), everything)
    place.expect(f"the list in pages of {PAGE}", sorted(job["id"] for job in listed(stand)), everything)
    found = []
    for status in {each.pair.status for each in stand.specification.statuses.values()}:
        jobs = listed(stand, status=status)
        wrong = sorted({job["status"] for job in jobs} - {status})
        place.require(not wrong, f"the list of {status} jobs has some that are {', '.join(wrong)}")
        found += [job["id"] for job in jobs]
    place.expect("the union of the lists by status", sorted(found), everything)


def listed(stand: Stand, **query: int | str) -> list[dict[str, Any]]:
    """The jobs of the connection, page by page as the Link headers lead."""
    url: str | None = (
        f"{stand.running.url}/v1/connections/{stand.connection}/jobs?{urlencode({'limit': PAGE, **query})}"
    )
    place = Place("x-job-read of the list", "Give the greatest page in the schema of the limit (`maximum`).")
    jobs: list[dict[str, Any]] = []
    while url is not None:
        reply = read(url, {"Authorization": f"Bearer {stand.running.api_key}"})
        place.expect("the status of the list", reply.status_code, 200)
        place.require(len(reply.json()["items"]) <= PAGE, f"a page of {PAGE} has {len(reply.json()['items'])} jobs")
        jobs += reply.json()["items"]
        url = urljoin(url, reply.links["next"]["url"]) if "next" in reply.links else None
    return jobs


def dry_run_sends_nothing(stand: Stand, action: str) -> None:
    """A dry run shows the exact request and no action reaches the vendor; the job stays as it is."""
    mapping = stand.specification.actions[action]
    place = Place(f"x-job-action of {action}", "Compare the request with the operation.")
    job_id = stand.sandbox.create_job(mapping.from_statuses[0])
    preview = stand.client.preview(action, stand.connection, job_id).vendor_request
    place.expect("the method", preview.method, mapping.operation.method)
    place.require(preview.url.startswith(stand.simulated.endpoint), f"the request goes to {preview.url}")
    place.require(REDACTED in " ".join(preview.headers.values()), "no credential is redacted")
    place.expect("the log of actions", [each for each in stand.sandbox.log() if each.job_action], [])
    place.expect("the status", stand.status_of(job_id), mapping.from_statuses[0])


def version_of_the_job_counts(stand: Stand, action: str) -> None:
    """An action on a version of the job is refused if the job has another, or if the vendor knows no versions."""
    mapping = stand.specification.actions[action]
    place = Place(f"x-job-action of {action}, with If-Match", "Compare job.version in the request and in the reads.")
    job_id = stand.sandbox.create_job(mapping.from_statuses[0])
    code = "job-changed" if mapping.carries_version else "precondition-not-supported"
    place.expect("the problem's code", _code_of(stand, action, job_id, STALE), code)
    place.expect("the status", stand.status_of(job_id), mapping.from_statuses[0])
    if mapping.carries_version:
        version = stand.client.job(stand.connection, job_id).version
        place.require(version, "the job that is read has no version")
        place.expect("the problem of an action on its version", _code_of(stand, action, job_id, version), None)


def _code_of(stand: Stand, action: str, job_id: str, version: str | None) -> str | None:
    """The code of the problem with an action on a version of a job; None if there is no problem."""
    try:
        getattr(stand.client, action)(stand.connection, job_id, if_match=version)
    except ProblemError as problem:
        return problem.code
    return None
