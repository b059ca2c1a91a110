"""Loading ahead: what workers need is loaded in their process while this one still loads and checks what it needs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from gateway.serving.forking import preload
from gateway.settings.reading import read
from gateway.settings.settings import ConfigurationError

PRELOADED = "gateway.startup.preloaded"
"""The module that is imported once for all workers."""


def load_ahead(file: Path | None, options: Mapping[str, object]) -> None:
    """Begin to load what workers need, if the settings want workers. Mistakes in them are reported later."""
    with suppress(ConfigurationError):
        if read(file, options).settings.server.workers > 1:
            preload(PRELOADED)
