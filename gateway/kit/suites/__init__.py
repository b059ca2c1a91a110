"""The suites: each makes the checks of one side of a vendor, from its document alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from gateway.app import Catalogue
from gateway.engine.connections import Vendor
from gateway.kit.checks import Check
from gateway.kit.suites import conformance, document, fuzz, lenses, native, simulator

Suite = Callable[[Catalogue, Vendor], Iterator[Check]]
"""Makes the checks for a vendor of a catalogue. It calls nothing, so it also tells what would be tried."""

MAKERS: Mapping[str, Suite] = {
    "document": document.checks,
    "lenses": lenses.checks,
    "simulator": simulator.checks,
    "conformance": conformance.checks,
    "native": native.checks,
    "fuzz": fuzz.checks,
}
"""The function that makes the checks of each suite."""
