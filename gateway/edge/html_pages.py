"""Everything outside the APIs: probes, the OpenAPI documents, the documentation page, the pages about problems.

The documentation page is Swagger UI from the package `flask-swagger-ui`, so it works without internet access.
"""

from __future__ import annotations

import html
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import lru_cache
from http import HTTPStatus
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from gateway.domain.encoding import dump_line
from gateway.domain.errors import JobgateError, LedgerOutdated, LedgerUnavailable, UnknownPath, catalogue
from gateway.domain.model import Outcome
from gateway.edge.exchange import Application, Receive, Scope, Send, context_of, is_stopping
from gateway.specs.document import Document

_PREFIX = "PREFIX"
"""Placeholder in pages for the path prefix of a proxy, which is often empty."""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
{head}
</head>
<body>
{body}
</body>
</html>
"""
_STYLE = """<style>
body { font: 16px/1.6 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; padding: 0 1rem; }
code { background: #f1f3f5; padding: .1em .3em; border-radius: 3px; }
table { border-collapse: collapse; }
td, th { border-bottom: 1px solid #d8dee4; padding: .3rem .8rem; text-align: left; }
</style>"""
_SWAGGER_HEAD = '<link rel="stylesheet" href="PREFIX/docs/assets/swagger-ui.css">'
_SWAGGER_BODY = """<div id="swagger-ui"></div>
<script src="PREFIX/docs/assets/swagger-ui-bundle.js"></script>
<script src="PREFIX/docs/start.js"></script>"""
_NAVIGATION = "font: 16px/3 system-ui, sans-serif; text-align: center"
_SWAGGER_START = Path(__file__).with_name("documentation.js").read_text("utf-8")
ASSETS = Path(str(distribution("flask-swagger-ui").locate_file("flask_swagger_ui/dist")))
"""The files of Swagger UI. Their package is not imported: it would load Flask."""
_POLICY = {
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:",
    "X-Content-Type-Options": "nosniff",
}


Lifespan = Callable[[], AbstractAsyncContextManager[Mapping[str, Any]]]
"""The lifespan of an application. It yields the state that the server and every request receive."""

Readiness = Callable[[], Awaitable[Mapping[str, Any]]]
"""Returns the members of the readiness response. Raises LedgerUnavailable or LedgerOutdated if not ready."""


Show = Callable[[Request], Awaitable[Response]]
"""Answers a request for a page."""


async def nothing_more() -> Mapping[str, Any]:
    """A readiness without members."""
    return {}


class Pages:
    """The ASGI application for every path outside the APIs."""

    def __init__(
        self,
        documents: Mapping[str, Document],
        lifespan: Lifespan,
        readiness: Readiness = nothing_more,
        metrics: Show | None = None,
        more: Mapping[str, Application] = {},
    ) -> None:
        """Serve the OpenAPI documents at their paths, with a documentation page by the last segment of each path.

        `lifespan` surrounds the life of the server; `readiness` answers `/readyz`, and `metrics` shows `/metrics`.
        `more` are applications by the path at and below which they answer.
        """
        self._readiness = readiness
        self._paths = {path.rpartition("/")[2]: path for path in documents}
        self._problems = {kind.code: kind for kind in catalogue()}

        self._router = Starlette(
            routes=[
                Route("/", self._home),
                Route("/livez", self._alive),
                Route("/readyz", self._ready),
                *(Route(f"{path}/openapi.json", _document(each)) for path, each in documents.items()),
                Route("/favicon.ico", self._icon),
                Route("/docs", self._docs),
                Route("/docs/start.js", self._start),
                Mount("/docs/assets", StaticFiles(directory=ASSETS)),
                Route("/docs/{name}", self._docs),
                *([] if metrics is None else [Route("/metrics", metrics)]),
                *(Route(path, each) for path, each in more.items()),
                *(Route(f"{path}/{{rest:path}}", each) for path, each in more.items()),
                Route("/problems", self._all_problems),
                Route("/problems/{code}", self._problem),
            ],
            lifespan=lambda _: lifespan(),
        ).router
        # The Location of such a redirect would be made from the client's own Host header.
        self._router.redirect_slashes = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or serve the ASGI lifespan."""
        await self._router(scope, receive, send)

    async def _home(self, request: Request) -> Response:
        return RedirectResponse(f"{prefix_of(request)}/docs")

    async def _icon(self, _: Request) -> Response:
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={"cache-control": "max-age=86400"})

    async def _alive(self, _: Request) -> Response:
        return json_response({"status": "ok"})

    async def _ready(self, request: Request) -> Response:
        if is_stopping(request.scope.get("state", {})):
            return json_response({"status": "stopping"}, HTTPStatus.SERVICE_UNAVAILABLE)
        try:
            return json_response({"status": "ok", **await self._readiness()})
        except (LedgerUnavailable, LedgerOutdated) as error:
            return json_response({"status": error.code}, HTTPStatus.SERVICE_UNAVAILABLE)

    async def _docs(self, request: Request) -> Response:
        if request.path_params.get("name", "") not in self._paths:
            raise UnknownPath("There is no document with this name.")
        return page(request, "Jobgate", self._links() + _SWAGGER_BODY, _SWAGGER_HEAD)

    def _links(self) -> str:
        names = {name: name or "Jobgate" for name in self._paths}
        links = (
            f'<a href="{_PREFIX}/docs{name and f"/{name}"}">{html.escape(shown)}</a>' for name, shown in names.items()
        )
        return f'<nav style="{_NAVIGATION}">{" &middot; ".join(links)}</nav>\n'

    async def _start(self, request: Request) -> Response:
        return Response(_SWAGGER_START.replace(_PREFIX, prefix_of(request)), media_type="text/javascript")

    async def _all_problems(self, request: Request) -> Response:
        rows = "".join(
            f'<tr><td>{kind.status}</td><td><a href="{_PREFIX}/problems/{code}">{code}</a></td>'
            f"<td>{kind.title}</td></tr>"
            for code, kind in self._problems.items()
        )
        head = "<h1>Problems</h1><table><tr><th>Status</th><th>Code</th><th>Title</th></tr>"
        return page(request, "Problems", f"{head}{rows}</table>")

    async def _problem(self, request: Request) -> Response:
        kind = self._problems.get(request.path_params["code"])
        if kind is None:
            raise UnknownPath("There is no problem with this code.")
        return page(request, kind.title, MarkdownIt().enable("table").render(problem_page(kind)))


def _document(document: Document) -> Show:
    @lru_cache(maxsize=8)
    def made(prefix: str) -> Response:
        """The response for a prefix, made once and shared by all requests."""
        return json_response(document.content if not prefix else below(prefix, document.content))

    async def show(request: Request) -> Response:
        return made(prefix_of(request))

    made("")
    return show


def below(prefix: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """A document with the prefix of a proxy before all URLs of this gateway."""
    servers = [{**each, "url": _moved(prefix, each["url"])} for each in content.get("servers", ())]
    components = content.get("components", {})
    schemes = {name: _moved_flows(prefix, each) for name, each in components.get("securitySchemes", {}).items()}
    return {**content, "servers": servers, "components": {**components, "securitySchemes": schemes}}


def _moved_flows(prefix: str, scheme: Mapping[str, Any]) -> Mapping[str, Any]:
    if "flows" not in scheme:
        return scheme
    flows = {
        name: {key: _moved(prefix, value) if key.endswith("Url") else value for key, value in flow.items()}
        for name, flow in scheme["flows"].items()
    }
    return {**scheme, "flows": flows}


def _moved(prefix: str, url: str) -> str:
    return f"{prefix}{url}" if url.startswith("/") else url


def prefix_of(request: Request) -> str:
    """The path prefix of a request, which a proxy removed."""
    context = context_of(request.scope)
    return context.address.prefix


def json_response(body: Mapping[str, Any], status: int = HTTPStatus.OK) -> Response:
    """A JSON response."""
    return Response(dump_line(body), status, media_type="application/json")


def page(request: Request, title: str, body: str, head: str = _STYLE) -> HTMLResponse:
    """An HTML page."""
    text = _PAGE.format(title=html.escape(title), head=head, body=body)
    return HTMLResponse(text.replace(_PREFIX, prefix_of(request)), headers=_POLICY)


def problem_page(kind: type[JobgateError]) -> str:
    """The page about one kind of problem, in Markdown; docs/problems has the same text."""
    meaning, happened, mend = problem_parts(kind)
    return (
        f"# {kind.title}\n\n"
        f"| code | HTTP status | worth sending again as it is |\n| --- | --- | --- |\n"
        f"| `{kind.code}` | {kind.status} | {worth_retrying(kind)} |\n\n"
        f"{meaning}\n\n**What happened at the vendor.** {happened}\n\n**How to fix it.** {mend}\n"
    )


def worth_retrying(kind: type[JobgateError]) -> str:
    """The answer to whether the same request can be sent again."""
    if not kind.retryable:
        return "no"
    return "a read yes, an action no" if kind.outcome is Outcome.UNKNOWN else "yes, later"


def problem_parts(kind: type[JobgateError]) -> tuple[str, str, str]:
    """The three paragraphs of the docstring: meaning, what happened at the vendor, remedy."""
    meaning, happened, mend = (" ".join(part.split()) for part in (kind.__doc__ or "").strip().split("\n\n"))
    return meaning, happened, mend
