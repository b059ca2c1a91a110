"""All measurements of resilience, one after the other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.machine import Cores
from bench.resilience import amplification, isolation, overload, recovery, stopping
from bench.resilience.results import Results
from bench.resilience.serving import Place

STEPS = 6
Tell = Callable[[str, int], None]
"""Called with the name of the next measurement, and the number of finished ones."""


def measure(cores: Cores, command: str, machine: dict[str, str], tell: Tell) -> Results:
    """Measure everything. Raises BenchError if a gateway does not start or answer as expected."""
    with TemporaryDirectory(prefix="jobgate-bench-") as folder:
        return asyncio.run(_measure(Place(Path(folder), cores), command, machine, tell))


async def _measure(place: Place, command: str, machine: dict[str, str], tell: Tell) -> Results:
    begun = time.monotonic()
    tell("amplification", 0)
    amplified = await amplification.measure(place)
    tell("isolation, with breaker", 1)
    with_breaker = await isolation.measure(place, with_breaker=True)
    tell("isolation, without breaker", 2)
    without = await isolation.measure(place, with_breaker=False)
    tell("recovery", 3)
    recovered = await recovery.measure(place)
    tell("overload", 4)
    overloaded = await overload.measure(place)
    tell("stopping", 5)
    stopped = await stopping.measure(place)
    return Results(
        command,
        time.monotonic() - begun,
        machine,
        amplified,
        (with_breaker, without),
        recovered,
        overloaded,
        stopped,
    )
