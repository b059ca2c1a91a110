"""The process that workers are forked from: it has one thread, and nothing of this process's state."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess
from multiprocessing.forkserver import ensure_running
from types import ModuleType


def preload(module: str) -> None:
    """Begin to import a module in the process that workers will be forked from. It ends with this process."""
    multiprocessing.set_forkserver_preload([module])
    with _without_program():
        ensure_running()


def start(process: ForkServerProcess) -> None:
    """Start a process. What it runs must be in a module that can be imported."""
    with _without_program():
        process.start()


@contextmanager
def _without_program() -> Iterator[None]:
    """Keep `multiprocessing` from importing this program, here the command line, in processes that do not need it."""
    program = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = program
