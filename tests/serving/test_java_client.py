"""Java's own HTTP client over plain http: it offers HTTP/2 with the first request to a server, whatever its body is."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gateway.startup.serve import Running
from tests.support.tools import tool

CLIENT = Path(__file__).parent / "java" / "Client.java"
SECONDS = 120
AZURE_JOB = "2f8a35c1-6f0b-4a3c-9d5e-0c1b7a9e4d01"
UNIFIED = f"/v1/connections/azure-sandbox/jobs/{AZURE_JOB}"
NATIVE = f"/native/azure-job-router/azure-sandbox/routing/jobs/{AZURE_JOB}"
VERSION = "?api-version=2023-11-01"
NOTE = '{"note": "sent by Java"}'


def java(stack: Running, *asked: tuple[str, str, str, str]) -> list[tuple[int, str, Any]]:
    """What Java's client is answered (status, version, body) to requests (method, path, body, kind of body)."""
    stack.sandbox.vendor("azure-job-router").reset()
    arguments = [
        each for method, path, body, kind in asked for each in (method, f"{stack.url}{path}", stack.api_key, body, kind)
    ]
    command = [tool("java", "default-jdk-headless"), str(CLIENT), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    found = (line.split(" ", 2) for line in done.stdout.splitlines())
    return [(int(status), version, json.loads(body)) for status, version, body in found]


@pytest.mark.parametrize("kind", ["sized", "chunked", "asked for"])
def test_an_offer_of_http_2_beside_a_body_is_ignored(stack: Running, kind: str) -> None:
    """An upgrade that is not supported is ignored and the body read (RFC 9110, 7.8), on the unified surface."""
    act, read = java(stack, ("POST", f"{UNIFIED}/cancel", NOTE, kind), ("GET", UNIFIED, "", "none"))
    assert act[:2] == (200, "HTTP_1_1")
    assert act[2]["parameters"] == {"note": "sent by Java"}
    assert (read[0], read[2]["status"]) == (200, "cancelled")


def test_an_offer_of_http_2_without_a_body_is_ignored(stack: Running) -> None:
    """A read and an action without a body are answered too."""
    read, act = java(stack, ("GET", UNIFIED, "", "none"), ("POST", f"{UNIFIED}/cancel", "", "none"))
    assert (read[:2], act[:2]) == ((200, "HTTP_1_1"), (200, "HTTP_1_1"))
    assert (read[2]["id"], act[2]["outcome"]) == (AZURE_JOB, "applied")


def test_a_vendors_own_api_ignores_it_too(stack: Running) -> None:
    """An action in the words of a vendor, with a body, and a read."""
    act, read = java(
        stack, ("POST", f"{NATIVE}:cancel{VERSION}", NOTE, "sized"), ("GET", f"{NATIVE}{VERSION}", "", "none")
    )
    assert act[:2] == (200, "HTTP_1_1")
    assert read[2]["status"] == "cancelled"
