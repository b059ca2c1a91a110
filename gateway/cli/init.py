"""`jobgate init`: a settings file to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.output import say
from gateway.cli.shared import Failure


def init(
    file: Annotated[Path, typer.Argument(help="The file to write.", dir_okay=False)] = Path("jobgate.toml"),
) -> None:
    """Write a settings file with every setting, its meaning and its default, as comments."""
    from gateway.settings.commented import write_commented

    try:
        write_commented(file)
    except FileExistsError:
        raise Failure(f"{file} exists already; name another file") from None
    say(
        f"Wrote {file}. Next: add a connection to it, make an API key with `jobgate keys create NAME --scope '*' "
        f"--config {file}`, and look for mistakes with `jobgate config check --config {file}`."
    )
