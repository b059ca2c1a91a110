"""`jobgate specs …`: the OpenAPI documents."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.shared import counted

specs = typer.Typer(help="The OpenAPI documents.", no_args_is_help=True)


@specs.command("check")
def check(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Documents to check; all that are installed if none.")
    ] = None,
) -> None:
    """Check OpenAPI documents; each finding names file, place and mend."""
    from gateway.engine.registry import installed_specifications
    from gateway.specs.lint import check_all

    paths = files or installed_specifications()
    findings = check_all(paths)
    for finding in findings:
        typer.echo(str(finding))
    typer.echo(f"{counted(len(paths), 'document')}, {counted(len(findings), 'finding')}")
    raise typer.Exit(1 if findings else 0)
