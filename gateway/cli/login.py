"""`jobgate login`: noting a gateway and the key for it in a profile."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.exit_codes import ExitCode
from gateway.cli.output import say
from gateway.cli.remote import profiles
from gateway.cli.remote.calls import connected, items
from gateway.cli.shared import Failure, counted


def login(
    url: Annotated[str, typer.Argument(help="The address of the gateway.")] = "http://127.0.0.1:8080",
    name: Annotated[str, typer.Option("--profile", help="The name under which it is noted.")] = profiles.DEFAULT,
    certificate: Annotated[
        Path | None,
        typer.Option(help="A PEM file with the certificate to trust, such as a self-signed one.", exists=True),
    ] = None,
) -> None:
    """Note a gateway and your API key for it, so that the other commands find them.

    The key is asked for without showing it, or read from standard input. It is tried before it is noted.
    """
    key = _key()
    if not key:
        raise Failure("no key was given", ExitCode.USAGE)
    profile = profiles.Profile(url, key, "" if certificate is None else str(certificate.absolute()))
    with connected(profile) as client:
        usable = sum(1 for _ in items(client, "listConnections"))
    file = profiles.save(name, profile)
    say(f"Logged in to {url}, with {counted(usable, 'connection')}. Noted as profile {name} in {file}.")


def _key() -> str:
    """The key, from a person without echo, or from the first line of standard input."""
    if sys.stdin.isatty():
        key: str = typer.prompt("API key", hide_input=True, err=True)
        return key.strip()
    return sys.stdin.readline().strip()
