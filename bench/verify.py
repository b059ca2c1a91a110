"""Verification, before the measurements, that a contender does the work and refuses invalid requests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import requests

from bench.processes import BenchError
from bench.servers import Server
from bench.work import PARAMETERS, VENDOR_TARGET, WORK, Ask

_SECONDS = 30


def verify(server: Server, upstream: str) -> None:
    """Send the work's request and each invalid request once. Raises BenchError if a result is not as expected."""
    with requests.Session() as session:
        session.trust_env = False
        found = [*work_differences(session, server, upstream), *refusal_differences(session, server, upstream)]
    if found:
        raise BenchError("\n".join(f"{server.contender.name} does not do the same work: {each}" for each in found))


def work_differences(session: requests.Session, server: Server, upstream: str) -> Iterator[str]:
    """The differences in the answer, and in the one request that the vendor must have received."""
    before = seen(session, upstream)
    reply = ask(session, server, WORK)
    after = seen(session, upstream)
    expected = dict(server.contender.answer)
    answer = reply.json() if reply.ok else {}
    yield from differences("status", 200, reply.status_code)
    yield from differences("answer", expected, {name: answer.get(name) for name in expected})
    yield from differences("requests at the vendor", 1, after["count"] - before["count"])
    yield from differences("request at the vendor", f"POST {VENDOR_TARGET} HTTP/1.1", after["line"])
    yield from differences("its content type", "application/json", content_type(after["headers"]))
    yield from differences("its body", PARAMETERS, body(after["body"]))


def refusal_differences(session: requests.Session, server: Server, upstream: str) -> Iterator[str]:
    """The invalid requests that are not refused, or that reach the vendor."""
    for refused in server.contender.refuses:
        before = seen(session, upstream)
        reply = ask(session, server, refused)
        after = seen(session, upstream)
        yield from differences(f"class of the status for {refused.what}", 4, reply.status_code // 100)
        yield from differences(f"requests at the vendor for {refused.what}", 0, after["count"] - before["count"])


def differences(what: str, expected: object, found: object) -> Iterator[str]:
    """One line if the two are not equal."""
    if expected != found:
        yield f"{what}: expected {expected}, found {found}"


def ask(session: requests.Session, server: Server, what: Ask) -> requests.Response:
    """Send a request of the client."""
    return session.post(server.target, data=what.body, headers=what.headers, timeout=_SECONDS)


def seen(session: requests.Session, upstream: str) -> Any:
    """The requests that the vendor has received."""
    return session.get(f"{upstream}/last", timeout=_SECONDS).json()


def content_type(headers: list[str]) -> str:
    """The content type in the lines of a header."""
    named = (line.partition(":") for line in headers)
    values = [value.partition(";")[0].strip() for name, _, value in named if name.lower() == "content-type"]
    return ", ".join(values)


def body(text: str) -> object:
    """A body parsed as JSON; the text itself if it is not JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return text
