"""`jobgate docs`: the generated pages, for developers of Jobgate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.exit_codes import ExitCode


def docs(
    check: Annotated[bool, typer.Option("--check", help="Change nothing; fail if a page is stale.")] = False,
    folder: Annotated[Path, typer.Option(help="The documentation folder.", exists=True, file_okay=False)] = Path(
        "docs"
    ),
) -> None:
    """Write the pages of docs/ that are generated from the specs and the code."""
    from gateway.app import Catalogue
    from gateway.cli.reference import PARTS
    from gateway.documentation import pages as documentation

    catalogue = Catalogue.load()
    if check:
        stale = documentation.stale_pages(folder, catalogue, PARTS)
        for path in stale:
            typer.echo(f"{path} is stale. Run `make docs`.")
        raise typer.Exit(ExitCode.NOT_APPLIED if stale else ExitCode.DONE)
    for path in documentation.write(folder, catalogue, PARTS):
        typer.echo(f"wrote {path}")
