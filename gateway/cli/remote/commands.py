"""Commands that are one call each. The API's document has their arguments, options and texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import typer

from gateway.cli.operations import operation
from gateway.cli.options import Function, described
from gateway.cli.output import Format, Output, show_list, show_one
from gateway.cli.remote.calls import ProfileName, call, gateway, items

Limit = Annotated[int | None, typer.Option(min=1, help="Most items to print. Default: all.", show_default=False)]
PAGING = frozenset({"limit", "cursor"})
"""The parameters of a list that the client sets."""

Show = Callable[[Mapping[str, Any], Format], None]


def add_list(group: typer.Typer, operation_id: str, columns: Sequence[str], name: str = "list") -> None:
    """Add a command that prints a list."""
    called = operation(operation_id)
    query = {each: member for each, member in called.query.items() if each not in PAGING}

    @described(query, called.placeholders)
    def run(
        ids: tuple[str, ...] = (),
        limit: Limit = None,
        output: Output = Format.TABLE,
        profile: ProfileName = None,
        **given: Any,
    ) -> None:
        with gateway(profile) as client:
            show_list(items(client, operation_id, *ids, limit=limit, query=given), columns, output)

    _add(group, name, run, called.help)


def add_show(
    group: typer.Typer, operation_id: str, name: str = "show", show: Show = show_one, panel: str | None = None
) -> None:
    """Add a command that reads one object. `panel` is its part of the help."""
    called = operation(operation_id)

    @described(called.query, called.placeholders)
    def run(
        ids: tuple[str, ...] = (), output: Output = Format.TABLE, profile: ProfileName = None, **given: Any
    ) -> None:
        with gateway(profile) as client:
            show(call(client, operation_id, *ids, query=given), output)

    _add(group, name, run, called.help, panel)


def add_call(group: typer.Typer, operation_id: str, name: str, show: Show = show_one) -> None:
    """Add a command that changes one object, with the members of its body as options, and prints it."""
    called = operation(operation_id)

    @described(called.body, called.placeholders)
    def run(ids: tuple[str, ...], output: Output = Format.TABLE, profile: ProfileName = None, **given: Any) -> None:
        with gateway(profile) as client:
            show(call(client, operation_id, *ids, body=given), output)

    _add(group, name, run, called.help)


def _add(group: typer.Typer, name: str, function: Function, text: str, panel: str | None = None) -> None:
    group.command(name, help=text, rich_help_panel=panel)(function)
