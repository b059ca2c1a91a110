"""A vendor's document, compiled: what its operations do to jobs, and how its words read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from gateway.domain.model import Effect, JobAction, Json, Quota, StatusPair, VendorRequest
from gateway.domain.vocabulary import PARAMETER, Meaning, Source
from gateway.specs.document import Document, load
from gateway.specs.forms import Form, form_of
from gateway.specs.lens import Lens, LensMismatch, Parts, Place
from gateway.specs.operations import Api, Operation, request_schema_at

NO_LENS = Lens(())
USUAL_PAGE = 100
"""How many jobs a page has where the request does not say, and the document allows that many."""
UNKNOWN_STATUS = "unknown"
"""What a job's status is called where the vendor uses a word that its document does not have."""


@dataclass(frozen=True)
class ActionMapping:
    """How a vendor performs one action: an entry of `x-job-action`, its names resolved."""

    action: str
    operation: Operation
    effect: Effect
    from_statuses: tuple[str, ...]
    to_status: str
    deferred_by: str | None
    find: Mapping[str, str]
    confirm: str
    evidence: str | None
    lens: Lens

    @property
    def parameters(self) -> frozenset[str]:
        """The parameters that the vendor's request can carry."""
        sources = (source for source in self.lens.sources if source.startswith(PARAMETER))
        return frozenset(source.removeprefix(PARAMETER) for source in sources)

    def encode(self, job_action: JobAction) -> VendorRequest:
        """The vendor's request for a job action. Parameters that the vendor cannot carry are not in it."""
        values = {f"{PARAMETER}{name}": value for name, value in job_action.parameters.items()}
        return vendor_request(self.operation, self.lens, {Source.JOB_ID: job_action.job_id, **values})

    def decode(self, parts: Parts) -> JobAction:
        """The job action that a request of this operation asks for. Raises LensMismatch where it asks for another."""
        values = self.lens.decode(parts)
        parameters = {
            name.removeprefix(PARAMETER): value for name, value in values.items() if name.startswith(PARAMETER)
        }
        return JobAction(self.action, str(values[Source.JOB_ID]), parameters)


@dataclass(frozen=True)
class ReadMapping:
    """How a vendor's jobs are read: an `x-job-read`. `items` is None where the reply is one job.

    `reply` is what the reply says beside the job, or beside the jobs of a numbered page. `selectors` are words by which
    jobs can be asked for that are no status: each stands for some, none listed for all.
    """

    operation: Operation
    lens: Lens
    items: Place | None = None
    next_link: Place | None = None
    last_page: Place | None = None
    reply: Lens = NO_LENS
    selectors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def common_query(self) -> frozenset[str]:
        """The query parameters that can be said in common words too."""
        return frozenset(rule.place.keys[0] for rule in self.lens.rules if rule.place.location == "query")

    def encode(self, values: Mapping[str, Json]) -> VendorRequest:
        """The vendor's request for a read."""
        return vendor_request(self.operation, self.lens, values)

    def selected(self, word: str | None) -> frozenset[str]:
        """The vendor's statuses that a word of its filter stands for. None of them: every status."""
        return frozenset() if word is None else frozenset(self.selectors.get(word, (word,)))

    def usual_page(self) -> int:
        """How many jobs are given at once where nobody says; the documents do not."""
        largest = self.largest_page()
        return min(largest, USUAL_PAGE) if largest > 1 else USUAL_PAGE

    def largest_page(self) -> int:
        """How many jobs the vendor gives at once at most; 1 where it does not say."""
        place = self.lens.place_of(Source.PAGE_LIMIT)
        if place is None:
            return 1
        return int(self.operation.declared["query"][place.keys[0]].schema.get("maximum", 1))


@dataclass(frozen=True)
class Status:
    """A status that the vendor documents. `shows`: those of other vendors' jobs, in common words, that look like it."""

    pair: StatusPair
    final: bool
    shows: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What a vendor answers for a meaning such as `unknown-job`."""

    status: int
    message: str
    code: str | None = None
    envelope: str | None = None


@dataclass(frozen=True)
class ErrorMapping:
    """The vendor's errors, read and written: the shapes they come in and what they mean.

    `places` is what the vendor says of a part of a request that does not fit.
    """

    envelopes: Mapping[str, Lens]
    meanings: Mapping[Meaning, tuple[Answer, ...]]
    places: Mapping[Place, str] = field(default_factory=dict)

    def read(self, parts: Parts) -> Mapping[str, Json]:
        """The values (`error.code`, `error.message`) of a reply's body, in whichever envelope it comes."""
        decoded = (lens.decode(parts) for lens in self.envelopes.values())
        return max(decoded, key=len, default={})

    def write(self, answer: Answer, target: str | None, envelopes: Iterable[str]) -> dict[str, Any]:
        """The `{header, body}` of an answer to a request for `target`, in all of these envelopes at once."""
        values: dict[str, Json] = {
            Source.ERROR_CODE: answer.code,
            Source.ERROR_MESSAGE: answer.message,
            Source.ERROR_TARGET: target,
        }
        parts: dict[str, Any] = {"header": {}, "body": {}}
        for name in envelopes:
            written = self.envelopes[name].encode(values)
            parts["header"] |= written.get("header", {})
            parts["body"] |= written.get("body", {})
        return parts

    def meanings_of(self, status: int, code: str | None) -> frozenset[Meaning]:
        """What a reply of this status and code may mean. Empty: nothing that the document knows."""
        return frozenset(
            meaning
            for meaning, answers in self.meanings.items()
            for answer in answers
            if answer.status == status and (answer.code is None or code is None or answer.code == code)
        )


@dataclass(frozen=True)
class VendorSpecification:
    """A vendor as its document describes it."""

    name: str
    api: Api
    statuses: Mapping[str, Status] = field(repr=False)
    transitions: tuple[tuple[str, str], ...] = field(repr=False)
    actions: Mapping[str, ActionMapping] = field(repr=False)
    reads: Mapping[str, ReadMapping] = field(repr=False)
    job: Lens = field(repr=False)
    request: Lens = field(repr=False)
    reply: Lens = field(repr=False)
    errors: ErrorMapping = field(repr=False)
    examples: tuple[Mapping[str, Json], ...] = field(repr=False)
    quota: Quota | None = None
    client_request: Place | None = None
    forms: Mapping[str, Form] = field(default_factory=dict, repr=False)

    @classmethod
    def load(cls, path: Path) -> VendorSpecification:
        """Read and compile a vendor's document. Raises SpecificationError where it cannot be read."""
        return cls.compile(load(path))

    @classmethod
    def compile(cls, document: Document) -> VendorSpecification:
        """Compile a vendor's document that the lint accepts."""
        return _compile(Api.compile(document))

    def job_id(self, text: str) -> str:
        """A job's id in the one form that it has at this vendor."""
        return str(self._in_form(Source.JOB_ID, text))

    def canonical(self, job_action: JobAction) -> JobAction:
        """A job action whose id and parameters have the one form that each has at this vendor."""
        parameters = job_action.parameters
        if any(f"{PARAMETER}{name}" in self.forms for name in parameters):
            parameters = {name: self._in_form(f"{PARAMETER}{name}", value) for name, value in parameters.items()}
        return JobAction(job_action.action, self.job_id(job_action.job_id), parameters)

    def _in_form(self, name: str, value: Json) -> Json:
        form = self.forms.get(name)
        return value if form is None else form(value)

    @property
    def job_read(self) -> ReadMapping | None:
        """The read of a single job, where the vendor has one."""
        return next((read for read in self.reads.values() if read.items is None), None)

    @property
    def list_read(self) -> ReadMapping | None:
        """The read of many jobs, where the vendor has one."""
        return next((read for read in self.reads.values() if read.items is not None), None)

    def status(self, vendor_status: str) -> Status:
        """What a status of the vendor means, known or not."""
        known = self.statuses.get(vendor_status)
        return known or Status(StatusPair(UNKNOWN_STATUS, vendor_status), final=False)

    def vendor_statuses(self, status: str) -> tuple[str, ...]:
        """The vendor's statuses that read as `status`."""
        return tuple(name for name, each in self.statuses.items() if each.pair.status == status)

    def word_for(self, status: str) -> str | None:
        """The vendor's status as which the job of another vendor is shown; None where it has no word for that one."""
        return self._words.get(status)

    @cached_property
    def _words(self) -> Mapping[str, str]:
        alike: dict[str, list[str]] = {}
        for name, each in self.statuses.items():
            alike.setdefault(each.pair.status, []).append(name)
        only = {status: names[0] for status, names in alike.items() if len(names) == 1}
        return only | {status: name for name, each in self.statuses.items() for status in each.shows}

    def error_media_type(self, operation: Operation | None, status: int) -> str:
        """The media type of an error: the operation's own, or that of any."""
        operations = (*((operation,) if operation else ()), *self.api.operations.values())
        found = (each.response(status) for each in operations)
        return next((kind for response in found if response for kind in response.media_types), "application/json")

    def allows(self, action: str, vendor_status: str) -> bool:
        """Whether the document says that the action can be applied in this status."""
        mapping = self.actions.get(action)
        return mapping is not None and vendor_status in mapping.from_statuses

    def reachable(self, statuses: Iterable[str]) -> frozenset[str]:
        """The statuses that a job in one of these can be in later by the vendor's own doing, these included."""
        reached = set(statuses)
        while following := {after for before, after in self.transitions if before in reached} - reached:
            reached |= following
        return frozenset(reached)

    def decode(self, operation_id: str, parts: Parts) -> JobAction | None:
        """The job action that a request of the vendor's own API asks for; None where it asks for none."""
        for mapping in self.actions.values():
            if mapping.operation.operation_id == operation_id:
                try:
                    return mapping.decode(parts)
                except LensMismatch:
                    continue
        return None

    def samples(self) -> Iterator[tuple[Operation, JobAction]]:
        """For each operation that performs actions, one that can be applied to one of the example jobs.

        It is what the operation's own examples ask for, where the example job of that id allows it.
        """
        jobs = [self.job.decode({"body": example}) for example in self.examples]
        statuses = {str(job[Source.JOB_ID]): str(job[Source.JOB_VENDOR_STATUS]) for job in jobs}
        for operation in self.api.operations.values():
            asked = self.decode(operation.operation_id, operation.example)
            possible = [each for each in (asked, *self._possible(operation, statuses)) if each is not None]
            allowed = (each for each in possible if self.allows(each.action, statuses.get(each.job_id, "")))
            yield from ((operation, each) for each in islice(allowed, 1))

    def _possible(self, operation: Operation, statuses: Mapping[str, str]) -> Iterator[JobAction]:
        for mapping in self.actions.values():
            if mapping.operation is operation:
                yield from (JobAction(mapping.action, job_id) for job_id in statuses)


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
    job = Lens.compile(vendor["job"])
    reads = {
        operation.operation_id: _read(operation, common, operation.extensions["x-job-read"])
        for operation in api.operations.values()
        if "x-job-read" in operation.extensions
    }
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
        examples=tuple(_examples(api, reads)),
        quota=Quota(**vendor["quota"]) if "quota" in vendor else None,
        client_request=Place.parse(vendor["clientRequest"]) if "clientRequest" in vendor else None,
        forms=_forms(api.document, [*reads.values(), *actions]),
    )


def _forms(document: Document, mappings: Iterable[ReadMapping | ActionMapping]) -> dict[str, Form]:
    """The forms of ids and parameters, from wherever requests carry them."""
    found: dict[str, Form] = {}
    for mapping in mappings:
        for rule in mapping.lens.rules:
            form = None if rule.source is None else form_of(request_schema_at(document, mapping.operation, rule.place))
            if form is not None and rule.source is not None:
                found[rule.source] = form
    return found


def _status(name: str, entry: Mapping[str, Any]) -> Status:
    return Status(StatusPair(entry["status"], name), entry.get("final", False), tuple(entry.get("shows", ())))


def _read(operation: Operation, common: Mapping[str, Any], entry: Mapping[str, Any]) -> ReadMapping:
    items, next_link, last_page = (
        Place.parse(entry[key]) if key in entry else None for key in ("items", "next", "pages")
    )
    return ReadMapping(
        operation,
        Lens.compile(common, entry["request"]),
        items,
        next_link,
        last_page,
        reply=Lens.compile(entry.get("reply", {})),
        selectors={word: tuple(statuses) for word, statuses in entry.get("selectors", {}).items()},
    )


def _action(operation: Operation, common: Mapping[str, Any], entry: Mapping[str, Any]) -> ActionMapping:
    return ActionMapping(
        action=entry["action"],
        operation=operation,
        effect=Effect(entry["effect"]),
        from_statuses=tuple(entry["from"]),
        to_status=entry["to"],
        deferred_by=entry.get("deferredBy"),
        find=entry.get("find", {}),
        confirm=entry["confirm"],
        evidence=entry.get("evidence"),
        lens=Lens.compile(common, entry["request"]),
    )


def _answer(entry: Mapping[str, Any]) -> Answer:
    return Answer(**entry)


def _errors(entry: Mapping[str, Any]) -> ErrorMapping:
    return ErrorMapping(
        envelopes={name: Lens.compile(lens) for name, lens in entry["envelopes"].items()},
        meanings={Meaning(name): tuple(map(_answer, answers)) for name, answers in entry["meanings"].items()},
        places={Place.parse(place): said for place, said in entry.get("places", {}).items()},
    )


def _examples(api: Api, reads: Mapping[str, ReadMapping]) -> Iterator[Mapping[str, Json]]:
    """The jobs that the document shows as examples of its reads' replies."""
    for read in reads.values():
        for value in _response_examples(api, read.operation):
            found = read.items.get({"body": value}) if read.items else [value]
            yield from (job for job in found if isinstance(job, Mapping)) if isinstance(found, list) else ()


def _response_examples(api: Api, operation: Operation) -> list[Json]:
    document = api.document
    node = document.content["paths"][operation.path][operation.method.lower()]
    contents = document.resolve(node["responses"]["200"]).get("content", {}).values()
    return [document.resolve(each)["value"] for media in contents for each in media.get("examples", {}).values()]
