"""Jobs as Jobgate shows them: read from the vendor, and translated into common words."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from msgspec.structs import replace

from gateway.domain.entity_tags import entity_tag
from gateway.domain.errors import (
    Explanation,
    GatewayError,
    JobState,
    ListNotSupported,
    UnknownJob,
    VendorRefused,
    VendorReplyNotUnderstood,
)
from gateway.domain.model import BlockedAction, Job, JobAction, Json, Page, VendorRequest, VendorResponse
from gateway.domain.times import is_date_time
from gateway.domain.vocabulary import (
    LARGEST_PAGE,
    LONGEST_GROUP,
    LONGEST_JOB_ID,
    LONGEST_STATUS,
    LONGEST_TIME,
    TIMESTAMP,
    UNKNOWN_STATUS,
    Source,
)
from gateway.engine.calls import CallContext, Calls
from gateway.engine.connections import Connection, Vendor
from gateway.engine.paging import beginning, documented, first_page, link_cursor, next_cursor, other_links, page_at
from gateway.engine.wire import VendorReply, url
from gateway.specs.job_shape import JobShape
from gateway.specs.lens import Place
from gateway.specs.vendor import ActionMapping, PartMapping, ReadMapping

MOST_PAGES = 1_000
"""Most pages of a vendor's list that are searched for one job, if the vendor has no read of a single job."""
MOST_PASSED_OVER = 20
"""Most pages of a vendor's list without a matching job that are skipped to fill one page of ours."""


def anything(job: Job) -> bool:  # noqa: ARG001 - a filter that keeps everything
    """Return True: every job is wanted."""
    return True


@dataclass(frozen=True)
class VendorPage:
    """A page of a vendor's list: the body of the reply, and its job objects.

    `links` are the places of its links to pages, with their cursors: None if there is no link, or none that leads to
    the list.
    """

    body: Mapping[str, Json]
    items: tuple[Mapping[str, Json], ...]
    links: Mapping[Place, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Jobs:
    """Reads jobs."""

    calls: Calls

    async def get(self, connection: Connection, job_id: str, context: CallContext) -> Job:
        """Return one job. Raises UnknownJob, and what any call raises."""
        specification = connection.specification
        read = specification.job_read or specification.list_read
        if read is None:
            raise GatewayError(f"The document of {connection.vendor.name} has no operation that reads jobs.")
        return await self.get_by(connection, read, job_id, context)

    async def get_by(self, connection: Connection, read: ReadMapping, job_id: str, context: CallContext) -> Job:
        """Return one job, read by the given operation. Raises UnknownJob, and what any call raises."""
        get = self._get_one if read.items is None else self._find
        return await get(connection, read, connection.specification.job_id(job_id), context)

    async def page(  # noqa: PLR0913 - which jobs, and for whom
        self,
        connection: Connection,
        limit: int,
        cursor: str | None,
        status: str | None,
        context: CallContext,
        *,
        is_wanted: Callable[[Job], bool] = anything,
    ) -> Page[Job]:
        """Return a page of the connection's jobs that are in `status` and wanted. `cursor` is from an earlier page.

        Pages of the vendor without such jobs are skipped, up to a limit in number and time. Wanted jobs of unknown
        status, which may be in `status`, are left out and counted. Raises UnknownCursor, and ListNotSupported if the
        vendor has no list.
        """
        read = list_of(connection)
        request = first_page(connection.vendor, read, limit, status, self.calls.clock.now())
        if cursor is not None:
            request = page_at(connection, read, request, cursor)
        enough = (self.calls.clock.monotonic() + context.deadline) / 2
        page = in_status(status, await self._page(connection, read, request, context, is_wanted))
        for _ in range(MOST_PASSED_OVER):
            if page.items or page.next_cursor is None or self.calls.clock.monotonic() >= enough:
                break
            request = page_at(connection, read, request, page.next_cursor)
            following = in_status(status, await self._page(connection, read, request, context, is_wanted))
            page = replace(following, left_out=page.left_out + following.left_out)
        return page

    async def listed(
        self, connection: Connection, filters: Mapping[str, Json], limit: int, cursor: str | None, context: CallContext
    ) -> Page[Job]:
        """Return one page of the vendor's list. `filters`, by their sources, narrow it where the vendor has them.

        Raises UnknownCursor, ListNotSupported if the vendor has no list, and what any call raises.
        """
        read = list_of(connection)
        request = beginning(read, limit, filters, self.calls.clock.now())
        if cursor is not None:
            request = page_at(connection, read, request, cursor)
        return await self._page(connection, read, request, context)

    async def read(self, connection: Connection, request: VendorRequest, context: CallContext) -> VendorReply:
        """Return the vendor's own reply to a read of one job. Raises what any call raises."""
        read = connection.specification.reads[request.operation_id]
        reply = await self.calls.send(self.calls.prepare(connection, read.operation, read.lens, request, context))
        self._object(connection, reply)
        return reply

    async def part(
        self, connection: Connection, read: PartMapping, job_action: JobAction, context: CallContext
    ) -> Mapping[str, Json]:
        """Return the body of the reply to a read of something besides the job. Raises what any call raises."""
        request = read.encode(job_action)
        reply = await self.calls.send(self.calls.prepare(connection, read.operation, read.lens, request, context))
        return self._object(connection, reply)

    async def vendor_page(
        self, connection: Connection, request: VendorRequest, cursor: str | None, context: CallContext
    ) -> VendorPage:
        """Return a page of jobs as the vendor shows them, for the vendor's own request. Raises UnknownCursor."""
        read = connection.specification.reads[request.operation_id]
        if cursor is not None:
            request = page_at(connection, read, request, cursor)
        page = await self._vendor_page(connection, read, request, context)
        if read.next_link is None:
            return page
        following = link_cursor(connection, read, request, read.next_link.get({"body": page.body}))
        links = other_links(connection, read, request, page.body)
        return dataclasses.replace(page, links={**links, read.next_link: following})

    async def _get_one(self, connection: Connection, read: ReadMapping, job_id: str, context: CallContext) -> Job:
        reply = await self.read(connection, read.encode({Source.JOB_ID: job_id}), context)
        job = read.job_in(self._object(connection, reply))
        if not isinstance(job, Mapping):
            raise not_understood(connection, reply)
        return versioned(normalise(connection, job, read.job), read, reply)

    async def _find(self, connection: Connection, read: ReadMapping, job_id: str, context: CallContext) -> Job:
        request = first_page(connection.vendor, read, read.largest_page(), None, self.calls.clock.now())
        for _ in range(MOST_PAGES):
            page = await self._page(connection, read, request, context)
            found = next((job for job in page.items if job.id == job_id), None)
            if found is not None:
                return found
            if page.next_cursor is None:
                break
            request = page_at(connection, read, request, page.next_cursor)
        raise UnknownJob(
            f"{connection.vendor.name} has no job of this id in connection {connection.name}.",
            Explanation(vendor=VendorResponse(connection.vendor.name)),
        )

    async def _page(
        self,
        connection: Connection,
        read: ReadMapping,
        request: VendorRequest,
        context: CallContext,
        is_wanted: Callable[[Job], bool] = anything,
    ) -> Page[Job]:
        page = await self._vendor_page(connection, read, request, context)
        following = next_cursor(connection, read, request, page.body, len(page.items))
        jobs = (normalise(connection, item, read.job) for item in page.items)
        return Page(tuple(filter(is_wanted, jobs)), following)

    async def _vendor_page(
        self, connection: Connection, read: ReadMapping, request: VendorRequest, context: CallContext
    ) -> VendorPage:
        call = self.calls.prepare(connection, read.operation, read.lens, documented(read, request), context)
        whole = replace(call.request, url=url(read.operation, request, connection.endpoint))
        reply = await self.calls.send(replace(call, request=whole))
        try:
            body = self._object(connection, reply)
        except UnknownJob:  # the request named no job
            raise self.calls.of_kind(VendorRefused, connection, reply) from None
        items = read.items.get({"body": body}) if read.items else None
        is_too_long = isinstance(items, list) and len(items) > LARGEST_PAGE
        if is_too_long or not isinstance(items, list) or not all(isinstance(each, dict) for each in items):
            raise not_understood(connection, reply)
        return VendorPage(body, tuple(items))

    def _object(self, connection: Connection, reply: VendorReply) -> Mapping[str, Json]:
        if reply.status != HTTPStatus.OK:
            raise self.calls.problem(connection, reply)
        if not isinstance(reply.body, Mapping):
            raise not_understood(connection, reply)
        return reply.body


def list_of(connection: Connection) -> ReadMapping:
    """The vendor's list of jobs. Raises ListNotSupported if it has none."""
    read = connection.specification.list_read
    if read is None:
        raise ListNotSupported(f"{connection.vendor.name} has no list of jobs. Read each job by its id.")
    return read


def in_status(status: str | None, page: Page[Job]) -> Page[Job]:
    """The jobs of a page that are in a status; None: in any. Those of unknown status are left out and counted."""
    if status is None:
        return page
    items = tuple(job for job in page.items if job.status.status == status)
    return replace(page, items=items, left_out=0 if status == UNKNOWN_STATUS else sum(map(is_unclear, page.items)))


def is_unclear(job: Job) -> bool:
    """True if the status of a job is not known: it may be any."""
    return job.status.status == UNKNOWN_STATUS


def not_understood(connection: Connection, reply: VendorReply) -> VendorReplyNotUnderstood:
    """Problem for a reply that cannot be parsed."""
    return VendorReplyNotUnderstood(
        f"{connection.vendor.name} answered {reply.status} with a body that its document does not describe.",
        Explanation(vendor=VendorResponse(connection.vendor.name, reply.status)),
    )


def normalise(connection: Connection, vendor_object: Mapping[str, Json], shape: JobShape | None = None) -> Job:
    """Translate a job object, by default in the shape of x-job-vendor, into common words.

    Raises VendorReplyNotUnderstood without id or status.
    """
    vendor = connection.vendor
    values = (shape or connection.specification.job).legible({"body": vendor_object})
    job_id = word(values, Source.JOB_ID, LONGEST_JOB_ID)
    vendor_status = word(values, Source.JOB_VENDOR_STATUS, LONGEST_STATUS)
    if job_id is None or vendor_status is None:
        missing = Source.JOB_ID if job_id is None else Source.JOB_VENDOR_STATUS
        raise VendorReplyNotUnderstood(
            f"{vendor.name} sent a job without a usable {vendor.specification.job.place_of(missing)} ({missing}).",
            Explanation(vendor=VendorResponse(vendor.name)),
        )
    status = vendor.specification.status(vendor_status)
    allowed = allowed_actions(vendor, status.pair.vendor_status)
    return Job(
        id=vendor.specification.job_id(job_id),
        connection=connection.name,
        vendor=vendor.name,
        status=status.pair,
        final=status.final,
        allowed_actions=allowed,
        blocked_actions=tuple(
            BlockedAction(action, blocked_reason(vendor, action, status.pair.vendor_status))
            for action in vendor.capabilities
            if action not in allowed
        ),
        timestamps=timestamps(values),
        vendor_object=vendor_object,
        version=entity_tag(values.get(Source.JOB_VERSION)),
        queue=word(values, Source.JOB_QUEUE, LONGEST_GROUP),
        type=word(values, Source.JOB_TYPE, LONGEST_GROUP),
    )


def versioned(job: Job, read: ReadMapping, reply: VendorReply) -> Job:
    """The job with the version that a reply has beside it."""
    version = entity_tag(read.reply.read(Source.JOB_VERSION, reply.parts))
    return job if version is None else replace(job, version=version)


def job_in_reply(connection: Connection, mapping: ActionMapping, job_id: str, reply: VendorReply) -> Job:
    """The job with which a vendor answers an action. Raises VendorReplyNotUnderstood if it is not that job."""
    if not isinstance(reply.body, Mapping):
        raise not_understood(connection, reply)
    job = normalise(connection, reply.body)
    if job.id != job_id:
        raise not_understood(connection, reply)
    return versioned(job, connection.specification.reads[mapping.confirm], reply)


def word(values: Mapping[str, Json], name: str, longest: int) -> str | None:
    """A text, or an integer as text; None if it is missing, of another type, or longer than `longest` characters."""
    value = values.get(name)
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return text if 0 < len(text) <= longest else None


def allowed_actions(vendor: Vendor, vendor_status: str) -> tuple[str, ...]:
    """The actions that are allowed on a job in this status."""
    return tuple(action for action in vendor.capabilities if vendor.specification.allows(action, vendor_status))


def blocked_reason(vendor: Vendor, action: str, vendor_status: str) -> str:
    """The reason why an action is not allowed, for people to read."""
    mapping = vendor.capabilities[action].mapping
    if mapping is None:
        return f"{vendor.name} has no such action."
    if vendor_status in vendor.specification.vague_statuses:
        return "The list does not tell the status of this job. Read the job to see."
    return f"Allowed when the job is {' or '.join(mapping.from_statuses)}; it is {vendor_status}."


def job_state(job: Job) -> JobState:
    """The part of a job that explains a refusal."""
    return JobState(job.status, job.allowed_actions)


def timestamps(values: Mapping[str, Json]) -> dict[str, str]:
    """The times among a job's values. A text that is not an RFC 3339 time, or too long, is left out."""
    found = {name.removeprefix(TIMESTAMP): value for name, value in values.items() if name.startswith(TIMESTAMP)}
    return {name: value for name, value in found.items() if isinstance(value, str) and is_shown(value)}


def is_shown(text: str) -> bool:
    """True if a vendor's text is a time that fits into an answer."""
    return len(text) <= LONGEST_TIME and is_date_time(text)
