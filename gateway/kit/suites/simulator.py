"""The simulator that is made of the document: what it answers is what the document says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.app import Catalogue
from gateway.domain.model import HttpRequest, Json, VendorRequest
from gateway.domain.vocabulary import Meaning, Source
from gateway.engine.connections import Vendor
from gateway.engine.wire import http_request
from gateway.kit.checks import Check, Place
from gateway.kit.own_client import Answer, OwnClient, moved
from gateway.kit.stand import Stand, alike, left_by
from gateway.kit.suites.conformance import Case, cases
from gateway.sandbox.faults import Fault, FaultKind
from gateway.specs.lens import Lens
from gateway.specs.operations import Operation

SAMPLES = "Compare the examples and schemas of the replies with each other."
METHODS = frozenset({"GET", "PUT", "POST", "DELETE", "PATCH"})


def checks(_catalogue: Catalogue, vendor: Vendor) -> Iterator[Check]:
    """The checks of a vendor's simulator."""
    specification = vendor.specification
    for case in cases(vendor, iter(vendor.supported_actions)):
        yield Check.of(action_is_answered_as_documented, case, kind=(case.action,))
    for action in vendor.supported_actions:
        yield Check.of(action_on_an_unknown_job_is_refused, action, kind=action)
    yield Check.of(there_is_a_job_in_every_status)
    yield Check.of(another_account_is_unknown)
    for origin, to in specification.transitions:
        yield Check.of(system_transition_can_be_made, origin, to, kind=origin)
    if specification.job_read is not None:
        yield Check.of(jobs_are_read_as_documented)
        yield Check.of(unknown_job_cannot_be_read)
    acting = (each.operation.operation_id for each in specification.actions.values())
    for operation_id in dict.fromkeys([*specification.reads, *acting]):
        yield Check.of(other_methods_are_refused, operation_id, kind=operation_id)
    for envelope in specification.errors.envelopes:
        yield Check.of(requests_without_credentials_are_refused, envelope, kind=envelope)
        yield Check.of(undocumented_parameters_are_refused, envelope, kind=envelope)
        yield Check.of(throttling_is_answered_as_documented, envelope, kind=envelope)


def action_is_answered_as_documented(stand: Stand, case: Case) -> None:
    """An action moves a job where the table allows it, and is refused in the chosen way where it does not."""
    mapping, meant = stand.specification.actions[case.action], stand.meant_by(case.action, case.status)
    request, job_id = request_in(stand, case.action, case.status)
    stand.sandbox.configure(wrong_state_status=case.wrong_state_status, envelope=case.envelope)
    answer = stand.simulated.send(request)
    expect_documented(case.place, mapping.operation, answer)
    case.place.expect("that it succeeds", answer.is_success, meant is not None)
    case.place.expect("the status afterwards", stand.status_of(job_id), left_by(meant) if meant else case.status)
    if meant is None:
        case.place.expect("the HTTP status", answer.status, case.wrong_state_status)
        expect_meaning(stand, case.place, Meaning.WRONG_STATE, answer)


def request_in(stand: Stand, action: str, status: str) -> tuple[HttpRequest, str]:
    """A request for an action on a new job in a status, and the id of the job."""
    meant = stand.meant_by(action, status)
    job_id = stand.sandbox.create_job(status if meant else stand.specification.actions[action].from_statuses[0])
    request = stand.action_request(meant.action if meant else action, job_id)
    if meant is None:
        stand.sandbox.set_status(job_id, status)
    return request, job_id


def action_on_an_unknown_job_is_refused(stand: Stand, action: str) -> None:
    """An action on a job that is not there gets the document's answer for that, and changes nothing."""
    mapping = stand.specification.actions[action]
    request, before = about_nothing(stand, action), stand.sandbox.jobs()
    answer = stand.simulated.send(request)
    place = Place(f"x-job-action of {action}, on an unknown job", "Compare errors.meanings.unknown-job.")
    expect_documented(place, mapping.operation, answer)
    expect_meaning(stand, place, Meaning.UNKNOWN_JOB, answer)
    place.require(stand.sandbox.jobs() == before, "a job was changed")


def about_nothing(stand: Stand, action: str) -> HttpRequest:
    """A request for an action on a job that does not exist."""
    job_id = stand.sandbox.create_job(stand.specification.actions[action].from_statuses[0])
    request, unknown = stand.action_request(action, job_id), stand.unknown_id()
    content = request.content.replace(job_id.encode(), unknown.encode())
    return HttpRequest(request.method, request.url.replace(job_id, unknown), request.headers, content)


def there_is_a_job_in_every_status(stand: Stand) -> None:
    """The examples of the document show a job in each status, so that the simulator can make more of them."""
    place = Place("the examples of the reads", "Show an example job in each status.")
    shown = {stand.status_of(job_id) for job_id in stand.job_ids()}
    place.expect("the set of statuses", shown, set(stand.specification.clear_statuses))


def system_transition_can_be_made(stand: Stand, origin: str, to: str) -> None:
    """A transition that the vendor makes by itself can be made in the simulator."""
    job_id = stand.sandbox.create_job(origin)
    stand.sandbox.advance(job_id, to)
    place = Place(f"x-job-vendor.transitions, from {origin} to {to}", "Compare the examples of both statuses.")
    place.expect("the status afterwards", stand.status_of(job_id), to)


def jobs_are_read_as_documented(stand: Stand) -> None:
    """Each job is read alone as the document says."""
    for job_id in stand.job_ids():
        expect_read(stand, stand.simulated, job_id)


def expect_read(stand: Stand, client: OwnClient, job_id: str) -> Answer:
    """The answer to a read of one job. Raises Departure if it is not documented."""
    read = stand.specification.job_read
    if read is None:
        raise TypeError("the vendor has no read of one job")
    place = Place(f"x-job-read of {read.operation.operation_id}", SAMPLES)
    request = stand.read_request(read, job_id)
    answer = client.send(moved(request, stand.simulated.endpoint, client.endpoint))
    place.expect(f"the status of the job {job_id}", answer.status, 200)
    expect_documented(place, read.operation, answer)
    return answer


def unknown_job_cannot_be_read(stand: Stand) -> None:
    """A job that is not there gets the document's answer for that."""
    read = stand.specification.job_read
    if read is not None:
        answer = stand.simulated.send(stand.read_request(read, stand.unknown_id()))
        place = Place(f"x-job-read of {read.operation.operation_id}, of an unknown job", "Compare errors.meanings.")
        expect_documented(place, read.operation, answer)
        expect_meaning(stand, place, Meaning.UNKNOWN_JOB, answer)


def another_account_is_unknown(stand: Stand) -> None:
    """A request for another account gets the document's answer for an unknown job."""
    for operation, request in of_other_accounts(stand):
        answer = stand.simulated.send(request)
        place = Place(f"{operation.operation_id}, for another account", "Compare errors.meanings.unknown-job.")
        expect_documented(place, operation, answer)
        expect_meaning(stand, place, Meaning.UNKNOWN_JOB, answer)


def of_other_accounts(stand: Stand) -> Iterator[tuple[Operation, HttpRequest]]:
    """Requests that differ from good ones in one value of the account, wherever it stands."""
    for operation, lens, values in _requests(stand, stand.job_ids()[0]):
        for rule in lens.rules:
            if rule.names_the_account:
                parts = {"path": {}, "query": {}, "header": {}, "body": None, **lens.encode(values)}
                rule.place.put(parts, next(alike(str(rule.const))))
                request = VendorRequest(operation.operation_id, **parts)
                if not operation.check(request.parts()):  # the word of an action, in a path, has no other
                    yield operation, http_request(operation, request, stand.simulated.endpoint)


def _requests(stand: Stand, job_id: str) -> Iterator[tuple[Operation, Lens, Mapping[str, Json]]]:
    """The reads, and the actions that need no part of the job: each with the values of a request."""
    for read in stand.specification.reads.values():
        yield read.operation, read.lens, stand.read_values(read, job_id)
    for mapping in stand.specification.actions.values():
        if not mapping.find:
            yield mapping.operation, mapping.lens, {Source.JOB_ID: job_id}


def other_methods_are_refused(stand: Stand, operation_id: str) -> None:
    """A method that the address does not have is refused in the vendor's own words, with those that it has."""
    operation = stand.specification.api.operations[operation_id]
    request = some_request(stand, operation)
    documented = set(
        stand.specification.api.methods_at(request.url.removeprefix(stand.simulated.endpoint).partition("?")[0])
    )
    place = Place(f"the operation {operation_id}", "Compare the paths of the document: two may overlap.")
    for method in sorted(METHODS - documented):
        answer = stand.simulated.send(HttpRequest(method, request.url, request.headers))
        place.expect(f"the status of {method}", answer.status, 405)
        place.expect("the header Allow", set(answer.headers.get("allow", "").split(", ")), documented)
        place.require(_said(stand, answer), "the answer has no message in any envelope")


def requests_without_credentials_are_refused(stand: Stand, envelope: str) -> None:
    """Whoever does not prove who it is gets the document's answer for that, in each envelope."""
    stand.sandbox.configure(envelope=envelope)
    operation, request = read_of(stand)
    answer = OwnClient(stand.simulated.endpoint, None).send(request)
    place = Place("errors.meanings.unauthenticated", "Compare it with the security of the document.")
    expect_documented(place, operation, answer)
    expect_meaning(stand, place, Meaning.UNAUTHENTICATED, answer)


def undocumented_parameters_are_refused(stand: Stand, envelope: str) -> None:
    """A query parameter that the document does not have is an invalid request, in each envelope."""
    stand.sandbox.configure(envelope=envelope)
    operation, request = read_of(stand)
    url = f"{request.url}{'&' if '?' in request.url else '?'}nonsense=1"
    answer = stand.simulated.send(HttpRequest(request.method, url, request.headers, request.content))
    place = Place("errors.meanings.invalid-request", "Compare it with the responses of the operation.")
    expect_documented(place, operation, answer)
    expect_meaning(stand, place, Meaning.INVALID_REQUEST, answer)


def throttling_is_answered_as_documented(stand: Stand, envelope: str) -> None:
    """Too many requests get the document's answer for that, in each envelope."""
    stand.sandbox.configure(envelope=envelope)
    stand.sandbox.script(Fault(FaultKind.THROTTLE))
    operation, request = read_of(stand)
    answer = stand.simulated.send(request)
    place = Place("errors.meanings.throttled", "Compare it with the responses of the operation.")
    expect_documented(place, operation, answer)
    expect_meaning(stand, place, Meaning.THROTTLED, answer)


def read_of(stand: Stand) -> tuple[Operation, HttpRequest]:
    """A read that succeeds: its operation and its request."""
    read = stand.specification.job_read or stand.specification.list_read
    if read is None:
        raise TypeError("the vendor has no read")
    return read.operation, stand.read_request(read, None if read.items is not None else stand.job_ids()[0])


def some_request(stand: Stand, operation: Operation) -> HttpRequest:
    """A request to an operation that would be carried out."""
    read = stand.specification.reads.get(operation.operation_id)
    if read is not None:
        return stand.read_request(read, stand.job_ids()[0])
    mapping = next(each for each in stand.specification.actions.values() if each.operation is operation)
    return stand.action_request(mapping.action, stand.sandbox.create_job(mapping.from_statuses[0]))


def expect_documented(place: Place, operation: Operation, answer: Answer) -> None:
    """Raise Departure unless the document has such an answer."""
    departures = answer.departures(operation)
    place.require(not departures, f"the answer {answer.status} departs from the document: {'; '.join(departures)}")


def _said(stand: Stand, answer: Answer) -> Any:
    return stand.specification.errors.read(answer.parts).get(Source.ERROR_MESSAGE)


def expect_meaning(stand: Stand, place: Place, meaning: Meaning, answer: Answer) -> None:
    """Raise Departure unless a refusal is understood: by its status, its code, and its envelope."""
    errors = stand.specification.errors
    code = errors.read(answer.parts).get(Source.ERROR_CODE)
    understood = errors.meanings_of(answer.status, None if code is None else str(code))
    named = ", ".join(sorted(understood)) or "nothing"
    place.require(meaning in understood, f"the answer {answer.status} {code} means {named}, not {meaning}")
    place.require(_said(stand, answer), "the answer has no message in any envelope")
