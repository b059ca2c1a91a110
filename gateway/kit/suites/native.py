"""The vendor's own API as the gateway serves it: the vendor's clients cannot tell it from the vendor."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.app import Catalogue
from gateway.domain.model import HttpRequest, JobAction
from gateway.domain.vocabulary import Meaning, Source
from gateway.engine.connections import Vendor
from gateway.engine.wire import http_request
from gateway.kit.checks import Check, Place
from gateway.kit.own_client import Answer, OwnClient
from gateway.kit.stand import Stand, left_by
from gateway.kit.suites.simulator import (
    about_nothing,
    expect_documented,
    expect_meaning,
    expect_read,
    of_other_accounts,
    read_of,
    request_in,
)
from gateway.specs.operations import Operation

OWN_API = "Compare the operation with its x-job-action or x-job-read: what they do not carry is lost."


def checks(catalogue: Catalogue, vendor: Vendor) -> Iterator[Check]:
    """The checks of the vendor's own API at the gateway."""
    specification = vendor.specification
    if specification.job_read is not None:
        yield Check.of(jobs_are_the_vendors)
    if specification.list_read is not None:
        yield Check.of(list_is_the_vendors)
    for action in vendor.supported_actions:
        yield Check.of(own_client_performs, action, kind=action)
        yield Check.of(own_client_is_refused_as_by_the_vendor, action, kind=action)
        yield Check.of(own_client_hears_of_an_unknown_job, action, kind=action)
    yield Check.of(every_scheme_opens)
    yield Check.of(wrong_credentials_are_refused)
    yield Check.of(another_account_is_not_there)
    for other in catalogue.vendors.values():
        if other.name != vendor.name:
            yield Check.of(own_client_reads_jobs_of, other.name, kind=other.name)
            for action in sorted({*vendor.supported_actions} & {*other.supported_actions}):
                yield Check.of(own_client_acts_on_jobs_of, other.name, action, kind=(other.name, action))
                yield Check.of(jobs_are_there_for_clients_of, other.name, action, kind=(other.name, action))


def jobs_are_the_vendors(stand: Stand) -> None:
    """A job that is read at the gateway is the vendor's, member by member."""
    read = stand.specification.job_read
    place = Place(f"x-job-read of {read.operation.operation_id}" if read else "x-job-read", OWN_API)
    for job_id in stand.job_ids():
        vendors, ours = (expect_read(stand, client, job_id) for client in (stand.simulated, stand.native))
        place.expect(f"the job {job_id}", ours.json, vendors.json)


def list_is_the_vendors(stand: Stand) -> None:
    """The first page of a list at the gateway shows the jobs that the vendor's does."""
    read = stand.specification.list_read
    if read is None or read.items is None:
        return
    request = stand.read_request(read)
    place = Place(f"x-job-read of {read.operation.operation_id}", OWN_API)
    vendors, ours = stand.simulated.send(request), stand.native.send(stand.to_gateway(request))
    place.expect("the status of the vendor's answer", vendors.status, 200)
    place.expect("the status", ours.status, vendors.status)
    place.require(not (found := ours.departures(read.operation)), f"the list departs from the document: {found}")
    place.expect("the list", read.items.get(ours.parts), read.items.get(vendors.parts))


def own_client_performs(stand: Stand, action: str) -> None:
    """An action by the vendor's client is answered as by the vendor, and the vendor carries it out."""
    mapping = stand.specification.actions[action]
    place = Place(f"x-job-action of {action}, at the vendor's own API", OWN_API)
    for status in mapping.from_statuses:
        job_id = stand.sandbox.create_job(status)
        answer = stand.native.send(stand.to_gateway(stand.action_request(action, job_id)))
        place.expect(f"the HTTP status, for a job in {status},", answer.status, mapping.operation.success)
        place.require(not (found := answer.departures(mapping.operation)), f"the answer departs: {found}")
        place.expect("the status afterwards", stand.status_of(job_id), left_by(mapping))


def own_client_is_refused_as_by_the_vendor(stand: Stand, action: str) -> None:
    """In a status that does not allow the action, the vendor's client gets the vendor's own answer."""
    for status in stand.specification.clear_statuses:
        if stand.meant_by(action, status) is None:
            request, job_id = request_in(stand, action, status)
            place = Place(f"x-job-action of {action}, on a job in {status}", OWN_API)
            _expect_same_refusal(stand, place, action, request)
            place.expect("the status afterwards", stand.status_of(job_id), status)


def own_client_hears_of_an_unknown_job(stand: Stand, action: str) -> None:
    """For a job that is not there, the vendor's client gets the vendor's own answer."""
    place = Place(f"x-job-action of {action}, on an unknown job", OWN_API)
    _expect_same_refusal(stand, place, action, about_nothing(stand, action))


def every_scheme_opens(stand: Stand) -> None:
    """The vendor's clients prove who they are by any security scheme of the document."""
    _, request = read_of(stand)
    for name in stand.scheme_names:
        answer = OwnClient(stand.native.endpoint, stand.sign_for_gateway(name)).send(stand.to_gateway(request))
        place = Place(f"components.securitySchemes.{name}", "Compare it with `signing` of the adapter.")
        place.require(answer.is_success, f"a request with it is answered {answer.status} {answer.json}")


def wrong_credentials_are_refused(stand: Stand) -> None:
    """Without credentials, and with those of another, a client gets the vendor's answer for that."""
    operation, request = read_of(stand)
    place = Place("errors.meanings.unauthenticated", "Compare it with the responses of the operation.")
    for sign in (None, stand.sign_for_simulator):
        answer = OwnClient(stand.native.endpoint, sign).send(stand.to_gateway(request))
        documented = {each.status for each in stand.specification.errors.meanings[Meaning.UNAUTHENTICATED]}
        place.require(answer.status in documented, f"the answer is {answer.status}, not one of {documented}")
        place.require(not (found := answer.departures(operation)), f"the answer departs: {found}")


def another_account_is_not_there(stand: Stand) -> None:
    """A request for another account, such as another workspace, gets the vendor's own answer for an unknown job."""
    for operation, request in of_other_accounts(stand):
        answer = stand.native.send(stand.to_gateway(request))
        place = Place(f"{operation.operation_id}, for another account", OWN_API)
        expect_documented(place, operation, answer)
        expect_meaning(stand, place, Meaning.UNKNOWN_JOB, answer)
        place.expect("the log of the vendor", list(stand.sandbox.log()), [])


def own_client_reads_jobs_of(stand: Stand, other: str) -> None:
    """The jobs of another vendor are shown in this vendor's own form, or refused in its own words."""
    there, (operation, _) = stand.at(other), read_of(stand)
    read = stand.specification.reads[operation.operation_id]
    place = Place(
        f"{operation.operation_id}, on a connection of {other}",
        "Compare `shows` of the statuses, and the schema of a job.",
    )
    for job_id in there.job_ids() if read.items is None else [""]:
        request = stand.to_gateway(stand.read_request(read, job_id), there.connection)
        answer = stand.native_on(there.connection).send(request)
        _expect_own_words(stand, place, operation, answer)


def own_client_acts_on_jobs_of(stand: Stand, other: str, action: str) -> None:
    """An action on another vendor's job is carried out, or refused in this vendor's words and not carried out."""
    _expect_crossing(stand, stand.at(other), action)


def jobs_are_there_for_clients_of(stand: Stand, other: str, action: str) -> None:
    """The clients of another vendor act on this vendor's jobs; what cannot be done is refused in their words."""
    _expect_crossing(stand.at(other), stand, action)


def _expect_crossing(caller: Stand, target: Stand, action: str) -> None:
    """Raise Departure unless an action in the words of one vendor reaches the job of another, or leaves it alone."""
    mapping, there = caller.specification.actions[action], target.specification.actions[action]
    place = Place(
        f"{mapping.operation.operation_id} of {caller.vendor.name}, on a connection of {target.vendor.name}", OWN_API
    )
    job_id = target.sandbox.create_job(there.from_statuses[0])
    parts = dict.fromkeys(mapping.find, "1")
    client = caller.native_on(target.connection)
    request = http_request(mapping.operation, mapping.encode(JobAction(action, job_id, parts)), client.endpoint)
    answer = client.send(request)
    _expect_own_words(caller, place, mapping.operation, answer)
    alike = [name for name, each in caller.specification.actions.items() if each.is_alike(mapping)]
    possible = {left_by(target.specification.actions[name]) for name in alike if name in target.specification.actions}
    after = possible if answer.is_success else {there.from_statuses[0]}
    place.require(target.status_of(job_id) in after, f"after {answer.status}, the job is {target.status_of(job_id)}")


def _expect_own_words(stand: Stand, place: Place, operation: Operation, answer: Answer) -> None:
    """Raise Departure unless an answer is one of the vendor's: what it documents, or a refusal in its envelope."""
    place.require(answer.status < 500, f"the answer is {answer.status} {answer.json}")  # noqa: PLR2004 - 5xx
    place.require(not (found := answer.departures(operation)), f"the answer {answer.status} departs: {found}")
    said = stand.specification.errors.read(answer.parts).get(Source.ERROR_MESSAGE)
    place.require(answer.is_success or said, "the refusal has no message in any envelope")


def _expect_same_refusal(stand: Stand, place: Place, action: str, request: HttpRequest) -> None:
    """Raise Departure unless the gateway refuses a request as the vendor does.

    Where the job's status tells actions apart, the gateway reads the job and refuses by itself, in its own words.
    """
    mapping, errors = stand.specification.actions[action], stand.specification.errors
    vendors, ours = stand.simulated.send(request), stand.native.send(stand.to_gateway(request))
    place.expect("the HTTP status", ours.status, vendors.status)
    said, expected = errors.read(ours.parts), errors.read(vendors.parts)
    own_sentence = {Source.ERROR_MESSAGE} if stand.specification.shares_its_request(action) else set()
    for name in expected.keys() - own_sentence:
        place.expect(f"the {name} of the refusal", said.get(name), expected[name])
    place.require(not (found := ours.departures(mapping.operation)), f"the refusal departs from the document: {found}")
