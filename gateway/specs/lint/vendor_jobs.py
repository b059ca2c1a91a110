"""Rules for vendors' documents: their job objects tell id and status, and their examples show each status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.domain.vocabulary import UNKNOWN_STATUS, Source
from gateway.specs.document import Document, pointer
from gateway.specs.job_shape import DERIVED, JobShape
from gateway.specs.lens import Place, UnmappableValue
from gateway.specs.lint.findings import Fault
from gateway.specs.lint.parts import Part
from gateway.specs.lint.promises import example_values, followed
from gateway.specs.lint.vendor_parts import (
    NEEDED_OF_A_JOB,
    Call,
    JobOperation,
    arrivals,
    departures,
    derivations,
    has_property,
    reads,
    schemas_at,
    source,
    vendor,
)

SOME_TIME = "2026-01-05T09:30:00Z"
"""A time of reading, for jobs that are written to see whether they can be read again."""


def jobs_that_tell_too_little(document: Document) -> Iterator[Fault]:
    """A vendor's job object has places for the job's id and status, or rules for the status."""
    for place, node in _shapes(document):
        held = set(map(source, _lens(document, node).values()))
        if DERIVED in node or DERIVED in vendor(document):
            held.add(Source.JOB_VENDOR_STATUS)
        for name in set(NEEDED_OF_A_JOB) - held:
            either = f", or {DERIVED}" if name == Source.JOB_VENDOR_STATUS else ""
            fix = f"Add the place of {name} in the vendor's job object{either}."
            yield Fault(f"{place}/job", f"no place holds {name}", fix)


def statuses_told_twice(document: Document) -> Iterator[Fault]:
    """The status of a job stands at a place, or it is derived, but not both."""
    for place, node in _shapes(document):
        is_derived = DERIVED in (node or vendor(document))
        if is_derived and Source.JOB_VENDOR_STATUS in map(source, _lens(document, node).values()):
            fix = f"Remove it, or remove the place of {Source.JOB_VENDOR_STATUS}."
            yield Fault(f"{place}/{DERIVED}", "the status also stands at a place of the job", fix)


def rules_without_an_end(document: Document) -> Iterator[Fault]:
    """The last rule for a status, and only the last, has no tests: each job has a status."""
    for rules in derivations(document):
        for index, rule in enumerate(rules.node):
            is_last = index == len(rules.node) - 1
            if is_last and "when" in rule:
                fix = "Add a rule without `when` for all other jobs."
                yield Fault(rules.place + pointer(index), "the last rule has tests, so a job may have no status", fix)
            elif not is_last and "when" not in rule:
                yield Fault(
                    rules.place + pointer(index), "no rule after this one counts", "Add `when`, or move it last."
                )


def statuses_that_follow_from_ids(document: Document) -> Iterator[Fault]:
    """No rule for a status looks at the job's id, which stays the same in each status."""
    for place, node in _shapes(document):
        shape = _shape(document, node)
        own = shape.place_of(Source.JOB_ID)
        looked_at = shape.derivation.places if shape.derivation else ()
        if own is not None and any(own.is_within(each) or each.is_within(own) for each in looked_at):
            yield Fault(f"{place}/{DERIVED}", f"looks at {own}, the job's id", "Test other members of the job.")


def places_that_jobs_do_not_have(document: Document) -> Iterator[Fault]:
    """The replies of a read have the job where the document says, and the job has the places of lens and rules."""
    for read in reads(document):
        found = list(_job_schemas(document, read))
        if "item" in read.node and not found:
            fix = "Correct the place, or add it to the schema of the reply."
            yield Fault(f"{read.place}/item", f"the reply has no {read.node['item']}", fix)
        if found:
            yield from _places_missing(document, read, {"allOf": found})


def _places_missing(document: Document, read: Call, schema: Mapping[str, Any]) -> Iterator[Fault]:
    where = read.place if "job" in read.node else "/x-job-vendor"
    for place in _lens(document, read.node):
        if not has_property(document, schema, _names(place)):
            yield _no_place(f"{where}/job{pointer(place)}", place)
    where = read.place if DERIVED in read.node else "/x-job-vendor"
    for index, rule in enumerate(read.node.get(DERIVED, vendor(document).get(DERIVED, ()))):
        tests = rule.get("when", {})
        yield from _tested_places_missing(document, f"{where}/{DERIVED}{pointer(index, 'when')}", tests, schema)


def _tested_places_missing(
    document: Document, where: str, tests: Mapping[str, Any], schema: Mapping[str, Any]
) -> Iterator[Fault]:
    for place, test in tests.items():
        names = place.removeprefix("body.").split(".")
        found = list(schemas_at(document, schema, names))
        other = test.get("laterThan") if isinstance(test, Mapping) else None
        if not found:
            yield _no_place(where + pointer(place), place)
        elif other is not None and not has_property(document, schema, _names(other)):
            yield _no_place(where + pointer(place, "laterThan"), other)
        elif "some" in test:
            element = {"allOf": [each["items"] for each in found if "items" in each]}
            yield from _tested_places_missing(document, where + pointer(place, "some"), test["some"], element)


def _no_place(where: str, place: str) -> Fault:
    return Fault(where, f"a job has no {place}", "Correct the place, or add it to the schema of the reply.")


def _job_schemas(document: Document, read: Call) -> Iterator[Mapping[str, Any]]:
    """The schemas of the jobs in the replies to a read."""
    names = _names(read.node.get("items", read.node.get("item", "body")))
    for _, content in _contents(document, read.operation):
        for schema in schemas_at(document, content.get("schema", {}), names):
            if "items" not in read.node:
                yield schema
            elif "items" in schema:
                yield schema["items"]


def statuses_without_one_example(document: Document) -> Iterator[Fault]:
    """There is one example job in each status, since the sandbox is seeded with them."""
    vague, rows = _vague_statuses(document), {status for _, status in _statuses_of_rows(document)}
    count = Counter(status for _, status in _example_statuses(document))
    for status in vendor(document).get("statuses", {}):
        place = pointer("x-job-vendor", "statuses", status)
        if status in vague - rows:
            fix = "Give the list one example row in it, or remove the status."
            yield Fault(place, "no example row is in this status", fix)
        elif status not in vague and count[status] != 1:
            message = f"{count[status]} example jobs are in this status instead of one"
            fix = "Give the response of an operation with x-job-read one example job in it."
            yield Fault(place, message, fix)


def examples_in_undocumented_statuses(document: Document) -> Iterator[Fault]:
    """Every example job is in a status that the vendor documents."""
    for place, status in [*_example_statuses(document), *_statuses_of_rows(document)]:
        if status not in vendor(document).get("statuses", {}):
            fix = "Correct its status, or document the status in x-job-vendor.statuses."
            yield Fault(place, "the status of this example job is not one of this vendor", fix)


def rows_that_show_other_jobs(document: Document) -> Iterator[Fault]:
    """A read whose jobs have a shape of their own shows each example job, with its id, and its status if it tells."""
    alone = {_id_of(document, {}, job): status for (_, job), (_, status) in _examples_with_status(document)}
    vague = _vague_statuses(document)
    for read in _own_shapes(document):
        shown = set()
        for place, row in _jobs_of(document, read):
            job_id, status = _id_of(document, read.node, row), _status_of(document, read.node, row)
            shown.add(job_id)
            if job_id not in alone:
                fix = "Give it the id of an example of a job that is read alone."
                yield Fault(place, "no other example shows this job", fix)
            elif status not in {alone[job_id], *vague}:
                fix = "Correct one of them, or map a status that only rows have to `unknown`."
                yield Fault(place, f"is {status} here, and {alone[job_id]} when it is read alone", fix)
        for job_id in sorted(alone.keys() - shown):
            yield Fault(read.place, f"no example shows the job {job_id}", "Add the job to an example of the reply.")


def changes_of_vague_statuses(document: Document) -> Iterator[Fault]:
    """A status that only rows have, since they do not tell more, is no state of a job: nothing leads from or to it."""
    vague = _vague_statuses(document)
    for place, status in [*departures(document), *arrivals(document)]:
        if status in vague:
            fix = "Name the statuses that the job may really have."
            yield Fault(place, f"{status} is only the status of rows that do not tell more", fix)


def statuses_that_cannot_be_written(document: Document) -> Iterator[Fault]:
    """A job of another vendor, in the words of this one, has the status that it was given."""
    own = _shape(document, {}).with_examples(job for _, job in _own_examples(document))
    yield from _unwritable("/x-job-vendor", own)
    for read in _own_shapes(document):
        rows = [row for _, row in _jobs_of(document, read)]
        yield from _unwritable(read.place, _shape(document, read.node).with_rows(own, rows))


def _unwritable(place: str, shape: JobShape) -> Iterator[Fault]:
    for status in shape.examples if shape.derivation else ():
        try:
            shape.encode({Source.JOB_VENDOR_STATUS: status}, SOME_TIME)
        except UnmappableValue:
            message = f"a job with the tested values of the example, and the time of reading, is not {status}"
            yield Fault(f"{place}/{DERIVED}", message, "Test fewer times against each other, or other members.")


def _vague_statuses(document: Document) -> set[str]:
    """The statuses that only rows have: rules of reads give them, and they say nothing in Jobgate's words."""
    of_rows = {rule["is"] for read in reads(document) for rule in read.node.get(DERIVED, ())}
    own = {rule["is"] for rule in vendor(document).get(DERIVED, ())}
    known = vendor(document).get("statuses", {}).items()
    return {name for name, each in known if each["status"] == UNKNOWN_STATUS} & of_rows - own


def _shapes(document: Document) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The place and the x-job-read of each shape of jobs; x-job-vendor's own shape has an empty one."""
    if "job" in vendor(document):
        yield "/x-job-vendor", {}
    yield from ((read.place, read.node) for read in _own_shapes(document))


def _shape(document: Document, read: Mapping[str, Any]) -> JobShape:
    return JobShape.compile({"job": {}, **vendor(document)}, read)


def _lens(document: Document, read: Mapping[str, Any]) -> Mapping[str, Any]:
    lens: Mapping[str, Any] = read.get("job", vendor(document).get("job", {}))
    return lens


def _own_shapes(document: Document) -> Iterator[Call]:
    """The reads whose jobs differ from x-job-vendor.job."""
    return (read for read in reads(document) if {"job", DERIVED} & read.node.keys())


def _own_examples(document: Document) -> Iterator[tuple[str, Any]]:
    """The example jobs in the shape of x-job-vendor, with their places."""
    for read in reads(document):
        if not {"job", DERIVED} & read.node.keys():
            yield from _jobs_of(document, read)


def _examples_with_status(document: Document) -> Iterator[tuple[tuple[str, Any], tuple[str, str]]]:
    return zip(_own_examples(document), _example_statuses(document), strict=True)


def _example_statuses(document: Document) -> Iterator[tuple[str, str]]:
    """The status of every example job, with the job's place."""
    for place, job in _own_examples(document):
        yield place, _status_of(document, {}, job)


def _statuses_of_rows(document: Document) -> Iterator[tuple[str, str]]:
    """The status of every example row in a shape of its own, with the row's place."""
    for read in _own_shapes(document):
        for place, row in _jobs_of(document, read):
            yield place, _status_of(document, read.node, row)


def _status_of(document: Document, read: Mapping[str, Any], job: Any) -> str:
    """The status of an example as it is written."""
    shape = _shape(document, read)
    place = shape.place_of(Source.JOB_VENDOR_STATUS)
    return str(place.get({"body": job})) if place else shape.status_of(job)


def _id_of(document: Document, read: Mapping[str, Any], job: Any) -> str:
    place = _shape(document, read).place_of(Source.JOB_ID)
    return str(place.get({"body": job})) if place else ""


def _jobs_of(document: Document, read: Call) -> Iterator[tuple[str, Any]]:
    """The example jobs in the replies to a read, with their places."""
    for where, content in _contents(document, read.operation):
        for place, value in example_values(document, Part("content", where, content)):
            yield from _jobs_in(value, place, read.node)


def _jobs_in(value: Any, place: str, read: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The job in a reply; for a list, its jobs."""
    where = Place.parse(read.get("items", read.get("item", "body")))
    found, at = where.get({"body": value}), place + pointer(*where.keys)
    if "items" not in read:
        yield at, found
    else:
        for index, item in enumerate(found if isinstance(found, list) else []):
            yield at + pointer(index), item


def _contents(document: Document, operation: JobOperation) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The contents of the operation's successful replies, with their places."""
    for status, written in operation.node["responses"].items():
        if status.startswith("2"):
            place = operation.place + pointer("responses", status)
            place, response = followed(document, place, written)
            for media_type, content in response.get("content", {}).items():
                yield place + pointer("content", media_type), content


def _names(place: str) -> Sequence[str]:
    return place.split(".")[1:]
