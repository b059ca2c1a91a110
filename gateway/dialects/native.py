"""A vendor's own API: the vendor's clients act on jobs of any vendor, and get answers in that vendor's words.

The handlers are the same for every vendor; the differences are in the vendor's document. Jobs of the same vendor are
passed on unchanged, so that nothing is lost. Jobs of another vendor are translated through the common words that both
documents use.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import Any

from msgspec.structs import replace

from gateway.dialects import rendering
from gateway.dialects.refusals import JOB_ACTION
from gateway.dialects.services import Services
from gateway.dialects.unified import key_of
from gateway.dialects.words import Words
from gateway.domain.errors import (
    Explanation,
    FieldError,
    IdempotencyKeyMissing,
    JobgateError,
    MalformedRequest,
    NotConfirmed,
    ParameterNotSupported,
    UnknownJob,
    ValueNotSupported,
    VendorTimedOut,
)
from gateway.domain.model import Job, JobAction, Json, Page, Result, VendorRequest, VendorResponse
from gateway.domain.record import JobActionRecord, JobActionStatus, problem_of
from gateway.domain.vocabulary import CONNECTION as ACCOUNT
from gateway.domain.vocabulary import LARGEST_PAGE, Source
from gateway.edge.canonical import Fields
from gateway.edge.surface import Handler, Reply, Request
from gateway.edge.validation import header_values
from gateway.engine.action import ActionRequest, ActionResult
from gateway.engine.calls import CallContext
from gateway.engine.connections import Connection
from gateway.engine.jobs import MOST_PAGES, is_unclear
from gateway.engine.wire import is_writable, path_errors, url
from gateway.security.access_tokens import LIFE_SECONDS
from gateway.security.grants import NO_STORE, OAuthError, granted, read_basic, read_grant
from gateway.specs.document import pointer
from gateway.specs.lens import Lens, LensMismatch, Parts, Place, UnmappableValue, values_of
from gateway.specs.native import CONNECTION, GRANT, KEY, NativeApi
from gateway.specs.numbered_pages import Part, numbered_page, page_body
from gateway.specs.operations import Operation, Response
from gateway.specs.vendor import ActionMapping, ReadMapping, VendorSpecification
from gateway.specs.windows import CREATED_AT, Window

log = logging.getLogger(__name__)

NO_SUCH_JOB = "There is no such job in this connection."

PRECONDITIONS = (b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since")
"""The header fields that make a request conditional (RFC 9110, 13.1)."""


NOTHING: tuple[Json, ...] = ({}, "")
"""The bodies that say nothing beside the status of a reply, in the order of preference."""


@dataclass(frozen=True)
class Dialect:
    """The handlers of one vendor's own API."""

    native: NativeApi
    services: Services

    @property
    def words(self) -> Words:
        """The vendor's words."""
        return Words(self.native.vendor, self.services.calls.clock.now())

    def handlers(self) -> dict[str, Handler]:
        """The handlers by operationId."""
        found: dict[str, Handler] = {GRANT: self.grant}
        found |= dict.fromkeys(self.native.actions, self.act)
        for name, read in self.native.vendor.reads.items():
            found[name] = self.get_job if read.items is None else self.list_jobs
        return found

    async def act(self, request: Request) -> Reply:
        """Perform the job action of a request, and wait for its outcome. Raises the problem if it failed."""
        connection = self._connection(request)
        job_action = await self._job_action(request, connection)
        is_chosen = self.native.vendor.shares_its_request(job_action.action)
        asked = ActionRequest(
            connection,
            job_action,
            request.caller.name,
            key=key_of(request),
            signature=request.signature,
            origin=request.origin,
            operation=request.operation.operation_id if is_chosen else None,
        )
        if asked.key is None:
            asked = self._named_by_its_client(request, asked)
        if asked.key is None and connection.needs_key:
            raise IdempotencyKeyMissing(f"Actions on jobs of {connection.name} need an {KEY} header.")
        result = await self.services.actions.perform(asked)
        if not result.record.is_settled:
            # The vendor's clients do not expect an outcome that follows later.
            record = await self.services.reconciler.wait(result.record, self.services.calls.seconds)
            result = replace(result, record=record)
        return await self._reply(request, connection, result)

    async def get_job(self, request: Request) -> Reply:
        """Return one job."""
        connection = self._connection(request)
        asked = self._vendor_request(request)
        context = self._context(request)
        read = self._specification(connection).reads[asked.operation_id]
        values = self._values(read, asked)
        if self._is_own(connection):
            reply = await self.services.jobs.read(connection, asked, context)
            return Reply(reply.body, headers=documented_headers(request.operation, reply.http.headers))
        self._check_filters(read, connection, asked)
        job = await self.services.jobs.get(connection, str(values[Source.JOB_ID]), context)
        shown = self.words.job(job, account_of(values), read)
        if shown is None:
            raise self._no_words(connection, "this job")
        return Reply(read.with_job(shown), headers=self.words.headers(read, job))

    async def list_jobs(self, request: Request) -> Reply:
        """Return a page of jobs."""
        connection = self._connection(request)
        asked = self._vendor_request(request)
        read = self._specification(connection).reads[asked.operation_id]
        values = self._values(read, asked)
        if self._is_own(connection):
            return await self._own_page(read, request, connection, asked)
        self._check_filters(read, connection, asked)
        if read.next_page is None:
            return await self._numbered(read, request, connection, values)
        return await self._continued(read, request, connection, values)

    async def grant(self, request: Request) -> Reply:
        """Grant a token to a client that has an access key."""
        try:
            basic = read_basic(request.fields.get(b"authorization", b"").decode("latin-1"))
            asked = read_grant(request.body, basic, self.native.token_scopes)
            token = self.services.tokens.grant(asked)
        except OAuthError as error:
            return Reply(error.body, error.status, error.headers)
        return Reply(granted(token, asked.scopes, LIFE_SECONDS), headers=NO_STORE)

    # What a request asks for

    def _connection(self, request: Request) -> Connection:
        return self.services.directory.connection(request.path[CONNECTION])

    def _is_own(self, connection: Connection) -> bool:
        return connection.vendor.name == self.native.vendor.name

    def _specification(self, connection: Connection) -> VendorSpecification:
        """This vendor's document; for one of its own accounts, with the values of the account as constants."""
        return connection.specification if self._is_own(connection) else self.native.vendor

    def _context(self, request: Request) -> CallContext:
        return self.services.calls.context(request.origin, caller=request.caller.name)

    def _vendor_request(self, request: Request) -> VendorRequest:
        """The request in terms of the vendor's own document. Raises MalformedRequest if an id cannot be in a path."""
        operation = self.native.vendor.api.operations[request.operation.operation_id]
        # The served document has parameters of Jobgate's own in path and header. It leaves out header fields that no
        # action carries; a client can send them all the same.
        path = {name: value for name, value in request.path.items() if name != CONNECTION}
        declared = operation.declared["header"]
        header = header_values(operation, request.fields) if declared else {}
        for name in request.header.keys() & declared.keys():
            header[name] = request.header[name]
        asked = VendorRequest(operation.operation_id, path, request.query, header, request.body)
        if not is_writable(asked) and (errors := path_errors(asked)):
            raise MalformedRequest(
                f"The request is not valid: {errors[0].pointer} {errors[0].detail}.", Explanation(errors=errors)
            )
        return asked

    async def _job_action(self, request: Request, connection: Connection) -> JobAction:
        asked = self._vendor_request(request)
        parts, is_own = asked.parts(), self._is_own(connection)
        specification = connection.specification if is_own else self.native.vendor
        if specification.is_for_another_account(asked.operation_id, parts):
            raise UnknownJob(NO_SUCH_JOB)
        possible = specification.decode(asked.operation_id, parts)
        if not possible:
            raise ValueNotSupported("The request asks for an action that does not exist.")
        chosen = possible[0] if len(possible) == 1 else await self._chosen(request, connection, possible)
        self._check_carried(request, parts, self.native.vendor.actions[chosen.action])
        return chosen if is_own else without_own_parameters(connection, chosen)

    async def _chosen(self, request: Request, connection: Connection, possible: Sequence[JobAction]) -> JobAction:
        """Of several actions with the same request, the first that the job allows now.

        Otherwise, the first that the job's vendor has: it is refused with the job's status.
        """
        job = await self.services.jobs.get(connection, possible[0].job_id, self._context(request))
        known = connection.vendor.supported_actions
        return min(possible, key=lambda each: (each.action not in job.allowed_actions, each.action not in known))

    def _check_carried(self, request: Request, parts: Parts, mapping: ActionMapping) -> None:
        """Refuse a request that has more than the action can carry. Raises MalformedRequest.

        Without its precondition, an action would be done whatever has become of the job (RFC 9110, 13.1).
        """
        places = lost(mapping.operation, mapping.lens, parts)
        conditions = preconditions_of(request.fields)
        if not places and not conditions:
            return
        conditions = [each for each in conditions if not mapping.lens.carries(each)]
        places += [each for each in conditions if not any(each.is_within(known) for known in places)]
        places = [each for each in places if not any(each.is_within(known) for known in self._handled_here)]
        if places:
            errors = tuple(FieldError(pointer_of(each), "cannot be carried with this action") for each in places)
            raise MalformedRequest(
                f"The request has values that {mapping.action} cannot carry: {', '.join(map(str, places))}.",
                Explanation(errors=errors),
            )

    @cached_property
    def _handled_here(self) -> tuple[Place, ...]:
        """The places of the header fields that Jobgate itself uses."""
        named = self.native.vendor.client_request
        return tuple(each for each in (Place("header", (KEY,)), named) if each is not None)

    def _values(self, read: ReadMapping, asked: VendorRequest) -> Mapping[str, Json]:
        """The values that a read carries. The constants of the document hold for the vendor's own jobs too.

        Those in the body do not: they are Jobgate's choice among what the vendor offers.

        Raises UnknownJob if the request names another account, MalformedRequest if another value does not fit.
        """
        if read.lens.is_for_another_account(asked.parts()):
            raise UnknownJob(NO_SUCH_JOB)
        try:
            return read.clients_lens.decode(asked.parts())
        except LensMismatch as mismatch:
            error = FieldError(pointer_of(mismatch.place), str(mismatch).removeprefix(f"{mismatch.place} "))
            raise MalformedRequest(f"The request is not valid: {mismatch}.", Explanation(errors=(error,))) from None

    def _named_by_its_client(self, request: Request, asked: ActionRequest) -> ActionRequest:
        """The action request with the name that the vendor's clients give it as its idempotency key, if it has one.

        Some clients give each request a new name, and keep it when they send the request again. Others use one name for
        several requests: these are the same request only if everything else is equal too, and the first was not
        refused. A job may allow tomorrow what it does not allow today.
        """
        place = self.native.vendor.client_request
        named = None if place is None else request.fields.get(place.keys[0].lower().encode())
        if place is None or named is None:
            return asked
        name = hashlib.sha256(named + asked.fingerprint).hexdigest()[:32]
        return replace(asked, key=f"{place.keys[0]}:{name}", keeps_refusals=False)

    # What is answered

    async def _reply(self, request: Request, connection: Connection, result: ActionResult) -> Reply:
        record = result.record
        if record.status is not JobActionStatus.SUCCEEDED and not self._is_accepted_only(record):
            raise self._problem(record).explain(replayed=result.is_replayed)
        headers = {JOB_ACTION: record.id}
        if record.requested.warnings:
            headers["jobgate-recorded-only"] = ", ".join(each.parameter for each in record.requested.warnings)
        if result.is_replayed:
            headers["idempotent-replayed"] = "true"
        nothing = self._nothing[request.operation.operation_id]
        if nothing is not None:
            return Reply(nothing, request.operation.success, headers)
        job, versions = await self._job_after(request, connection, result)
        response = request.operation.response(request.operation.success)
        is_makeshift = job is None or not takes(response, job)
        body = self._as_recorded(request, connection, record) if is_makeshift else job
        return Reply(body, request.operation.success, headers | versions, is_makeshift=is_makeshift)

    @cached_property
    def _nothing(self) -> Mapping[str, Json]:
        """The reply of success that says nothing, by the operation of the action; None if the document has none."""
        operations = [self.native.api.operations[name] for name in self.native.actions]
        answers = {each.operation_id: each.response(each.success) for each in operations}
        return {name: next((each for each in NOTHING if takes(answer, each)), None) for name, answer in answers.items()}

    def _is_accepted_only(self, record: JobActionRecord) -> bool:
        """True if the job's vendor has accepted the action, and the success of this API promises no more than that."""
        mapping = self.native.vendor.actions[record.job_action.action]
        problem = record.problem
        return mapping.result is Result.ACCEPTED and problem is not None and problem.code == NotConfirmed.code

    async def _job_after(
        self, request: Request, connection: Connection, result: ActionResult
    ) -> tuple[Mapping[str, Json] | None, dict[str, str]]:
        """The job after an action in this vendor's words, and the header fields with its version.

        It is None if it cannot be read, or not be expressed in them.
        """
        record = result.record
        try:
            job_id, context = record.requested.job_action.job_id, self._context(request)
            job = result.job or await self.services.jobs.get(connection, job_id, context)
            shown = job.vendor_object if self._is_own(connection) else self.words.job(job, self._account(request))
            return shown, self._versions(request.operation, job)
        except JobgateError as error:
            log.warning("a job could not be read after an action on it: %s", error.code)
        except Exception:  # the action is done, whatever is wrong with its reply
            log.exception("unexpected error after job action %s", record.id)
        return None, {}

    def _versions(self, operation: Operation, job: Job) -> dict[str, str]:
        """The header fields with the job's version that the vendor's document has for the reply to an action."""
        read, response = self.native.vendor.job_read, operation.response(operation.success)
        documented = {name.lower() for name in response.headers} if response else set()
        written = {} if read is None else self.words.headers(read, job)
        return {name: value for name, value in written.items() if name.lower() in documented}

    def _account(self, request: Request) -> dict[str, Json]:
        """The values of this vendor's account that the request for an action names."""
        asked = self._vendor_request(request)
        lenses = self.native.vendor.lenses_of(asked.operation_id)
        return account_of({name: each for lens in lenses for name, each in lens.legible(asked.parts()).items()})

    def _as_recorded(self, request: Request, connection: Connection, record: JobActionRecord) -> Json:
        """The job's id and status from the record, in this vendor's words."""
        shown = record.job
        status = None
        if shown is not None:
            vendor = self.native.vendor
            status = shown.vendor_status if self._is_own(connection) else vendor.word_for(shown.status)
        values: dict[str, Json] = {Source.JOB_ID: record.requested.job_action.job_id, Source.JOB_VENDOR_STATUS: status}
        shape, account = self._specification(connection).job, self._account(request)
        try:
            return self.words.write(shape, values | account)
        except UnmappableValue:  # a status that the document does not have
            return self.words.write(shape, {Source.JOB_ID: values[Source.JOB_ID], **account})

    def _problem(self, record: JobActionRecord) -> JobgateError:
        if record.conclusion is not None:
            return problem_of(record)
        return VendorTimedOut(
            "The same request, sent before, is still being worked on.", Explanation(job_action=record.id)
        )

    async def _own_page(
        self, read: ReadMapping, request: Request, connection: Connection, asked: VendorRequest
    ) -> Reply:
        """A page of the vendor's own jobs, unchanged except that its links to pages lead here.

        A link that leads elsewhere is left out. Tokens and numbers of pages are the vendor's own.
        """
        cursor = None
        place = read.lens.place_of(Source.PAGE_CURSOR)
        if read.next_link is not None and place is not None:
            query = dict(asked.query)
            cursor = query.pop(place.keys[0], None)
            asked = replace(asked, query=query)
        page = await self.services.jobs.vendor_page(
            connection, asked, None if cursor is None else str(cursor), self._context(request)
        )
        if not page.links:
            return Reply(page.body)
        parts: dict[str, Any] = {"body": deepcopy(page.body)}
        for link, following in page.links.items():
            if following is not None:
                link.put(parts, self._link(read, request, following))
            elif link.get(parts):
                link.remove(parts)
        return Reply(parts["body"])

    def _check_filters(self, read: ReadMapping, connection: Connection, asked: VendorRequest) -> None:
        """Refuse filters that cannot be translated. If they were ignored, the list would have unwanted jobs."""
        parts = asked.parts()
        refused = [
            *lost(read.operation, read.lens, parts),
            *read.lens.choices.contradicted(parts),
            *(place for place in read.filters_of_its_own if place.get(parts) is not None),
        ]
        if refused:
            vendor = connection.vendor.name
            names = ", ".join(".".join(each.keys) for each in refused)
            raise ParameterNotSupported(
                f"The jobs of {vendor} cannot be filtered by {names}.",
                Explanation(
                    errors=tuple(FieldError(pointer_of(each), f"is not known to {vendor}") for each in refused)
                ),
            )

    async def _continued(
        self, read: ReadMapping, request: Request, connection: Connection, values: Mapping[str, Json]
    ) -> Reply:
        """A page of another vendor's jobs, with a link to the next page, or a token for it: Jobgate's cursor."""
        wanted, status = self._wanted(read, values)
        window = window_of(values)
        limit, cursor = int(str(values.get(Source.PAGE_LIMIT, read.usual_page()))), values.get(Source.PAGE_CURSOR)

        def is_wanted(job: Job) -> bool:
            return is_within(window, job) and (is_unclear(job) or self._is_in(wanted, job))

        page = await self.services.jobs.page(
            connection,
            limit,
            None if cursor is None else str(cursor),
            status,
            self._context(request),
            is_wanted=is_wanted,
        )
        shown, left_out = self._shown(read, page.items, wanted, account_of(values))
        following = page.next_cursor
        if following is not None and read.next_link is not None:
            following = self._link(read, request, following)
        counts: dict[str, Json] = {Source.PAGE_LIMIT: limit, Source.PAGE_COUNT: len(shown)}
        headers = rendering.left_out(page.left_out + left_out)
        return Reply(page_body(read, shown, counts, {read.next_page: following}), headers=headers)

    async def _numbered(
        self, read: ReadMapping, request: Request, connection: Connection, values: Mapping[str, Json]
    ) -> Reply:
        """A page of another vendor's jobs, by its number. All jobs are read, since the page has their count."""
        wanted, status = self._wanted(read, values)
        window = window_of(values)
        jobs = await self._all(connection, status, self._context(request), lambda job: is_within(window, job))
        shown, left_out = self._shown(read, jobs.items, wanted, account_of(values))
        limit = int(str(values.get(Source.PAGE_LIMIT, read.usual_page())))
        number = int(str(values.get(Source.PAGE_NUMBER, 1)))
        part = Part(shown[(number - 1) * limit : number * limit], number, limit, len(shown))
        return Reply(numbered_page(read, part), headers=rendering.left_out(jobs.left_out + left_out))

    async def _all(
        self, connection: Connection, status: str | None, context: CallContext, is_wanted: Callable[[Job], bool]
    ) -> Page[Job]:
        """All wanted jobs that are in a status, as one page. Raises ValueNotSupported if they are too many."""
        jobs: list[Job] = []
        left_out = 0
        cursor: str | None = None
        for _ in range(MOST_PAGES):
            page = await self.services.jobs.page(connection, LARGEST_PAGE, cursor, status, context, is_wanted=is_wanted)
            jobs += page.items
            left_out += page.left_out
            cursor = page.next_cursor
            if cursor is None:
                return Page(tuple(jobs), left_out=left_out)
        raise self._no_words(connection, f"more than {len(jobs)} jobs")

    def _wanted(self, read: ReadMapping, values: Mapping[str, Json]) -> tuple[frozenset[str], str | None]:
        """The requested statuses in this vendor's words, and the common word for them if there is exactly one."""
        wanted = read.selected(values.get(Source.JOB_VENDOR_STATUS))
        common = {shown for name in wanted for shown in self._shown_as(name)}
        return wanted, next(iter(common)) if len(common) == 1 else None

    def _shown_as(self, name: str) -> Iterator[str]:
        """The common words that are shown as this status of the vendor; none if it has no such status."""
        known = self.native.vendor.statuses.get(name)
        if known is not None:
            yield from known.shows or (known.pair.status,)

    def _shown(
        self, read: ReadMapping, jobs: Sequence[Job], wanted: frozenset[str], account: Mapping[str, Json]
    ) -> tuple[list[Mapping[str, Json]], int]:
        """The wanted jobs in this vendor's words, and the number of jobs that may be wanted, but cannot be shown so."""
        chosen = [job for job in jobs if self._is_in(wanted, job)]
        shown = [each for each in (self.words.job(job, account, read) for job in chosen) if each is not None]
        unclear = sum(is_unclear(job) and not self._is_in(wanted, job) for job in jobs)
        return shown, len(chosen) - len(shown) + unclear

    def _is_in(self, wanted: frozenset[str], job: Job) -> bool:
        """True if the job is in one of these statuses, in this vendor's words. Without any, every job is."""
        return not wanted or self.words.status(job) in wanted

    def _link(self, read: ReadMapping, request: Request, cursor: str) -> str:
        """The URL of the next page: the same request with the cursor."""
        place = read.lens.place_of(Source.PAGE_CURSOR)
        query = {**request.query, **({place.keys[0]: cursor} if place else {})}
        root = f"{request.address.root}{self.native.base_path}"
        return url(request.operation, VendorRequest("", request.path, query), root)

    def _no_words(self, connection: Connection, what: str) -> ValueNotSupported:
        vendor = connection.vendor.name
        return ValueNotSupported(
            f"{self.native.vendor.name} has no words for {what} of {vendor}.",
            Explanation(vendor=VendorResponse(vendor)),
        )


def account_of(values: Mapping[str, Json]) -> dict[str, Json]:
    """The values of an account among those of a request."""
    return {name: value for name, value in values.items() if name.startswith(ACCOUNT)}


def preconditions_of(fields: Fields) -> list[Place]:
    """The places of the header fields that make a request conditional."""
    if fields.keys().isdisjoint(PRECONDITIONS):
        return []
    return [Place("header", (name.decode(),)) for name in PRECONDITIONS if name in fields]


def lost(operation: Operation, lens: Lens, parts: Parts) -> list[Place]:
    """The places of all values of a request that a lens does not carry, except those that equal their default."""
    places = lens.not_carried(parts)
    if not places:
        return []
    rest: dict[str, Any] = {location: {} for location in parts}
    for place, value in values_of(parts):
        if place.keys and place not in places:
            place.put(rest, value)
    filled = operation.with_defaults(rest)
    return [place for place in places if place.get(filled) is None or place.get(filled) != place.get(parts)]


def window_of(values: Mapping[str, Json]) -> Window | None:
    """The time range of a list that a client asks for. Raises MalformedRequest if it is not one."""
    try:
        return Window.of(values)
    except ValueError as error:
        raise MalformedRequest(f"The request is not valid: {error}.") from None


def is_within(window: Window | None, job: Job) -> bool:
    """True unless the job was created outside of the time range. A job without a known time may be inside."""
    return window is None or window.may_have(job.timestamps.get(CREATED_AT))


def pointer_of(place: Place) -> str:
    """A place of a message as a JSON pointer."""
    return pointer(place.location, *place.keys)


def takes(response: Response | None, body: Json) -> bool:
    """True if a documented response has no body, or one that this may be."""
    bodies = [] if response is None else response.bodies.values()
    return all(each.is_valid(body) for each in bodies)


def documented_headers(operation: Operation, headers: Mapping[str, str]) -> dict[str, str]:
    """The header fields of a vendor's reply that its document lists."""
    response = operation.response(HTTPStatus.OK)
    names = response.headers if response else ()
    return {name: headers[name.lower()] for name in names if name.lower() in headers}


def without_own_parameters(connection: Connection, job_action: JobAction) -> JobAction:
    """The job action without parameters that only the dialect's vendor has, such as the medium of a conversation.

    Like the values of an account, they say where the job is at that vendor, and nothing about a job of another one.
    """
    known = connection.vendor.capabilities[job_action.action].parameters
    return replace(
        job_action, parameters={each: job_action.parameters[each] for each in job_action.parameters if each in known}
    )
