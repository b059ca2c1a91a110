"""Paging: the ways in which vendors page their lists, and the cursors that Jobgate makes of them.

A cursor holds the next page, and the connection for which it is valid. If the vendor gives links, the page is the
query of the link: it is never decoded and encoded again, which could change `+` or `/` in a token. Otherwise it is the
values of the request by their sources, so that the whole request is repeated with the next token or number.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeAlias, cast
from urllib.parse import parse_qsl

from msgspec.structs import replace

from gateway.domain.encoding import decode_cursor, dump, encode_cursor, unknown_cursor
from gateway.domain.errors import Explanation, UnknownCursor, VendorReplyNotUnderstood
from gateway.domain.model import Json, VendorRequest, VendorResponse
from gateway.domain.numbers import whole
from gateway.domain.urls import Address, is_legal_query, legal_query
from gateway.domain.vocabulary import LONGEST_CURSOR, Source
from gateway.engine.connections import Connection, Vendor
from gateway.engine.wire import json_value, url
from gateway.specs.lens import Place, UnmappableValue
from gateway.specs.vendor import ReadMapping
from gateway.specs.windows import Window

Where: TypeAlias = "Mapping[str, Json] | str"
"""A page of a list: the values of its request by their sources, or the query that the vendor wrote."""

IN_A_CURSOR = frozenset(
    {
        Source.PAGE_NUMBER,
        Source.PAGE_CURSOR,
        Source.PAGE_LIMIT,
        Source.JOB_VENDOR_STATUS,
        Source.JOB_QUEUE,
        Source.JOB_TYPE,
        Source.WINDOW_START,
        Source.WINDOW_END,
        Source.WINDOW_INTERVAL,
    }
)
"""The values that a cursor can hold. All others come from the vendor's document."""


def first_page(vendor: Vendor, read: ReadMapping, limit: int, status: str | None, now: datetime) -> VendorRequest:
    """The request for the first page.

    It filters by status if the vendor's filter takes several words, or if the vendor has exactly one for it.
    """
    filters: dict[str, Json] = {}
    words = list(vendor.specification.vendor_statuses(status)) if status else []
    if words and read.takes_several_statuses:
        filters[Source.JOB_VENDOR_STATUS] = words
    elif len(words) == 1:
        filters[Source.JOB_VENDOR_STATUS] = words[0]
    return beginning(read, limit, filters, now)


def beginning(read: ReadMapping, limit: int, filters: Mapping[str, Json], now: datetime) -> VendorRequest:
    """The request for the first page, with those of the filters that the list takes.

    A time range that the list demands ends now.
    """
    values: dict[str, Json] = {Source.PAGE_LIMIT: min(limit, read.largest_page()), Source.PAGE_NUMBER: 1, **filters}
    if read.window_days is not None:
        values |= Window.last(read.window_days, now).values
    return read.encode(values)


def next_cursor(
    connection: Connection, read: ReadMapping, request: VendorRequest, body: Mapping[str, Json], jobs: int
) -> str | None:
    """The cursor of the page after one with so many jobs; None on the last page.

    Raises VendorReplyNotUnderstood if the vendor's link or token does not lead to another page of the list.
    """
    if read.next_link is not None:
        return link_cursor(connection, read, request, read.next_link.get({"body": body}))
    where = next_number(read, request, body, jobs) if read.token is None else next_token(read, request, body)
    return None if where is None else cursor_at(connection, read, request, where)


def link_cursor(connection: Connection, read: ReadMapping, request: VendorRequest, link: Json) -> str | None:
    """The cursor of the page that a link leads to; None if there is no link.

    Raises VendorReplyNotUnderstood if it leads elsewhere.
    """
    return cursor_at(connection, read, request, link_query(connection, read, request, str(link))) if link else None


def other_links(
    connection: Connection, read: ReadMapping, request: VendorRequest, body: Mapping[str, Json]
) -> dict[Place, str | None]:
    """The places of the links beside the one to the next page, and their cursors; None if one leads elsewhere."""
    found: dict[Place, str | None] = {}
    for place in read.links:
        try:
            found[place] = link_cursor(connection, read, request, place.get({"body": body}))
        except VendorReplyNotUnderstood:
            found[place] = None
    return found


def next_token(read: ReadMapping, request: VendorRequest, body: Mapping[str, Json]) -> Where | None:
    """The next page of a list that goes on by a token; None on the last page."""
    token = read.token.get({"body": body}) if read.token else None
    return {**values_of(read, request), Source.PAGE_CURSOR: token} if token else None


def next_number(read: ReadMapping, request: VendorRequest, body: Mapping[str, Json], jobs: int) -> Where | None:
    """The next page of a list that is paged by number; None on the last page.

    The number of pages or of jobs shows the last page. If the vendor gives neither, it is one that is not full.
    """
    if read.lens.place_of(Source.PAGE_NUMBER) is None:
        return None
    values = values_of(read, request)
    number = whole(values.get(Source.PAGE_NUMBER)) or 1
    size = whole(read.reply.read(Source.PAGE_LIMIT, {"body": body})) or whole(values.get(Source.PAGE_LIMIT)) or 1
    total = whole(read.reply.read(Source.PAGE_TOTAL, {"body": body}))
    last = whole(read.last_page.get({"body": body})) if read.last_page else None
    if last is not None:
        is_last = number >= last
    elif total is not None:
        is_last = jobs == 0 or number * size >= total
    else:
        is_last = jobs < size
    return None if is_last else {**values, Source.PAGE_NUMBER: number + 1}


def values_of(read: ReadMapping, request: VendorRequest) -> dict[str, Json]:
    """The values of a request that a cursor holds. A lens reads what it has written."""
    return {name: value for name, value in read.lens.decode(request.parts()).items() if name in IN_A_CURSOR}


def link_query(connection: Connection, read: ReadMapping, request: VendorRequest, link: str) -> str:
    """The query of a vendor's link to the next page, as the vendor wrote it.

    The link is resolved against the request (RFC 3986, 5). Raises VendorReplyNotUnderstood if it does not lead to the
    same list.
    """
    here = Address.of(url(read.operation, request, connection.endpoint))
    try:
        there = here.resolve(link)
    except ValueError:
        raise bad_next_page(connection) from None
    if (there.origin, there.path) != (here.origin, here.path):
        raise bad_next_page(connection)
    return legal_query(there.query or "")


def bad_next_page(connection: Connection) -> VendorReplyNotUnderstood:
    """Problem for a next page that is not one of the list, or does not fit a cursor."""
    return VendorReplyNotUnderstood(
        f"{connection.vendor.name} named a next page that is not one of the list, or does not fit into a cursor.",
        Explanation(vendor=VendorResponse(connection.vendor.name)),
    )


def documented(read: ReadMapping, request: VendorRequest) -> VendorRequest:
    """The request without query parameters that only a vendor's link has."""
    declared = read.operation.declared["query"]
    return replace(request, query={name: value for name, value in request.query.items() if name in declared})


def cursor_at(connection: Connection, read: ReadMapping, request: VendorRequest, where: Where) -> str:
    """The cursor of a page. Raises VendorReplyNotUnderstood if the page does not fit the list, or a cursor."""
    cursor = cursor_for(connection, where)
    try:
        page_at(connection, read, request, cursor)
    except UnknownCursor:
        raise bad_next_page(connection) from None
    return cursor


def page_at(connection: Connection, read: ReadMapping, request: VendorRequest, cursor: str) -> VendorRequest:
    """The request for the page of a cursor. Raises UnknownCursor if the cursor is not one of this list.

    Clients can forge a cursor, so it must not change the constants of the document.
    """
    where = page_in(connection, cursor)
    if isinstance(where, str) is not (read.next_link is not None):
        raise unknown_cursor()
    at_cursor = with_written(read, request, where) if isinstance(where, str) else with_values(read, where)
    known = documented(read, at_cursor)
    if read.operation.check(known.parts()) or not read.clients_lens.may_fit(known.parts(), known.parts()):
        raise unknown_cursor()
    return at_cursor


def with_values(read: ReadMapping, values: Mapping[str, Json]) -> VendorRequest:
    """The request that carries these values. Raises UnknownCursor if the list has no such values."""
    if not values or not values.keys() <= IN_A_CURSOR & read.lens.sources:
        raise unknown_cursor()
    try:
        return read.encode(values)
    except (UnmappableValue, TypeError, ValueError):
        raise unknown_cursor() from None


def with_written(read: ReadMapping, request: VendorRequest, query: str) -> VendorRequest:
    """The request with a query that is sent unchanged.

    Raises UnknownCursor if it is not a legal query, or has a parameter twice: the vendor might use the value that was
    not checked.
    """
    said, repeated = read.operation.parse_query(parse_qsl(query, keep_blank_values=True))
    if not is_legal_query(query) or repeated:
        raise unknown_cursor()
    return replace(request, query=said, written_query=query)


def cursor_for(connection: Connection, where: Where) -> str:
    """A cursor that holds a page, and is valid for one connection."""
    return encode_cursor(dump([connection.name, where]))


def page_in(connection: Connection, cursor: str) -> Where:
    """The page in a cursor. Raises UnknownCursor if the cursor is not one of this connection."""
    try:
        found: Any = json_value(decode_cursor(cursor))
        name, where = found
    except (ValueError, RecursionError, TypeError):
        raise unknown_cursor() from None
    if name != connection.name or not isinstance(where, str | dict) or len(cursor) > LONGEST_CURSOR:
        raise unknown_cursor()
    return cast("Where", where)
