"""Reads a vendor's replies: llhttp (httptools) parses them, within limits."""

from __future__ import annotations

import zlib

import httptools

from gateway.domain.errors import VendorReplyNotUnderstood
from gateway.domain.model import HttpReply

LARGEST_REPLY = 8 * 1024 * 1024
"""Largest body of a vendor's reply, as sent and decoded, in bytes."""
LARGEST_HEADERS = 16_384
"""Longest header field of a reply, in bytes. What is no field, such as its first line, can have twice that."""
MOST_HEADERS = 128
"""Most header and trailer fields of a reply."""
MOST_INTERIM = 256
"""Most 1xx replies before the final reply."""
MOST_MEMBERS = 64
"""Most members of a gzip body (RFC 1952, 2.2), which as a rule has one."""

BROKEN = "The vendor's reply broke off, or is not HTTP."
_INTERIM = range(100, 200)
_GZIP, _ZLIB, _DEFLATE = zlib.MAX_WBITS | 16, zlib.MAX_WBITS, -zlib.MAX_WBITS
_UNREADABLE = frozenset({"br", "zstd"})
"""Content codings that no request accepts."""


class ReplyReader:
    """Reads the replies of one connection. The parser calls the methods `on_…`."""

    __slots__ = (
        "_content",
        "_fields",
        "_has_head",
        "_headers",
        "_interim",
        "_parser",
        "_pending",
        "_reply",
        "may_follow",
    )

    def __init__(self) -> None:
        """Prepare for the first reply. `may_follow`: another request may follow on the connection."""
        self._parser = httptools.HttpResponseParser(self)
        # What some servers send, and what cannot be mistaken for anything else.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self.expect()
        self.may_follow = True

    def expect(self) -> None:
        """Expect the reply to a request."""
        self._reply: HttpReply | None = None
        self._interim = self._pending = 0
        self.on_message_begin()

    def feed(self, data: bytes) -> HttpReply | None:
        """Read on. The reply, if that completes it. Raises VendorReplyNotUnderstood.

        Afterwards `may_follow` is false if the vendor ends the connection, or has sent more than the reply.
        """
        # In slices: llhttp gives the lines of a folded field one by one, and httptools copies all of them each time.
        for start in range(0, len(data), LARGEST_HEADERS):
            part = data[start : start + LARGEST_HEADERS]
            self._pending += len(part)
            self._parse(part)
            if self._pending > 2 * LARGEST_HEADERS:
                raise VendorReplyNotUnderstood(BROKEN)
        return self._reply

    def end(self, *, is_orderly: bool) -> HttpReply:
        """The reply that ends with the connection (RFC 9112, 6.3), if that did. Raises VendorReplyNotUnderstood."""
        has_length = "content-length" in self._headers
        is_chunked = self._headers.get("transfer-encoding", "").lower().endswith("chunked")
        if is_orderly and self._has_head and not has_length and not is_chunked:
            self.on_message_complete()
        if self._reply is None:
            raise VendorReplyNotUnderstood(BROKEN)
        return self._reply

    def close(self) -> None:
        """Release the parser, which refers to this object."""
        self.may_follow = False
        del self._parser

    def on_message_begin(self) -> None:
        """Begin an interim reply, the reply, or something that nobody asked for."""
        self.may_follow = self._has_head = False
        self._fields = 0
        self._headers: dict[str, str] = {}
        self._content = bytearray()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header field, the last of several with one name. A trailer field only counts."""
        self._pending = 0
        self._fields += 1
        if self._fields > MOST_HEADERS or len(name) + len(value) > LARGEST_HEADERS or b"\0" in value:
            raise VendorReplyNotUnderstood(BROKEN)
        if not self._has_head:
            self._headers[name.lower().decode("ascii")] = value.rstrip(b" \t").decode("utf-8", "surrogateescape")

    def on_headers_complete(self) -> None:
        """Check that the reply has a status."""
        self._pending = 0
        self._has_head = True
        if self._parser.get_status_code() < _INTERIM.start:
            raise VendorReplyNotUnderstood("The vendor's reply has no HTTP status.")

    def on_body(self, part: bytes) -> None:
        """Keep a part of the body."""
        self._pending = 0
        self._content += part
        if len(self._content) > LARGEST_REPLY:
            raise _too_large()

    def on_message_complete(self) -> None:
        """Make the reply, unless it is an interim one."""
        status = self._parser.get_status_code()
        if status in _INTERIM:
            self._interim += 1
            if self._interim > MOST_INTERIM:
                raise VendorReplyNotUnderstood(f"The vendor sent more than {MOST_INTERIM} interim replies.")
        elif self._reply is None:
            content = decoded(bytes(self._content), self._headers.get("content-encoding", "").lower())
            self._reply = HttpReply(status, self._headers, content)
            self.may_follow = self._parser.should_keep_alive()

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            # An error of the methods above comes as the context of the parser's own.
            if isinstance(error.__context__, VendorReplyNotUnderstood):
                raise error.__context__ from None
            raise VendorReplyNotUnderstood(BROKEN) from error


def decoded(content: bytes, coding: str) -> bytes:
    """Undo a content coding (RFC 9110, 8.4.1). One that is not known is left alone. Raises VendorReplyNotUnderstood."""
    if coding in _UNREADABLE:
        raise VendorReplyNotUnderstood(f"The vendor's reply has the content coding {coding}.")
    if coding not in {"gzip", "deflate"} or not content:
        return content
    # Some servers send deflate without the format around it (RFC 9110, 8.4.1.2). Its first byte tells (RFC 1950, 2.2).
    window = _GZIP if coding == "gzip" else _ZLIB if content[0] & 0x0F == zlib.DEFLATED else _DEFLATE
    text = b""
    for _ in range(MOST_MEMBERS if coding == "gzip" else 1):
        decoder = zlib.decompressobj(window)
        try:
            text += decoder.decompress(content, LARGEST_REPLY + 1 - len(text))
        except zlib.error as error:
            raise VendorReplyNotUnderstood(BROKEN) from error
        if len(text) > LARGEST_REPLY:
            raise _too_large()
        content = decoder.unused_data
        if not content and decoder.eof:
            return text
    raise VendorReplyNotUnderstood(BROKEN)


def _too_large() -> VendorReplyNotUnderstood:
    return VendorReplyNotUnderstood(f"The vendor's reply has more than {LARGEST_REPLY} bytes.")
