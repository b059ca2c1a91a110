"""All that a worker loads and never changes. The process that workers are forked from imports this module.

So it is loaded once, and workers share its memory and start at once. Signals wait until a worker can handle them.
"""

from __future__ import annotations

import gc
from contextlib import suppress

import uvloop  # noqa: F401

import gateway.app.surfaces
import gateway.ledger.keys
import gateway.ledger.ledger
import gateway.ledger.process
import gateway.ledger.publishing
import gateway.security.openid
import gateway.serving.writing
import gateway.transport.http  # noqa: F401
from gateway.serving.supervisor import hold_signals
from gateway.specs.document import SpecificationError
from gateway.startup.serve import installed

hold_signals()
with suppress(SpecificationError):  # each worker reports it
    installed()
gc.collect()
gc.freeze()
