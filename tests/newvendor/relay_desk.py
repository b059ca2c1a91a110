"""A vendor that exists nowhere, in a shape of its own: all that it needs beside its document."""

from pathlib import Path

from gateway.domain.adapter import Adapter

ADAPTER = Adapter(Path(__file__).with_name("relay_desk.yaml"))
