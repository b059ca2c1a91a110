"""Every vendor passes the kit. No vendor is named here, so a new one is covered as soon as it is installed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.kit.names import SUITES
from gateway.kit.stand import Stand
from tests.support.kit import Case, cases
from tests.support.sampling import amount

EXAMPLES = amount(whole=10, sample=2)


@pytest.mark.sampled(0.3, kind=lambda case: (case.vendor, case.suite, case.check.kind))
@pytest.mark.parametrize("case", cases(*(SUITES.keys() - {"fuzz"})), ids=str)
def test_vendor(case: Case, stand: Stand) -> None:
    """A vendor keeps each promise of its document. `tests/fuzz` has the suite that takes longest."""
    case.check.run(replace(stand, examples=EXAMPLES))
