"""Methods: HEAD wherever GET is, a complete Allow, and nothing but what the document has (C9, C10)."""

from __future__ import annotations

import pytest

from gateway.specs.document import METHODS
from tests.support.edge import CANCEL, JOB, JSON, Edge
from tests.support.vendors import API_KEY

PAGES = ["/livez", "/readyz", "/openapi.json", "/docs", "/docs/start.js", "/problems", "/problems/unknown-job"]
READS = [
    "/v1/vendors",
    "/v1/vendors/azure-job-router",
    "/v1/connections",
    "/v1/connections/contoso-prod",
    "/v1/connections/contoso-prod/jobs",
    JOB,
    "/v1/job-actions",
]


@pytest.mark.parametrize("target", [*READS, *PAGES, "/docs/assets/swagger-ui.css", "/v1/vendors/none", "/nowhere"])
def test_head_is_get_without_the_body(edge: Edge, target: str) -> None:
    """HEAD has the status and the header fields of GET, and no body (C9)."""
    get, head = (edge.ask(method, target) for method in ("GET", "HEAD"))
    assert (head.status, head.body) == (get.status, b"")
    changing = {"x-request-id", "date", "content-length"}
    assert [each for each in head.headers if each[0] not in changing] == [
        each for each in get.headers if each[0] not in changing
    ]
    assert head.header("x-request-id") != get.header("x-request-id")


def test_head_without_a_key_is_refused_without_a_body(edge: Edge) -> None:
    """HEAD is not a way around the key."""
    response = edge.ask("HEAD", "/v1/vendors", key=None)
    assert (response.status, response.body) == (401, b"")


OTHERS = ["PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"]


@pytest.mark.parametrize("method", [*OTHERS, "POST"])
@pytest.mark.parametrize("target", [*READS, *PAGES, "/docs/assets/swagger-ui.css"])
def test_what_can_only_be_read_takes_get_and_head(edge: Edge, method: str, target: str) -> None:
    """405 names every method that the address takes (C10), in the API and on its pages."""
    problem = edge.refused("method-not-allowed", lambda: edge.ask(method, target))
    assert problem["status"] == 405
    assert edge.ask(method, target).header("allow") == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("method", [*OTHERS, "GET", "HEAD"])
def test_an_action_takes_post(edge: Edge, method: str) -> None:
    """An action is asked for with POST and with nothing else."""
    response = edge.ask(method, CANCEL)
    assert (response.status, response.header("allow")) == (405, "POST, OPTIONS")


def test_allow_is_complete_for_every_address_of_the_document(edge: Edge) -> None:
    """For every path of the document, Allow lists exactly the methods it has there, HEAD with GET, and OPTIONS."""
    paths = edge.gateway.catalogue.api.document.content["paths"]
    assert paths
    for path, item in paths.items():
        target = "/v1" + path.replace("{connection}", "contoso-prod").replace("{vendor}", "x")
        target = target.replace("{jobId}", "7").replace("{id}", "7")
        documented = {method.upper() for method in METHODS if method in item}
        allowed = documented | {"OPTIONS"} | ({"HEAD"} if "GET" in documented else set())
        header = edge.ask("PROPFIND", target).header("allow")
        assert header is not None
        assert set(header.split(", ")) == allowed


@pytest.mark.parametrize(
    ("target", "allow"),
    [(target, "GET, HEAD, OPTIONS") for target in (*READS, *PAGES)] + [(CANCEL, "POST, OPTIONS")],
)
@pytest.mark.parametrize("key", [API_KEY, None])
def test_options_lists_the_methods(edge: Edge, target: str, allow: str, key: str | None) -> None:
    """OPTIONS answers with the methods of an address, which are in the document that anybody may read."""
    response = edge.ask("OPTIONS", target, key=key)
    assert (response.status, response.header("allow"), response.body) == (200, allow, b"")


@pytest.mark.parametrize("target", ["/nowhere", "/v1/nowhere", "/v2/vendors"])
def test_options_of_nothing(edge: Edge, target: str) -> None:
    """OPTIONS of an address that is not there is 404."""
    edge.refused("unknown-path", lambda: edge.ask("OPTIONS", target))


def test_a_method_that_is_none_is_refused(edge: Edge) -> None:
    """The server refuses an invalid method, and the next request works."""
    assert edge.ask("FROB NICATE", "/livez").status == 400
    assert edge.ask("CONNECT", "evil.test:443").status == 400
    edge.works()


@pytest.mark.parametrize("target", ["/livez", "/v1/vendors", CANCEL, "/docs/assets/swagger-ui.css", "/nowhere"])
def test_a_web_socket_is_refused(edge: Edge, target: str) -> None:
    """A request for a web socket is refused like any other unsupported method."""
    upgrade = [
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ]
    content = edge.client.send(
        b"GET "
        + target.encode()
        + b" HTTP/1.1\r\nHost: gateway.test\r\nConnection: Upgrade\r\n"
        + b"".join(f"{name}: {value}\r\n".encode() for name, value in upgrade)
        + b"\r\n"
    )
    assert content.status not in {101, 500}
    edge.works()


def test_an_upgrade_is_not_made(edge: Edge) -> None:
    """An upgrade to HTTP/2 is ignored, and the request answered."""
    assert edge.ask("GET", "/v1/vendors", headers=[("Upgrade", "h2c"), ("HTTP2-Settings", "x")]).status == 200


@pytest.mark.parametrize("method", ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"])
def test_a_method_is_not_overridden(edge: Edge, method: str) -> None:
    """A header cannot turn a GET into an action."""
    assert edge.ask("GET", CANCEL, headers=[(method, "POST"), JSON]).status == 405
