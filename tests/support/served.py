"""`jobgate serve` as a process, as tests start it."""

from __future__ import annotations

import re
import subprocess


def url_of(process: subprocess.Popen[str]) -> str:
    """The URL in the greeting, which comes when everything is ready."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if "Ctrl+C" in line:
            break
    found = re.search(r"API +(https?://\S+)/v1", said)
    assert found, said
    return found[1]
