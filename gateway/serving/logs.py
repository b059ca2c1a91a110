"""The log of a serving process."""

from __future__ import annotations

import logging
from typing import Literal, NamedTuple, TextIO

from gateway.telemetry.json_lines import JsonLines

TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class LogOptions(NamedTuple):
    """The least severe level, by name, and the form of the log."""

    level: str = "info"
    form: Literal["text", "json"] = "text"


class TerminalHandler(logging.StreamHandler[TextIO]):
    """The one handler that this module installs."""


PLAIN = LogOptions()


def log_to_terminal(options: LogOptions = PLAIN) -> None:
    """Log to the terminal, without routine messages of Connexion, uvicorn and Alembic. The last call counts."""
    handler = TerminalHandler()
    handler.setFormatter(JsonLines() if options.form == "json" else logging.Formatter(TEXT))
    root = logging.getLogger()
    root.setLevel(options.level.upper())
    for each in [each for each in root.handlers if isinstance(each, TerminalHandler)]:
        root.removeHandler(each)
    root.addHandler(handler)
    logging.getLogger("connexion").setLevel(logging.ERROR)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.WARNING)
