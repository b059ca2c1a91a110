"""The compiled validation and Connexion's own judge every request alike, except for the listed exceptions.

Both serve `specs/gateway.yaml`, and both get the same generated requests, in this process and without a server between.
What counts is whether the handler is reached, and with which values. Findings that are not listed do not show in that,
or need something else: C3 and the 500s of C7 Connexion's FlaskApp, NaN in C6 a number in a body, C9 Connexion's
validation of responses.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gateway.app import Catalogue
from gateway.specs.document import SPECIFICATIONS, load
from gateway.specs.forms import canonical_time, canonical_uuid, form_of
from tests.edge import equivalence as make
from tests.edge.equivalence import Change
from tests.support.edge import LIMITS
from tests.support.sampling import amount
from tests.support.stock import Judge, Kind, Request, Verdict, ours, stock, targets
from tests.support.vendors import API_KEY

TARGETS = targets(load(SPECIFICATIONS / "gateway.yaml"))
REQUESTS = {name: make.requests(target) for name, target in TARGETS.items()}
CHANGES = make.first_changes(TARGETS.values())
VALID = {name: make.valid(target) for name, target in TARGETS.items()}
# As for the fuzz tests, and here for each operation. The operations share one amount of random examples, however many
# they are: what serves them is the same for all, and every single change is tried at each of them.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", amount(whole=1_000, sample=300) // len(TARGETS)))

# To make the strategies takes longer than to draw from them, and on a busy machine too long for hypothesis.
patiently = partial(settings, deadline=None, suppress_health_check=[HealthCheck.too_slow])

ACCEPTED, REFUSED, REDIRECTED, CRASHED = Kind.ACCEPTED, Kind.REFUSED, Kind.REDIRECTED, Kind.CRASHED

Holds = Callable[[Request], bool]
"""Says something of a request, and never of what was made of it."""

Expected = Callable[[Verdict], bool]
"""Says whether our verdict may be this one."""


def is_an_answer(here: Verdict) -> bool:
    """We neither fail nor send clients elsewhere."""
    return here.kind in {ACCEPTED, REFUSED}


ABOUT_CONTENT = {"content-type", "content-encoding"}


@dataclass(frozen=True)
class Departure:
    """One way in which the two differ: one departs from the document, or from the RFCs that the document rests on.

    `verdicts` are ours and Connexion's. One `part` of the request is to blame: with that of the plain request in its
    place, the two agree. The plain request for `operation`, once `changes` are made to it, is an example.
    """

    finding: str
    wrong: str
    holds: Holds
    part: Literal["method", "path", "query", "headers", "content", "pieces"]
    verdicts: tuple[Kind, Kind]
    operation: str
    changes: tuple[Change, ...]

    def __str__(self) -> str:
        """Its name in the list of tests."""
        return f"{self.finding} {self.wrong}"

    @property
    def example(self) -> Request:
        """A request that shows it."""
        return make.changed(make.plain(TARGETS[self.operation]), self.changes)

    def mended(self, request: Request) -> Request:
        """A request with that part of the plain one in its place; with a body goes what is said about it."""
        plain = make.plain(request.target)
        if self.part != "content":
            return replace(request, **{self.part: getattr(plain, self.part)})
        others = tuple(each for each in request.headers if each[0] not in ABOUT_CONTENT)
        about = tuple(each for each in plain.headers if each[0] in ABOUT_CONTENT)
        return replace(request, content=plain.content, headers=others + about)

    def may_become(self, before: Verdict, after: Verdict) -> bool:
        """Whether our verdict may change so once it is mended: what was accepted still is, elsewhere as before."""
        if before.kind is not ACCEPTED:
            return is_an_answer(after)
        elsewhere = before.values.keys() - {self.part}
        return after.kind is ACCEPTED and all(before.values[part] == after.values[part] for part in elsewhere)


def both(*conditions: Holds) -> Holds:
    """All of them hold."""
    return lambda request: all(holds(request) for holds in conditions)


def takes_body(request: Request) -> bool:
    """The operation takes a body."""
    return request.target.body is not None


def takes_none(request: Request) -> bool:
    """The operation takes no body."""
    return request.target.body is None


def has_body(request: Request) -> bool:
    """There is a body."""
    return request.content != b""


def has_none(request: Request) -> bool:
    """There is no body."""
    return request.content == b""


def has(pattern: bytes) -> Holds:
    """Some part of the body is of this form."""
    return lambda request: re.search(pattern, request.content) is not None


def member(name: str, pattern: str) -> Holds:
    """Some part of a member of the body is of this form."""

    def holds(request: Request) -> bool:
        value = request.json.get(name) if isinstance(request.json, dict) else None
        return isinstance(value, str) and re.search(pattern, value) is not None

    return holds


def time_of_the_body(pattern: str) -> Holds:
    """Some part of a time in the body is of this form."""

    def holds(request: Request) -> bool:
        times = (name for name, schema in request.target.members.items() if schema.get("format") == "date-time")
        return any(member(name, pattern)(request) for name in times)

    return holds


def ends_in_a_line_feed(request: Request) -> bool:
    """A member of the body with a pattern ends in a line feed."""
    patterns = (name for name, schema in request.target.members.items() if "pattern" in schema)
    return any(member(name, r"\n\Z")(request) for name in patterns)


def comes_in_pieces(request: Request) -> bool:
    """The body comes without its length."""
    return request.pieces > 0


def reads_instead(request: Request) -> bool:
    """The method is that of a read, where the operation is none."""
    return request.method in {"GET", "HEAD"} and request.method != request.target.method


def has_half_a_pair(request: Request) -> bool:
    """A member of the body has half of a surrogate pair."""
    values = request.json.values() if isinstance(request.json, dict) else ()
    return any(isinstance(value, str) and re.search(r"[\ud800-\udfff]", value) for value in values)


def has_a_name_twice(request: Request) -> bool:
    """The body has a member of the same name twice."""
    return len(set(request.member_names)) < len(request.member_names)


def is_not_utf_8(content: bytes) -> bool:
    """The bytes are no UTF-8."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return True
    return False


def content_type(pattern: str) -> Holds:
    """The whole content type is of this form; empty where there is none."""
    return lambda request: re.fullmatch(pattern, request.value("content-type") or "") is not None


def has_another_charset(request: Request) -> bool:
    """The content type names another charset than UTF-8, and not within the quotes of something else."""
    sent = re.sub(r'(?i)(?<!charset=)"([^"\\]|\\.)*"', "", request.value("content-type") or "")
    found = re.search(r";\s*charset=([^;]*)", sent, re.IGNORECASE)
    return found is not None and found[1].strip(' "').lower() != "utf-8"


def has_an_odd_type(request: Request) -> bool:
    """The content type has a slash too many or too few, or is not UTF-8."""
    sent = request.value("content-type")
    return sent is not None and (sent.count("/") != 1 or is_not_utf_8(sent.lower().encode("latin-1")))


def is_encoded(request: Request) -> bool:
    """The body is said to have a content encoding."""
    return (request.value("content-encoding") or "identity").lower() != "identity"


def repeats(*names: str) -> Holds:
    """One of these header fields comes more than once."""
    return lambda request: any(len(request.values(name)) > 1 for name in names)


def parameter(kind: str, fits: Callable[[str], bool]) -> Holds:
    """The text of a query parameter of a type fits."""

    def holds(request: Request) -> bool:
        schemas = request.target.schemas("query")
        known = ((make.of_one(schemas[name]), text) for name, text in request.pairs if name in schemas)
        return any(schema["type"] == kind and fits(text) for schema, text in known)

    return holds


def has_a_uuid_in_capitals(request: Request) -> bool:
    """A part of the path is a UUID that is not in lower case."""
    names = unquote_to_bytes(request.path).decode("utf-8", "replace").split("/")
    return any(canonical_uuid(name) != name for name in names)


def asks_for_a_uuid_in_capitals(request: Request) -> bool:
    """A query parameter that is a UUID is not in lower case."""
    schemas = request.target.schemas("query")
    known = ((form_of(schemas[name]), text) for name, text in request.pairs if name in schemas)
    return any(form is canonical_uuid and form(text) != text for form, text in known)


def has_a_comma_in_an_array(request: Request) -> bool:
    """An element of an array in the query has a comma."""
    schemas = request.target.schemas("query")
    return any("," in text for name, text in request.pairs if name in schemas and schemas[name]["type"] == "array")


def labels(fits: Callable[[str, Any], bool]) -> Holds:
    """The name and value of a label fit."""

    def holds(request: Request) -> bool:
        found = request.json.get("labels") if isinstance(request.json, dict) else None
        return isinstance(found, dict) and any(fits(*each) for each in found.items())

    return holds


def is_a_number_to_python_only(text: str) -> bool:
    """Python reads it as a whole number, and JSON does not have it."""
    try:
        int(text)
    except ValueError:
        return False
    return re.fullmatch(r"-?(0|[1-9][0-9]*)", text) is None


def is_a_boolean_with_capitals(text: str) -> bool:
    """It is true or false, but for its case."""
    return text.lower() in {"true", "false"} and text not in {"true", "false"}


def repeats_a_parameter(request: Request) -> bool:
    """A query parameter that is no array comes more than once."""
    names, schemas = [name for name, _ in request.pairs], request.target.schemas("query")
    return any(names.count(name) > 1 for name, schema in schemas.items() if schema["type"] != "array")


def query(pattern: str) -> Holds:
    """Some part of the query as it is sent is of this form."""
    return lambda request: re.search(pattern, request.query) is not None


def path(pattern: str) -> Holds:
    """Some part of the path as it is sent is of this form."""
    return lambda request: re.search(pattern, request.path) is not None


def typed(value: str) -> Change:
    """Sends the body with this content type."""
    return partial(make.field, name="content-type", value=value)


def with_body(content: bytes) -> Change:
    """Sends this body."""
    return partial(make.content, body=content)


def with_member(name: str, value: Any) -> Change:
    """Sends a body that has this member."""
    return partial(make.member, name=name, value=value)


def with_query(text: str) -> Change:
    """Sends this query."""
    return partial(make.also_query, text=text)


def with_job_id(text: str) -> Change:
    """Sends this in the place of the job's id."""
    return partial(make.segment, name="jobId", text=text)


def with_field(name: str, value: str) -> Change:
    """Sends one header field more."""
    return partial(make.also_field, name=name, value=value)


CAPITALS = r"(?!application/json)(?i:application/json)(;.*)?"
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
PARAMETERS = rf'([ \t]*;[ \t]*({_WORD}=({_WORD}|"([^"\\]|\\.)*"))?)*'
"""The parameters of a content type (RFC 9110, 5.6.6)."""

EXCEPTIONS: list[Departure] = [
    Departure(
        "C1",
        "A capital letter in the media type switches the validation of the body off.",
        both(takes_body, has_body, content_type(CAPITALS)),
        "headers",
        (REFUSED, ACCEPTED),
        "closeJob",
        (typed("Application/JSON"), with_body(b"[]")),
    ),
    Departure(
        "C1",
        "A capital letter in the media type gives the handler bytes.",
        both(takes_body, has_body, content_type(CAPITALS)),
        "headers",
        (ACCEPTED, ACCEPTED),
        "closeJob",
        (typed("Application/JSON"),),
    ),
    Departure(
        "C1",
        "A capital letter in the media type gives the handler an empty object for a body that was left out.",
        both(takes_body, has_none, content_type(CAPITALS)),
        "headers",
        (ACCEPTED, ACCEPTED),
        "closeJob",
        (typed("Application/JSON"), make.no_content),
    ),
    Departure(
        "C1",
        "A capital letter in the media type gives the handler an empty object for a body that may not be left out.",
        both(takes_body, has_none, content_type(CAPITALS)),
        "headers",
        (REFUSED, ACCEPTED),
        "confirmBatch",
        (typed("Application/JSON"), make.no_content),
    ),
    Departure(
        "new: UUID",
        "A UUID in capitals, which RFC 9562 takes for the same (4), is another text.",
        has_a_uuid_in_capitals,
        "path",
        (ACCEPTED, REFUSED),
        "getJobAction",
        (partial(make.segment, name="id", text="019A9B3C-5E0E-7C4B-9F5A-3D8F0E1C2B4A"),),
    ),
    Departure(
        "new: UUID",
        "A UUID in capitals is another text in a query too.",
        asks_for_a_uuid_in_capitals,
        "query",
        (ACCEPTED, REFUSED),
        "listJobActions",
        (with_query("parent=019A9B3C-5E0E-7C4B-9F5A-3D8F0E1C2B4A"),),
    ),
    Departure(
        "new: commas",
        "A comma in an element of an array, which comes in a parameter of its own, ends the element.",
        has_a_comma_in_an_array,
        "query",
        (ACCEPTED, ACCEPTED),
        "findJobs",
        (with_query("vendorStatus=a,b"),),
    ),
    Departure(
        "new: commas",
        "A comma in an element makes two of it, which the document allows.",
        has_a_comma_in_an_array,
        "query",
        (REFUSED, ACCEPTED),
        "findJobs",
        (with_query("status=queued,running"),),
    ),
    Departure(
        "new: commas",
        "A comma in an element makes two of it, which the document does not allow.",
        has_a_comma_in_an_array,
        "query",
        (ACCEPTED, REFUSED),
        "findJobs",
        (with_query("vendorStatus=a,"),),
    ),
    Departure(
        "new: names",
        "The members of an object may have any name, since OpenAPI 3.0 has no `propertyNames`.",
        labels(lambda name, _: not re.fullmatch(r"[a-z][a-z0-9.-]{0,62}", name)),
        "content",
        (REFUSED, ACCEPTED),
        "closeJob",
        (with_member("labels", {"A": "b"}),),
    ),
    Departure(
        "C2",
        "A body without a content type is taken for JSON, and given to the handler as bytes.",
        both(takes_body, has_body, lambda request: request.value("content-type") is None),
        "headers",
        (REFUSED, ACCEPTED),
        "closeJob",
        (partial(make.without, name="content-type"),),
    ),
    Departure(
        "C4",
        "An optional body may not be left out.",
        both(takes_body, has_none),
        "content",
        (ACCEPTED, REFUSED),
        "closeJob",
        (make.no_content,),
    ),
    Departure(
        "C5",
        "A body that is not UTF-8 is a 500.",
        both(takes_body, lambda request: is_not_utf_8(request.content)),
        "content",
        (REFUSED, CRASHED),
        "closeJob",
        (with_body(b'{"note":"\xff"}'),),
    ),
    Departure(
        "C5",
        "A charset that Python does not know, or that the body is not in, is a 500.",
        both(takes_body, has_body, content_type(r'(?i:application/json)(.*);charset=(?!"?utf-8"?(;|\Z)).*')),
        "headers",
        (REFUSED, CRASHED),
        "closeJob",
        (typed("application/json;charset=bogus"),),
    ),
    Departure(
        "C5",
        "A number of more digits than Python reads is a 500.",
        both(takes_body, has(rb"[0-9]{4301}")),
        "content",
        (REFUSED, CRASHED),
        "closeJob",
        (with_body(b'{"note":' + b"1" * 5_000 + b"}"),),
    ),
    Departure(
        "C5",
        "A body that nests deeper than Python can follow is a 500.",
        has(rb"([\[{][^\[{\]}]*){900}"),
        "content",
        (REFUSED, CRASHED),
        "closeJob",
        (with_body(b"[" * 30_000 + b"]" * 30_000),),
    ),
    Departure(
        "C6",
        "Of two members of the same name the last counts.",
        both(takes_body, has_a_name_twice),
        "content",
        (REFUSED, ACCEPTED),
        "closeJob",
        (with_body(b'{"note":"a","note":"b"}'),),
    ),
    Departure(
        "C6",
        "Half of a surrogate pair is a text.",
        both(takes_body, has_half_a_pair),
        "content",
        (REFUSED, ACCEPTED),
        "closeJob",
        (with_body(rb'{"note":"\ud800"}'),),
    ),
    Departure(
        "C7",
        "A slash at the end is redirected, to a host that the client names.",
        path(r"(?i)(/|%2f)$"),
        "path",
        (REFUSED, REDIRECTED),
        "listVendors",
        (partial(make.path, where="$", text="/"),),
    ),
    Departure(
        "C8",
        "A job's id may be `.` or `..`, which the document says it is not.",
        path(r"(?i)/(\.|%2e){1,2}(/|$)"),
        "path",
        (REFUSED, ACCEPTED),
        "getJob",
        (with_job_id("%2e%2e"),),
    ),
    Departure(
        "C12",
        "A body may be of any size.",
        lambda request: len(request.content) > LIMITS.body_bytes,
        "content",
        (REFUSED, ACCEPTED),
        "closeJob",
        (partial(make.padded, size=LIMITS.body_bytes + 1),),
    ),
    Departure(
        "C12",
        "There may be any number of header fields.",
        lambda request: len(request.headers) + 1 > LIMITS.header_count,
        "headers",
        (REFUSED, ACCEPTED),
        "listVendors",
        (partial(make.filler, count=LIMITS.header_count, size=1),),
    ),
    Departure(
        "C12",
        "Header fields may be of any size.",
        lambda request: sum(len(name) + len(value) for name, value in request.headers) > LIMITS.header_bytes,
        "headers",
        (REFUSED, ACCEPTED),
        "listVendors",
        (partial(make.filler, count=1, size=LIMITS.header_bytes),),
    ),
    Departure(
        "C12",
        "A target may be of any length.",
        lambda request: len(request.path) + len(request.query) > LIMITS.target_bytes,
        "query",
        (REFUSED, ACCEPTED),
        "listJobs",
        (with_query("cursor=" + "%61" * 6_000),),
    ),
    Departure(
        "C15",
        "An operation that takes no body takes any.",
        both(takes_none, has_body),
        "content",
        (REFUSED, ACCEPTED),
        "listVendors",
        (with_body(b"<a/>"), typed("application/xml")),
    ),
    Departure(
        "C15",
        "A read at the path of an operation that takes a body takes it too.",
        both(takes_body, has_body, reads_instead),
        "method",
        (REFUSED, ACCEPTED),
        "createBatch",
        (partial(make.method, name="GET"),),
    ),
    Departure(
        "new: pieces",
        "A body that may not be left out, and comes without its length, is taken for none.",
        both(takes_body, has_body, comes_in_pieces),
        "pieces",
        (ACCEPTED, REFUSED),
        "confirmBatch",
        (partial(make.chunked, pieces=2),),
    ),
    Departure(
        "C19",
        "A whole number may have a plus, zeros, spaces, underscores and digits of any script.",
        parameter("integer", is_a_number_to_python_only),
        "query",
        (REFUSED, ACCEPTED),
        "listJobs",
        (with_query("limit=%2B5"),),
    ),
    Departure(
        "C19",
        "A boolean may have capital letters.",
        parameter("boolean", is_a_boolean_with_capitals),
        "query",
        (REFUSED, ACCEPTED),
        "cancelJob",
        (with_query("dryRun=TRUE"),),
    ),
    Departure(
        "C19",
        "Of a query parameter that comes twice the last counts.",
        repeats_a_parameter,
        "query",
        (REFUSED, ACCEPTED),
        "listJobs",
        (with_query("limit=5&limit=6"),),
    ),
    Departure(
        "C19",
        "The end of a pattern is before a line feed too, in a query.",
        parameter("string", lambda text: text.endswith("\n")),
        "query",
        (REFUSED, ACCEPTED),
        "listJobs",
        (with_query("cursor=a%0A"),),
    ),
    Departure(
        "C19",
        "The end of a pattern is before a line feed too, in a body.",
        ends_in_a_line_feed,
        "content",
        (REFUSED, ACCEPTED),
        "closeJob",
        (with_member("assignmentId", "a\n"),),
    ),
    Departure(
        "C19",
        "The end of a pattern is before a line feed too, in a member of a member.",
        labels(lambda _, value: isinstance(value, str) and value.endswith("\n")),
        "content",
        (REFUSED, ACCEPTED),
        "closeJob",
        (with_member("labels", {"a": "b\n"}),),
    ),
    Departure(
        "C20",
        "Of a header field that may come once the first counts.",
        repeats(
            "authorization",
            "content-type",
            "content-encoding",
            "host",
            "idempotency-key",
            "if-match",
            "request-timeout",
        ),
        "headers",
        (REFUSED, ACCEPTED),
        "listVendors",
        (with_field("authorization", "Bearer of another key"),),
    ),
    Departure(
        "C20",
        "Of a list that is sent in parts (RFC 9110, 5.3) handlers find the first.",
        repeats("prefer"),
        "headers",
        (ACCEPTED, ACCEPTED),
        "cancelJob",
        (with_field("prefer", "wait=5"), with_field("prefer", "handling=strict")),
    ),
    Departure(
        "C20",
        "Of a list that is sent in parts (RFC 9110, 5.3) only the first is validated.",
        repeats("prefer"),
        "headers",
        (REFUSED, ACCEPTED),
        "cancelJob",
        (with_field("prefer", "wait=5"), with_field("prefer", "x" * 257)),
    ),
    Departure(
        "new: date-time",
        "A date-time may end in a line feed, which RFC 3339 does not have.",
        time_of_the_body(r"\n\Z"),
        "content",
        (REFUSED, ACCEPTED),
        "closeJob",
        (with_member("closeAt", "2030-01-01T00:00:00Z\n"),),
    ),
    Departure(
        "new: leap second",
        "A date-time may not be a leap second, which RFC 3339 has (5.6, 5.7).",
        time_of_the_body(r"(?i)^.{10}T..:59:60"),
        "content",
        (ACCEPTED, REFUSED),
        "closeJob",
        (with_member("closeAt", "2016-12-31T23:59:60Z"),),
    ),
    Departure(
        "new: leap second",
        "A date-time of a query may not be a leap second either.",
        parameter("string", lambda text: re.search(r"(?i)^.{10}T..:59:60", text) is not None),
        "query",
        (ACCEPTED, REFUSED),
        "listJobActions",
        (with_query("since=2016-12-31T23:59:60Z"),),
    ),
    Departure(
        "new: white space",
        "A content type may have no space before its semicolon, which RFC 9110 allows (5.6.6).",
        both(takes_body, has_body, content_type(r"(?i:application/json)[ \t]+(;.*)?")),
        "headers",
        (ACCEPTED, REFUSED),
        "closeJob",
        (typed("application/json ; charset=utf-8"),),
    ),
    Departure(
        "new: charset",
        "A body in another charset than UTF-8, which RFC 8259 does not have (8.1), is taken.",
        both(takes_body, has_body, has_another_charset),
        "headers",
        (REFUSED, ACCEPTED),
        "closeJob",
        (typed("application/json;charset=latin-1"),),
    ),
    Departure(
        "new: parameters",
        "A content type may be followed by what RFC 9110 does not have there (5.6.6).",
        both(takes_body, has_body, content_type(rf"(?i:application/json)(?!{PARAMETERS}\Z);.*")),
        "headers",
        (REFUSED, ACCEPTED),
        "closeJob",
        (typed("application/json;charset"),),
    ),
    Departure(
        "new: slashes",
        "A slash in a quoted parameter of the content type, which RFC 9110 allows (5.6.4), is a 500.",
        has_an_odd_type,
        "headers",
        (ACCEPTED, CRASHED),
        "closeJob",
        (typed('application/json; profile="a/b"'),),
    ),
    Departure(
        "new: slashes",
        "A content type that is none is a 500 where no body is taken.",
        has_an_odd_type,
        "headers",
        (REFUSED, CRASHED),
        "listVendors",
        (with_body(b"{}"), typed("json")),
    ),
    Departure(
        "new: multipart",
        "A content type without a body is refused for what the body would lack.",
        both(takes_none, has_none, content_type(r"(?i)multipart/form-data(;.*)?")),
        "headers",
        (ACCEPTED, REFUSED),
        "listVendors",
        (typed("multipart/form-data"),),
    ),
    Departure(
        "new: content encoding",
        "A body is read as if it had no content encoding, whatever it says it has (RFC 9110, 8.4).",
        both(takes_body, has_body, is_encoded),
        "headers",
        (REFUSED, ACCEPTED),
        "closeJob",
        (with_field("content-encoding", "gzip"),),
    ),
    Departure(
        "new: encoded slash",
        "An encoded slash, which RFC 3986 tells from a slash (2.2), leads to another operation.",
        path(r"(?i)%2f"),
        "path",
        (REFUSED, ACCEPTED),
        "getConnection",
        (partial(make.segment, name="connection", text="a%2Fjobs"),),
    ),
    Departure(
        "new: path bytes",
        "Bytes of a path that are not UTF-8 become U+FFFD, each the same id as the next.",
        lambda request: is_not_utf_8(unquote_to_bytes(request.path)),
        "path",
        (REFUSED, ACCEPTED),
        "getJob",
        (with_job_id("%ff"),),
    ),
    Departure(
        "new: percent sign",
        "A percent sign without two hexadecimal digits, which RFC 3986 does not have (2.1), is taken.",
        path(r"%(?![0-9A-Fa-f]{2})"),
        "path",
        (REFUSED, ACCEPTED),
        "getJob",
        (with_job_id("%zz"),),
    ),
    Departure(
        "new: query bytes",
        "Bytes of a query that are not UTF-8 become U+FFFD, each the same value as the next.",
        lambda request: is_not_utf_8(unquote_to_bytes(request.query)),
        "query",
        (REFUSED, ACCEPTED),
        "listJobActions",
        (with_query("jobId=%ff"),),
    ),
    Departure(
        "new: percent sign",
        "A percent sign without two hexadecimal digits is taken in a query too.",
        query(r"%(?![0-9A-Fa-f]{2})"),
        "query",
        (REFUSED, ACCEPTED),
        "listJobActions",
        (with_query("jobId=%zz"),),
    ),
    Departure(
        "new: credentials",
        "Other white space than the spaces of RFC 9110 (11.4) may be around the scheme of credentials.",
        lambda request: re.match(r"(?i)(?!bearer +\S)\s*bearer\s", request.value("authorization") or "") is not None,
        "headers",
        (REFUSED, ACCEPTED),
        "listVendors",
        (partial(make.field, name="authorization", value=f"Bearer\t{API_KEY}"),),
    ),
]
"""Every difference between the two in which Connexion is wrong."""


@dataclass(frozen=True)
class SideBySide:
    """The gateway and stock Connexion, asked the same. Stock Connexion fills in no default of a body."""

    ours: Judge
    stock: Judge

    async def verdicts(self, request: Request) -> tuple[Verdict, Verdict]:
        """What each makes of a request. A time is the same in any form, of which only we make one."""
        there = with_defaults(request, with_times(request, await self.stock.verdict(request)))
        return await self.ours.verdict(request), there


def with_defaults(request: Request, verdict: Verdict) -> Verdict:
    """A verdict with the default values of what the body leaves out."""
    given = json.loads(verdict.values.get("content", "null"))
    if request.target.body is None or not isinstance(given, dict):
        return verdict
    content = json.dumps(filled_in(request.target.body, given), sort_keys=True)
    return replace(verdict, values={**verdict.values, "content": content})


def filled_in(schema: Mapping[str, Any], value: Any) -> Any:
    """A value with the defaults of its members, and of theirs."""
    if not isinstance(value, dict):
        return value
    members: Mapping[str, Mapping[str, Any]] = schema.get("properties", {})
    defaults = {name: each["default"] for name, each in members.items() if "default" in each}
    return {**defaults, **{name: filled_in(members.get(name, {}), each) for name, each in value.items()}}


def with_times(request: Request, verdict: Verdict) -> Verdict:
    """A verdict with the times of the query in their one form."""
    schemas = request.target.schemas("query")
    times = [name for name, schema in schemas.items() if schema.get("format") == "date-time"]
    given = json.loads(verdict.values.get("query", "{}"))
    if not any(name in given for name in times):
        return verdict
    query = {name: canonical_time(value) if name in times else value for name, value in given.items()}
    return replace(verdict, values={**verdict.values, "query": json.dumps(query, sort_keys=True)})


@pytest.fixture(scope="module")
def pair(catalogue: Catalogue) -> SideBySide:
    """The unified API, served by the gateway and by stock Connexion."""
    return SideBySide(Judge(partial(ours, catalogue.api)), Judge(partial(stock, catalogue.api.document)))


def explanations(request: Request, here: Verdict, there: Verdict) -> list[Departure]:
    """The exceptions that hold for a request and have these verdicts."""
    found = [each for each in EXCEPTIONS if each.verdicts == (here.kind, there.kind) and each.holds(request)]
    return [departure for departure in found if departure.mended(request) != request]


Disagreement = tuple[Request, Verdict, Verdict]


async def unexplained(pair: SideBySide, request: Request, expected: Expected = is_an_answer) -> Disagreement | None:
    """The disagreement that no exception explains; None if there is none.

    What an exception is about is mended, so that nothing else hides behind it.
    """
    here, there = await pair.verdicts(request)
    if not expected(here):
        return request, here, there
    if here == there:
        return None
    left = [
        await unexplained(pair, departure.mended(request), partial(departure.may_become, here))
        for departure in explanations(request, here, there)
    ]
    return None if None in left else next(iter(left), (request, here, there))


def unchanged(request: Request) -> Request:
    """The plain request itself, for every operation."""
    return request


@pytest.mark.parametrize("name", TARGETS)
async def test_both_say_the_same_of_each_change(pair: SideBySide, name: str) -> None:
    """Both judge each single change to a plain request alike, with a body and without."""
    plain = make.plain(TARGETS[name])
    bodiless = make.no_content(plain)
    for change in [unchanged, *CHANGES[name]]:
        for request in dict.fromkeys([change(plain), change(bodiless)]):
            assert await unexplained(pair, request) is None, change


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("name", TARGETS)
@patiently(max_examples=EXAMPLES)
@given(data=st.data())
async def test_both_say_the_same_of_several_changes(pair: SideBySide, name: str, data: st.DataObject) -> None:
    """Both judge valid requests with several random changes alike."""
    assert await unexplained(pair, data.draw(REQUESTS[name])) is None


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("name", TARGETS)
@patiently(max_examples=EXAMPLES // 4 or 1)
@given(data=st.data())
async def test_both_accept_what_is_valid(pair: SideBySide, name: str, data: st.DataObject) -> None:
    """Both accept every request that the document and the limit of bodies allow, with the same values."""
    request = data.draw(VALID[name])
    assume(len(request.content) <= LIMITS.body_bytes)
    here, there = await pair.verdicts(request)
    assert (here.kind, here) == (ACCEPTED, there)


@pytest.mark.parametrize("departure", EXCEPTIONS, ids=str)
async def test_an_exception_is_one(pair: SideBySide, departure: Departure) -> None:
    """The example of an exception is judged as it says, no other says the same, and mending it mends the example."""
    here, there = await pair.verdicts(departure.example)
    assert (here.kind, there.kind) == departure.verdicts
    assert here != there
    assert explanations(departure.example, here, there) == [departure]
    assert await unexplained(pair, departure.mended(departure.example)) is None
