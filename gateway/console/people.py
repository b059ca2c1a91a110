"""The key of the session with what it allows, and the keys of all callers."""

from __future__ import annotations

from flask import Blueprint, render_template, request

from gateway.console.jobs import document
from gateway.console.requests import api, page_of

pages = Blueprint("people", __name__)


@pages.get("/key")
def own() -> str:
    """The scopes of the session's key or token, the keys of all callers if it may list them, and what it allows."""
    operations = document().api.operations.values()
    rows = [
        (each.summary, list(each.scopes), not document().missing(each.operation_id, api().caller))
        for each in operations
    ]
    why_not = document().why_not("listKeys", api().caller)
    found = None if why_not else page_of("/keys")
    return render_template("key.html", rows=rows, found=found, no_list=why_not, args=request.args)
