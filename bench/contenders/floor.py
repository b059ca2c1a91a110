"""The floor: a bare ASGI application and aiohttp. It parses, translates and forwards, and checks nothing."""

from __future__ import annotations

import json
import os
from typing import Any

import aiohttp
from yarl import URL

UPSTREAM = os.environ["BENCH_UPSTREAM"]
_session: aiohttp.ClientSession | None = None


def session() -> aiohttp.ClientSession:
    """The only client session, without features that cost time and are not needed."""
    global _session  # noqa: PLW0603 - an application without a framework has nowhere else to keep it
    if _session is None:
        _session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=10),
        )
    return _session


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Cancel a job."""
    if scope["type"] != "http":
        return
    _, _, _, connection, _, job, action = scope["path"].split("/")
    body = json.loads((await receive())["body"])
    url = URL(f"{UPSTREAM}/routing/jobs/{job}:{action}?api-version=2023-11-01", encoded=True)
    async with session().post(url, json=body) as response:
        await response.read()
        status = response.status
    reply = {"connection": connection, "jobId": job, "action": action, "outcome": "applied"}
    content = json.dumps(reply).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
