"""All that a worker loads and never changes. The process that workers are forked from imports this module.

So it is loaded once, and workers share its memory and start at once. Signals wait until a worker can handle them.
"""

from __future__ import annotations

import gc
from contextlib import suppress
from importlib import import_module

MODULES = (
    "uvloop",
    "gateway.app.surfaces",
    "gateway.ledger.keys",
    "gateway.ledger.ledger",
    "gateway.ledger.process",
    "gateway.ledger.publishing",
    "gateway.serving.writing",
    "gateway.startup.serve",
    "gateway.transport.http",
)


def load() -> None:
    """Load all of it. Nothing of that becomes garbage, so the collector, which would look again and again, waits.

    If a module cannot be imported, signals wait and the collector goes on all the same: `multiprocessing` hides the
    error, and the first worker that needs the module reports it.
    """
    gc.disable()
    try:
        _load_all()
    finally:
        gc.freeze()
        gc.enable()
        from gateway.serving.supervisor import hold_signals  # noqa: PLC0415 - first the collector

        hold_signals()


def _load_all() -> None:
    for each in MODULES:
        import_module(each)

    from gateway.specs.document import SpecificationError  # noqa: PLC0415 - first the collector
    from gateway.startup.serve import installed  # noqa: PLC0415

    with suppress(SpecificationError):  # each worker reports it
        installed()


load()
