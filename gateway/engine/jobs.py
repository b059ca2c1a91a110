"""Jobs as Jobgate shows them: read from the vendor, put into common words."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from gateway.domain.errors import (
    Explanation,
    FieldError,
    GatewayError,
    JobState,
    UnknownCursor,
    UnknownJob,
    VendorRefused,
    VendorReplyNotUnderstood,
)
from gateway.domain.model import BlockedAction, Job, Json, Page, VendorRequest, VendorResponse
from gateway.engine.calls import Calls
from gateway.engine.connections import Connection, Vendor
from gateway.engine.wire import Reply, dump, json_value, url
from gateway.specs.vendor import ReadMapping

MOST_PAGES = 1_000
"""How many pages of a vendor's list are looked through for one job, where the vendor has no read of one job."""
MOST_JOBS = 1_000
"""How many jobs a page of a vendor's list may hold. No vendor is asked for more."""
LONGEST_ID = 1_024
LONGEST_STATUS = 256
LONGEST_CURSOR = 8_192
"""Characters, as the document of the unified API has them."""

_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(\.[0-9]{1,30})?(Z|[+-][0-9]{2}:[0-9]{2})"
)


@dataclass(frozen=True)
class Jobs:
    """Reads jobs."""

    calls: Calls

    async def get(self, connection: Connection, job_id: str, deadline: float | None = None) -> Job:
        """One job. Raises UnknownJob, and what any call raises."""
        until = self.calls.deadline() if deadline is None else deadline
        specification = connection.vendor.specification
        if specification.read_one is not None:
            return await self._get_one(connection, specification.read_one, job_id, until)
        if specification.read_list is not None:
            return await self._find(connection, specification.read_list, job_id, until)
        raise GatewayError(f"The document of {connection.vendor.name} has no operation that reads jobs.")

    async def page(self, connection: Connection, limit: int, cursor: str | None, status: str | None) -> Page[Job]:
        """A part of the connection's jobs. `cursor` is one that an earlier page gave. Raises UnknownCursor."""
        read = connection.vendor.specification.read_list
        if read is None:
            raise GatewayError(f"The document of {connection.vendor.name} has no operation that lists jobs.")
        request = first_page(connection.vendor, read, limit, status)
        if cursor is not None:
            request = page_at(connection, read, request, cursor)
        page = await self._page(connection, read, request, self.calls.deadline())
        return replace(page, items=tuple(job for job in page.items if status in {None, job.status.status}))

    async def _get_one(self, connection: Connection, read: ReadMapping, job_id: str, deadline: float) -> Job:
        request = read.encode({"job.id": job_id})
        prepared = self.calls.prepare(connection, read.operation, read.lens, request)
        reply = await self.calls.read(connection, prepared, deadline)
        return normalise(connection, self._object(connection, reply))

    async def _find(self, connection: Connection, read: ReadMapping, job_id: str, deadline: float) -> Job:
        request = first_page(connection.vendor, read, read.largest_page(), None)
        for _ in range(MOST_PAGES):
            page = await self._page(connection, read, request, deadline)
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
        self, connection: Connection, read: ReadMapping, request: VendorRequest, deadline: float
    ) -> Page[Job]:
        prepared = self.calls.prepare(connection, read.operation, read.lens, documented(read, request))
        prepared = replace(prepared, url=url(read.operation, request, connection.endpoint))
        reply = await self.calls.read(connection, prepared, deadline)
        try:
            body = self._object(connection, reply)
        except UnknownJob:  # nobody asked for a job
            raise self.calls.of_kind(VendorRefused, connection, reply) from None
        items = read.items.get({"body": body}) if read.items else None
        if not isinstance(items, list) or len(items) > MOST_JOBS or not all(isinstance(each, dict) for each in items):
            raise not_understood(connection, reply)
        jobs = tuple(normalise(connection, item) for item in items)
        following = next_query(connection, read, request, body, len(jobs))
        return Page(jobs, None if following is None else cursor_at(connection, read, request, following))

    def _object(self, connection: Connection, reply: Reply) -> Mapping[str, Json]:
        if reply.status != HTTPStatus.OK:
            raise self.calls.problem(connection, reply)
        if not isinstance(reply.body, Mapping):
            raise not_understood(connection, reply)
        return reply.body


def not_understood(connection: Connection, reply: Reply) -> VendorReplyNotUnderstood:
    """The problem that a reply is which nobody can read."""
    return VendorReplyNotUnderstood(
        f"{connection.vendor.name} answered {reply.status} with a body that its document does not describe.",
        Explanation(vendor=VendorResponse(connection.vendor.name, reply.status)),
    )


def normalise(connection: Connection, vendor_object: Mapping[str, Json]) -> Job:
    """The vendor's job object in common words. Raises VendorReplyNotUnderstood where it has no id or status."""
    vendor = connection.vendor
    values = vendor.specification.job.decode({"body": vendor_object})
    job_id, vendor_status = word(values, "job.id", LONGEST_ID), word(values, "job.vendorStatus", LONGEST_STATUS)
    if job_id is None or vendor_status is None:
        raise VendorReplyNotUnderstood(
            f"{vendor.name} sent a job without an id or a status.", Explanation(vendor=VendorResponse(vendor.name))
        )
    status = vendor.specification.status(vendor_status)
    allowed = allowed_actions(vendor, status.pair.vendor_status)
    return Job(
        id=job_id,
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
    )


def word(values: Mapping[str, Json], name: str, longest: int) -> str | None:
    """A text, or a whole number as one; None where the vendor sent nothing of the kind, or more than `longest`."""
    value = values.get(name)
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return text if 0 < len(text) <= longest else None


def allowed_actions(vendor: Vendor, vendor_status: str) -> tuple[str, ...]:
    """What may be done with a job in this status."""
    return tuple(action for action in vendor.capabilities if vendor.specification.allows(action, vendor_status))


def blocked_reason(vendor: Vendor, action: str, vendor_status: str) -> str:
    """Why an action is not allowed, for people to read."""
    mapping = vendor.capabilities[action].mapping
    if mapping is None:
        return f"{vendor.name} has no such action."
    return f"Allowed when the job is {' or '.join(mapping.from_statuses)}; it is {vendor_status}."


def job_state(job: Job) -> JobState:
    """The part of a job that explains a refusal."""
    return JobState(job.status, job.allowed_actions)


def timestamps(values: Mapping[str, Json]) -> dict[str, str]:
    """The times among a job's values; what is no RFC 3339 time is left out."""
    prefix = "job.timestamps."
    found = {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}
    return {name: value for name, value in found.items() if isinstance(value, str) and is_timestamp(value)}


def is_timestamp(text: str) -> bool:
    """Whether a text is a time with its offset, as RFC 3339 has them; Python reads many other forms."""
    try:
        return _TIMESTAMP.fullmatch(text) is not None and datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def first_page(vendor: Vendor, read: ReadMapping, limit: int, status: str | None) -> VendorRequest:
    """The request for the first page. The vendor filters by status only where it has exactly one word for it."""
    words = vendor.specification.vendor_statuses(status) if status else ()
    values: dict[str, Json] = {"page.limit": min(limit, read.largest_page()), "page.number": 1}
    return read.encode(values | ({"job.vendorStatus": words[0]} if len(words) == 1 else {}))


def next_query(
    connection: Connection, read: ReadMapping, request: VendorRequest, body: Mapping[str, Json], jobs: int
) -> Mapping[str, Json] | None:
    """The query of the request for the page after this one, None on the last.

    Where a list that is paged by number does not say how many pages there are, a full page is not the last.
    """
    if read.next_link is not None:
        link = read.next_link.get({"body": body})
        return link_query(connection, read, str(link)) if link else None
    number, limit = read.lens.place_of("page.number"), read.lens.place_of("page.limit")
    if number is None or limit is None:
        return None
    current, asked = (int(float(str(request.query.get(place.keys[0], 1)))) for place in (number, limit))
    last = read.last_page.get({"body": body}) if read.last_page else None
    is_last = current >= last if isinstance(last, int) else jobs < asked
    return None if is_last else {**request.query, number.keys[0]: current + 1}


def link_query(connection: Connection, read: ReadMapping, link: str) -> Mapping[str, Json]:
    """The query of a vendor's link to the next page, which must lead to the same list and nowhere else."""
    here = urlsplit(url(read.operation, VendorRequest(""), connection.endpoint))
    try:
        there = urlsplit(link)
    except ValueError:
        raise bad_link(connection) from None
    if (there.scheme, there.netloc.lower(), there.path) != (here.scheme, here.netloc.lower(), here.path):
        raise bad_link(connection)
    declared = read.operation.declared["query"]
    pairs = parse_qsl(there.query, keep_blank_values=True)
    return {name: declared[name].parse(text) if name in declared else text for name, text in pairs}


def bad_link(connection: Connection) -> VendorReplyNotUnderstood:
    """The problem that a link to the next page is which leads elsewhere, or nowhere."""
    return VendorReplyNotUnderstood(
        f"{connection.vendor.name} sent a link to the next page that does not lead there.",
        Explanation(vendor=VendorResponse(connection.vendor.name)),
    )


def documented(read: ReadMapping, request: VendorRequest) -> VendorRequest:
    """The request without the query parameters that only a vendor's link knows."""
    declared = read.operation.declared["query"]
    return replace(request, query={name: value for name, value in request.query.items() if name in declared})


def cursor_at(connection: Connection, read: ReadMapping, request: VendorRequest, query: Mapping[str, Json]) -> str:
    """The cursor of the page that a vendor names by a query. Raises VendorReplyNotUnderstood where there is none."""
    cursor = encode_cursor(connection.name, query)
    try:
        page_at(connection, read, request, cursor)
    except UnknownCursor:
        raise bad_link(connection) from None
    return cursor


def page_at(connection: Connection, read: ReadMapping, request: VendorRequest, cursor: str) -> VendorRequest:
    """The request for the page that a cursor stands for. Raises UnknownCursor where it is none of this list."""
    name, query = decode_cursor(cursor)
    at_cursor = replace(request, query=query)
    known = documented(read, at_cursor)
    foreign = name != connection.name or (read.next_link is None and known != at_cursor)
    if foreign or read.operation.check(known.parts()):
        raise _foreign_cursor()
    return at_cursor


def encode_cursor(connection: str, query: Mapping[str, Json]) -> str:
    """A vendor's query as a cursor of ours, good for one connection."""
    return urlsafe_b64encode(dump([connection, query])).decode("ascii").rstrip("=")


def decode_cursor(cursor: str) -> tuple[str, Mapping[str, Json]]:
    """The connection and the query in a cursor. Raises UnknownCursor where it is none of ours."""
    try:
        found: Any = json_value(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        connection, query = found
        plain = all(isinstance(value, str | int | float) for value in query.values())
    except (ValueError, RecursionError, TypeError, AttributeError):
        raise _foreign_cursor() from None
    if not plain or len(cursor) > LONGEST_CURSOR:
        raise _foreign_cursor()
    return connection, query


def _foreign_cursor() -> UnknownCursor:
    error = FieldError("/query/cursor", "is not a cursor that this list gave")
    return UnknownCursor("The cursor is not one that this list gave.", Explanation(errors=(error,)))
