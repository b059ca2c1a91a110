"""Header fields: who calls, how many, how large, and each that counts only once (C12, C20)."""

from __future__ import annotations

import pytest

from tests.support.edge import CANCEL, JSON, LIMITS, MARK, Edge
from tests.support.vendors import API_KEY

VENDORS = "/v1/vendors"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_key_opens(edge: Edge, scheme: str) -> None:
    """A request with the key is answered, however its scheme is written."""
    assert edge.ask("GET", VENDORS, key=None, headers=[("Authorization", f"{scheme} {API_KEY}")]).status == 200


BAD = [
    "",
    "Bearer",
    "Bearer ",
    f"Bearer {MARK}",
    f"Bearer {API_KEY}x",
    f"Bearer {API_KEY[:-1]}",
    f"Bearer {API_KEY.upper()}",
    f"Bearer {API_KEY} {API_KEY}",
    f"Bearer {API_KEY},",
    f"Basic {API_KEY}",
    f"Token {API_KEY}",
    API_KEY,
    f"Bearer\t{API_KEY}",
    "Bearer \xff\xfe",
    f"Bearer {'x' * 8_000}",
    "Bearer None",
    "Bearer null",
]


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize(("method", "target"), [("GET", VENDORS), ("POST", CANCEL), ("GET", "/v1/job-actions")])
def test_anything_else_does_not(edge: Edge, method: str, target: str, value: str) -> None:
    """Anything but the exact key in the Bearer scheme gets 401 with a challenge, and the value is not repeated."""
    headers = [("Authorization", value)]
    edge.refused("unauthenticated", lambda: edge.ask(method, target, key=None, headers=headers))
    assert edge.ask(method, target, key=None, headers=headers).header("www-authenticate") == "Bearer"


def test_every_operation_wants_a_key(edge: Edge) -> None:
    """There is no operation of the document that answers without a key, nor one of which it says so (C18)."""
    document = edge.gateway.catalogue.api.document
    operations = list(document.operations())
    assert operations
    for path, method, operation in operations:
        (requirement,) = operation.get("security", document.content["security"])
        assert requirement["bearer"] == []
        target = "/v1" + path.replace("{connection}", "contoso-prod").replace("{vendor}", "azure-job-router")
        target = target.replace("{jobId}", "7").replace("{id}", "7")
        edge.refused("unauthenticated", lambda: edge.ask(method.upper(), target, key=None))  # noqa: B023 - at once


@pytest.mark.parametrize("other", ["X-Api-Key", "Api-Key", "Proxy-Authorization", "X-Authorization", "Cookie"])
def test_the_key_counts_in_its_own_field_only(edge: Edge, other: str) -> None:
    """The key is taken from Authorization, not from the address, a cookie or any other field."""
    headers = [(other, f"Bearer {API_KEY}")]
    edge.refused("unauthenticated", lambda: edge.ask("GET", VENDORS, key=None, headers=headers))
    assert edge.ask("GET", f"{VENDORS}?access_token={API_KEY}", key=None).status == 401


@pytest.mark.parametrize("field", ["Authorization", "Content-Type", "Content-Encoding", "Host", "Idempotency-Key"])
def test_what_counts_once_comes_once(edge: Edge, field: str) -> None:
    """A repeated field that may occur only once is refused by its name (C20)."""
    values = {"Authorization": f"Bearer {API_KEY}", "Content-Type": "application/json", "Host": "gateway.test"}
    repeated = (field, values.get(field, "x"))
    headers = [repeated] if field in {"Authorization", "Host"} else [repeated, repeated]
    problem = edge.refused("malformed-request", lambda: edge.ask("POST", CANCEL, headers=headers))
    assert [error["pointer"] for error in problem["errors"]] == [f"/header/{field.lower()}"]


@pytest.mark.parametrize("first", [API_KEY, MARK])
def test_of_two_keys_neither_counts(edge: Edge, first: str) -> None:
    """Two different keys are refused, whichever comes first."""
    headers = [("Authorization", f"Bearer {first}"), ("authorization", f"Bearer {MARK}")]
    edge.refused("malformed-request", lambda: edge.ask("GET", VENDORS, key=None, headers=headers))


def many(count: int) -> list[tuple[str, str]]:
    """As many more header fields as make `count` in all."""
    return [(f"X-Filler-{number}", "x") for number in range(count - 3)]


@pytest.mark.parametrize(("count", "status"), [(64, 200), (65, 431), (2_000, 431)])
def test_there_are_not_more_fields_than_anybody_needs(edge: Edge, count: int, status: int) -> None:
    """64 header fields are read, one more is refused (C12)."""
    assert edge.ask("GET", VENDORS, headers=many(count)).status == status
    if status != 200:
        edge.refused("header-fields-too-large", lambda: edge.ask("GET", VENDORS, headers=many(count)))


@pytest.mark.parametrize("more", [0, 1])
def test_fields_are_not_larger_than_anybody_needs(edge: Edge, more: int) -> None:
    """All header fields together have 16 KiB at most."""
    listed = [("Host", "gateway.test"), ("Connection", "close"), ("Authorization", f"Bearer {API_KEY}"), ("X", "")]
    left = LIMITS.header_bytes - sum(len(name) + len(value) for name, value in listed) + more
    send = [("X", "x" * left)]
    if more:
        edge.refused("header-fields-too-large", lambda: edge.ask("GET", VENDORS, headers=send))
    else:
        assert edge.ask("GET", VENDORS, headers=send).status == 200


SMUGGLED = [
    b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
    b"Content-Length: +2\r\n\r\n{}",
    b"Content-Length: 0x2\r\n\r\n{}",
    b"Content-Length: -1\r\n\r\n{}",
    b"Content-Length: " + b"9" * 40 + b"\r\n\r\n{}",
    b"Transfer-Encoding: xchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked, identity\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    b"Content-Length : 2\r\n\r\n{}",
    b"X: a\r\n b\r\nContent-Length: 2\r\n\r\n{}",
    b"X: a\x00b\r\nContent-Length: 2\r\n\r\n{}",
    b"Content-Length: 2\n\n{}",
]


@pytest.mark.parametrize("rest", SMUGGLED)
def test_requests_that_two_servers_would_cut_differently(edge: Edge, rest: bytes) -> None:
    """Ambiguous framing is refused and never reaches a vendor."""
    before = len(edge.transport.requests)
    head = f"POST {CANCEL} HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer {API_KEY}\r\nConnection: close\r\n"
    response = edge.client.send(f"{head}Content-Type: application/json\r\n".encode() + rest)
    assert response.status in {400, 413}
    assert len(edge.transport.requests) == before
    edge.works()


def test_underscores_are_no_dashes(edge: Edge) -> None:
    """A header with `_` is another header, and counts for nothing."""
    assert edge.ask("GET", VENDORS, key=None, headers=[("Authorization_", f"Bearer {API_KEY}")]).status == 401
    response = edge.ask("POST", CANCEL, headers=[("Content_Type", "application/json")], body=b"{}")
    assert response.status == 415
    assert edge.ask("POST", CANCEL, headers=[JSON], body=b"{}").status == 200


def test_every_answer_has_an_id_of_its_own(edge: Edge) -> None:
    """x-request-id is ours, whatever the client sends, and never the same twice."""
    sent = [("X-Request-Id", MARK)]
    seen = {edge.ask("GET", target, headers=sent).header("x-request-id") for target in (VENDORS, "/livez", "/x") * 3}
    assert len(seen) == 9
    assert MARK not in seen
