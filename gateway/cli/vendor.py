"""`jobgate vendor …`: starting the adapter of a new vendor, and testing any adapter."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.exit_codes import ExitCode
from gateway.cli.output import Format, Output, show_list
from gateway.cli.shared import Failure, counted

if TYPE_CHECKING:
    from gateway.app import Catalogue
    from gateway.kit.trial import Result

vendor = typer.Typer(name="vendor", help="Start the adapter of a new vendor, and test adapters.", no_args_is_help=True)

COLUMNS = ("suite", "checks", "passed", "failed", "seconds")


@vendor.command("new")
def new(
    name: Annotated[str, typer.Argument(help="The vendor's name, in lower case: `acme-desk`.")],
    folder: Annotated[
        Path, typer.Option("--folder", help="Write the package into this folder.", file_okay=False, exists=True)
    ] = Path(),
) -> None:
    """Write a package for a new vendor: a document that explains itself, an adapter and a test. It passes as it is."""
    from gateway.kit.beginning import Unusable, begin

    try:
        made = begin(name, folder)
    except Unusable as error:
        raise Failure(str(error)) from None
    typer.echo(f"Wrote {made}. Next:\n\n  pip install --editable '{made}[test]'\n  jobgate vendor test {name}\n")


@vendor.command("test")
def test(
    name: Annotated[str, typer.Argument(help="The name of the vendor.")],
    adapter: Annotated[
        str | None,
        typer.Option("--adapter", metavar="MODULE:NAME", help="An adapter that is not installed as an entry point."),
    ] = None,
    suite: Annotated[
        list[str] | None, typer.Option("--suite", help="Only this suite; can be given several times. Default: all.")
    ] = None,
    examples: Annotated[
        int, typer.Option("--examples", min=1, help="Generated cases of each kind, for the suites lenses and fuzz.")
    ] = 10,
    output: Output = Format.TABLE,
) -> None:
    """Test an adapter: its document, simulator, and both APIs of the gateway. Nothing leaves this machine."""
    suites = _chosen(suite)
    _require_packages(suites)
    from gateway.kit.trial import try_vendor

    catalogue = _catalogue(name, adapter)
    logging.getLogger().addHandler(logging.NullHandler())  # the results say what goes wrong
    results = list(_with_progress(try_vendor(catalogue, name, suites, examples)))
    _show(name, results, output)
    raise typer.Exit(ExitCode.NOT_APPLIED if any(each.failure for each in results) else ExitCode.DONE)


def _chosen(suites: Sequence[str] | None) -> Sequence[str]:
    """The names of the chosen suites. Raises Failure for others."""
    from gateway.domain.suggestions import did_you_mean
    from gateway.kit.names import SUITES

    for each in suites or ():
        if each not in SUITES:
            raise Failure(f"there is no suite {each}; {did_you_mean(each, SUITES)}")
    return suites or list(SUITES)


def _require_packages(suites: Iterable[str]) -> None:
    """Raise Failure if a package that a suite needs is not installed."""
    from importlib.util import find_spec

    from gateway.kit.names import SUITES

    missing = sorted({package for each in suites for package in SUITES[each] if find_spec(package) is None})
    if missing:
        raise Failure(f"the kit needs {' and '.join(missing)}. Install its packages: pip install 'jobgate[kit]'.")


def _catalogue(name: str, adapter: str | None) -> Catalogue:
    """The installed vendors and the given one. Raises Failure if the vendor is not among them, or its lint fails."""
    from gateway.app import Catalogue
    from gateway.domain.adapter import Adapter
    from gateway.domain.suggestions import did_you_mean
    from gateway.engine.registry import adapter_at, installed_adapters
    from gateway.specs.document import SpecificationError
    from gateway.specs.lint import check

    sys.path.insert(0, str(Path.cwd()))
    try:
        chosen = installed_adapters().get(name) if adapter is None else adapter_at(adapter)
    except SpecificationError as error:
        raise Failure(str(error)) from None
    findings = check(chosen.specification) if isinstance(chosen, Adapter) else []
    if findings:  # no gateway could be made of it
        listed = "\n".join(map(str, findings))
        raise Failure(
            f"the document of {name} has {counted(len(findings), 'finding')}:\n{listed}", ExitCode.NOT_APPLIED
        )
    catalogue = Catalogue.load([chosen] if adapter is not None and isinstance(chosen, Adapter) else [])
    if name not in catalogue.vendors:
        raise Failure(f"no adapter for {name} is installed; {did_you_mean(name, catalogue.vendors)}")
    return catalogue


def _with_progress(results: Iterable[Result]) -> Iterator[Result]:
    """The same results; each suite is named on standard error when its first result is there."""
    suite = None
    for result in results:
        if result.suite != suite:
            suite = result.suite
            typer.echo(f"\n{suite} " if sys.stderr.isatty() else f"{suite} …", err=True, nl=not sys.stderr.isatty())
        if sys.stderr.isatty():
            typer.echo("F" if result.failure else ".", err=True, nl=False)
        yield result
    if sys.stderr.isatty():
        typer.echo(err=True)


def _show(name: str, results: Sequence[Result], output: Format) -> None:
    from gateway.kit.trial import rows_of

    rows = [vars(row) for row in rows_of(results)]
    failed = [each for each in results if each.failure]
    if output in {Format.JSON, Format.NDJSON}:
        failures = [
            {"suite": each.suite, "check": each.check.name, "promise": each.check.promise, "failure": each.failure}
            for each in failed
        ]
        show_list([{"vendor": name, "passed": not failed, "suites": rows, "failures": failures}], (), output)
        return
    show_list(rows, COLUMNS, output)
    for each in failed:
        said = f"\nFAILED {each.suite}: {each.check.name}\n  promise: {each.check.promise}\n  {each.failure}"
        typer.echo(said, err=output is Format.CSV)
