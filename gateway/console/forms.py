"""Protection of forms: against other sites (CSRF), and against being sent twice."""

from __future__ import annotations

import secrets
import uuid
from http import HTTPStatus

from flask import Request, abort, session

from gateway.console.requests import address

TOKEN = "csrf"  # noqa: S105 - the name of a field
KEY = "key"
"""The field with the idempotency key, which is made when a form is drawn."""


def csrf_token() -> str:
    """The token that every form of the session carries."""
    if TOKEN not in session:
        session[TOKEN] = secrets.token_urlsafe()
    token: str = session[TOKEN]
    return token


def new_key() -> str:
    """The idempotency key of a form that is being drawn."""
    return str(uuid.uuid4())


def check_form(request: Request) -> None:
    """Let only forms of the console's own pages pass; abort with 403 otherwise."""
    if not is_of_this_site(request):
        abort(HTTPStatus.FORBIDDEN, "This form was not sent by a page of this console.")
    wanted = session.get(TOKEN, "")
    if not wanted or not secrets.compare_digest(request.form.get(TOKEN, "").encode(), wanted.encode()):
        abort(HTTPStatus.FORBIDDEN, "This page is too old, or your browser sent no cookie. Reload it, and try again.")


def is_of_this_site(request: Request) -> bool:
    """True if the browser says that a page of this very origin sent the request. One of both fields must say it."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is None and origin is None:
        return False
    return site in {None, "same-origin"} and origin in {None, f"{address().scheme}://{address().authority}"}
