"""Lists that go on: the vendors' two ways of paging, and the cursors that we make of them.

A cursor holds the query of the vendor's request for the next page, and the connection that it is good for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from msgspec.structs import replace

from gateway.domain.encoding import decode_cursor, dump, encode_cursor, unknown_cursor
from gateway.domain.errors import Explanation, UnknownCursor, VendorReplyNotUnderstood
from gateway.domain.model import Json, VendorRequest, VendorResponse
from gateway.engine.connections import Connection, Vendor
from gateway.engine.wire import json_value, url
from gateway.specs.vendor import ReadMapping

LONGEST_CURSOR = 8_192
"""Characters, as the document of the unified API has it."""


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
    cursor = cursor_for(connection, query)
    try:
        page_at(connection, read, request, cursor)
    except UnknownCursor:
        raise bad_link(connection) from None
    return cursor


def page_at(connection: Connection, read: ReadMapping, request: VendorRequest, cursor: str) -> VendorRequest:
    """The request for the page that a cursor stands for. Raises UnknownCursor where it is none of this list."""
    at_cursor = replace(request, query=query_at(connection, cursor))
    known = documented(read, at_cursor)
    is_foreign = read.next_link is None and known != at_cursor
    if is_foreign or read.operation.check(known.parts()):
        raise unknown_cursor()
    return at_cursor


def cursor_for(connection: Connection, query: Mapping[str, Json]) -> str:
    """A vendor's query as a cursor of ours, good for one connection."""
    return encode_cursor(dump([connection.name, query]))


def query_at(connection: Connection, cursor: str) -> Mapping[str, Json]:
    """The query in a cursor of a connection. Raises UnknownCursor where it is none of its own."""
    try:
        found: Any = json_value(decode_cursor(cursor))
        name, query = found
        is_ours = name == connection.name and all(isinstance(value, str | int | float) for value in query.values())
    except (ValueError, RecursionError, TypeError, AttributeError):
        raise unknown_cursor() from None
    if not is_ours or len(cursor) > LONGEST_CURSOR:
        raise unknown_cursor()
    return cast("Mapping[str, Json]", query)
