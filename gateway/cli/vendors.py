"""`jobgate vendors …`: the vendors, and what they support."""

from __future__ import annotations

import typer

from gateway.cli.remote.commands import add_list, add_show

vendors = typer.Typer(name="vendors", help="Look at the vendors that a gateway knows.", no_args_is_help=True)

add_list(vendors, "listVendors", ("name", "title", "apiVersion"))
add_show(vendors, "getVendor")
