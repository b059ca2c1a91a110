"""`jobgate serve`, `jobgate sandbox` and `jobgate demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.exit_codes import ExitCode
from gateway.cli.shared import Config, chosen_file, tell_used

WIDE = 160
"""Width of the output in columns if it is not a terminal: enough for whole ids."""

Host = Annotated[str | None, typer.Option(help="Address to listen on. Default: 127.0.0.1.")]
Port = Annotated[
    int | None, typer.Option(help="Port to listen on; 0 chooses a free one. Default: 8080.", min=0, max=65_535)
]


def serve(
    config: Config = None,
    host: Host = None,
    port: Port = None,
    workers: Annotated[
        int | None, typer.Option(help="Worker processes that share the port. Default: 1.", min=1, max=64)
    ] = None,
    access_log: Annotated[
        bool | None, typer.Option("--access-log/--no-access-log", help="Log each request. Default: yes.")
    ] = None,
    log_level: Annotated[
        str | None, typer.Option(help="Least severe messages: debug, info, warning or error. Default: info.")
    ] = None,
    log_format: Annotated[str | None, typer.Option(help="Form of the log: text or json. Default: text.")] = None,
    admin_port: Annotated[
        int | None,
        typer.Option(help="Port for /metrics, on loopback; 0 chooses a free one. Default: none.", min=0, max=65_535),
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="TLS certificate and chain, in PEM format.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Private key of the certificate, in PEM format.")] = None,
    tls_self_signed: Annotated[
        bool | None,
        typer.Option("--tls-self-signed", help="Serve HTTPS with a self-signed certificate, for development."),
    ] = None,
    accept_restored_ledger: Annotated[
        bool,
        typer.Option("--accept-restored-ledger", help="Accept a ledger that is older than its newest checkpoint."),
    ] = False,
    sandbox: Annotated[bool, typer.Option("--sandbox", help="Start the vendor simulators too.")] = False,
    sandbox_port: Annotated[
        int, typer.Option(help="Port of the simulators; 0 chooses a free port.", min=0, max=65_535)
    ] = 0,
) -> None:
    """Run the gateway."""
    given: dict[str, object] = {"host": host, "port": port, "workers": workers, "access_log": access_log}
    given |= {"log_level": log_level, "log_format": log_format, "admin_port": admin_port}
    given |= {"tls_cert": tls_cert, "tls_key": tls_key, "tls_self_signed": tls_self_signed}
    from gateway.startup.ahead import load_ahead

    file = chosen_file(config)
    load_ahead(file, given)

    from gateway.startup import serve as serving

    serving.serve(
        serving.Source(file, given),
        sandbox_port=sandbox_port if sandbox else None,
        accept_restored_ledger=accept_restored_ledger,
    )


def sandbox(
    port: Annotated[int, typer.Option(help="Port to listen on; 0 chooses a free port.", min=0, max=65_535)] = 8090,
) -> None:
    """Run the vendor simulators alone."""
    from gateway.startup import serve as serving

    serving.serve_sandbox(port)


def demo() -> None:
    """Try every action in every status of every vendor, and check each answer.

    It uses the simulators only, keeps its ledger in a temporary folder, and reads no settings file.
    """
    from rich.console import Console

    from gateway.demo import demo as demonstration
    from gateway.settings.settings import load

    settings = load()
    tell_used(None, settings, with_ledger=False)
    console = Console()
    if not console.is_terminal:
        console.width = WIDE
    raise typer.Exit(ExitCode.NOT_APPLIED if demonstration.run(console) else ExitCode.DONE)
