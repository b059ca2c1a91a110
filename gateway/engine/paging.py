"""Paging: the two ways in which vendors page their lists, and the cursors that Jobgate makes of them.

A cursor holds the query of the vendor's request for the next page, and the connection for which it is valid. A query
from a vendor's link is never decoded and encoded again: that could change `+` or `/` in a token.
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
"""The query of a request: its values by name, or the text that the vendor wrote."""


def first_page(vendor: Vendor, read: ReadMapping, limit: int, status: str | None) -> VendorRequest:
    """The request for the first page. It filters by status only if the vendor has exactly one word for it."""
    words = vendor.specification.vendor_statuses(status) if status else ()
    values: dict[str, Json] = {Source.PAGE_LIMIT: min(limit, read.largest_page()), Source.PAGE_NUMBER: 1}
    return read.encode(values | ({Source.JOB_VENDOR_STATUS: words[0]} if len(words) == 1 else {}))


def next_query(
    connection: Connection, read: ReadMapping, request: VendorRequest, body: Mapping[str, Json], jobs: int
) -> Query | None:
    """The query of the request for the next page; None on the last page.

    If a list that is paged by number does not give the number of pages, a page that is full is not the last.
    Raises VendorReplyNotUnderstood if the link to the next page cannot be followed.
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

    The link is resolved against the request (RFC 3986, 5). Raises VendorReplyNotUnderstood if it does not lead to the
    same list.
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
    """Problem for a link to the next page that leads elsewhere, or cannot be parsed."""
    return VendorReplyNotUnderstood(
        f"{connection.vendor.name} sent a link to the next page that does not lead there.",
        Explanation(vendor=VendorResponse(connection.vendor.name)),
    )


def documented(read: ReadMapping, request: VendorRequest) -> VendorRequest:
    """The request without query parameters that only a vendor's link has."""
    declared = read.operation.declared["query"]
    return replace(request, query={name: value for name, value in request.query.items() if name in declared})


def cursor_at(connection: Connection, read: ReadMapping, request: VendorRequest, query: Query) -> str:
    """The cursor of the page with this query. Raises VendorReplyNotUnderstood if the query does not fit the list."""
    cursor = cursor_for(connection, query)
    try:
        page_at(connection, read, request, cursor)
    except UnknownCursor:
        raise bad_link(connection) from None
    return cursor


def page_at(connection: Connection, read: ReadMapping, request: VendorRequest, cursor: str) -> VendorRequest:
    """The request for the page of a cursor. Raises UnknownCursor if the cursor is not one of this list.

    Clients can forge a cursor, so it must not change the constants of the document.
    """
    query = query_at(connection, cursor)
    at_cursor = with_written(read, request, query) if isinstance(query, str) else replace(request, query=query)
    known = documented(read, at_cursor)
    is_foreign = known != replace(request, query=query) if read.next_link is None else has_undeclared_array(read, query)
    if is_foreign or read.operation.check(known.parts()) or not read.lens.may_fit(known.parts(), known.parts()):
        raise unknown_cursor()
    return at_cursor


def with_written(read: ReadMapping, request: VendorRequest, query: str) -> VendorRequest:
    """The request with a query that is sent unchanged.

    Raises UnknownCursor if it is not a legal query, or has a parameter twice: the vendor might use the value that was
    not checked.
    """
    said, repeated = read.operation.parse_query(parse_qsl(query, keep_blank_values=True))
    if not is_legal_query(query) or repeated:
        raise unknown_cursor()
    return replace(request, query=said, written_query=query)


def has_undeclared_array(read: ReadMapping, query: Query) -> bool:
    """True if a query has an array that the document does not declare."""
    values = {} if isinstance(query, str) else query
    return any(isinstance(each, list) and name not in read.operation.declared["query"] for name, each in values.items())


def is_of_a_query(value: object) -> bool:
    """True for a value that a query can have: a scalar, or an array of them."""
    scalars = value if isinstance(value, list) else [value]
    return all(isinstance(each, str | int | float) for each in scalars)


def cursor_for(connection: Connection, query: Query) -> str:
    """A cursor that holds a query of a vendor's request, and is valid for one connection."""
    return encode_cursor(dump([connection.name, query]))


def query_at(connection: Connection, cursor: str) -> Query:
    """The query in a cursor. Raises UnknownCursor if the cursor is not one of this connection."""
    try:
        found: Any = json_value(decode_cursor(cursor))
        name, query = found
        values = () if isinstance(query, str) else query.values()
        is_ours = name == connection.name and all(map(is_of_a_query, values))
    except (ValueError, RecursionError, TypeError, AttributeError):
        raise unknown_cursor() from None
    if not is_ours or len(cursor) > LONGEST_CURSOR:
        raise unknown_cursor()
    return cast("Query", query)
