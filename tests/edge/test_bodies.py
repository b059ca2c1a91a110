"""Bodies: whatever the content type, the framing and the JSON, what reaches a handler was validated (C1 to C6, C14)."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

import pytest

from gateway.app import Catalogue
from tests.support.edge import CANCEL, JSON, LIMITS, MARK, Edge, serving
from tests.support.patience import FOR_EVER, PATIENCE
from tests.support.raw import message, read_response
from tests.support.vendors import API_KEY

FORBIDDEN = json.dumps({"unheardOf": MARK}).encode()
GOOD = b'{"note":"why"}'

JSON_TYPES = [
    "application/json",
    "Application/JSON",
    "APPLICATION/JSON",
    "application/json; charset=utf-8",
    "application/json;charset=UTF-8",
    'application/json; Charset="utf-8"',
    "application/json ; charset=utf-8; x=y",
    "application/json;",
    " application/json ",
]


@pytest.mark.parametrize("kind", JSON_TYPES)
def test_json_is_validated_however_its_type_is_written(edge: Edge, kind: str) -> None:
    """The media type's case and parameters do not switch the validation off (C1)."""
    problem = edge.refused("malformed-request", lambda: edge.cancel(FORBIDDEN, ("Content-Type", kind)))
    assert [error["pointer"] for error in problem["errors"]] == ["/body"]
    assert edge.cancel(GOOD, ("Content-Type", kind)).status == 200
    assert edge.transport.requests[-1].content == GOOD


OTHER_TYPES = [
    "text/plain",
    "text/json",
    "application/xml",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/merge-patch+json",
    "application/vnd.newvoicemedia.v1+json",
    "application/json, text/plain",
    "application/jsonx",
    "xapplication/json",
    "application / json",
    "*/*",
    f"{MARK}/{MARK}",
    "application/json; charset=latin-1",
    "application/json; charset=bogus",
    "application/json; charset=utf-16",
    "\xe9/\xe9",
    ";",
    "",
]


@pytest.mark.parametrize("kind", OTHER_TYPES)
@pytest.mark.parametrize("body", [GOOD, b"<x/>", b"note=why"])
def test_other_types_are_refused(edge: Edge, kind: str, body: bytes) -> None:
    """A body that is not declared as JSON in UTF-8 is refused (C5, C15); where it says that it is JSON, it must be."""
    code = "malformed-request" if kind.endswith("+json") and body != GOOD else "unsupported-media-type"
    edge.refused(code, lambda: edge.cancel(body, ("Content-Type", kind)))


def test_a_body_without_a_type_is_refused(edge: Edge) -> None:
    """A body without a content type is refused; its type is not guessed (C2)."""
    edge.refused("unsupported-media-type", lambda: edge.ask("POST", CANCEL, body=GOOD))


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip", "x"])
def test_encoded_bodies_are_refused(edge: Edge, encoding: str) -> None:
    """Encoded bodies are refused, because a content encoding would bypass every limit."""
    edge.refused("unsupported-media-type", lambda: edge.cancel(GOOD, JSON, ("Content-Encoding", encoding)))


@pytest.mark.parametrize("encoding", ["identity", "Identity"])
def test_no_encoding_may_be_said(edge: Edge, encoding: str) -> None:
    """The content encoding `identity` is accepted, because it means none."""
    assert edge.cancel(GOOD, JSON, ("Content-Encoding", encoding)).status == 200


@pytest.mark.parametrize("chunks", [[GOOD], [GOOD[:5], GOOD[5:]], [bytes([byte]) for byte in GOOD]])
def test_chunks_are_the_same_as_a_length(edge: Edge, chunks: list[bytes]) -> None:
    """A body that comes in chunks is neither lost nor left unvalidated (C3)."""
    response = edge.ask("POST", CANCEL, headers=[JSON], chunks=chunks)
    assert (response.status, response.json["parameters"]) == (200, {"note": "why"})
    assert edge.transport.requests[-1].content == GOOD
    edge.refused("malformed-request", lambda: edge.ask("POST", CANCEL, headers=[JSON], chunks=[FORBIDDEN]))


@pytest.mark.parametrize(
    "how", [{}, {"body": b""}, {"chunks": []}, {"headers": [JSON]}, {"headers": [JSON], "body": b""}]
)
def test_an_optional_body_may_be_left_out(edge: Edge, how: dict[str, Any]) -> None:
    """No body, an empty one, and no body with a type are all the same as `{}` (C4)."""
    response = edge.ask("POST", CANCEL, **how)
    assert (response.status, response.json["parameters"]) == (200, {})


BAD_JSON: list[Any] = [
    (b'{"note":"' + MARK.encode() + b"\xff\xfe" + b'"}', "is not UTF-8"),
    (b'{"note":"\xed\xa0\x80"}', "is not UTF-8"),
    (b'{"note":"\\ud800"}', "has a lone surrogate"),
    (b'{"\\udc00":"x"}', "has a lone surrogate"),
    (b'{"note":"a","note":"' + MARK.encode() + b'"}', "has an object with a duplicate name"),
    (b'{"note":{"a":1,"a":2}}', "has an object with a duplicate name"),
    (b'{"note":"a","no\\u0074e":"b"}', "has an object with a duplicate name"),
    (b"NaN", "has a number that is not finite"),
    (b'{"note":NaN}', "has a number that is not finite"),
    (b'{"note":-Infinity}', "has a number that is not finite"),
    (b'{"note":1e400}', "has a number that is not finite"),
    (b'{"note":' + b"1" * 21 + b"}", "has a number with more than 20 digits"),
    (b'{"note":' + b"9" * 5_000 + b"}", "has a number with more than 20 digits"),
    (b'{"note":0.' + b"1" * 5_000 + b"}", "has a number with more than 20 digits"),
    *(
        (b'{"a":' * depth + b"1" + b"}" * depth, "is nested deeper than 32 levels")
        for depth in (33, 100, 500, 900, 990)
    ),
    *((b"[" * depth + b"]" * depth, "is nested deeper than 32 levels") for depth in (33, 500, 900, 980, 1_000, 32_000)),
    (b"[" * 40, "is not JSON: error at character 40"),
    (b" ", "is not JSON: error at character 1"),
    (b"{", "is not JSON: error at character 1"),
    (MARK.encode(), "is not JSON: error at character 0"),
    (b'{"note":"a"}' + MARK.encode(), "is not JSON: error at character 12"),
    (b"{'note':'a'}", "is not JSON: error at character 1"),
    (b'{"note":"a",}', "is not JSON"),
    (b'{"note":"a\nb"}', "is not JSON: error at character 10"),
    (b"\xef\xbb\xbf{}", "is not JSON: error at character 0"),
    (b'{"note":+1}', "is not JSON: error at character 8"),
    (b'{"note":01}', "is not JSON"),
    (b"\x00{}", "is not JSON: error at character 0"),
]


@pytest.mark.parametrize(("body", "detail"), BAD_JSON)
def test_json_that_could_be_read_in_two_ways_is_refused(edge: Edge, body: bytes, detail: str) -> None:
    """Every reader of a body sees the same value, or there is none; the reason is told without the value (C5, C6)."""
    problem = edge.refused("malformed-request", lambda: edge.cancel(body))
    (error,) = problem["errors"]
    assert error["pointer"] == "/body"
    assert error["detail"].startswith(detail)


NOT_FITTING: list[Any] = [
    (b"[]", "/body"),
    (b"null", "/body"),
    (b'"text"', "/body"),
    (b"7", "/body"),
    (b'{"note":7}', "/body/note"),
    (b'{"note":null}', "/body/note"),
    (b'{"note":""}', "/body/note"),
    (json.dumps({"note": MARK * 1_000}).encode(), "/body/note"),
    (json.dumps({"dispositionCode": [MARK]}).encode(), "/body/dispositionCode"),
    (json.dumps({"closeAt": "2030-01-01T00:00:00Z"}).encode(), "/body"),
    (json.dumps({f"{MARK} {MARK}": 1}).encode(), "/body"),
]


@pytest.mark.parametrize(("body", "pointer"), NOT_FITTING)
def test_bodies_that_do_not_fit_are_refused(edge: Edge, body: bytes, pointer: str) -> None:
    """A body that the document forbids is refused with the place, and without the value."""
    problem = edge.refused("malformed-request", lambda: edge.cancel(body))
    assert [error["pointer"] for error in problem["errors"]] == [pointer]


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("chunked", [False, True])
def test_the_largest_body(edge: Edge, more: int, chunked: bool) -> None:
    """64 KiB are read, one byte more is refused, whether it is announced or comes in chunks (C12)."""
    body = b'{"note":"why"}'.ljust(LIMITS.body_bytes + more)
    how: dict[str, Any] = {"chunks": [body[:9_000], body[9_000:]]} if chunked else {"body": body}
    if more:
        edge.refused("request-too-large", lambda: edge.ask("POST", CANCEL, headers=[JSON], **how))
    else:
        assert edge.ask("POST", CANCEL, headers=[JSON], **how).status == 200


def test_a_body_that_is_announced_too_large_is_not_waited_for(catalogue: Catalogue) -> None:
    """A body is refused by its Content-Length alone, before it arrives."""
    announced = [JSON, ("Content-Length", "70000")]
    with serving(catalogue, LIMITS.model_copy(update={"body_seconds": FOR_EVER})) as edge:
        edge.refused("request-too-large", lambda: edge.ask("POST", CANCEL, headers=announced))


@pytest.mark.parametrize(
    "headers",
    [
        [JSON],
        [("Content-Type", "multipart/form-data; boundary=x")],
        [("Content-Type", "application/x-www-form-urlencoded")],
        [],
    ],
)
@pytest.mark.parametrize("key", [API_KEY, None])
def test_a_body_that_does_not_come_is_refused(edge: Edge, headers: list[tuple[str, str]], key: str | None) -> None:
    """A stalled body ends as 408 after the seconds that the settings give, whatever its type (C14)."""
    send = message("POST", CANCEL, headers=[*headers, ("Content-Length", "100")], key=key) + b'{"note":'
    start = time.monotonic()
    edge.refused("request-too-slow", lambda: edge.client.send(send))
    assert time.monotonic() - start >= LIMITS.body_seconds


def test_stalled_bodies_hold_nobody_up(edge: Edge) -> None:
    """While forty bodies stall, others are answered (C14)."""
    head = message(
        "POST", CANCEL, headers=[("Content-Type", "multipart/form-data"), ("Content-Length", "9")], key=API_KEY
    )
    stalled = [socket.create_connection((edge.client.host, edge.client.port), timeout=PATIENCE) for _ in range(40)]
    try:
        for connection in stalled:
            connection.sendall(head)
        edge.works()
        for connection in stalled:
            assert read_response(connection).status == 408
    finally:
        for connection in stalled:
            connection.close()


def test_a_client_that_leaves_in_the_middle_is_no_error(edge: Edge, caplog: pytest.LogCaptureFixture) -> None:
    """A connection that ends before its body is complete is not logged as an error."""
    send = message("POST", CANCEL, headers=[JSON, ("Content-Length", "100")], key=API_KEY) + b"{"
    for _ in range(5):
        with socket.create_connection((edge.client.host, edge.client.port)) as connection:
            connection.sendall(send)
    edge.works()
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize("target", ["/v1/vendors", "/v1/job-actions", "/v1/connections/contoso-prod/jobs"])
@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/xml"])
def test_an_operation_that_takes_no_body_takes_none(edge: Edge, target: str, kind: str) -> None:
    """A body on a GET is refused, of whatever type it is (C15)."""
    send = {"body": b"{}", "headers": [("Content-Type", kind)]}
    edge.refused("unsupported-media-type", lambda: edge.ask("GET", target, **send))
