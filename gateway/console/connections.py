"""The connections: their health, their quota, and how far their replies are from the vendor's document."""

from __future__ import annotations

from flask import Blueprint, render_template

from gateway.console.api import path_of
from gateway.console.requests import api

pages = Blueprint("connections", __name__)


@pages.get("/connections")
def listed() -> str:
    """All connections."""
    return render_template("connections.html", connections=api().get("/overview")["connections"])


@pages.get("/connections/<name>")
def shown(name: str) -> str:
    """One connection."""
    path = path_of("connections", name)
    connection, health = api().get(path), api().get(f"{path}/health")
    return render_template("connection.html", connection=connection, health=health)
