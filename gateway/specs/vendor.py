"""A compiled vendor's document: what its operations do to jobs, and what its words mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from msgspec import structs

from gateway.domain.model import Effect, JobAction, Json, Quota, Result, StatusPair, VendorRequest
from gateway.domain.vocabulary import CONNECTION, PARAMETER, UNKNOWN_STATUS, Meaning, Source
from gateway.specs.document import Document, load
from gateway.specs.forms import Form, form_of
from gateway.specs.job_shape import DERIVED, JobShape, VendorJob
from gateway.specs.lens import Lens, LensMismatch, Parts, Place
from gateway.specs.openapi import checked
from gateway.specs.operations import Api, Operation, request_schema_at
from gateway.specs.servers import own_server

NO_LENS = Lens(())
_JOB_ID, _JOB_VERSION = Source.JOB_ID.value, Source.JOB_VERSION.value
"""Plain texts: a dictionary finds them faster than members of an enumeration."""
USUAL_PAGE = 100
"""Jobs on a page if the request does not say, and the document allows that many."""


@dataclass(frozen=True)
class PartMapping:
    """A vendor's way to read something besides a job: an `x-job-read` of kind `part`."""

    operation: Operation
    lens: Lens

    def encode(self, job_action: JobAction) -> VendorRequest:
        """The vendor's request for the part that an action needs."""
        return vendor_request(self.operation, self.lens, values_for(job_action))


@dataclass(frozen=True)
class Finder:
    """A way to find a parameter: the adapter's function `by`, given the reply to `read`, or the job if it is None."""

    by: str
    read: str | None = None


@dataclass(frozen=True)
class ActionMapping:
    """A vendor's way to perform one action: an entry of `x-job-action` with its names resolved.

    `assumed` are those of `from_statuses` that no document of the vendor names.
    """

    action: str
    operation: Operation
    effect: Effect
    from_statuses: tuple[str, ...]
    to_status: str
    deferred_by: str | None
    find: Mapping[str, Finder]
    confirm: str
    evidence: str | None
    lens: Lens
    result: Result = Result.DONE
    assumed: frozenset[str] = frozenset()

    @property
    def parameters(self) -> frozenset[str]:
        """The parameters that the vendor's request can carry."""
        sources = (source for source in self.lens.sources if source.startswith(PARAMETER))
        return frozenset(source.removeprefix(PARAMETER) for source in sources)

    def is_alike(self, other: ActionMapping) -> bool:
        """True if both actions have the same request, so that the vendor cannot tell them apart."""
        return self.operation is other.operation and self.lens.constants == other.lens.constants

    @property
    def carries_version(self) -> bool:
        """True if the vendor can be told to act on one version of the job only."""
        return Source.JOB_VERSION in self.lens.sources

    def encode(self, job_action: JobAction) -> VendorRequest:
        """The vendor's request for a job action, without parameters that the vendor cannot carry.

        Raises UnmappableValue if the vendor has no counterpart for a value.
        """
        return vendor_request(self.operation, self.lens, values_for(job_action))

    def decode(self, parts: Parts) -> JobAction:
        """The job action of a request to this operation. Raises LensMismatch if it is another action."""
        values = self.lens.decode(parts)
        job_id, version = values.pop(_JOB_ID), values.pop(_JOB_VERSION, None)
        parameters = {
            name.removeprefix(PARAMETER): value for name, value in values.items() if name.startswith(PARAMETER)
        }
        return JobAction(self.action, str(job_id), parameters, None if version is None else str(version))


@dataclass(frozen=True)
class ReadMapping:
    """A vendor's way to read jobs: an `x-job-read`. `items` is None if the reply is a single job, which is at `item`.

    `job` is the shape of the jobs in the reply; `has_own_shape` if it is another than that of x-job-vendor.

    A list goes on by `next_link`, by `token`, or by the number of the page. `links` are the places of other links to
    the same list. `window_days` is the length of the time range that the list demands.

    `reply` carries what the reply says beside the job, or beside the jobs of a page. `selectors` are words of the
    status filter that are not a status: each stands for the listed statuses, or for all if none is listed.

    `largest` is the largest page in the document. `takes_several_statuses` if the status filter is a list of words.
    """

    operation: Operation
    lens: Lens
    job: JobShape
    items: Place | None = None
    next_link: Place | None = None
    last_page: Place | None = None
    reply: Lens = NO_LENS
    selectors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    token: Place | None = None
    links: tuple[Place, ...] = ()
    window_days: int | None = None
    largest: int | None = None
    takes_several_statuses: bool = False
    item: Place | None = None
    has_own_shape: bool = False

    def job_in(self, body: Json) -> Json:
        """The job in the body of a reply of kind one; None if it has none."""
        return body if self.item is None else self.item.get({"body": body})

    def with_job(self, job: VendorJob) -> Mapping[str, Json]:
        """The body of a reply of kind one, with this job."""
        if self.item is None:
            return job
        parts: dict[str, Any] = {}
        self.item.put(parts, job)
        body: Mapping[str, Json] = parts["body"]
        return body

    def bound(self, values: Mapping[str, Json]) -> ReadMapping:
        """The read with constants instead of these values."""
        return replace(self, lens=self.lens.bound(values), job=self.job.bound(values), reply=self.reply.bound(values))

    def encode(self, values: Mapping[str, Json]) -> VendorRequest:
        """The vendor's request for a read."""
        return vendor_request(self.operation, self.lens, values)

    @cached_property
    def clients_lens(self) -> Lens:
        """The lens for requests of the vendor's own clients, which may choose what Jobgate's constants choose."""
        return self.lens.without_choices

    @property
    def filters_of_its_own(self) -> tuple[Place, ...]:
        """The places of filters by queue and type, which are those of one vendor: their ids mean nothing to another."""
        places = map(self.lens.place_of, (Source.JOB_QUEUE, Source.JOB_TYPE))
        return tuple(place for place in places if place is not None)

    @property
    def next_page(self) -> Place | None:
        """The place in a reply of what leads to the next page: a link or a token. None if the pages are numbered."""
        return self.next_link or self.token

    def selected(self, asked: Json) -> frozenset[str]:
        """The vendor's statuses that a word, or a list of words, of its filter stands for. Empty: every status."""
        words = asked if isinstance(asked, list) else [] if asked is None else [asked]
        chosen = [frozenset(self.selectors.get(str(word), (str(word),))) for word in words]
        return frozenset().union(*chosen) if all(chosen) else frozenset()

    def usual_page(self) -> int:
        """Jobs on a page if the request does not say. The documents do not define it."""
        largest = self.largest_page()
        return min(largest, USUAL_PAGE) if largest > 1 else USUAL_PAGE

    def largest_page(self) -> int:
        """Most jobs on a page of the vendor's; 1 if the document does not say."""
        return self.largest or 1


@dataclass(frozen=True)
class Status:
    """A documented status. `shows`: common statuses of other vendors' jobs that are shown as this one."""

    pair: StatusPair
    final: bool
    shows: tuple[str, ...] = ()


@dataclass(frozen=True)
class ErrorReply:
    """An error reply of a vendor, such as its document has for the meaning `unknown-job`.

    The code has the type of the document.
    """

    status: int
    message: str
    code: str | int | None = None
    envelope: str | None = None


@dataclass(frozen=True)
class ErrorMapping:
    """The vendor's errors: their formats (`envelopes`), and the error replies for each meaning.

    `places` are the vendor's messages for invalid parts of a request, by place.
    """

    envelopes: Mapping[str, Lens]
    meanings: Mapping[Meaning, tuple[ErrorReply, ...]]
    places: Mapping[Place, str] = field(default_factory=dict)

    def bound(self, values: Mapping[str, Json]) -> ErrorMapping:
        """The errors with constants instead of these values."""
        return replace(self, envelopes={name: each.bound(values) for name, each in self.envelopes.items()})

    def read(self, parts: Parts) -> Mapping[str, Json]:
        """The values (`error.code`, `error.message`) in a reply, from the envelope that carries most of them."""
        read = (lens.legible(parts) for lens in self.envelopes.values())
        return max(read, key=len, default={})

    def write(self, reply: ErrorReply, target: str | None, envelopes: Iterable[str]) -> dict[str, Any]:
        """The `{header, body}` of an error reply to a request for `target`, in all of these envelopes together."""
        values: dict[str, Json] = {
            Source.ERROR_CODE: self.written_code(reply.code),
            Source.ERROR_MESSAGE: reply.message,
            Source.ERROR_STATUS: reply.status,
            Source.ERROR_TARGET: target,
        }
        parts: dict[str, Any] = {"header": {}, "body": {}}
        for name in envelopes:
            written = self.envelopes[name].encode(values)
            parts["header"] |= written.get("header", {})
            parts["body"] |= written.get("body", {})
        return parts

    def written_code(self, code: str | int | None) -> str | int | None:
        """A code in the type of the document. A vendor with numbers only has none for a text that is no number."""
        if not self._has_numbers or code is None:
            return code
        return int(code) if str(code).isdecimal() else None

    @cached_property
    def _has_numbers(self) -> bool:
        """True if all codes of the document are numbers."""
        codes = [each.code for replies in self.meanings.values() for each in replies if each.code is not None]
        return bool(codes) and all(isinstance(code, int) for code in codes)

    def meanings_of(self, status: int, code: str | None) -> frozenset[Meaning]:
        """The possible meanings of a reply with this status and code; empty if the document has none."""
        return frozenset(
            meaning
            for meaning, replies in self.meanings.items()
            for reply in replies
            if reply.status == status and (reply.code is None or code is None or str(reply.code) == code)
        )


@dataclass(frozen=True)
class ConnectionValue:
    """A value that each account has, such as its region. `example` is the sandbox's; `pattern` is its form."""

    description: str
    example: str
    default: str | None = None
    pattern: str | None = None


@dataclass(frozen=True)
class VendorSpecification:
    """A vendor as described by its document; `bound`, as described for one account.

    `connection_values` are the values that each account has, by name.
    """

    name: str
    api: Api
    statuses: Mapping[str, Status] = field(repr=False)
    transitions: tuple[tuple[str, str], ...] = field(repr=False)
    actions: Mapping[str, ActionMapping] = field(repr=False)
    reads: Mapping[str, ReadMapping] = field(repr=False)
    job: JobShape = field(repr=False)
    request: Lens = field(repr=False)
    reply: Lens = field(repr=False)
    errors: ErrorMapping = field(repr=False)
    examples: tuple[VendorJob, ...] = field(repr=False)
    quota: Quota | None = None
    client_request: Place | None = None
    parts: Mapping[str, PartMapping] = field(default_factory=dict, repr=False)
    deletes_ended_jobs: bool = False
    forms: Mapping[str, Form] = field(default_factory=dict, repr=False)
    connection_values: Mapping[str, ConnectionValue] = field(default_factory=dict, repr=False)

    @classmethod
    def load(cls, path: Path) -> VendorSpecification:
        """Read and compile a vendor's document. Raises SpecificationError if it is no document of OpenAPI 3.0."""
        return cls.compile(checked(load(path)))

    @classmethod
    def compile(cls, document: Document) -> VendorSpecification:
        """Compile a vendor's document. The document must be free of lint findings."""
        return _compile(Api.compile(document))

    @property
    def example_values(self) -> dict[str, str]:
        """The values of the sandbox's account."""
        return {name: each.example for name, each in self.connection_values.items()}

    def completed(self, values: Mapping[str, str]) -> dict[str, str]:
        """The values of an account, with the defaults of those that it does not set."""
        defaults = {name: each.default for name, each in self.connection_values.items() if each.default is not None}
        return {**defaults, **values}

    def bound(self, values: Mapping[str, str]) -> VendorSpecification:
        """The specification for one account: its values are constants. Raises UnmappableValue if a map has not one."""
        if not values:
            return self
        constants = {f"{CONNECTION}{name}": value for name, value in values.items()}
        return replace(
            self,
            actions={name: replace(each, lens=each.lens.bound(constants)) for name, each in self.actions.items()},
            reads={name: each.bound(constants) for name, each in self.reads.items()},
            parts={name: replace(each, lens=each.lens.bound(constants)) for name, each in self.parts.items()},
            job=self.job.bound(constants),
            request=self.request.bound(constants),
            reply=self.reply.bound(constants),
            errors=self.errors.bound(constants),
        )

    def server(self, values: Mapping[str, str]) -> str | None:
        """The URL of an account's API; None if the document leaves more open than the values of an account."""
        return own_server(self.api.document, values)

    def job_id(self, text: str) -> str:
        """The canonical form of a job's id at this vendor."""
        return str(self._in_form(Source.JOB_ID, text))

    def canonical(self, job_action: JobAction) -> JobAction:
        """The job action with the canonical forms of its job id and parameters at this vendor."""
        form, parameters = self.forms.get(Source.JOB_ID), job_action.parameters
        job_id = job_action.job_id if form is None else str(form(job_action.job_id))
        if not self._parameter_forms.keys().isdisjoint(parameters):
            parameters = {name: self._in_form(f"{PARAMETER}{name}", value) for name, value in parameters.items()}
        elif job_id == job_action.job_id:
            return job_action
        return structs.replace(job_action, job_id=job_id, parameters=parameters)

    @cached_property
    def _parameter_forms(self) -> Mapping[str, Form]:
        """The forms of parameters, by the name of the parameter."""
        return {name.removeprefix(PARAMETER): form for name, form in self.forms.items() if name.startswith(PARAMETER)}

    def _in_form(self, name: str, value: Json) -> Json:
        form = self.forms.get(name)
        return value if form is None else form(value)

    @property
    def job_read(self) -> ReadMapping | None:
        """The read of a single job; None if the vendor has none."""
        return next((read for read in self.reads.values() if read.items is None), None)

    @property
    def list_read(self) -> ReadMapping | None:
        """The read of many jobs; None if the vendor has none."""
        return next((read for read in self.reads.values() if read.items is not None), None)

    def is_for_another_account(self, operation_id: str, parts: Parts) -> bool:
        """True if a request to an operation names another account, whatever it asks for."""
        lenses = self._lenses_with_accounts.get(operation_id, ())
        return bool(lenses) and all(lens.is_for_another_account(parts) for lens in lenses)

    @cached_property
    def _lenses_with_accounts(self) -> Mapping[str, tuple[Lens, ...]]:
        """The request lenses of the operations all of whose requests name the account."""
        found = {name: self.lenses_of(name) for name in self._actions_by_operation}
        for name, read in self.reads.items():
            found[name] = (*found.get(name, ()), read.lens)
        return {name: lenses for name, lenses in found.items() if all(each.names_the_account for each in lenses)}

    def actions_of(self, operation_id: str) -> tuple[ActionMapping, ...]:
        """The actions that an operation performs."""
        return self._actions_by_operation.get(operation_id, ())

    @cached_property
    def _actions_by_operation(self) -> Mapping[str, tuple[ActionMapping, ...]]:
        found: dict[str, tuple[ActionMapping, ...]] = {}
        for each in self.actions.values():
            name = each.operation.operation_id
            found[name] = (*found.get(name, ()), each)
        return found

    def lenses_of(self, operation_id: str) -> tuple[Lens, ...]:
        """The request lenses of the actions that an operation performs."""
        return tuple([each.lens for each in self.actions_of(operation_id)])

    def ends_jobs(self, action: ActionMapping) -> bool:
        """True if the action leads to a final status."""
        return self.status(action.to_status).final

    def status(self, vendor_status: str) -> Status:
        """The meaning of a vendor's status; `unknown` if the document does not have it."""
        known = self.statuses.get(vendor_status)
        return known or Status(StatusPair(UNKNOWN_STATUS, vendor_status), final=False)

    @cached_property
    def vague_statuses(self) -> frozenset[str]:
        """The statuses that only rows of lists have: such a row does not tell the status of its job."""
        of_rows = {status for read in self.reads.values() if read.has_own_shape for status in read.job.statuses}
        unclear = {name for name, each in self.statuses.items() if each.pair.status == UNKNOWN_STATUS}
        return frozenset(of_rows & unclear - self.job.statuses)

    @property
    def clear_statuses(self) -> tuple[str, ...]:
        """The statuses that a job can have when it is read alone."""
        return tuple(name for name in self.statuses if name not in self.vague_statuses)

    def vendor_statuses(self, status: str) -> tuple[str, ...]:
        """The vendor's statuses that mean the common `status`."""
        return tuple(name for name in self.clear_statuses if self.statuses[name].pair.status == status)

    def word_for(self, status: str) -> str | None:
        """The vendor's status for other vendors' jobs with the common `status`; None if there is no word for it."""
        return self._words.get(status)

    @cached_property
    def _words(self) -> Mapping[str, str]:
        alike: dict[str, list[str]] = {}
        for name in self.clear_statuses:
            alike.setdefault(self.statuses[name].pair.status, []).append(name)
        only = {status: names[0] for status, names in alike.items() if len(names) == 1}
        return only | {status: name for name, each in self.statuses.items() for status in each.shows}

    def error_media_type(self, operation: Operation | None, status: int) -> str:
        """The media type of an error: the operation's own, or that of any other operation."""
        operations = (*((operation,) if operation else ()), *self.api.operations.values())
        found = (each.response(status) for each in operations)
        return next((kind for response in found if response for kind in response.media_types), "application/json")

    def allows(self, action: str, vendor_status: str) -> bool:
        """True if the document allows the action in this status."""
        mapping = self.actions.get(action)
        return mapping is not None and vendor_status in mapping.from_statuses

    def reachable(self, statuses: Iterable[str]) -> frozenset[str]:
        """The statuses that a job in one of these can have later by the vendor's own transitions, these included."""
        reached = set(statuses)
        while following := {after for before, after in self.transitions if before in reached} - reached:
            reached |= following
        return frozenset(reached)

    def decode(self, operation_id: str, parts: Parts) -> tuple[JobAction, ...]:
        """The job action of a request to the vendor's own API, and those that have the same request; empty if none.

        If there are several, the status of the job tells which of them it is.
        """
        found: list[tuple[ActionMapping, JobAction]] = []
        for mapping in self.actions_of(operation_id):
            try:
                found.append((mapping, mapping.decode(parts)))
            except LensMismatch:
                continue
        if len(found) == 1:
            return (found[0][1],)
        return tuple(job_action for mapping, job_action in found if mapping.is_alike(found[0][0]))

    def shares_its_request(self, action: str) -> bool:
        """True if other actions have the same request: only the job's status tells them apart."""
        return action in self._with_shared_request

    @cached_property
    def _with_shared_request(self) -> frozenset[str]:
        every = self.actions.values()
        return frozenset(each.action for each in every if sum(map(each.is_alike, every)) > 1)

    def samples(self) -> Iterator[tuple[Operation, JobAction]]:
        """A job action for each operation that performs actions, allowed on one of the example jobs.

        It is the one of the operation's own examples, if the example job with that id allows it.
        """
        jobs = [self.job.legible({"body": example}) for example in self.examples]
        statuses = {str(job[Source.JOB_ID]): str(job[Source.JOB_VENDOR_STATUS]) for job in jobs}
        for operation in self.api.operations.values():
            asked = self.decode(operation.operation_id, operation.example)
            possible = (*asked, *self._possible(operation, statuses))
            allowed = (each for each in possible if self.allows(each.action, statuses.get(each.job_id, "")))
            yield from ((operation, each) for each in islice(allowed, 1))

    def _possible(self, operation: Operation, statuses: Mapping[str, str]) -> Iterator[JobAction]:
        for mapping in self.actions.values():
            if mapping.operation is operation:
                yield from (JobAction(mapping.action, job_id) for job_id in statuses)


def values_for(job_action: JobAction) -> dict[str, Json]:
    """The values of a job action, by the names that lenses use."""
    values: dict[str, Json] = {_JOB_ID: job_action.job_id, _JOB_VERSION: job_action.version}
    for name, value in job_action.parameters.items():
        values[PARAMETER + name] = value
    return values


def vendor_request(operation: Operation, lens: Lens, values: Mapping[str, Json]) -> VendorRequest:
    """A request of `operation` that carries the values."""
    parts = lens.encode(values)
    return VendorRequest(
        operation.operation_id,
        parts.get("path", {}),
        parts.get("query", {}),
        parts.get("header", {}),
        parts.get("body"),
    )


def _compile(api: Api) -> VendorSpecification:
    vendor = api.document.content["x-job-vendor"]
    common = vendor.get("request", {})
    readers = [operation for operation in api.operations.values() if "x-job-read" in operation.extensions]
    read_mappings = [
        _read(api.document, operation, vendor, operation.extensions["x-job-read"])
        for operation in readers
        if not is_part(operation.extensions)
    ]
    parts = {
        operation.operation_id: PartMapping(
            operation, Lens.compile(common, operation.extensions["x-job-read"]["request"])
        )
        for operation in readers
        if is_part(operation.extensions)
    }
    examples = [job for read in read_mappings if not read.has_own_shape for job in _examples(api, read)]
    job = JobShape.compile(vendor, {}).with_examples(examples)
    reads = {read.operation.operation_id: _with_examples(api, read, job) for read in read_mappings}
    actions = [
        _action(operation, common, entry)
        for operation in api.operations.values()
        for entry in operation.extensions.get("x-job-action", ())
    ]
    return VendorSpecification(
        name=vendor["name"],
        api=api,
        statuses={name: _status(name, each) for name, each in vendor["statuses"].items()},
        transitions=tuple((each["from"], each["to"]) for each in vendor.get("transitions", ())),
        actions={mapping.action: mapping for mapping in actions},
        reads=reads,
        job=job,
        request=Lens.compile(common),
        reply=Lens.compile(vendor.get("reply", {})),
        errors=_errors(vendor["errors"]),
        examples=tuple(examples),
        quota=Quota(**vendor["quota"]) if "quota" in vendor else None,
        client_request=Place.parse(vendor["clientRequest"]) if "clientRequest" in vendor else None,
        parts=parts,
        deletes_ended_jobs="gone" in vendor,
        forms=_forms(api.document, [*reads.values(), *actions]),
        connection_values={name: ConnectionValue(**each) for name, each in vendor.get("connection", {}).items()},
    )


def is_part(extensions: Mapping[str, Any]) -> bool:
    """True if an operation with these extensions reads something besides the job."""
    return bool(extensions.get("x-job-read", {}).get("kind") == "part")


def _forms(document: Document, mappings: Iterable[ReadMapping | ActionMapping]) -> dict[str, Form]:
    """The canonical forms of ids and parameters, from their schemas in all requests."""
    found: dict[str, Form] = {}
    for mapping in mappings:
        for rule in mapping.lens.rules:
            form = None if rule.source is None else form_of(request_schema_at(document, mapping.operation, rule.place))
            if form is not None and rule.source is not None:
                found[rule.source] = form
    return found


def _status(name: str, entry: Mapping[str, Any]) -> Status:
    return Status(StatusPair(entry["status"], name), entry.get("final", False), tuple(entry.get("shows", ())))


def _read(document: Document, operation: Operation, vendor: Mapping[str, Any], entry: Mapping[str, Any]) -> ReadMapping:
    item, items, next_link, last_page, token = (
        Place.parse(entry[key]) if key in entry else None for key in ("item", "items", "next", "pages", "token")
    )
    lens = Lens.compile(vendor.get("request", {}), entry["request"])

    def schema_of(source: Source) -> Mapping[str, Any]:
        place = lens.place_of(source)
        return {} if place is None else request_schema_at(document, operation, place)

    return ReadMapping(
        operation,
        lens,
        JobShape.compile(vendor, entry),
        items,
        next_link,
        last_page,
        reply=Lens.compile(entry.get("reply", {})),
        selectors={word: tuple(statuses) for word, statuses in entry.get("selectors", {}).items()},
        token=token,
        links=tuple(map(Place.parse, entry.get("links", ()))),
        window_days=entry.get("window", {}).get("days"),
        largest=schema_of(Source.PAGE_LIMIT).get("maximum"),
        takes_several_statuses=schema_of(Source.JOB_VENDOR_STATUS).get("type") == "array",
        item=item,
        has_own_shape=not entry.keys().isdisjoint({"job", DERIVED}),
    )


def _with_examples(api: Api, read: ReadMapping, job: JobShape) -> ReadMapping:
    """The read with the examples of its jobs; `job` is the shape of x-job-vendor."""
    return replace(read, job=read.job.with_rows(job, _examples(api, read)) if read.has_own_shape else job)


def _action(operation: Operation, common: Mapping[str, Any], entry: Mapping[str, Any]) -> ActionMapping:
    return ActionMapping(
        action=entry["action"],
        operation=operation,
        effect=Effect(entry["effect"]),
        from_statuses=tuple(entry["from"]),
        to_status=entry["to"],
        deferred_by=entry.get("deferredBy"),
        find={name: _finder(each) for name, each in entry.get("find", {}).items()},
        confirm=entry["confirm"],
        evidence=entry.get("evidence"),
        lens=Lens.compile(common, entry["request"]),
        result=Result(entry.get("result", Result.DONE)),
        assumed=frozenset(entry.get("assumed", ())),
    )


def _finder(entry: str | Mapping[str, str]) -> Finder:
    return Finder(entry) if isinstance(entry, str) else Finder(entry["by"], entry["read"])


def _error_reply(entry: Mapping[str, Any]) -> ErrorReply:
    return ErrorReply(**entry)


def _errors(entry: Mapping[str, Any]) -> ErrorMapping:
    return ErrorMapping(
        envelopes={name: Lens.compile(lens) for name, lens in entry["envelopes"].items()},
        meanings={Meaning(name): tuple(map(_error_reply, replies)) for name, replies in entry["meanings"].items()},
        places={Place.parse(place): said for place, said in entry.get("places", {}).items()},
    )


def _examples(api: Api, read: ReadMapping) -> Iterator[VendorJob]:
    """The jobs in the document's examples of replies to a read."""
    for value in _response_examples(api, read.operation):
        found = read.items.get({"body": value}) if read.items else [read.job_in(value)]
        yield from (job for job in found if isinstance(job, Mapping)) if isinstance(found, list) else ()


def _response_examples(api: Api, operation: Operation) -> list[Json]:
    document = api.document
    node = document.content["paths"][operation.path][operation.method.lower()]
    contents = document.resolve(node["responses"]["200"]).get("content", {}).values()
    return [document.resolve(each)["value"] for media in contents for each in media.get("examples", {}).values()]
