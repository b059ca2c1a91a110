"""Which settings a command uses: `--config`, else `JOBGATE_CONFIG`, else `jobgate.toml` in the current folder."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "JOBGATE_CONFIG"
"""The environment variable that names the file of settings."""
HERE = Path("jobgate.toml")
"""The file of settings where none is named, if it is there."""


def settings_file(given: Path | None) -> Path | None:
    """The file of settings to use; None where there is none. Whether one that is named exists is not looked at."""
    if given is not None:
        return given
    if named := os.environ.get(VARIABLE):
        return Path(named)
    return HERE if HERE.is_file() else None


def sources(file: Path | None) -> str:
    """Where settings come from, for people: the file, and the variables of the environment that count over it."""
    from gateway.settings.environment import set_variables  # noqa: PLC0415 - it knows the settings, which know this

    found = ([] if file is None else [str(file.absolute())]) + set_variables()
    return ", ".join(found) or "the defaults (no jobgate.toml in this folder, and no JOBGATE_ variable)"
