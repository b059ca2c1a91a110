"""The generated parts of `docs/cli.md`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer.main

from gateway.cli import application
from gateway.cli.exit_codes import MEANINGS
from gateway.documentation.pages import PartsOfPages
from gateway.documentation.tables import table


def exit_codes(_: object) -> str:
    """The table of exit codes."""
    return table(("exit code", "meaning"), [(int(code), meaning) for code, meaning in MEANINGS.items()])


def commands(_: object) -> str:
    """The table of commands, each with the first sentence of its help."""
    return table(("command", "what it does"), _rows("jobgate", typer.main.get_command(application)))


def _rows(path: str, command: Any) -> Iterator[tuple[str, str]]:
    below = {name: each for name, each in getattr(command, "commands", {}).items() if not each.hidden}
    if not below:
        yield f"`{path}`", command.get_short_help_str(limit=1_000)
    for name, each in below.items():
        yield from _rows(f"{path} {name}", each)


PARTS: PartsOfPages = {"cli.md": {"exit-codes": exit_codes, "commands": commands}}
"""The parts, by page and name."""
