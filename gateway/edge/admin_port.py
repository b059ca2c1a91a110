"""`/metrics` on the port for administration, which asks for no key. Loads nothing of what serves APIs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.edge.exchange import Application, RawReply, Receive, Scope, Send, write

PATH = "/metrics"
Scrape = Callable[[], bytes]
"""Returns the metrics as a text for Prometheus. Called in a thread. Raises OSError."""


def open_metrics(scrape: Scrape, media_type: str) -> Application:
    """An application with this page only, which asks for no key: its port is not for everybody."""

    async def serve(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"] != PATH:
            await write(send, RawReply(404, {"content-type": "text/plain"}, b"There is only /metrics here.\n"))
        elif scope["method"] not in {"GET", "HEAD"}:
            await write(send, RawReply(405, {"allow": "GET, HEAD"}, b""))
        else:
            text = await asyncio.to_thread(scrape)
            content = b"" if scope["method"] == "HEAD" else text
            await write(send, RawReply(200, {"content-type": media_type}, content))

    return serve
