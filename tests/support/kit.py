"""The checks of the kit as cases of tests, for every installed vendor."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.kit.checks import Check
from gateway.kit.trial import checks_of
from tests.support.documents import installed


@dataclass(frozen=True)
class Case:
    """A check of a suite, for a vendor."""

    vendor: str
    suite: str
    check: Check

    def __str__(self) -> str:
        """The case as a test's name."""
        return f"{self.vendor}-{self.suite}-{self.check}".replace(" ", "_")


def cases(*suites: str) -> list[Case]:
    """Every check of these suites, for every installed vendor."""
    catalogue = installed()
    return [Case(vendor, *each) for vendor in catalogue.vendors for each in checks_of(catalogue, vendor, suites)]
