"""A vendor's own API: the vendor's clients act on jobs of any vendor, and get answers in that vendor's words.

The handlers are the same for every vendor; the differences are in the vendor's document. Jobs of the same vendor are
passed on unchanged, so that nothing is lost. Jobs of another vendor are translated through the common words that both
documents use.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

from msgspec.structs import replace

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
    ParameterNotSupported,
    ValueNotSupported,
    VendorTimedOut,
)
from gateway.domain.model import Job, JobAction, Json, VendorRequest, VendorResponse
from gateway.domain.record import JobActionRecord, JobActionStatus, problem_of
from gateway.domain.vocabulary import LARGEST_PAGE, Source
from gateway.edge.surface import Handler, Reply, Request
from gateway.engine.action import ActionRequest
from gateway.engine.calls import CallContext
from gateway.engine.connections import Connection
from gateway.engine.jobs import MOST_PAGES
from gateway.engine.wire import path_errors, url
from gateway.security.access_tokens import LIFE_SECONDS
from gateway.security.grants import NO_STORE, OAuthError, granted, read_basic, read_grant
from gateway.specs.native import CONNECTION, GRANT, KEY, NativeApi
from gateway.specs.numbered_pages import Part, numbered_page
from gateway.specs.operations import Operation
from gateway.specs.vendor import ReadMapping

LEFT_OUT = "jobgate-left-out"
"""Header field with the number of jobs that are not in a list because the vendor's words cannot express them."""


@dataclass(frozen=True)
class Dialect:
    """The handlers of one vendor's own API."""

    native: NativeApi
    services: Services

    @property
    def words(self) -> Words:
        """The vendor's words."""
        return Words(self.native.vendor)

    def handlers(self) -> dict[str, Handler]:
        """The handlers by operationId."""
        found: dict[str, Handler] = {GRANT: self.grant}
        found |= dict.fromkeys(self.native.actions, self.act)
        for name, read in self.native.vendor.reads.items():
            found[name] = partial(self.get_job if read.items is None else self.list_jobs, read)
        return found

    async def act(self, request: Request) -> Reply:
        """Perform the job action of a request, and wait for its outcome."""
        connection = self._connection(request)
        job_action = self._job_action(request)
        asked = ActionRequest(
            connection, job_action, request.caller.name, signature=request.signature, origin=request.origin
        )
        action_request = self._with_key(request, asked)
        if action_request.key is None and connection.needs_key:
            raise IdempotencyKeyMissing(f"Actions on jobs of {connection.name} need an {KEY} header.")
        result = await self.services.actions.perform(action_request)
        record = result.record
        if not record.is_settled:
            # The vendor's clients do not expect an outcome that follows later.
            record = await self.services.reconciler.wait(record, self.services.calls.seconds)
        return self._reply(request, record, is_replayed=result.is_replayed)

    async def get_job(self, read: ReadMapping, request: Request) -> Reply:
        """Return one job."""
        connection = self._connection(request)
        asked = self._vendor_request(request)
        context = self._context(request)
        if self._is_own(connection):
            reply = await self.services.jobs.read(connection, asked, context)
            return Reply(reply.body, headers=documented_headers(request.operation, reply.http.headers))
        job_id = str(read.lens.decode(asked.parts())[Source.JOB_ID])
        job = await self.services.jobs.get(connection, job_id, context)
        shown = self.words.job(job)
        if shown is None:
            raise self._no_words(connection, "this job")
        return Reply(shown, headers=self.words.headers(read, job))

    async def list_jobs(self, read: ReadMapping, request: Request) -> Reply:
        """Return a page of jobs."""
        connection = self._connection(request)
        asked = self._vendor_request(request)
        if self._is_own(connection):
            return await self._own_page(read, request, connection, asked)
        self._check_filters(read, connection, asked)
        values = read.lens.decode(asked.parts())
        if read.next_link is None:
            return await self._numbered(read, request, connection, values)
        return await self._linked(read, request, connection, values)

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
        return connection.vendor.specification.name == self.native.vendor.name

    def _context(self, request: Request) -> CallContext:
        return self.services.calls.context(request.origin, caller=request.caller.name)

    def _vendor_request(self, request: Request) -> VendorRequest:
        """The request in terms of the vendor's own document. Raises MalformedRequest if an id cannot be in a path."""
        operation = self.native.vendor.api.operations[request.operation.operation_id]
        own = {
            location: {name: value for name, value in values.items() if name in operation.declared[location]}
            for location, values in (("path", request.path), ("query", request.query), ("header", request.header))
        }
        asked = VendorRequest(operation.operation_id, own["path"], own["query"], own["header"], request.body)
        errors = path_errors(asked)
        if errors:
            raise MalformedRequest(
                f"The request does not fit: {errors[0].pointer} {errors[0].detail}.", Explanation(errors=errors)
            )
        return asked

    def _job_action(self, request: Request) -> JobAction:
        asked = self._vendor_request(request)
        job_action = self.native.vendor.decode(asked.operation_id, asked.parts())
        if job_action is None:
            raise ValueNotSupported("The request asks for an action that does not exist.")
        return job_action

    def _with_key(self, request: Request, action_request: ActionRequest) -> ActionRequest:
        """The action request with an idempotency key: the request's own, or the name that the vendor's clients give it.

        Some clients give each request a new name, and keep it when they send the request again. Others use one name for
        several requests: these are the same request only if everything else is equal too, and the first was not
        refused. A job may allow tomorrow what it does not allow today.
        """
        place = self.native.vendor.client_request
        named = None if place is None else request.fields.get(place.keys[0].lower().encode())
        if KEY in request.header or place is None or named is None:
            return replace(action_request, key=key_of(request))
        name = hashlib.sha256(named + action_request.fingerprint).hexdigest()[:32]
        return replace(action_request, key=f"{place.keys[0]}:{name}", keeps_refusals=False)

    # What is answered

    def _reply(self, request: Request, record: JobActionRecord, *, is_replayed: bool) -> Reply:
        if record.status is not JobActionStatus.SUCCEEDED:
            raise self._problem(record).explain(replayed=is_replayed)
        kept = ", ".join(each.parameter for each in record.requested.warnings)
        headers = {JOB_ACTION: record.id}
        headers |= {"jobgate-recorded-only": kept} if kept else {}
        headers |= {"idempotent-replayed": "true"} if is_replayed else {}
        return Reply({}, request.operation.success, headers)

    def _problem(self, record: JobActionRecord) -> JobgateError:
        if record.conclusion is not None:
            return problem_of(record)
        return VendorTimedOut(
            "The same request, sent before, is still being worked on.", Explanation(job_action=record.id)
        )

    async def _own_page(
        self, read: ReadMapping, request: Request, connection: Connection, asked: VendorRequest
    ) -> Reply:
        """A page of the vendor's own jobs, unchanged except that its link to the next page leads here."""
        place = read.lens.place_of(Source.PAGE_CURSOR)
        query = dict(asked.query)
        cursor = query.pop(place.keys[0], None) if place else None
        own = VendorRequest(asked.operation_id, asked.path, query, asked.header)
        page = await self.services.jobs.vendor_page(
            connection, own, None if cursor is None else str(cursor), self._context(request)
        )
        if read.next_link is None or page.next_cursor is None:
            return Reply(page.body)
        parts: dict[str, Any] = {"body": dict(page.body)}
        read.next_link.put(parts, self._link(read, request, page.next_cursor))
        return Reply(parts["body"])

    def _check_filters(self, read: ReadMapping, connection: Connection, asked: VendorRequest) -> None:
        """Refuse filters that cannot be translated. If they were ignored, the list would have unwanted jobs."""
        refused = [name for name in asked.query if name not in read.common_query]
        if refused:
            vendor = connection.vendor.name
            raise ParameterNotSupported(
                f"The jobs of {vendor} cannot be filtered by {', '.join(refused)}.",
                Explanation(
                    errors=tuple(FieldError(f"/query/{name}", f"is not known to {vendor}") for name in refused)
                ),
            )

    async def _linked(
        self, read: ReadMapping, request: Request, connection: Connection, values: Mapping[str, Json]
    ) -> Reply:
        """A page of another vendor's jobs, with a link to the next page."""
        wanted, status = self._wanted(read, values)
        limit, cursor = int(str(values.get(Source.PAGE_LIMIT, read.usual_page()))), values.get(Source.PAGE_CURSOR)

        def is_wanted(job: Job) -> bool:
            return not wanted or self.words.status(job) in wanted

        page = await self.services.jobs.page(
            connection,
            limit,
            None if cursor is None else str(cursor),
            status,
            self._context(request),
            is_wanted=is_wanted,
        )
        shown, left_out = self._shown(page.items, wanted)
        parts: dict[str, Any] = {}
        if read.items is not None:
            read.items.put(parts, shown)
        if read.next_link is not None and page.next_cursor is not None:
            read.next_link.put(parts, self._link(read, request, page.next_cursor))
        return Reply(parts["body"], headers=left_out)

    async def _numbered(
        self, read: ReadMapping, request: Request, connection: Connection, values: Mapping[str, Json]
    ) -> Reply:
        """A page of another vendor's jobs, by its number. All jobs are read, since the page has their count."""
        wanted, status = self._wanted(read, values)
        shown, left_out = self._shown(await self._all(connection, status, self._context(request)), wanted)
        limit = int(str(values.get(Source.PAGE_LIMIT, read.usual_page())))
        number = int(str(values.get(Source.PAGE_NUMBER, 1)))
        part = Part(shown[(number - 1) * limit : number * limit], number, limit, len(shown))
        return Reply(numbered_page(read, part), headers=left_out)

    async def _all(self, connection: Connection, status: str | None, context: CallContext) -> list[Job]:
        jobs: list[Job] = []
        cursor: str | None = None
        for _ in range(MOST_PAGES):
            page = await self.services.jobs.page(connection, LARGEST_PAGE, cursor, status, context)
            jobs += page.items
            cursor = page.next_cursor
            if cursor is None:
                return jobs
        raise self._no_words(connection, f"more than {len(jobs)} jobs")

    def _wanted(self, read: ReadMapping, values: Mapping[str, Json]) -> tuple[frozenset[str], str | None]:
        """The requested statuses in this vendor's words, and the common word for them if there is exactly one."""
        word = values.get(Source.JOB_VENDOR_STATUS)
        wanted = read.selected(None if word is None else str(word))
        common = {shown for name in wanted for shown in self._shown_as(name)}
        return wanted, next(iter(common)) if len(common) == 1 else None

    def _shown_as(self, name: str) -> Iterator[str]:
        """The common words that are shown as this status of the vendor."""
        known = self.native.vendor.statuses[name]
        yield from known.shows or (known.pair.status,)

    def _shown(self, jobs: Iterable[Job], wanted: frozenset[str]) -> tuple[list[Mapping[str, Json]], dict[str, str]]:
        """The wanted jobs in this vendor's words, and the header with the number of jobs that they cannot express."""
        chosen = [job for job in jobs if not wanted or self.words.status(job) in wanted]
        shown = [each for each in map(self.words.job, chosen) if each is not None]
        missing = len(chosen) - len(shown)
        return shown, {LEFT_OUT: str(missing)} if missing else {}

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


def documented_headers(operation: Operation, headers: Mapping[str, str]) -> dict[str, str]:
    """The header fields of a vendor's reply that its document lists."""
    response = operation.response(HTTPStatus.OK)
    names = response.headers if response else ()
    return {name: headers[name.lower()] for name in names if name.lower() in headers}
