"""Jobs as Jobgate shows them: read from the vendor, put into common words."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from typing import cast
from urllib.parse import parse_qsl, urlsplit

from gateway.domain.errors import (
    Explanation,
    FieldError,
    GatewayError,
    JobState,
    MalformedRequest,
    UnknownJob,
    VendorReplyNotUnderstood,
)
from gateway.domain.model import BlockedAction, Job, Json, Page, VendorRequest, VendorResponse
from gateway.engine.calls import Calls
from gateway.engine.connections import Connection, Vendor
from gateway.engine.wire import Reply, dump, url
from gateway.specs.vendor import ReadMapping

MOST_PAGES = 1_000
"""How many pages of a vendor's list are looked through for one job, where the vendor has no read of one job."""


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
        """A part of the connection's jobs. `cursor` is one that an earlier page gave. Raises MalformedRequest."""
        read = connection.vendor.specification.read_list
        if read is None:
            raise GatewayError(f"The document of {connection.vendor.name} has no operation that lists jobs.")
        request = first_page(connection.vendor, read, limit, status)
        if cursor is not None:
            request = page_at(read, request, cursor)
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
            request = page_at(read, request, page.next_cursor)
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
        body = self._object(connection, reply)
        items = read.items.get({"body": body}) if read.items else None
        if not isinstance(items, Sequence) or isinstance(items, str):
            raise not_understood(connection, reply)
        jobs = tuple(normalise(connection, item) for item in items if isinstance(item, Mapping))
        following = next_query(connection, read, request, body)
        return Page(jobs, None if following is None else encode_cursor(following))

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
    if not {"job.id", "job.vendorStatus"} <= values.keys():
        raise VendorReplyNotUnderstood(
            f"{vendor.name} sent a job without an id or a status.", Explanation(vendor=VendorResponse(vendor.name))
        )
    status = vendor.specification.status(str(values["job.vendorStatus"]))
    allowed = allowed_actions(vendor, status.pair.vendor_status)
    return Job(
        id=str(values["job.id"]),
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
    """Whether a text is a time with its offset."""
    try:
        return "T" in text and datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def first_page(vendor: Vendor, read: ReadMapping, limit: int, status: str | None) -> VendorRequest:
    """The request for the first page. The vendor filters by status only where it has exactly one word for it."""
    words = vendor.specification.vendor_statuses(status) if status else ()
    values: dict[str, Json] = {"page.limit": min(limit, read.largest_page()), "page.number": 1}
    return read.encode(values | ({"job.vendorStatus": words[0]} if len(words) == 1 else {}))


def next_query(
    connection: Connection, read: ReadMapping, request: VendorRequest, body: Mapping[str, Json]
) -> Mapping[str, Json] | None:
    """The query of the request for the page after this one, None on the last."""
    if read.next_link is not None:
        link = read.next_link.get({"body": body})
        return None if link is None else link_query(connection, read, str(link))
    number = read.lens.place_of("page.number")
    last = read.last_page.get({"body": body}) if read.last_page else None
    if number is None or not isinstance(last, int):
        return None
    name = number.keys[0]
    current = int(str(request.query.get(name, 1)))
    return {**request.query, name: current + 1} if current < last else None


def link_query(connection: Connection, read: ReadMapping, link: str) -> Mapping[str, Json]:
    """The query of a vendor's link to the next page, which must lead to the same list and nowhere else."""
    here, there = urlsplit(url(read.operation, VendorRequest(""), connection.endpoint)), urlsplit(link)
    if (there.scheme, there.netloc, there.path) != (here.scheme, here.netloc, here.path):
        raise VendorReplyNotUnderstood(
            f"{connection.vendor.name} sent a link to the next page that leads elsewhere.",
            Explanation(vendor=VendorResponse(connection.vendor.name)),
        )
    declared = read.operation.declared["query"]
    pairs = parse_qsl(there.query, keep_blank_values=True)
    return {name: declared[name].parse(text) if name in declared else text for name, text in pairs}


def documented(read: ReadMapping, request: VendorRequest) -> VendorRequest:
    """The request without the query parameters that only a vendor's link knows."""
    declared = read.operation.declared["query"]
    return replace(request, query={name: value for name, value in request.query.items() if name in declared})


def page_at(read: ReadMapping, request: VendorRequest, cursor: str) -> VendorRequest:
    """The request for the page that a cursor stands for. Raises MalformedRequest where it is none of ours."""
    at_cursor = replace(request, query=decode_cursor(cursor))
    if read.operation.check(documented(read, at_cursor).parts()):
        raise _foreign_cursor()
    return at_cursor


def encode_cursor(query: Mapping[str, Json]) -> str:
    """A vendor's query as a cursor of ours."""
    return urlsafe_b64encode(dump(query)).decode("ascii").rstrip("=")


def decode_cursor(cursor: str) -> Mapping[str, Json]:
    """The query in a cursor. Raises MalformedRequest where it is none of ours."""
    try:
        query = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        for text in (*query, *query.values()):
            str(text).encode("utf-8")
    except (ValueError, RecursionError, TypeError, AttributeError):
        raise _foreign_cursor() from None
    return cast("Mapping[str, Json]", query)


def _foreign_cursor() -> MalformedRequest:
    error = FieldError("/query/cursor", "is not a cursor that this list gave")
    return MalformedRequest("The cursor is not one that this list gave.", Explanation(errors=(error,)))
