"""Programs that tests start, and that end with the tests even if those are killed."""

from __future__ import annotations

import shutil


def mortal(*command: str) -> list[str]:
    """A command that is killed when whoever starts it has ended, where the system can do that: on Linux."""
    found = shutil.which("setpriv")
    return [*([found, "--pdeathsig", "KILL"] if found else []), *command]
