"""Stock Connexion: a FlaskApp from the gateway's own document, and requests."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import requests
from connexion import FlaskApp
from connexion.resolver import RelativeResolver

from bench.contenders.connexion_scopes import SECURITY_MAP

UPSTREAM = os.environ["BENCH_UPSTREAM"]
SPECIFICATIONS = Path(__file__).parents[2] / "specs"

session = requests.Session()
# Connexion serves Flask from ten threads, so requests keeps ten connections.
session.mount("http://", requests.adapters.HTTPAdapter(pool_connections=1, pool_maxsize=10))


def check_key(token: str) -> dict[str, str] | None:
    """Connexion's check of bearer tokens, named by BEARERINFO_FUNC."""
    return {"sub": "bench"} if token == "bench" else None  # noqa: S105 - made up


def cancelJob(connection: str, jobId: str, body: dict[str, Any]) -> tuple[dict[str, str], int, dict[str, str]]:
    """Cancel a job."""
    url = f"{UPSTREAM}/routing/jobs/{jobId}:cancel"
    reply = session.post(url, params={"api-version": "2023-11-01"}, json=body, timeout=10)
    reply.raise_for_status()
    job_action = {"connection": connection, "jobId": jobId, "action": "cancel", "outcome": "applied"}
    # The document has two content types for this operation, so Connexion requires an explicit one.
    return job_action, 200, {"Content-Type": "application/json"}


app = FlaskApp(__name__, specification_dir=SPECIFICATIONS)
app.add_api("gateway.yaml", resolver=RelativeResolver(__name__), resolver_error=501, security_map=SECURITY_MAP)
