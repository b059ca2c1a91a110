"""The bare client: aiohttp sends the same requests to the vendor, and does nothing else."""

from __future__ import annotations

import argparse
import asyncio
import json
import time

import aiohttp
import uvloop
from yarl import URL

AT_ONCE = 32


async def send(upstream: str, items: int) -> float:
    """Send so many requests. Returns the seconds that it took."""
    left = iter(range(items))
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def worker() -> None:
            for number in left:
                job = f"{number:08x}-0000-4000-8000-000000000000"
                url = URL(f"{upstream}/routing/jobs/{job}:cancel?api-version=2023-11-01", encoded=True)
                async with session.post(url, json={"note": "bench"}) as response:
                    await response.read()

        began = time.monotonic()
        await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
        return time.monotonic() - began


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("upstream")
    parser.add_argument("items", type=int)
    arguments = parser.parse_args()
    seconds = uvloop.run(send(arguments.upstream, arguments.items))
    usage = time.process_time()
    print(json.dumps({"seconds": seconds, "cpu": usage}))  # noqa: T201 - the result, for the process that started it
