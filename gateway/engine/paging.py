"""Lists that go on: the vendors' two ways of paging, and the cursors that we make of them.

A cursor holds the query of the vendor's request for the next page, and the connection that it is good for. A query
that a vendor writes into a link is never read and written anew: a token in it may have `+` or `/`, which then differ.
"""

from __future__ import annotations

from collections.abc import Mapping
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
from gateway.specs.vendor import ReadMapping

Query: TypeAlias = "Mapping[str, Json] | str"
"""The query of a request: its values by name, or a text that the vendor itself wrote."""


def first_page(vendor: Vendor, read: ReadMapping, limit: int, status: str | None) -> VendorRequest:
    """The request for the first page. The vendor filters by status only where it has exactly one word for it."""
    words = vendor.specification.vendor_statuses(status) if status else ()
    values: dict[str, Json] = {Source.PAGE_LIMIT: min(limit, read.largest_page()), Source.PAGE_NUMBER: 1}
    return read.encode(values | ({Source.JOB_VENDOR_STATUS: words[0]} if len(words) == 1 else {}))


def next_query(
    connection: Connection, read: ReadMapping, request: VendorRequest, body: Mapping[str, Json], jobs: int
) -> Query | None:
    """The query of the request for the page after this one, None on the last.

    Where a list that is paged by number does not say how many pages there are, a full page is not the last.
    """
    if read.next_link is not None:
        link = read.next_link.get({"body": body})
        return link_query(connection, read, request, str(link)) if link else None
    number, limit = read.lens.place_of(Source.PAGE_NUMBER), read.lens.place_of(Source.PAGE_LIMIT)
    if number is None or limit is None:
        return None
    current, asked = (int(float(str(request.query.get(place.keys[0], 1)))) for place in (number, limit))
    last = whole(read.last_page.get({"body": body})) if read.last_page else None
    is_last = jobs < asked if last is None else current >= last
    return None if is_last else {**request.query, number.keys[0]: current + 1}


def link_query(connection: Connection, read: ReadMapping, request: VendorRequest, link: str) -> str:
    """The query of a vendor's link to the next page, as the vendor wrote it.

    The link is resolved against the request (RFC 3986, 5). It must lead to the same list and nowhere else.
    """
    here = Address.of(url(read.operation, request, connection.endpoint))
    try:
        there = here.resolve(link)
    except ValueError:
        raise bad_link(connection) from None
    if (there.origin, there.path) != (here.origin, here.path):
        raise bad_link(connection)
    return legal_query(there.query or "")


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


def cursor_at(connection: Connection, read: ReadMapping, request: VendorRequest, query: Query) -> str:
    """The cursor of the page that a vendor names by a query. Raises VendorReplyNotUnderstood where there is none."""
    cursor = cursor_for(connection, query)
    try:
        page_at(connection, read, request, cursor)
    except UnknownCursor:
        raise bad_link(connection) from None
    return cursor


def page_at(connection: Connection, read: ReadMapping, request: VendorRequest, cursor: str) -> VendorRequest:
    """The request for the page that a cursor stands for. Raises UnknownCursor where it is none of this list."""
    query = query_at(connection, cursor)
    at_cursor = with_written(read, request, query) if isinstance(query, str) else replace(request, query=query)
    known = documented(read, at_cursor)
    is_foreign = read.next_link is None and known != replace(request, query=query)
    if is_foreign or read.operation.check(known.parts()):
        raise unknown_cursor()
    return at_cursor


def with_written(read: ReadMapping, request: VendorRequest, query: str) -> VendorRequest:
    """The request with a query that goes out as it is. Raises UnknownCursor where it cannot be one, or says two things.

    Of two values of one parameter the vendor might take another than the one that is checked.
    """
    declared = read.operation.declared["query"]
    pairs = parse_qsl(query, keep_blank_values=True)
    said = {name: declared[name].parse(text) if name in declared else text for name, text in pairs}
    known = [name for name, _ in pairs if name in declared]
    if not is_legal_query(query) or len(known) != len(set(known)):
        raise unknown_cursor()
    return replace(request, query=said, written_query=query)


def cursor_for(connection: Connection, query: Query) -> str:
    """A query of a vendor's request as a cursor of ours, good for one connection."""
    return encode_cursor(dump([connection.name, query]))


def query_at(connection: Connection, cursor: str) -> Query:
    """The query in a cursor of a connection. Raises UnknownCursor where it is none of its own."""
    try:
        found: Any = json_value(decode_cursor(cursor))
        name, query = found
        values = () if isinstance(query, str) else query.values()
        is_ours = name == connection.name and all(isinstance(value, str | int | float) for value in values)
    except (ValueError, RecursionError, TypeError, AttributeError):
        raise unknown_cursor() from None
    if not is_ours or len(cursor) > LONGEST_CURSOR:
        raise unknown_cursor()
    return cast("Query", query)
