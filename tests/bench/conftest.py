"""Results as they could have been measured, in round figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bench.growth.results import Filled, Growth, Reading, Writing
from bench.load import Load
from bench.plan import SECTIONS
from bench.results import Measurement, Results

PER_SECOND = {
    "jobgate": 3_000,
    "jobgate-without-ledger": 4_000,
    "jobgate-keys": 2_500,
    "jobgate-native": 3_300,
    "jobgate-postgresql": 2_000,
    "jobgate-signing": 2_800,
    "jobgate-access-log": 2_600,
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


SIZES = (5_000, 5_000_000)


@pytest.fixture
def growth() -> Growth:
    """Ledgers of two sizes. The larger one needs twice the time to write and to find a job; rounds differ for both."""
    factors = {("`jobId`", SIZES[1]): 2.0}
    found = "SEARCH job_actions USING INDEX job_actions_job_id (job_id=?)"
    events = "SEARCH events USING INDEX sqlite_autoindex_events_1 (job_action_id=?)"
    return Growth(
        command="python -m bench --only growth",
        rounds=ROUNDS,
        pages=100,
        machine={"SQLite": "3.40.1"},
        filled=tuple(Filled(size, 1.0, 1_400 * size, 1_200.0) for size in SIZES),
        plans={"`jobId`": (found, "SCAN anon_1", events), "`action`": ("SCAN job_actions", events)},
        readings=tuple(
            Reading(size, question, number, factor * slow, 3 * factor * slow, 50)
            for number, slow in enumerate((0.5, 1.0, 4.0))
            for size in SIZES
            for question in ("`jobId`", "`action`")
            for factor in [factors.get((question, size), 1.0)]
        ),
        writings=tuple(
            Writing(size, number, 4_000 / slow / factor, 0.1 * slow * factor, slow * factor, 3 * slow * factor)
            for number, slow in enumerate((0.5, 1.0, 4.0))
            for size, factor in zip(SIZES, (1.0, 2.0), strict=True)
        ),
    )
