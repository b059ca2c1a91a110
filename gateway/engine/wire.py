"""Requests to vendors as they are sent, and replies as they are received.

Adapters do not encode anything. A URL is built here from segments, each percent-encoded, so that no id can change which
operation is called.
"""

from __future__ import annotations

import json
import math
import re
from codecs import BOM_UTF8
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import quote

from msgspec import DecodeError, Struct
from msgspec.json import Decoder

from gateway.domain.encoding import FORM, dump, dump_form
from gateway.domain.errors import Explanation, FieldError, GatewayError, UnknownJob, ValueNotSupported
from gateway.domain.model import HttpReply, HttpRequest, Json, Outcome, VendorRequest
from gateway.domain.record import NOBODY, Origin
from gateway.domain.vocabulary import PARAMETER, Source
from gateway.specs.document import pointer
from gateway.specs.lens import Lens, Parts
from gateway.specs.operations import Operation

USER_AGENT = "jobgate/1"
JOB_ID = "/path/jobId"
"""The place of a job's id in requests of the unified API."""
IF_MATCH = "/header/If-Match"
"""The place of a job's version in requests of the unified API."""

_SUCCESS = 2
_NO_SEGMENTS = frozenset({"", ".", ".."})
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]*")


def check_contract(operation: Operation, lens: Lens, request: VendorRequest) -> None:
    """Check a request against the vendor's document before it is sent.

    Raises UnknownJob if the vendor has no ids of this form, ValueNotSupported if the document does not allow another
    value of the caller's, and GatewayError if our own mapping is wrong.
    """
    parts = request.parts()
    if operation.request.is_valid(parts) and is_writable(request):
        return
    errors = operation.check(parts) + path_errors(request) + header_errors(request)
    mended = [_caller_error(lens, error) for error in errors]
    if any(each is None for each in mended):
        raise GatewayError(f"Jobgate made a {operation.operation_id} request that the vendor's document forbids.")
    first_at_place = {each.pointer: each for each in reversed(mended) if each is not None}
    listed = tuple(first_at_place[place] for place in sorted(first_at_place))
    detail = "; ".join(f"{each.pointer} {each.detail}" for each in listed)
    kind = UnknownJob if JOB_ID in first_at_place else ValueNotSupported
    raise kind(f"The vendor does not allow a value: {detail}.", Explanation(errors=listed, outcome=Outcome.NOT_SENT))


def is_writable(request: VendorRequest) -> bool:
    """True if neither path nor header fields have a value of the kind that the next two functions tell of."""
    for value in request.path.values():
        if value in _NO_SEGMENTS or "/" in str(value):
            return False
    return all(_HEADER_VALUE.fullmatch(_text(value)) for value in request.header.values()) if request.header else True


def path_errors(request: VendorRequest) -> tuple[FieldError, ...]:
    """Errors for path parameters that would turn the path into that of another operation."""
    unfit = [name for name, value in request.path.items() if value in _NO_SEGMENTS or "/" in str(value)]
    return tuple(FieldError(pointer("path", name), "cannot be part of a path") for name in unfit)


def header_errors(request: VendorRequest) -> tuple[FieldError, ...]:
    """Errors for header fields that cannot be written: only printable ASCII can."""
    unfit = [name for name, value in request.header.items() if not _HEADER_VALUE.fullmatch(_text(value))]
    return tuple(FieldError(pointer("header", name), "is not printable ASCII") for name in unfit)


def _caller_error(lens: Lens, error: FieldError) -> FieldError | None:
    """The error at the place in the unified API where the value came from; None if it came from Jobgate."""
    location, _, rest = error.pointer.removeprefix("/").partition("/")
    source = lens.source_at(location, rest.split("/")[0]) or ""
    places = {Source.JOB_ID: JOB_ID, Source.JOB_VERSION: IF_MATCH}
    if source.startswith(PARAMETER):
        return FieldError(f"/body/{source.removeprefix(PARAMETER)}", error.detail)
    return FieldError(places[Source(source)], error.detail) if source in places else None


def http_request(operation: Operation, request: VendorRequest, endpoint: str, origin: Origin = NOBODY) -> HttpRequest:
    """The HTTP request without credentials, with the ids by which it can be traced.

    `check_contract` has seen that its header fields can be written.
    """
    content = b"" if request.body is None else encoded_body(operation, request.body)
    headers = {"Accept": "application/json", "User-Agent": USER_AGENT}
    if origin.request_id is not None:
        headers["X-Request-Id"] = origin.request_id
    if origin.trace_parent is not None:
        headers["traceparent"] = origin.trace_parent
    for name, value in request.header.items():
        headers[name] = _text(value)
    if content:
        headers["Content-Type"] = operation.media_types[0]
    return HttpRequest(operation.method, url(operation, request, endpoint), headers, content)


def encoded_body(operation: Operation, body: Json) -> bytes:
    """A body in the first media type that the operation takes. The lint refuses others than JSON and flat forms."""
    is_form = operation.media_types[0] == FORM
    return dump_form(body) if is_form and isinstance(body, Mapping) else dump(body)


def url(operation: Operation, request: VendorRequest, endpoint: str) -> str:
    """The URL with every part percent-encoded, so that a `:` in an id is not taken for the one before a verb."""
    path = endpoint + operation.path_pieces[0]
    for name, text in operation.path_parameters:
        path += _encoded(str(request.path[name])) + text
    query = request.written_query
    if query is None:
        query = ""
        for name, value in request.query.items():
            pair = _pair(name, value) if isinstance(value, str) else _written(operation, name, value)
            query = f"{query}&{pair}" if query and pair else query or pair
    return f"{path}?{query}" if query else path


def _written(operation: Operation, name: str, value: Json) -> str:
    """A query parameter; an array in the style of the document. Of an empty array nothing is written."""
    if not isinstance(value, list):
        return _pair(name, _text(value))
    written = [_encoded(_text(each)) for each in value]
    declared = operation.declared["query"].get(name)
    if declared is None or declared.is_exploded:
        return "&".join(f"{_encoded(name)}={each}" for each in written)
    return f"{_encoded(name)}={','.join(written)}" if written else ""


@lru_cache(maxsize=256)
def _pair(name: str, value: str) -> str:
    """A query parameter, from a cache: most are the same in each request, such as the version of the API."""
    return f"{_encoded(name)}={_encoded(value)}"


def _encoded(value: str) -> str:
    return value if _UNRESERVED.fullmatch(value) else quote(value, safe="")


def _text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def json_value(content: bytes) -> Json:
    """Parse a JSON text into a value that can be passed on. Raises ValueError or RecursionError.

    Numbers that are not finite are errors. Half of a surrogate pair (a text cut in two) becomes a question mark.
    """
    try:
        return _STRICT.decode(content)
    except (DecodeError, UnicodeError, RecursionError):  # it may still be JSON, with a mark at its start or such a half
        return _json_value_in_parts(content)


def _json_value_in_parts(content: bytes) -> Json:
    text = content.removeprefix(BOM_UTF8).decode("utf-8").strip(_WHITE_SPACE)
    value: Json
    value, end = _DECODER.raw_decode(text)
    if end != len(text):
        raise ValueError("there is more after the JSON value")
    if _SURROGATE.search(text):
        value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    return value


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not finite")
    return number


_WHITE_SPACE = " \t\n\r"
"""White space of JSON (RFC 8259, 2)."""
_STRICT: Decoder[Json] = Decoder()
_DECODER = json.JSONDecoder(parse_constant=_finite, parse_float=_finite)


class VendorReply(Struct, frozen=True):
    """A vendor's reply, and its JSON body: None if there is no body, or if it is not JSON.

    `is_success`: the vendor says that it did what was asked. `is_doubtful`: the outcome of an earlier attempt is
    unknown.
    """

    http: HttpReply
    body: Json
    is_success: bool
    is_doubtful: bool = False

    @classmethod
    def of(cls, http: HttpReply) -> VendorReply:
        """Parse a reply."""
        try:
            body = json_value(http.content) if http.content else None
        except (ValueError, RecursionError):
            body = None
        return cls(http, body, http.status // 100 == _SUCCESS)

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.http.status

    @property
    def is_json(self) -> bool:
        """True if the body is JSON."""
        return self.body is not None or self.http.content.strip() == b"null"

    def is_understood(self, operation: Operation) -> bool:
        """True if the body is what vendors send after an action: nothing, a JSON object, or what they document."""
        if not self.http.content or isinstance(self.body, dict):
            return True
        response = operation.response(self.status)
        documented = response.bodies.values() if response and self.is_json else ()
        return any(body.is_valid(self.body) for body in documented)

    @property
    def parts(self) -> Parts:
        """The reply in the form that lenses read."""
        return {"header": self.http.headers, "body": self.body}
