"""Rules for vendors' documents: the promises that each of them keeps."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.domain.model import Result
from gateway.domain.vocabulary import CONNECTION, PARAMETER, Source
from gateway.specs.document import (
    Document,
    pointer,
)
from gateway.specs.lint.findings import Fault
from gateway.specs.lint.promises import followed, is_valid
from gateway.specs.lint.vendor_parts import (
    NEEDED_OF_A_JOB,
    Call,
    JobOperation,
    actions,
    arrivals,
    calls,
    departures,
    derived,
    has_element,
    has_property,
    job_operations,
    lenses,
    our_parameters,
    our_words,
    part_reads,
    reads,
    selected,
    source,
    spelling,
    vendor,
)


def statuses_of_no_meaning(document: Document) -> Iterator[Fault]:
    """Every vendor status is mapped to one of ours."""
    for name, status in vendor(document).get("statuses", {}).items():
        if status["status"] not in our_words("JobStatus"):
            place = pointer("x-job-vendor", "statuses", name, "status")
            fix = f"Choose one of {', '.join(our_words('JobStatus'))}."
            yield Fault(place, f"{status['status']} is not a JobStatus of specs/gateway.yaml", fix)


def statuses_shown_twice(document: Document) -> Iterator[Fault]:
    """Each word in `shows` is a status of ours, and is shown as one status only."""
    statuses = vendor(document).get("statuses", {})
    shown = [(name, word) for name, each in statuses.items() for word in each.get("shows", ())]
    count = Counter(word for _, word in shown)
    for name, word in shown:
        place = pointer("x-job-vendor", "statuses", name, "shows")
        if word not in our_words("JobStatus"):
            yield Fault(place, f"{word} is not a JobStatus of specs/gateway.yaml", "Correct the word, or remove it.")
        elif count[word] > 1:
            yield Fault(place, f"{word} is shown as {count[word]} statuses", "Keep it in one of them.")


def undocumented_statuses(document: Document) -> Iterator[Fault]:
    """Actions, transitions, selectors and rules use documented statuses."""
    for place, status in [*departures(document), *arrivals(document), *selected(document), *derived(document)]:
        if status not in vendor(document).get("statuses", {}):
            fix = "Correct the status, or document it in x-job-vendor.statuses."
            yield Fault(place, f"{status} is not a status of this vendor", fix)


def ways_out_of_final_statuses(document: Document) -> Iterator[Fault]:
    """No action and no transition leads out of a final status."""
    for place, status in departures(document):
        if vendor(document).get("statuses", {}).get(status, {}).get("final"):
            fix = "Remove it, or remove `final` from the status."
            yield Fault(place, f"leads out of {status}, which is final", fix)


def confirmations_that_read_nothing(document: Document) -> Iterator[Fault]:
    """The operation that confirms an action reads jobs."""
    readers = {read.operation.name for read in reads(document)}
    for action in actions(document):
        if action.node["confirm"] not in readers:
            fix = "Name the operationId of an operation with x-job-read."
            message = f"{action.node['confirm']} is not an operation that reads jobs"
            yield Fault(f"{action.place}/confirm", message, fix)


def finders_that_read_nothing(document: Document) -> Iterator[Fault]:
    """The operation in whose reply a parameter is found reads something besides the job."""
    readers = {read.operation.name for read in part_reads(document)}
    for action in actions(document):
        for name, finder in action.node.get("find", {}).items():
            if isinstance(finder, Mapping) and finder["read"] not in readers:
                fix = "Name the operationId of an operation with x-job-read of kind `part`, or leave `read` out."
                message = f"{finder['read']} is not an operation that reads a part"
                yield Fault(action.place + pointer("find", name, "read"), message, fix)


def parts_of_other_values(document: Document) -> Iterator[Fault]:
    """A read of something besides the job is made of what an action has: the job's id, parameters, the connection's."""
    for read in part_reads(document):
        for place, value in read.node["request"].items():
            name = source(value)
            if name not in {"", Source.JOB_ID} and not name.startswith((PARAMETER, CONNECTION)):
                fix = f"Use {Source.JOB_ID}, a parameter, a value of the connection, or a constant."
                yield Fault(f"{read.place}/request" + pointer(place), f"an action has no {name}", fix)


def versions_outside_headers(document: Document) -> Iterator[Fault]:
    """An action carries the job's version in a header field, since it is an entity tag."""
    for action in actions(document):
        for place, value in action.node["request"].items():
            if source(value) == Source.JOB_VERSION and not place.startswith("header."):
                where = f"{action.place}/request" + pointer(place)
                yield Fault(where, "is not a header field", "Name one, as in header.If-Match.")


def versions_that_no_read_shows(document: Document) -> Iterator[Fault]:
    """If an action carries the job's version, a read of jobs shows it: else nobody could name one."""
    shown = [vendor(document).get("job", {}), *(read.node.get("reply", {}) for read in reads(document))]
    if any(source(value) == Source.JOB_VERSION for lens in shown for value in lens.values()):
        return
    for action in actions(document):
        if Source.JOB_VERSION in action.sources:
            fix = "Add job.version to x-job-vendor.job or to `reply` of the x-job-read, or remove it here."
            yield Fault(f"{action.place}/request", "no read shows job.version", fix)


def unknown_places_in_requests(document: Document) -> Iterator[Fault]:
    """A value is only put into a place that the operation has."""
    for call in calls(document):
        for place in call.node["request"]:
            if not _has_place(document, call.operation, place):
                where = f"{call.place}/request" + pointer(place)
                yield _unknown_place(where, place, call.operation)


def unknown_places_in_every_request(document: Document) -> Iterator[Fault]:
    """A value of every request has its place in every operation."""
    for place in vendor(document).get("request", {}):
        for operation in job_operations(document):
            if not _has_place(document, operation, place):
                where = "/x-job-vendor/request" + pointer(place)
                yield _unknown_place(where, place, operation)


def _unknown_place(where: str, place: str, operation: JobOperation) -> Fault:
    fix = "Correct the place, or add it to the operation's parameters or body."
    return Fault(where, f"{operation.name} has no {place}", fix)


def _has_place(document: Document, operation: JobOperation, place: str) -> bool:
    part, _, name = place.partition(".")
    if part != "body":
        return spelling(place) in operation.parameters
    body = document.resolve(operation.node.get("requestBody", {}))
    schemas = [content.get("schema", {}) for content in body.get("content", {}).values()]
    return any(has_property(document, schema, name.split(".")) for schema in schemas)


def parameters_left_empty(document: Document) -> Iterator[Fault]:
    """Every required parameter, and every required member of a body, is filled; else the vendor would refuse it."""
    common = vendor(document).get("request", {})
    for call in calls(document):
        filled = {spelling(place) for place in [*common, *call.node["request"]]}
        for place, parameter in call.operation.parameters.items():
            if parameter.get("required") and place not in filled:
                fix = f"Add {place} to it, or to x-job-vendor.request."
                yield Fault(f"{call.place}/request", f"the required {place} is not filled", fix)
        for place in _members_left_empty(document, call.operation, filled):
            fix = f"Add {place} to it, or to x-job-vendor.request."
            yield Fault(f"{call.place}/request", f"the required {place} is not filled", fix)


def _members_left_empty(document: Document, operation: JobOperation, filled: set[str]) -> Iterator[str]:
    """The places in the body of a request that its schema requires; none if it may be left out, and is."""
    body = document.resolve(operation.node.get("requestBody", {}))
    if body.get("required") or _is_filled("body", filled):
        for content in body.get("content", {}).values():
            yield from _members_left_empty_in(document, content.get("schema", {}), "body", filled)


def _members_left_empty_in(document: Document, schema: Any, at: str, filled: set[str]) -> Iterator[str]:
    """The same for the object at a place, and for those of its members of which something is filled."""
    schema = document.resolve(schema)
    for part in (document.resolve(each) for each in (schema, *schema.get("allOf", ()))):
        required = (f"{at}.{name}" for name in part.get("required", ()))
        yield from (place for place in required if not _is_filled(place, filled))
        for name, member in part.get("properties", {}).items():
            if any(place.startswith(f"{at}.{name}.") for place in filled):
                yield from _members_left_empty_in(document, member, f"{at}.{name}", filled)


def _is_filled(place: str, filled: set[str]) -> bool:
    """True if a place, or one below it, is filled."""
    return any(each == place or each.startswith(f"{place}.") for each in filled)


def replies_that_show_no_job(document: Document) -> Iterator[Fault]:
    """Clients are answered with nothing, an empty text, or the job: Jobgate can fill no other reply to an action."""
    places = [place for place, value in vendor(document).get("job", {}).items() if source(value) in NEEDED_OF_A_JOB]
    for operation in {action.operation.place: action.operation for action in actions(document)}.values():
        for place, content in _first_reply(document, operation):
            schema = content.get("schema", {})
            is_text = document.resolve(schema).get("type") == "string"
            is_empty = is_valid(document, schema, "" if is_text else {})
            if not is_empty and not _shows(document, schema, places):
                message = f"the reply to {operation.name} takes no empty object, and is not the job of x-job-vendor.job"
                yield Fault(f"{place}/schema", message, "Describe it as the job, or require no members of it.")


def results_that_are_not_the_job(document: Document) -> Iterator[Fault]:
    """The reply to an action with `result: job` has the members of the job."""
    places = [place for place, value in vendor(document).get("job", {}).items() if source(value) in NEEDED_OF_A_JOB]
    for action in actions(document):
        if action.node.get("result") == Result.JOB:
            bodies = [content.get("schema", {}) for _, content in _first_reply(document, action.operation)]
            if not bodies or not all(_shows(document, schema, places) for schema in bodies):
                message = f"the first reply of success to {action.operation.name} is not the job of x-job-vendor.job"
                yield Fault(f"{action.place}/result", message, "Describe it as the job, or remove `result`.")


def deletions_that_end_no_job(document: Document) -> Iterator[Fault]:
    """An action with `result: gone` leads to a final status, at once, at a vendor whose jobs can be gone."""
    statuses = vendor(document).get("statuses", {})
    for action in actions(document):
        if action.node.get("result") == Result.GONE:
            if "gone" not in vendor(document):
                message = (
                    f"{action.node['action']} deletes the job, and x-job-vendor does not say what a missing job means"
                )
                yield Fault(f"{action.place}/result", message, "Add `gone: done` to x-job-vendor, or remove `result`.")
            if not statuses.get(action.node["to"], {}).get("final"):
                message = (
                    f"{action.node['action']} deletes the job, and leads to {action.node['to']}, which is not final"
                )
                yield Fault(f"{action.place}/to", message, "Name a final status, or remove `result`.")
            if "deferredBy" in action.node:
                message = f"{action.node['action']} deletes the job, and can be deferred"
                yield Fault(f"{action.place}/deferredBy", message, "Remove deferredBy or `result`.")


def _shows(document: Document, schema: Any, places: Sequence[str]) -> bool:
    """True if an object of the schema can have members at all these places of a body."""
    return all(has_property(document, schema, place.partition(".")[2].split(".")) for place in places)


def _first_reply(document: Document, operation: JobOperation) -> Iterator[tuple[str, Any]]:
    """The contents of the first reply of success, with their places."""
    statuses = [status for status in operation.node["responses"] if status.isdigit() and status < "300"]
    for status in sorted(statuses)[:1]:
        place = operation.place + pointer("responses", status)
        place, response = followed(document, place, operation.node["responses"][status])
        for media_type, content in response.get("content", {}).items():
            yield place + pointer("content", media_type), content


def client_requests_outside_headers(document: Document) -> Iterator[Fault]:
    """The name of a client's request is in a header field."""
    if not vendor(document).get("clientRequest", "header.").startswith("header."):
        yield Fault("/x-job-vendor/clientRequest", "is not a header field", "Name one, as in header.x-request-id.")


def maps_with_two_ways_back(document: Document) -> Iterator[Fault]:
    """No two words of a map become the same word, since a lens works in both directions."""
    for lens in lenses(document):
        for place, value in lens.node.items():
            words = [] if isinstance(value, str) else list(value.get("map", {}).values())
            for word in {word for word in words if words.count(word) > 1}:
                where = lens.place + pointer(place, "map")
                fix = "Map each word to another one."
                yield Fault(where, f"two words become {word}", fix)


def parameters_that_no_request_carries(document: Document) -> Iterator[Fault]:
    """The request carries the parameters that can defer an action or be found in a job."""
    for action in actions(document):
        named = {"/deferredBy": action.node["deferredBy"]} if "deferredBy" in action.node else {}
        named |= {f"/find{pointer(name)}": name for name in action.node.get("find", {})}
        for place, name in named.items():
            if f"{PARAMETER}{name}" not in action.sources:
                fix = f"Add parameters.{name} to the request, or correct the name."
                yield Fault(action.place + place, f"the request does not carry {name}", fix)


def parameters_that_nobody_gives(document: Document) -> Iterator[Fault]:
    """A parameter that the action does not have in our own API is found, since no caller of that API can give it."""
    for action in actions(document):
        named = action.node["action"]
        for place, value in action.node["request"].items():
            name = source(value).removeprefix(PARAMETER)
            is_known = name in our_parameters(named) | action.node.get("find", {}).keys()
            if source(value).startswith(PARAMETER) and named in our_words("ActionName") and not is_known:
                where = f"{action.place}/request" + pointer(place)
                fix = f"Correct the name, or find it: `find: {{{name}: …}}`."
                yield Fault(where, f"{named} has no parameter {name}", fix)


def deferred_from_several_statuses(document: Document) -> Iterator[Fault]:
    """An action that can be deferred starts from one status, since a deferred action leaves the job there."""
    for action in actions(document):
        if "deferredBy" in action.node and len(action.node["from"]) > 1:
            fix = "Keep one status in `from`, or remove deferredBy."
            message = "an action that can be deferred starts from several statuses"
            yield Fault(f"{action.place}/from", message, fix)


def assumptions_about_nothing(document: Document) -> Iterator[Fault]:
    """Every status that an action only assumes is one from which it starts."""
    for action in actions(document):
        for index, status in enumerate(action.node.get("assumed", ())):
            if status not in action.node["from"]:
                fix = "Add it to `from`, or remove it."
                yield Fault(f"{action.place}/assumed/{index}", f"the action does not start from {status}", fix)


def unknown_actions(document: Document) -> Iterator[Fault]:
    """Every action of a vendor's document is one of the unified API."""
    for action in actions(document):
        if action.node["action"] not in our_words("ActionName"):
            fix = f"Choose one of {', '.join(our_words('ActionName'))}."
            message = f"{action.node['action']} is not an ActionName of specs/gateway.yaml"
            yield Fault(f"{action.place}/action", message, fix)


def repeated_actions(document: Document) -> Iterator[Fault]:
    """Each action is performed by one request."""
    count = Counter(action.node["action"] for action in actions(document))
    for action in actions(document):
        name = action.node["action"]
        if count[name] > 1:
            fix = "Keep it at the operation that performs it best."
            yield Fault(f"{action.place}/action", f"{name} is performed {count[name]} times", fix)


def actions_with_the_same_request(document: Document) -> Iterator[Fault]:
    """Actions with the same request start from different statuses, since nothing else tells them apart."""
    seen: dict[tuple[str, str], list[Call]] = {}
    for action in actions(document):
        constants = {place: value["const"] for place, value in action.node["request"].items() if not source(value)}
        earlier = seen.setdefault((action.operation.place, json.dumps(constants, sort_keys=True)), [])
        for other in earlier:
            for status in set(action.node["from"]) & set(other.node["from"]):
                message = f"{action.node['action']} has the same request as {other.node['action']}, also from {status}"
                fix = f"Keep {status} in one of them, or tell them apart by a constant in the request."
                yield Fault(f"{action.place}/from", message, fix)
        earlier.append(action)


def envelopes_of_no_reply(document: Document) -> Iterator[Fault]:
    """Each place of an envelope stands in an error of some operation, as its schema says."""
    schemas = list(_schemas_of_errors(document))
    for name, envelope in vendor(document).get("errors", {}).get("envelopes", {}).items():
        for place in envelope:
            part, *names = place.split(".")
            if part == "body" and not any(has_element(document, schema, names) for schema in schemas):
                where = pointer("x-job-vendor", "errors", "envelopes", name, place)
                fix = "Correct the place, or add it to the schema of the errors. `0` is the first element of a list."
                yield Fault(where, f"no error has {place}", fix)


def _schemas_of_errors(document: Document) -> Iterator[Any]:
    for operation in job_operations(document):
        for status, written in operation.node["responses"].items():
            if not status.startswith("2"):
                contents = document.resolve(written).get("content", {}).values()
                yield from (content.get("schema", {}) for content in contents)


def unknown_envelopes(document: Document) -> Iterator[Fault]:
    """An error with an envelope of its own names one that the document describes."""
    errors = vendor(document).get("errors", {})
    for meaning, answers in errors.get("meanings", {}).items():
        for index, answer in enumerate(answers):
            if "envelope" in answer and answer["envelope"] not in errors["envelopes"]:
                keys = ("x-job-vendor", "errors", "meanings", meaning, index, "envelope")
                fix = f"Name one of {', '.join(errors['envelopes'])}."
                yield Fault(pointer(*keys), f"there is no envelope {answer['envelope']}", fix)
