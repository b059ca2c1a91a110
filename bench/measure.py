"""The measuring: all contenders of a section run at the same time, and one at a time is under load."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import load
from bench.contenders import CONTENDERS, Contender
from bench.machine import Cores
from bench.plan import Plan, Point, Section, points
from bench.processes import BenchError, Program, halted
from bench.results import Measurement
from bench.servers import RunningVendor, Server, running_vendor
from bench.verify import verify

BY_NAME: Mapping[str, Contender] = {each.name: each for each in CONTENDERS}

TRIES = 3
"""Largest number of attempts for a measurement that is held up."""

Say = Callable[[str], None]
"""Called with a description of the present step."""


def measure(plan: Plan, cores: Cores, say: Say) -> Generator[Measurement, None, None]:
    """Make every measurement of a plan. Raises BenchError if a contender does not start or does not do the work."""
    rehearse(plan, cores, say)
    for section in plan.sections:
        yield from measure_section(section, plan, cores, say)


def rehearse(plan: Plan, cores: Cores, say: Say) -> None:
    """Start and verify every contender once, so that an error shows before the long run."""
    with (
        TemporaryDirectory() as folder,
        running_vendor(Path(folder), 0.0, load=cores.load, cores=cores.contender) as place,
    ):
        for name in plan.contenders:
            say(f"checking {name}")
            with place.serving(BY_NAME[name]) as server:
                verify(server, place.upstream)


def measure_section(section: Section, plan: Plan, cores: Cores, say: Say) -> Iterator[Measurement]:
    """Make every measurement of a section."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        place = stack.enter_context(running_vendor(folder, section.delay, load=cores.load, cores=cores.contender))
        servers = {name: ready(stack, place, name, say) for name in section.contenders}
        for name, server in servers.items():
            say(f"{section.name}: warming up {name}")
            put_load(server, max(section.connections), plan.warm_up, cores)
            settled(server)
        for point in points(section, plan.rounds):
            say(f"{section.name}, round {point.round + 1}, {point.connections} connections: {point.contender}")
            with halted(other_programs(servers, point.contender)):
                made = measure_point(servers[point.contender], section, point, plan.seconds, cores)
            yield made


def other_programs(servers: Mapping[str, Server], name: str) -> Iterator[Program]:
    """The programs of all contenders but one. A contender without a command of its own is the vendor."""
    return (each.program for other, each in servers.items() if other != name and each.contender.command)


def ready(stack: ExitStack, place: RunningVendor, name: str, say: Say) -> Server:
    """Start a contender, and verify it."""
    say(f"starting {name}")
    server = stack.enter_context(place.serving(BY_NAME[name]))
    verify(server, place.upstream)
    return server


def measure_point(server: Server, section: Section, point: Point, seconds: int, cores: Cores) -> Measurement:
    """Measure a contender, and repeat a measurement that was held up."""
    for _ in range(TRIES - 1):
        made = measure_once(server, section, point, seconds, cores)
        if not made.load.held_up(seconds):
            return made
    return measure_once(server, section, point, seconds, cores)


def measure_once(server: Server, section: Section, point: Point, seconds: int, cores: Cores) -> Measurement:
    """Measure a contender under load, and wait until it is idle again."""
    program = server.program
    before, all_before = program.busy_seconds(), cores.busy_seconds()
    seen = put_load(server, point.connections, seconds, cores)
    busy = (program.busy_seconds() - before) / seen.seconds
    others = max((cores.busy_seconds() - all_before) / seen.seconds - busy, 0.0) if server.contender.command else 0.0
    settled(server)
    what = section.name, point.contender, point.connections, point.round
    return Measurement(*what, seen, busy, others, program.peak_memory())


def put_load(server: Server, connections: int, seconds: int, cores: Cores) -> load.Load:
    """Put a contender under load."""
    return load.run(server.target, connections, seconds, cores.load, with_keys=server.contender.with_keys)


def settled(server: Server) -> None:
    """Wait until a contender is idle. Raises BenchError if it stays busy."""
    try:
        server.program.wait_until_idle()
    except BenchError as error:
        raise BenchError(f"{server.contender.name}: {error}") from error
