"""The pages beside the API: probes, the document, its documentation, and a page about every kind of problem."""

from __future__ import annotations

import re
from html import unescape

import pytest
import yaml

from gateway.domain.errors import JobgateError
from gateway.edge.html_pages import ASSETS
from gateway.specs.document import SPECIFICATIONS
from tests.support.edge import Edge
from tests.support.problems import KINDS
from tests.support.raw import RawResponse

REFERENCE = re.compile(r"""(?:src|href)\s*=\s*["']([^"']+)["']|url\(\s*["']?([^"')]+)|\burl:\s*["']([^"']+)["']""")


def page(edge: Edge, target: str) -> RawResponse:
    """A page, which anybody may see."""
    response = edge.ask("GET", target, key=None)
    assert response.status == 200
    return response


def references(text: str) -> set[str]:
    """The addresses that a page or script loads, without data URLs."""
    found = {unescape(next(filter(None, groups))) for groups in REFERENCE.findall(text)}
    return {each for each in found if not each.startswith(("data:", "#"))}


JSON_TARGETS = ["/livez", "/readyz", "/openapi.json", "/v1/vendors", "/nope", "/v1/nope", "/v1/vendors/nope"]


@pytest.mark.parametrize("target", JSON_TARGETS)
def test_json_ends_with_a_line(edge: Edge, target: str) -> None:
    """A terminal shows its prompt below an answer in JSON, whether it is good or a problem; its length counts it."""
    response = edge.ask("GET", target)
    assert response.body.endswith(b"}\n")
    assert not response.body.endswith(b"\n\n")
    assert response.header("content-length") == str(len(response.body))


def test_the_type_of_a_problem_is_an_address(edge: Edge) -> None:
    """`type` is absolute (RFC 9457, 3.1.1), below the address that the client called, and its page is there."""
    address = edge.ask("GET", "/v1/nope").json["type"]
    assert address == "http://gateway.test/problems/unknown-path"
    assert page(edge, address.removeprefix("http://gateway.test")).status == 200


@pytest.mark.parametrize(
    "content", [b"GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n", b"GET /nope HTTP/1.0\r\n\r\n", b"\0"]
)
def test_a_type_names_no_host_that_is_not_ours(edge: Edge, content: bytes) -> None:
    """Where no host of ours was called, `type` is a path, which leads to the same page."""
    assert edge.client.send(content).json["type"].startswith("/problems/")


def test_browsers_find_no_icon_and_no_error(edge: Edge) -> None:
    """A browser that looks for an icon of the site is told that there is none, for a day."""
    response = edge.ask("GET", "/favicon.ico", key=None)
    assert (response.status, response.body, response.header("cache-control")) == (204, b"", "max-age=86400")


@pytest.mark.parametrize("target", ["/livez", "/readyz"])
def test_probes_answer_without_a_key(edge: Edge, target: str) -> None:
    """Probes answer without a key."""
    response = page(edge, target)
    assert (response.json["status"], response.header("content-type")) == ("ok", "application/json")


def test_the_document_is_the_one_in_specs(edge: Edge) -> None:
    """/openapi.json is specs/gateway.yaml: nothing rendered into it, nothing added, nothing lost (C17)."""
    response = page(edge, "/openapi.json")
    assert response.header("content-type") == "application/json"
    assert response.json == yaml.safe_load((SPECIFICATIONS / "gateway.yaml").read_text("utf-8"))


def test_the_documentation_works_without_internet(edge: Edge) -> None:
    """Everything that /docs tells a browser to load is served by the gateway itself."""
    seen, waiting = set(), {"/docs"}
    while waiting:
        target = waiting.pop()
        seen.add(target)
        response = page(edge, target)
        kind = response.header("content-type") or ""
        if "swagger-ui" in target or target == "/openapi.json":
            continue
        assert kind.startswith(("text/html", "text/javascript")), target
        found = references(response.body.decode())
        assert all(each.startswith("/") and not each.startswith("//") for each in found), found
        waiting |= found - seen
    assert seen == {
        "/docs",
        "/docs/start.js",
        "/docs/assets/swagger-ui.css",
        "/docs/assets/swagger-ui-bundle.js",
        "/openapi.json",
        *(f"/docs/{vendor}" for vendor in edge.gateway.catalogue.natives),
    }


def test_the_style_sheet_loads_nothing(edge: Edge) -> None:
    """The style sheet of the documentation page brings its pictures along."""
    assert references(page(edge, "/docs/assets/swagger-ui.css").body.decode()) == set()


@pytest.mark.parametrize("target", ["/docs", "/problems", "/problems/unknown-job"])
def test_a_browser_would_load_nothing_from_elsewhere(edge: Edge, target: str) -> None:
    """The pages' policy lets a browser load from this gateway only, and run no script that is written in them."""
    policy = page(edge, target).header("content-security-policy") or ""
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'self'"
    assert "script-src" not in rules
    assert "http" not in policy
    assert page(edge, target).header("x-content-type-options") == "nosniff"
    assert not re.search(r"<script(?![^>]*\bsrc=)", page(edge, target).body.decode())


@pytest.mark.parametrize("name", ["swagger-ui.css", "swagger-ui-bundle.js", "oauth2-redirect.html"])
def test_assets_are_those_of_the_package(edge: Edge, name: str) -> None:
    """An asset is the file of the installed package, to the byte."""
    assert page(edge, f"/docs/assets/{name}").body == (ASSETS / name).read_bytes()


@pytest.mark.parametrize("name", ["none.js", "%2e%2e%5cx", "a" * 300, ".", "sub/none.css", "swagger-ui.css%20"])
def test_assets_that_are_none(edge: Edge, name: str) -> None:
    """A path below /docs/assets that is no file of the package is 404."""
    assert edge.ask("GET", f"/docs/assets/{name}").status in {400, 404}
    edge.works()


def test_the_list_of_problems_is_complete(edge: Edge) -> None:
    """/problems leads to a page about every kind of the catalogue."""
    found = references(page(edge, "/problems").body.decode())
    assert found == {f"/problems/{code}" for code in KINDS}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_every_problem_has_its_page(edge: Edge, kind: type[JobgateError]) -> None:
    """The `type` of a problem leads to a page that says what it means, what happened, and how to mend it."""
    response = page(edge, f"/problems/{kind.code}")
    text = unescape(re.sub(r"<[^>]+>", "", response.body.decode()))
    assert response.header("content-type") == "text/html; charset=utf-8"
    for part in (kind.title, kind.code, str(kind.status), "What happened at the vendor.", "How to fix it."):
        assert part in text
    assert "`" not in text


@pytest.mark.parametrize("code", ["none", "Unknown-Job", "gateway_error", "..", "unknown-job%0a"])
def test_a_problem_that_is_none_has_no_page(edge: Edge, code: str) -> None:
    """An unknown kind is 404, as a problem of its own."""
    assert edge.ask("GET", f"/problems/{code}").status in {400, 404}
