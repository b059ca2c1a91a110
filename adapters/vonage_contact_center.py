"""Vonage Contact Center, Interaction Content Export API. Its document is enough; it needs no functions."""

from pathlib import Path

from gateway.domain.adapter import Adapter

ADAPTER = Adapter(Path(__file__).parents[1] / "specs/vendors/vonage-interaction-content-export.yaml")
