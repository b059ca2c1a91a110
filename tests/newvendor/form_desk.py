"""A vendor that exists nowhere, with forms and HTTP Basic: all that it needs beside its document."""

from pathlib import Path

from gateway.domain.adapter import Adapter

ADAPTER = Adapter(Path(__file__).with_name("form_desk.yaml"))
