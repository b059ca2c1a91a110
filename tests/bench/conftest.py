"""Results as they could have been measured, in round figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bench.load import Load
from bench.plan import SECTIONS
from bench.results import Measurement, Results

PER_SECOND = {
    "jobgate": 4_000,
    "jobgate-signing": 3_800,
    "jobgate-access-log": 3_600,
    "jobgate-2-workers": 6_000,
    "floor": 5_000,
    "connexion-flask": 500,
    "connexion-async": 250,
    "fastapi": 400,
    "prism": 1_000,
    "express": 2_000,
    "fastify": 8_000,
    "straight": 50_000,
}
SECONDS = 4
ROUNDS = 3

Edit = Callable[[Measurement], Measurement | None]
"""Changes a measurement, or leaves it out."""


def measurement(section: str, contender: str, connections: int, number: int) -> Measurement:
    """A contender that is a little faster in each round. Where it waits for the vendor, that costs it a twentieth."""
    per_second = PER_SECOND[contender] + number
    requests = SECONDS * (per_second - per_second // 20 if "after" in section else per_second)
    milliseconds = 1_000 * connections / per_second
    load = Load(requests, SECONDS, milliseconds, 2 * milliseconds, 3 * milliseconds, 0, 0, 0, 0, 0)
    return Measurement(section, contender, connections, number, load, 1.0, 0.0, 80.0 + number)


ALL = Results(
    command="python -m bench",
    seconds=SECONDS,
    rounds=ROUNDS,
    machine={"Processor": "A processor", "Cores": "2"},
    left_out={},
    measurements=tuple(
        measurement(section.name, contender, connections, number)
        for section in SECTIONS
        for number in range(ROUNDS)
        for connections in section.connections
        for contender in section.contenders
    ),
)


@pytest.fixture
def results() -> Results:
    """A whole run."""
    return ALL


@pytest.fixture
def edited() -> Callable[[Edit], Results]:
    """Makes the results of a whole run, with each measurement changed."""

    def make(edit: Edit) -> Results:
        made = (edit(each) for each in ALL.measurements)
        return replace(ALL, measurements=tuple(each for each in made if each is not None))

    return make
