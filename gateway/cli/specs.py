"""`jobgate specs …`: checking the OpenAPI documents."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.exit_codes import ExitCode
from gateway.cli.shared import counted

specs = typer.Typer(name="specs", help="Check the OpenAPI documents.", no_args_is_help=True)


@specs.command("check")
def check(
    files: Annotated[list[Path] | None, typer.Argument(help="Documents to check. Default: all installed ones.")] = None,
) -> None:
    """Check OpenAPI documents. Each finding has file, place and remedy."""
    from gateway.engine.registry import installed_specifications
    from gateway.specs.lint import check_all

    paths = files or installed_specifications()
    findings = check_all(paths)
    for finding in findings:
        typer.echo(str(finding))
    typer.echo(f"{counted(len(paths), 'document')}, {counted(len(findings), 'finding')}")
    raise typer.Exit(ExitCode.NOT_APPLIED if findings else ExitCode.DONE)
