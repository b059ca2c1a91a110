"""Signing in with an API key, and signing out."""

from __future__ import annotations

import re
import time
from http import HTTPStatus

from flask import Blueprint, current_app, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from gateway.console.api import Refused
from gateway.console.requests import CREDENTIAL, connect
from gateway.console.sessions import LONGEST_CREDENTIAL, SESSION_SECONDS

PROVIDER = "jobgate.provider"
"""The member of the application's configuration with the OpenID Connect code flow, None without one."""
UNTIL = "until"
"""The member of a session with the time at which it ends, in seconds since 1970."""
WRONG_KEY = "This gateway does not know the key, or it has ended."
REASONS = {
    "ended": "Your key or token is not valid any more. Sign in again.",
    "late": "Your session has ended. Sign in again.",
    "out": "You are signed out.",
    "openid": "Your provider did not sign you in. Try again, or use an API key.",
}

_PAGE = re.compile(r"/[^/?]")
"""The beginning of the path of a page. `/` alone is none, and `//` begins the name of another host."""

pages = Blueprint("sign_in", __name__)


@pages.get("/sign-in")
def form() -> str:
    """The form for the key."""
    return shown(REASONS.get(request.args.get("reason", ""), ""))


@pages.post("/sign-in")
def by_key() -> Response | tuple[str, int]:
    """Sign in with an API key, if the API accepts it."""
    credential = request.form.get("api_key", "").strip()
    if not credential.isascii() or not credential.isprintable() or not 0 < len(credential) <= LONGEST_CREDENTIAL:
        return shown(WRONG_KEY, is_wrong=True), HTTPStatus.UNAUTHORIZED
    try:
        enter(credential)
    except Refused as refusal:
        if refusal.status != HTTPStatus.UNAUTHORIZED:
            raise
        return shown(WRONG_KEY, is_wrong=True), HTTPStatus.UNAUTHORIZED
    return redirect(way_back(request.form.get("back", "")), HTTPStatus.SEE_OTHER)


@pages.post("/sign-out")
def out() -> Response:
    """Forget the credential."""
    session.clear()
    return redirect(url_for("sign_in.form", reason="out"), HTTPStatus.SEE_OTHER)


def enter(credential: str) -> None:
    """Begin a session with a credential that the API accepts. Raises Refused."""
    connect(credential).get("/caller")
    session.clear()  # a new session has a new CSRF token
    session[CREDENTIAL] = credential
    session[UNTIL] = int(time.time()) + SESSION_SECONDS


def way_back(wanted: str) -> str:
    """The page of the console that was asked for before signing in; the overview for anything else."""
    is_page = _PAGE.match(wanted) is not None and "\\" not in wanted
    return f"{request.script_root}{wanted}" if is_page else url_for("overview.page")


def shown(message: str, *, is_wrong: bool = False) -> str:
    """The form, with a message."""
    back = request.values.get("back", "")
    openid = current_app.config[PROVIDER] is not None
    return render_template("sign_in.html", message=message, is_wrong=is_wrong, back=back, openid=openid)
