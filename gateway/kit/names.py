"""The names of the suites, which the command line knows before it loads them."""

from __future__ import annotations

from collections.abc import Mapping

SUITES: Mapping[str, tuple[str, ...]] = {
    "document": (),
    "lenses": ("hypothesis",),
    "simulator": (),
    "conformance": (),
    "native": (),
    "fuzz": ("schemathesis", "hypothesis"),
}
"""The suites, the fastest first, each with the packages that only it needs: those of the extra `kit`."""
