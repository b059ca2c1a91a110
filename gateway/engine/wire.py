"""Vendor requests as they go on the wire, and replies as they come off it.

Encoding lives here and not in adapters: a URL is built from segments, each percent-encoded, so that no id can change
which operation is called.
"""

from __future__ import annotations

import json
import math
import re
from codecs import BOM_UTF8
from urllib.parse import quote

from msgspec import Struct

from gateway.domain.encoding import dump
from gateway.domain.errors import Explanation, FieldError, GatewayError, UnknownJob, ValueNotSupported
from gateway.domain.model import HttpReply, HttpRequest, Json, Outcome, VendorRequest
from gateway.domain.record import NOBODY, Origin
from gateway.specs.document import pointer
from gateway.specs.lens import Lens, Parts
from gateway.specs.operations import Operation

USER_AGENT = "jobgate/1"
JOB_ID = "/path/jobId"
"""Where the unified API has a job's id."""

_SUCCESS = 2
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]*")


def check_contract(operation: Operation, lens: Lens, request: VendorRequest) -> None:
    """Hold a request against the vendor's document before it is sent.

    Raises UnknownJob where the vendor has no such ids, ValueNotSupported where another value of the caller's cannot be
    in such a request, and GatewayError where it is our own mapping that is wrong.
    """
    errors = operation.check(request.parts()) + path_errors(request)
    if not errors:
        return
    mended = [_caller_error(lens, error) for error in errors]
    if any(each is None for each in mended):
        raise GatewayError(f"Jobgate made a {operation.operation_id} request that the vendor's document forbids.")
    first_at_place = {each.pointer: each for each in reversed(mended) if each is not None}
    listed = tuple(first_at_place[place] for place in sorted(first_at_place))
    detail = "; ".join(f"{each.pointer} {each.detail}" for each in listed)
    kind = UnknownJob if JOB_ID in first_at_place else ValueNotSupported
    raise kind(f"The vendor can have no such value: {detail}.", Explanation(errors=listed, outcome=Outcome.NOT_SENT))


def path_errors(request: VendorRequest) -> tuple[FieldError, ...]:
    """The path parameters with which the path would be that of another operation."""
    unfit = [name for name, value in request.path.items() if value in {"", ".", ".."} or "/" in str(value)]
    return tuple(FieldError(pointer("path", name), "cannot be part of a path") for name in unfit)


def _caller_error(lens: Lens, error: FieldError) -> FieldError | None:
    """The same error at the place of the unified API that the value came from; None where it came from us."""
    location, _, rest = error.pointer.removeprefix("/").partition("/")
    kind, _, name = (lens.source_at(location, rest.split("/")[0]) or "").partition(".")
    places = {"job": JOB_ID, "parameters": f"/body/{name}"}
    return FieldError(places[kind], error.detail) if kind in places else None


def http_request(operation: Operation, request: VendorRequest, endpoint: str, origin: Origin = NOBODY) -> HttpRequest:
    """The request on the wire, without the headers that prove who sends it, with the ids by which it can be traced."""
    content = b"" if request.body is None else dump(request.body)
    headers = {"Accept": "application/json", "User-Agent": USER_AGENT}
    if origin.request_id is not None:
        headers["X-Request-Id"] = origin.request_id
    if origin.trace_parent is not None:
        headers["traceparent"] = origin.trace_parent
    headers |= {name: _header_value(name, value) for name, value in request.header.items()}
    if content:
        headers["Content-Type"] = operation.media_types[0]
    return HttpRequest(operation.method, url(operation, request, endpoint), headers, content)


def url(operation: Operation, request: VendorRequest, endpoint: str) -> str:
    """The URL, every part percent-encoded: `:` in an id cannot be taken for the one before a verb."""
    pieces = list(operation.path_pieces)
    pieces[1::2] = [_encoded(str(request.path[name])) for name in pieces[1::2]]
    path = "".join(pieces)
    query = request.written_query
    if query is None:
        query = "&".join(f"{_encoded(name)}={_encoded(_text(value))}" for name, value in request.query.items())
    return f"{endpoint}{path}?{query}" if query else f"{endpoint}{path}"


def _encoded(value: str) -> str:
    return value if _UNRESERVED.fullmatch(value) else quote(value, safe="")


def _text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _header_value(name: str, value: Json) -> str:
    text = _text(value)
    if not _HEADER_VALUE.fullmatch(text):
        raise GatewayError(f"Jobgate made a {name} header that is not printable ASCII.")
    return text


def json_value(content: bytes) -> Json:
    """The value of a JSON text, as far as it can be passed on. Raises ValueError or RecursionError.

    There are no numbers that are not finite, and half of a surrogate pair (a text cut in two) becomes a question mark.
    """
    text = content.removeprefix(BOM_UTF8).decode("utf-8")
    value: Json = _DECODER.decode(text)
    if _SURROGATE.search(text):
        value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    return value


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not finite")
    return number


_DECODER = json.JSONDecoder(parse_constant=_finite, parse_float=_finite)


class VendorReply(Struct, frozen=True):
    """A vendor's reply, and its JSON body: None where there is none, or where it is no JSON.

    `is_doubtful`: the request was sent before, and nothing told what came of that.
    """

    http: HttpReply
    body: Json
    is_doubtful: bool = False

    @classmethod
    def of(cls, http: HttpReply) -> VendorReply:
        """Read a reply."""
        try:
            return cls(http, json_value(http.content) if http.content else None)
        except (ValueError, RecursionError):
            return cls(http, None)

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.http.status

    @property
    def is_success(self) -> bool:
        """Whether the vendor says that it did what was asked."""
        return self.status // 100 == _SUCCESS

    @property
    def is_json(self) -> bool:
        """Whether the body is JSON."""
        return self.body is not None or self.http.content.strip() == b"null"

    @property
    def is_understood(self) -> bool:
        """Whether the body is what a vendor sends: nothing, or a JSON object."""
        return not self.http.content or isinstance(self.body, dict)

    @property
    def parts(self) -> Parts:
        """The reply as lenses read it."""
        return {"header": self.http.headers, "body": self.body}
