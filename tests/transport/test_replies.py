"""The reader of replies: what is a reply, where it ends, and what another request may follow."""

from __future__ import annotations

import asyncio
import gzip
import time
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.errors import VendorReplyNotUnderstood
from gateway.domain.model import HttpReply
from gateway.transport.replies import LARGEST_HEADERS, MOST_HEADERS, MOST_INTERIM, MOST_MEMBERS, ReplyReader
from tests.support.patience import PATIENCE
from tests.support.sender import Sender
from tests.support.server import raw_server

BODY = b'{"id": "a"}'
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNKS = b"4\r\n" + BODY[:4] + b"\r\n7;x=y\r\n" + BODY[4:] + b"\r\n0\r\n"


def with_length(body: bytes, *fields: str, status: str = "200 OK") -> bytes:
    """A reply with a length."""
    lines = [f"HTTP/1.1 {status}", *fields, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def read(*parts: bytes) -> HttpReply | None:
    """What a new reader makes of some data."""
    reader, reply = ReplyReader(), None
    reader.expect()
    for part in parts:
        reply = reader.feed(part)
    return reply


WHOLE = [
    with_length(BODY),
    with_length(BODY, "X-Empty:", "X-Folded: a\r\n  b", "X-Twice: 1", "X-Twice: 2", "X-Text: \xc3\xa9 "),
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 3 + with_length(BODY),
    CHUNKED + CHUNKS + b"\r\n",
    CHUNKED + CHUNKS + b"Checked: yes\r\n\r\n",
    with_length(gzip.compress(BODY, mtime=0), "Content-Encoding: gzip"),
    b"HTTP/1.1 204 No Content\r\nX-Y: z\r\n\r\n",
]
"""Replies that end by themselves."""


@given(wire=st.sampled_from(WHOLE), cuts=st.sets(st.integers(0, 300)))
def test_however_it_is_sliced_a_reply_is_the_same(wire: bytes, cuts: set[int]) -> None:
    """The network may cut a reply anywhere."""
    edges = [0, *sorted(cut for cut in cuts if cut < len(wire)), len(wire)]
    assert read(*(wire[start:end] for start, end in pairwise(edges))) == read(wire) is not None


def test_header_fields_are_read_as_they_are() -> None:
    """Names in lower case, the last of several with one name, without the blanks around a value."""
    reply = read(WHOLE[1])
    assert reply is not None
    assert reply.headers == {
        "x-empty": "",
        "x-folded": "a  b",
        "x-twice": "2",
        "x-text": "é",
        "content-length": str(len(BODY)),
    }


def test_trailer_fields_are_no_header_fields() -> None:
    """What comes after the body is read and dropped (RFC 9110, 6.5.1)."""
    reply = read(CHUNKED + CHUNKS + b"Retry-After: 7\r\n\r\n")
    assert reply == HttpReply(200, {"transfer-encoding": "chunked"}, BODY)


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param(CHUNKED + CHUNKS + b"Content-Length: 5\r\n\r\n", id="a length in a trailer"),
        pytest.param(with_length(zlib.compress(BODY)[:-3], "Content-Encoding: deflate"), id="deflate that breaks off"),
        pytest.param(with_length(gzip.compress(BODY)[:-3], "Content-Encoding: gzip"), id="gzip that breaks off"),
    ],
)
async def test_a_body_that_ends_wrongly_holds_nobody_up(send: Sender, wire: bytes) -> None:
    """A body whose end is wrong is told at once, also where it comes after its head."""
    body = wire.index(b"\r\n\r\n") + 5

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in (wire[:body], wire[body:]):
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.05)

    async with raw_server(serve) as server:
        with pytest.raises(VendorReplyNotUnderstood):
            await asyncio.wait_for(send(server.url), PATIENCE)


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", id="another protocol"),
        pytest.param(b"HTTP/1.1 101 Switching\r\n\r\n" + with_length(BODY), id="another protocol, of no name"),
        pytest.param(b"HTTP/1.1 200 " + b"x" * 3 * LARGEST_HEADERS, id="a first line without end"),
        pytest.param(b"\r\n" * 2 * LARGEST_HEADERS, id="lines without end"),
        pytest.param(CHUNKED + b"1;" + b"x" * 3 * LARGEST_HEADERS, id="an extension without end"),
        pytest.param(HEAD + b"X-Y: 1\r\n" * (MOST_HEADERS + 2), id="fields without end"),
        pytest.param(CHUNKED + CHUNKS + b"X-Y: 1\r\n" * (MOST_HEADERS + 2), id="trailer fields without end"),
        pytest.param(b"HTTP/1.1 100 Go\r\n\r\n" * (MOST_INTERIM + 1), id="interim replies without end"),
        pytest.param(with_length(BODY, "X: a\0b"), id="a field with a NUL"),
        pytest.param(with_length(BODY, "Content-Encoding: br"), id="a coding that was not asked for"),
        pytest.param(with_length(BODY, "Content-Encoding: gzip"), id="no gzip"),
        pytest.param(with_length(gzip.compress(BODY) + b"x", "Content-Encoding: gzip"), id="more than gzip"),
        pytest.param(with_length(zlib.compress(BODY) + b"x", "Content-Encoding: deflate"), id="more than deflate"),
        pytest.param(
            with_length(gzip.compress(b"") * (MOST_MEMBERS + 1), "Content-Encoding: gzip"), id="members without end"
        ),
        pytest.param(with_length(BODY) + b"x", id="more than its length"),
    ],
)
def test_what_is_no_reply(wire: bytes) -> None:
    """What breaks the rules, or has no bounds, is refused."""
    with pytest.raises(VendorReplyNotUnderstood):
        read(wire)


@pytest.mark.parametrize(
    ("coding", "content"),
    [
        ("gzip", gzip.compress(BODY)),
        ("GZIP", gzip.compress(BODY[:3]) + gzip.compress(BODY[3:])),
        ("gzip", gzip.compress(b"") * (MOST_MEMBERS - 1) + gzip.compress(BODY)),
        ("deflate", zlib.compress(BODY)),
        ("deflate", zlib.compress(BODY)[2:-4]),
        ("identity", BODY),
    ],
    # Without names, the time in the gzip header would be in them.
    ids=["gzip", "members", "many empty members", "deflate with zlib's header", "deflate alone", "identity"],
)
def test_content_codings(coding: str, content: bytes) -> None:
    """Gzip, with several members too, and deflate, with and without its format, are decoded."""
    reply = read(with_length(content, f"Content-Encoding: {coding}"))
    assert reply is not None
    assert reply.content == BODY


def test_a_folded_field_costs_little() -> None:
    """A field of very many lines is refused before its parts have been copied over and over again."""
    begun = time.process_time()
    with pytest.raises(VendorReplyNotUnderstood):
        read(HEAD + b"X: a" + b"\r\n b" * 500_000)
    assert time.process_time() - begun < 1.0


@pytest.mark.parametrize(
    ("after", "may_follow"),
    [(b"", True), (b"\r\n", True), (b"HTTP/1.1 2", False), (with_length(BODY, status="503 No"), False)],
)
def test_a_request_may_follow_where_nothing_else_came(after: bytes, *, may_follow: bool) -> None:
    """What comes with the reply and nobody asked for is not taken for it, nor for the next one."""
    reader = ReplyReader()
    reader.expect()
    reply = reader.feed(with_length(BODY) + after)
    assert reply is not None
    assert (reply.status, reply.content, reader.may_follow) == (200, BODY, may_follow)


@pytest.mark.parametrize(
    "head", [b"HTTP/1.0 200 OK\r\n\r\n", HEAD + b"\r\n", HEAD + b"Transfer-Encoding: identity\r\n\r\n"]
)
def test_the_end_of_a_connection_ends_a_reply_without_length(head: bytes) -> None:
    """A body without a length ends with its connection, and only if the vendor has closed that (RFC 9112, 8)."""
    for is_orderly in (True, False):
        reader = ReplyReader()
        reader.expect()
        assert reader.feed(head + BODY) is None
        if is_orderly:
            assert reader.end(is_orderly=True).content == BODY
            assert not reader.may_follow
        else:
            with pytest.raises(VendorReplyNotUnderstood):
                reader.end(is_orderly=False)


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        HEAD,
        with_length(BODY)[:-1],
        CHUNKED,
        CHUNKED + CHUNKS,
        HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
    ],
)
def test_the_end_of_a_connection_ends_no_other_reply(wire: bytes) -> None:
    """A reply that says where it ends breaks off where its connection does."""
    reader = ReplyReader()
    reader.expect()
    assert reader.feed(wire) is None
    with pytest.raises(VendorReplyNotUnderstood):
        reader.end(is_orderly=True)
