"""`jobgate serve` as a process, as tests start it."""

from __future__ import annotations

import queue
import re
import subprocess
import threading
import time
from typing import IO

from tests.support.patience import PATIENCE

START_SECONDS = 3 * PATIENCE
"""Seconds that the whole program may take to start."""


def url_of(process: subprocess.Popen[str], seconds: float = START_SECONDS) -> str:
    """Return the URL in the greeting, which comes when everything is ready. Fails the test if it does not come."""
    assert process.stdout is not None
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    reading = threading.Thread(target=_read_greeting, args=(process.stdout, lines), daemon=True)
    reading.start()
    said, end = "", time.monotonic() + seconds
    while True:
        try:
            line = lines.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            raise AssertionError(f"no greeting in {seconds} seconds, only: {said}") from None
        said += line
        if not line or "Ctrl+C" in line:
            break
    found = re.search(r"API +(https?://\S+)/v1", said)
    assert found, said
    return found[1]


def _read_greeting(stream: IO[str], lines: queue.SimpleQueue[str]) -> None:
    """Pass lines on until the greeting or the output ends. What comes later is left in the stream."""
    for line in stream:
        lines.put(line)
        if "Ctrl+C" in line:
            return
    lines.put("")
