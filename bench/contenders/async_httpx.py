"""Stock Connexion: an AsyncApp from the gateway's own document, and httpx."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from connexion import AsyncApp, ConnexionMiddleware, request
from connexion.resolver import RelativeResolver

from bench.contenders.connexion_scopes import SECURITY_MAP

UPSTREAM = os.environ["BENCH_UPSTREAM"]
SPECIFICATIONS = Path(__file__).parents[2] / "specs"


@asynccontextmanager
async def client(_: ConnexionMiddleware) -> AsyncIterator[dict[str, Any]]:
    """One client for all requests; its default limit is a hundred connections."""
    # Twenty is the default, and much faster than a thousand: each request looks through all idle connections.
    limits = httpx.Limits(max_connections=1_000, max_keepalive_connections=20)
    async with httpx.AsyncClient(limits=limits, timeout=10) as opened:
        yield {"client": opened}


def check_key(token: str) -> dict[str, str] | None:
    """Connexion's check of bearer tokens, named by BEARERINFO_FUNC."""
    return {"sub": "bench"} if token == "bench" else None  # noqa: S105 - made up


async def cancelJob(connection: str, jobId: str, body: dict[str, Any]) -> tuple[dict[str, str], int, dict[str, str]]:
    """Cancel a job."""
    url = f"{UPSTREAM}/routing/jobs/{jobId}:cancel"
    opened: httpx.AsyncClient = request.state.client  # type: ignore[attr-defined]  # it is a proxy
    reply = await opened.post(url, params={"api-version": "2023-11-01"}, json=body)
    reply.raise_for_status()
    job_action = {"connection": connection, "jobId": jobId, "action": "cancel", "outcome": "applied"}
    # The document has two content types for this operation, so Connexion requires an explicit one.
    return job_action, 200, {"Content-Type": "application/json"}


app = AsyncApp(__name__, specification_dir=SPECIFICATIONS, lifespan=client)
app.add_api("gateway.yaml", resolver=RelativeResolver(__name__), resolver_error=501, security_map=SECURITY_MAP)
