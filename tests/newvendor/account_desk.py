"""A vendor that exists nowhere, whose accounts differ by values: its document says everything."""

from pathlib import Path

from gateway.domain.adapter import Adapter

ADAPTER = Adapter(Path(__file__).with_name("account_desk.yaml"))
