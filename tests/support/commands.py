"""`jobgate …` as a user calls it: in a folder of its own, with no settings but those of the test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

JOBGATE = str(Path(sys.executable).with_name("jobgate"))
KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


def jobgate(
    folder: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command with a folder as the current one, its output in pipes."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JOBGATE_")}
    return subprocess.run(
        [JOBGATE, *arguments],
        cwd=folder,
        env={**kept, "HOME": str(folder / "home"), "NO_COLOR": "1", **(environment or {})},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def write(file: Path, text: str) -> Path:
    """A file of settings that only its owner can read."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    file.chmod(0o600)
    return file
