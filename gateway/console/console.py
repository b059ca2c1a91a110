"""The console as an ASGI application: Flask with templates, in threads, beside the API that it calls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from functools import partial
from http import HTTPStatus
from threading import BoundedSemaphore
from typing import Any, cast

from a2wsgi import WSGIMiddleware
from flask import Flask, Response, current_app, redirect, render_template, request, session, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.wrappers import Response as AnyResponse

from gateway.console import batches, connections, jobs, openid, overview, people, records, schedules, sign_in
from gateway.console.api import ApiClient, Refused
from gateway.console.document import Document
from gateway.console.forms import check_form, csrf_token, new_key
from gateway.console.requests import CONNECT, CREDENTIAL, RUN, address, api
from gateway.console.sessions import COOKIE, EncryptedSessions
from gateway.console.sign_in import PROVIDER, UNTIL
from gateway.console.tables import labelled
from gateway.console.words import FILTERS
from gateway.edge.exchange import Application, Receive, Scope, Send, context_of
from gateway.security.code_flow import CodeFlow
from gateway.specs.operations import Api

PATH = "/console"
THREADS = 16
"""Most requests of browsers at the same time; further ones wait."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
NO_PAGE = "The console has no page at this address. The overview leads to all of them."
OPEN = frozenset({"static", "sign_in.form", "sign_in.by_key", "sign_in.out", "openid.start", "openid.finish"})
"""The endpoints for which nobody has to be signed in."""


class Console:
    """The ASGI application of the console, below `PATH`."""

    def __init__(
        self, application: Callable[[], Application], document: Api, key: bytes, provider: CodeFlow | None = None
    ) -> None:
        """Serve pages made from `application`, the whole gateway. Sessions are encrypted with `key`.

        `provider` is the OpenID provider for signing in, None without one.
        """
        self._application = application
        self._flask = flask_of(document, key, provider)
        self._flask.config.update({CONNECT: self._client, RUN: self._run})
        self._wsgi: WSGIMiddleware | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self._wsgi is None or self._loop is not asyncio.get_running_loop():
            self._loop, self._wsgi = (
                asyncio.get_running_loop(),
                WSGIMiddleware(cast("Any", self._flask), workers=THREADS),
            )
        prefix, path = context_of(scope).address.prefix, scope["path"]
        if path == PATH:  # Flask would redirect to a path with a slash at its end, which the guard refuses
            path = f"{PATH}/"
        inner = {**scope, "root_path": f"{prefix}{PATH}", "path": f"{prefix}{path}"}
        await self._wsgi(inner, receive, send)  # type: ignore[arg-type]

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._running_loop).result()

    @property
    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise RuntimeError("A page is made only while a request is served.")
        return self._loop

    def _client(self, scope: Scope, credential: str) -> ApiClient:
        return ApiClient(self._application(), self._running_loop, scope, credential)


def flask_of(document: Api, key: bytes, provider: CodeFlow | None) -> Flask:
    """The Flask application of the console."""
    app = Flask(__name__, static_url_path="/static")
    app.session_interface = EncryptedSessions(key)
    app.jinja_env.filters.update(FILTERS, labelled=labelled)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    known = Document(document)
    room = BoundedSemaphore(batches.MOST_DOWNLOADS)
    app.config.update({"jobgate.document": known, PROVIDER: provider, batches.DOWNLOADS: room})
    app.context_processor(partial(common, known))
    app.before_request(admit)
    app.after_request(protect)
    app.register_error_handler(Refused, refused)
    app.register_error_handler(HTTPException, failed)
    for each in (sign_in, openid, overview, jobs, batches, records, connections, schedules, people):
        app.register_blueprint(each.pages)
    return app


def common(document: Document) -> dict[str, Any]:
    """The values that every template may use."""
    return {
        "csrf_token": csrf_token,
        "new_key": new_key,
        "has": document.has,
        "may": lambda operation: not document.missing(operation, api().caller),
        "why_not": lambda operation: document.why_not(operation, api().caller),
        "more": more,
        "again": again,
        "caller": lambda: api().caller,
        "is_signed_in": CREDENTIAL in session,
        "endpoint": request.endpoint or "",
    }


def more(endpoint: str, values: MultiDict[str, str], cursor: str, **path: str) -> str:
    """The link to the next page of a list."""
    kept: dict[str, Any] = {name: several for name, several in values.lists() if name != "cursor"}
    return url_for(endpoint, **kept | path, cursor=cursor)


def again() -> str:
    """The way on from a problem: the same page again, or the page that sent the form. Empty if neither is known."""
    if request.method == "GET":
        return f"{request.script_root}{request.full_path.rstrip('?')}" if request.url_rule else ""
    sender, here = request.referrer or "", f"{address().scheme}://{address().authority}{url_for('overview.begin')}"
    return sender if sender.startswith(here) else ""


def admit() -> AnyResponse | None:
    """Check a form before it has an effect, and ask whoever is not signed in to do so."""
    if request.method == "POST":
        check_form(request)
    if request.endpoint in OPEN:
        return None
    if session.get(UNTIL, 0) > time.time():
        return None
    session.pop(CREDENTIAL, None)
    back = request.full_path.rstrip("?") if request.method == "GET" else None
    had_one = UNTIL in session or (COOKIE in request.cookies and not session)
    return redirect(url_for("sign_in.form", back=back, reason="late" if had_one else None), HTTPStatus.SEE_OTHER)


def protect(response: Response) -> Response:
    """Add the header fields of every page."""
    response.headers.update(HEADERS)
    if request.endpoint == "static":
        response.headers["Cache-Control"] = "private, max-age=300"
    else:
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def refused(refusal: Refused) -> tuple[str, int] | AnyResponse:
    """Show a problem of the API. If the session's credential is not valid any more, ask to sign in."""
    if refusal.status == HTTPStatus.UNAUTHORIZED:
        session.clear()
        return redirect(url_for("sign_in.form", reason="ended"), HTTPStatus.SEE_OTHER)
    return render_template("problem.html", problem=refusal.problem), refusal.status


def failed(error: HTTPException) -> tuple[str, int]:
    """Show an error of the console itself."""
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        current_app.logger.error("unexpected error in the console", exc_info=error.__cause__ or error)
        problem = {"title": "The console failed", "detail": "Something went wrong in the console.", "status": status}
    else:
        detail = NO_PAGE if type(error) is NotFound and error.description == NotFound.description else error.description
        problem = {"title": error.name, "detail": detail, "status": status}
    return render_template("problem.html", problem=problem), status
