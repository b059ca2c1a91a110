"""The kit for vendors: suites that try whatever a document promises, and a package to begin a new vendor with."""

from __future__ import annotations

from collections.abc import Collection


def failures(vendor: str, suites: Collection[str] | None = None, examples: int = 10) -> list[str]:
    """The failures of an installed vendor, tried by all suites unless some are named: where, what, the remedy."""
    from gateway.app import Catalogue
    from gateway.kit.names import SUITES
    from gateway.kit.trial import try_vendor

    results = try_vendor(Catalogue.load(), vendor, suites or SUITES, examples)
    return [f"{each.suite}: {each.check.name}: {each.failure}" for each in results if each.failure]
