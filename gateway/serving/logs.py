"""The log of a serving process."""

from __future__ import annotations

import logging


def log_to_terminal() -> None:
    """Log to the terminal, without routine messages of Connexion, uvicorn and Alembic."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("connexion").setLevel(logging.ERROR)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.WARNING)
