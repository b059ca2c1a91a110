"""The settings file of a command: `--config`, else `JOBGATE_CONFIG`, else `jobgate.toml` in the current folder."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "JOBGATE_CONFIG"
"""The environment variable that names the settings file."""
OF_COMMANDS = frozenset({"JOBGATE_URL", "JOBGATE_KEY", "JOBGATE_PROFILE"})
"""The environment variables of the commands that call a gateway. They set nothing in one."""
HERE = Path("jobgate.toml")
"""The settings file if none is named and this one exists."""


def settings_file(given: Path | None) -> Path | None:
    """The settings file to use, or None. A file that is named need not exist."""
    if given is not None:
        return given
    if named := os.environ.get(VARIABLE):
        return Path(named)
    return HERE if HERE.is_file() else None


def sources(file: Path | None) -> str:
    """The sources of the settings as text: the file, and the environment variables that override it."""
    from gateway.settings.environment import set_variables  # noqa: PLC0415 - an import at the top would be circular

    found = ([] if file is None else [str(file.absolute())]) + set_variables()
    return ", ".join(found) or "the defaults (no jobgate.toml in this folder, and no JOBGATE_ variable)"
