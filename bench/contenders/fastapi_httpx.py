"""FastAPI and httpx. The constraints are those of the gateway's own document, written as types."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI, HTTPException, Path, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

UPSTREAM = os.environ["BENCH_UPSTREAM"]


class ActionParameters(BaseModel):
    """The document's ActionParameters."""

    model_config = ConfigDict(extra="forbid")

    dispositionCode: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    note: Annotated[str, Field(min_length=1, max_length=4_096)] | None = None


class JobAction(BaseModel):
    """The answer."""

    connection: str
    jobId: str
    action: str
    outcome: str


@asynccontextmanager
async def client(_: FastAPI) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    """One client for all requests; its default limit is a hundred connections."""
    # Twenty is the default, and much faster than a thousand: each request looks through all idle connections.
    limits = httpx.Limits(max_connections=1_000, max_keepalive_connections=20)
    async with httpx.AsyncClient(limits=limits, timeout=10) as opened:
        yield {"client": opened}


async def check_key(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> None:
    """Check the caller's key. Raises HTTPException (401)."""
    if credentials.credentials != "bench":
        raise HTTPException(401)


app = FastAPI(lifespan=client)


@app.post("/v1/connections/{connection}/jobs/{job}/cancel", dependencies=[Depends(check_key)])
async def cancel(
    connection: Annotated[str, Path(max_length=63, pattern="^[a-z][a-z0-9-]{0,62}$")],
    job: Annotated[str, Path(min_length=1, max_length=256, pattern=r"^[^/\\\x00-\x1f\x7f]+$")],
    body: ActionParameters,
    request: Request,
) -> JobAction:
    """Cancel a job."""
    url = f"{UPSTREAM}/routing/jobs/{job}:cancel"
    parameters = body.model_dump(exclude_none=True)
    reply = await request.state.client.post(url, params={"api-version": "2023-11-01"}, json=parameters)
    reply.raise_for_status()
    return JobAction(connection=connection, jobId=job, action="cancel", outcome="applied")
