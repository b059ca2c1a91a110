"""Jobgate like `jobgate serve --no-access-log`, but with its records in memory instead of in a database."""

from __future__ import annotations

import argparse
from pathlib import Path

from gateway.app import Catalogue, Gateway
from gateway.ledger.memory import MemoryLedger
from gateway.serving.listening import HOST, ServerOptions, listen, server
from gateway.serving.logs import log_to_terminal
from gateway.settings import settings as config
from gateway.startup.serve import settle_in


def serve(settings: config.Settings, port: int) -> None:
    """Serve in the foreground until stopped."""
    log_to_terminal()
    gateway = Gateway(settings, Catalogue.load(), ledger=MemoryLedger())
    with listen(HOST, port) as listening:
        served = server(gateway.application, ServerOptions(limits=settings.limits))
        settle_in()
        served.run(sockets=[listening])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    serve(config.load(arguments.config), arguments.port)
