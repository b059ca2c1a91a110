"""Request targets that two readers could take differently are refused before anybody reads them (C7, C8)."""

from __future__ import annotations

import json

import pytest

from tests.support.edge import JOB, MARK, Edge
from tests.support.vendors import API_KEY, AZURE

JOBS = "/v1/connections/contoso-prod/jobs"

AMBIGUOUS = [
    "//v1/vendors",
    f"//{MARK}.test/v1/vendors",
    "/v1//vendors",
    "/v1/vendors/",
    "/v1/",
    "/livez/",
    "/docs/",
    "/v1/./vendors",
    "/v1/../v1/vendors",
    "/v1/%2e%2e/v1/vendors",
    "/v1/%2E/vendors",
    "/v1/.%2e/vendors",
    f"{JOBS}/..",
    f"{JOBS}/%2e%2e/cancel",
    f"{JOBS}/a%2Fb",
    f"{JOBS}/a%2fb/cancel",
    f"{JOBS}/..%2f..%2f{MARK}",
    f"{JOBS}/a%5Cb",
    f"{JOBS}/a%0A",
    f"{JOBS}/{MARK}%0a/cancel",
    f"{JOBS}/a%0D%0ASet-Cookie:x",
    f"{JOBS}/a%00",
    f"{JOBS}/%7F",
    f"{JOBS}/%ff{MARK}",
    f"{JOBS}/%c0%af",
    f"{JOBS}/%ed%a0%80",
    f"{JOBS}/%",
    f"{JOBS}/%4",
    f"{JOBS}/%zz{MARK}",
    "/docs/assets/../../etc/passwd",
    "/docs/assets/..%2f..%2fetc%2fpasswd",
    "/docs/assets/%2e%2e/%2e%2e/etc/passwd",
    f"{JOBS}?status=%ff",
    f"{JOBS}?status=%",
    f"{JOBS}?status=queued%00",
    f"{JOBS}?cursor=%0A{MARK}",
    f"{JOBS}?%0d%0a=x",
    "*",
]


@pytest.mark.parametrize("target", AMBIGUOUS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_ambiguous_targets_are_refused(edge: Edge, method: str, target: str) -> None:
    """Empty and dot segments, encoded slashes, controls, broken encodings: 400, never a redirect or a 500."""
    problem = edge.refused("malformed-request", lambda: edge.ask(method, target))
    assert [error["pointer"] for error in problem["errors"]] == ["/query" if "?" in target else "/path"]


@pytest.mark.parametrize("target", ["/v1/vendors/", "//v1/vendors", "/v1", "/docs/assets", "/v1//vendors", "/docs/"])
@pytest.mark.parametrize("key", [None, API_KEY])
def test_no_answer_repeats_the_host_that_was_asked_for(edge: Edge, target: str, key: str | None) -> None:
    """No redirect, and no text, is made from the client's own Host header."""
    response = edge.ask("GET", target, key=key)
    assert response.status in {400, 404}
    assert response.header("location") is None
    problem = response.json
    # The host is one of `trusted_hosts`, so the address of the problem's page may name it.
    assert problem.pop("type").removeprefix("http://gateway.test").startswith("/problems/")
    assert "gateway.test" not in json.dumps(problem)


@pytest.mark.parametrize("host", ["gateway.test", "Gateway.Test", "gateway.test:8080"])
def test_a_target_may_name_the_host(edge: Edge, host: str) -> None:
    """A target in absolute form is the same path, and the host in it counts (RFC 9112, 3.2.2)."""
    response = edge.ask("GET", f"http://{host}/v1/connections/contoso-prod")
    assert (response.status, response.json["endpoint"]) == (200, AZURE)
    edge.refused("misdirected", lambda: edge.ask("GET", "http://evil.test/v1/connections/contoso-prod"))


@pytest.mark.parametrize("target", [b"/v1/vendors/\xc3\xa9", b"/v1/vendors/\xc3%a9", b"/v1/vendors?x=\xff", b"/\x00"])
def test_bytes_that_may_not_be_in_a_target_are_refused(edge: Edge, target: bytes) -> None:
    """Raw bytes beyond ASCII in a target are refused, never with a 5xx."""
    assert edge.ask("GET", target).status == 400
    edge.works()


@pytest.mark.parametrize(
    ("segment", "job_id"),
    [
        ("a:b", "a%3Ab"),
        ("a:b:cancel", "a%3Ab%3Acancel"),
        ("%3Acancel", "%3Acancel"),
        ("a%3Fb%23c", "a%3Fb%23c"),
        ("a%252Fb", "a%252Fb"),
        ("%252e%252e", "%252e%252e"),
        ("..a", "..a"),
        ("%C3%A9%F0%9F%98%80", "%C3%A9%F0%9F%98%80"),
        ("a+b%20c", "a%2Bb%20c"),
        ("%E2%80%A8", "%E2%80%A8"),
        ("~._-!$&'()*,;=@", "~._-%21%24%26%27%28%29%2A%2C%3B%3D%40"),
    ],
)
def test_an_odd_id_reaches_the_vendor_as_the_same_id(edge: Edge, segment: str, job_id: str) -> None:
    """An id is decoded once and encoded once, whatever is in it; none of it becomes syntax."""
    response = edge.ask("POST", f"{JOBS}/{segment}/cancel")
    assert response.status == 200
    assert edge.transport.requests[-1].url == f"{AZURE}/routing/jobs/{job_id}:cancel?api-version=2023-11-01"


@pytest.mark.parametrize("target", [f"{JOB}:cancel", f"{JOBS}/a:cancel", f"{JOBS}/a%3Acancel"])
def test_a_colon_is_no_verb_here(edge: Edge, target: str) -> None:
    """The vendor's way of writing an action is a part of an id in this API: the address takes no POST."""
    problem = edge.refused("method-not-allowed", lambda: edge.ask("POST", target))
    assert problem["status"] == 405


@pytest.mark.parametrize(("length", "code"), [(16_384, "malformed-request"), (16_385, "target-too-long")])
def test_a_target_has_a_longest_length(edge: Edge, length: int, code: str) -> None:
    """A target of 16 KiB is read (and finds no connection of such a name), one byte more is not."""
    target = "/v1/connections/" + "a" * (length - len("/v1/connections/"))
    assert edge.refused(code, lambda: edge.ask("GET", target))["code"] == code


@pytest.mark.parametrize("target", ["/", "/v1", "/v2/vendors", "/v1/openapi.json", "/v1/ui", "/ui", "/swagger.json"])
def test_nothing_is_served_that_was_not_meant_to_be(edge: Edge, target: str) -> None:
    """There is no address beside those of the API and its pages: none of Connexion's own (C18)."""
    response = edge.ask("GET", target)
    if target == "/":
        assert (response.status, response.header("location")) == (307, "/docs")
    else:
        edge.refused("unknown-path", lambda: edge.ask("GET", target))
