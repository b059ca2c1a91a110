"""Schedules, windows and approvals, of gateways that have them."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from gateway.console.api import path_of
from gateway.console.jobs import document
from gateway.console.requests import api, page_of

pages = Blueprint("schedules", __name__)


@pages.get("/schedules")
def listed() -> str:
    """The schedules and the windows."""
    _require("listSchedules")
    windows = api().get("/windows")["items"] if document().has("listWindows") else []
    return render_template("schedules.html", found=page_of("/schedules"), windows=windows, args=request.args)


@pages.post("/schedules/<schedule>/<any(pause, resume):command>")
def command(schedule: str, command: str) -> Response:
    """Pause or resume a schedule."""
    _require(f"{command}Schedule")
    note = request.form.get("reason", "").strip()
    api().post(f"{path_of('schedules', schedule)}/{command}", {"reason": note} if note else None)
    flash(f"The schedule {'is paused' if command == 'pause' else 'goes on'}.")
    return redirect(url_for("schedules.listed"), HTTPStatus.SEE_OTHER)


@pages.get("/approvals")
def approvals() -> str:
    """The approvals that wait, and those that were decided."""
    _require("listApprovals")
    return render_template("approvals.html", found=page_of("/approvals"), args=request.args)


@pages.post("/approvals/<approval>/<any(approve, reject, review):verdict>")
def decide(approval: str, verdict: str) -> Response:
    """Approve, reject or review what was asked for, bound to what was shown by its digest."""
    _require(verdict)
    body = {"comment": request.form.get("comment", "").strip() or None, "digest": request.form.get("digest") or None}
    api().post(f"{path_of('approvals', approval)}/{verdict}", {name: each for name, each in body.items() if each})
    flash({"approve": "Approved.", "reject": "Rejected.", "review": "Reviewed."}[verdict])
    return redirect(url_for("schedules.approvals"), HTTPStatus.SEE_OTHER)


def _require(operation: str) -> None:
    if not document().has(operation):
        abort(HTTPStatus.NOT_FOUND, "This gateway has no such thing yet.")
