"""Signing in with OpenID Connect: to the issuer and back.

While the browser is away, the attempt is in a cookie of its own. It is `SameSite=Lax`, since the way back begins at
another site, and lives for minutes. The session's own cookie stays `Strict`, so the way back ends on a page that leads
to the console by itself: from there on, the browser sends that cookie.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
from flask import Blueprint, Response, abort, current_app, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from gateway.console.api import Refused
from gateway.console.requests import RUN, address
from gateway.console.sessions import LONGEST_CREDENTIAL, EncryptedSessions
from gateway.console.sign_in import PROVIDER, enter, way_back
from gateway.security.code_flow import Attempt, CodeFlow, SignInFailed

log = logging.getLogger(__name__)
pages = Blueprint("openid", __name__)

COOKIE = "__Host-jobgate-sign-in"
AWAY_SECONDS = 600
"""Seconds in which the browser must come back."""

Result = TypeVar("Result")


class Away(msgspec.Struct, frozen=True):
    """An attempt while the browser is away, and the page to which it wants to get in the end."""

    attempt: Attempt
    back: str


@pages.get("/sign-in/openid")
def start() -> AnyResponse:
    """Send the browser to the issuer."""
    try:
        there, attempt = run(provider().begin(redirect_uri()))
    except SignInFailed as failure:
        return failed(failure)
    response = redirect(there, HTTPStatus.SEE_OTHER)
    away = sessions().seal(msgspec.json.encode(Away(attempt, request.args.get("back", ""))))
    response.set_cookie(COOKIE, away, AWAY_SECONDS, path="/", secure=True, httponly=True, samesite="Lax")
    return response


@pages.get("/sign-in/openid/finish")
def finish() -> Response | AnyResponse:
    """Receive the browser from the issuer, and begin the session."""
    content = sessions().unseal(request.cookies.get(COOKIE, ""), AWAY_SECONDS)
    try:
        if content is None:
            raise SignInFailed("the browser came back too late, or without its cookie")  # noqa: TRY301 - handled once
        away = msgspec.json.decode(content, type=Away)
        arguments = (request.args.get("state", ""), request.args.get("code", ""), redirect_uri())
        token = run(provider().finish(away.attempt, *arguments))
        if len(token) > LONGEST_CREDENTIAL:
            raise SignInFailed("the issuer's token is too long for a cookie")  # noqa: TRY301 - handled once
        enter(token)
    except (SignInFailed, Refused) as failure:
        return failed(failure)
    response = make_response(render_template("continue.html", target=way_back(away.back)))
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="Lax")
    return response


def failed(failure: Exception) -> AnyResponse:
    """Lead back to the form. The reason is in the log."""
    log.warning("nobody is signed in: %s", failure)
    return redirect(url_for("sign_in.form", reason="openid"), HTTPStatus.SEE_OTHER)


def provider() -> CodeFlow:
    """The code flow of the gateway's issuer; 404 without one."""
    found: CodeFlow | None = current_app.config[PROVIDER]
    if found is None:
        abort(HTTPStatus.NOT_FOUND, "This gateway has no OpenID Connect client.")
    return found


def sessions() -> EncryptedSessions:
    """The encryption of cookies."""
    found = current_app.session_interface
    if not isinstance(found, EncryptedSessions):
        raise TypeError("the console has other sessions")
    return found


def redirect_uri() -> str:
    """The address to which the issuer sends the browser back."""
    return f"{address().scheme}://{address().authority}{url_for('openid.finish')}"


def run(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run something on the gateway's event loop, and wait for it."""
    runner: Callable[[Coroutine[Any, Any, Result]], Result] = current_app.config[RUN]
    return runner(coroutine)
