"""The key of the session, and what it allows."""

from __future__ import annotations

from flask import Blueprint, render_template

from gateway.console.jobs import document
from gateway.console.requests import api

pages = Blueprint("people", __name__)


@pages.get("/key")
def own() -> str:
    """The scopes of the session's key or token, and the operations that they allow."""
    operations = document().api.operations.values()
    rows = [
        (each.summary, list(each.scopes), not document().missing(each.operation_id, api().caller))
        for each in operations
    ]
    return render_template("key.html", rows=rows)
