"""The ladder: every rung does its work, and a layer costs what it adds to the rung below."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from bench.ladder import page
from bench.ladder.measuring import CONNECTIONS, Extent, Server, climb
from bench.ladder.results import Measured, Results, read
from bench.ladder.rungs import RUNGS, Rung, ground, server
from bench.machine import Cores
from bench.processes import BenchError
from bench.report import publish_ladder
from bench.servers import running_vendor
from gateway.edge.exchange import SERVER, Receive, Scope, Send

ONCE = Extent(1, CONNECTIONS, Cores((0,), (0,)))
RESULTS = Results(
    "python -m bench ladder",
    3,
    640,
    64,
    {"Date": "2026-11-28"},
    tuple(
        Measured(rung, number, cpu * slower)
        for number, slower in enumerate((1.0, 4.0, 1.0))
        for rung, cpu in (("guard", 20.0), ("server", 10.0))[:: 1 if number else -1]
    ),
)


def say_nothing(_: str) -> None:
    """Tell nobody."""


def test_a_layer_is_compared_within_its_round() -> None:
    """A round on a busy machine is compared with itself, and the median counts."""
    assert RESULTS.rungs == ("server", "guard")
    assert RESULTS.added("guard").median == 10.0
    assert RESULTS.added("server").median == 10.0
    assert RESULTS.whole("guard").high == 50.0


def test_every_rung_does_the_work(tmp_path: Path) -> None:
    """Each rung answers the work's request with success, and uses CPU for it."""
    with running_vendor(tmp_path, 0.0):
        made = asyncio.run(climb(RUNGS, ground(tmp_path), ONCE, say_nothing))
    assert [each.rung for each in made] == [each.name for each in RUNGS]
    assert all(each.cpu > 0 for each in made)


async def test_a_bad_answer_ends_the_ladder() -> None:
    """An answer other than success is no measurement."""

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await scope["extensions"][SERVER].reply(503, [(b"content-length", b"0")], b"")

    with pytest.raises(BenchError, match=r"a bad answer: b'HTTP/1\.1 503"):
        await Server(Rung("refusing", "", server), refuse).cpu(CONNECTIONS)


def test_the_section_tells_every_rung(tmp_path: Path) -> None:
    """The table has what a layer adds, with quartiles; a page that is written can be read again."""
    said = "\n\n".join(page.part(RESULTS))
    assert "| guard | 10 µs | 10 to 25 µs | 20 µs | The guard: one canonical request" in said
    assert list(page.part(None)) == []
    (written,) = publish_ladder(tmp_path, RESULTS)
    assert read(written) == RESULTS


@pytest.mark.parametrize(("cpu", "verdict"), [(50.0, "met"), (51.0, "**missed**")])
def test_the_engine_has_a_target(cpu: float, verdict: str) -> None:
    """The layer of the engine is compared with what it took before."""
    rungs = (Measured("edge", 0, 10.0), Measured("engine", 0, 10.0 + cpu))
    (target,) = page.targets(replace(RESULTS, measurements=rungs))
    assert target[-1] == verdict
