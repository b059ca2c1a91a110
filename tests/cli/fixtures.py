"""Running commands that call a gateway: the real one, or a stub."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from gateway.cli import application
from tests.client.stub import Stub
from tests.support.commands import JOBGATE
from tests.support.patience import PATIENCE

ID = "019a9b3c-5e0e-7c4b-9f5a-3d8f0e1c2b4a"
DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
STUB_KEY = "jobgate_key-that-nobody-may-see"


def run(url: str, key: str, *command: str, typed: str | None = None) -> Result:
    """Run a command against a gateway, with a text as its standard input."""
    environment = {"JOBGATE_URL": url, "JOBGATE_KEY": key}
    return CliRunner().invoke(application, command, env=environment, input=typed)


def ask(stub: Stub, *command: str, typed: str | None = None) -> Result:
    """Run a command against a stub."""
    return run(stub.url, STUB_KEY, *command, typed=typed)


def batch(state: str = "awaiting_confirmation", **others: Any) -> dict[str, Any]:
    """A batch of three jobs, as the gateway answers it."""
    whole = {
        "id": ID,
        "caller": "desk",
        "state": state,
        "action": "cancel",
        "parameters": {},
        "reason": "stuck",
        "labels": {},
        "select": {"kind": "jobs"},
        "limits": {},
        "priority": 50,
        "createdAt": "2026-11-28T12:00:00Z",
        "changedAt": "2026-11-28T12:00:00Z",
        "manifest": {"digest": DIGEST, "count": 3, "verdicts": {"will_act": 3}},
        "progress": {"items": 3, "outcomes": {"pending": 3}, "activeSeconds": 0},
    }
    return {**whole, **others}


def ended(outcome: str = "all_applied", **outcomes: int) -> dict[str, Any]:
    """A batch that has ended."""
    progress = {"items": 3, "outcomes": outcomes or {"applied": 3}, "activeSeconds": 1.5}
    return batch("completed", outcome=outcome, progress=progress)


ITEM = {"position": 1, "connection": "c", "jobId": "a", "verdict": "will_act", "outcome": "pending"}
ITEMS = {"items": [ITEM], "nextCursor": None}
"""The page of items that a preview reads."""


def asked(stub: Stub) -> list[tuple[str, str]]:
    """The method and path of every request that the stub received."""
    return [(each.method, each.path.removeprefix("/v1")) for each in stub.received]


def sent(stub: Stub, path: str) -> Any:
    """The JSON body of the one request to a path."""
    (found,) = [each for each in stub.received if each.method == "POST" and each.path == f"/v1{path}"]
    return json.loads(found.content)


@contextmanager
def at_a_terminal(url: str, key: str, folder: Path, *command: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A command at a terminal of its own, and the file descriptor of what a person sees there and types."""
    master, slave = pty.openpty()
    environment = {**os.environ, "JOBGATE_URL": url, "JOBGATE_KEY": key, "HOME": str(folder), "TERM": "xterm"}
    process = subprocess.Popen(
        [JOBGATE, *command], stdin=slave, stdout=subprocess.PIPE, stderr=slave, env=environment, start_new_session=True
    )
    os.close(slave)
    try:
        yield process, master
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=PATIENCE)
        os.close(master)


def seen_until(master: int, text: str) -> str:
    """What is to be seen at a terminal until a text appears."""
    seen = b""
    while text.encode() not in seen:
        ready, _, _ = select.select([master], [], [], PATIENCE)
        try:
            piece = os.read(master, 4096) if ready else b""
        except OSError:  # the other side has ended
            piece = b""
        if not piece:
            raise AssertionError(f"no {text!r} in {seen.decode(errors='replace')!r}")
        seen += piece
    return seen.decode()
