"""CPU time of commands until they have started; nearly all of it is for imports.

CPU time differs between machines, so each command is compared with a yardstick: importing SQLAlchemy. The targets are
for how long a person waits on a quiet machine.
"""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from urllib.request import urlopen

from bench import memory
from bench.markdown import table, verdict
from bench.memory import Memory
from bench.processes import (
    HOST,
    ROOT,
    START_SECONDS,
    BenchError,
    Program,
    free_port,
    pinned,
    program,
    served_from,
    surroundings,
)

PAGE = "startup.md"
NOTICE = "<!-- Made by `python -m bench startup`; edit bench/startup.py. -->"
ABOUT = """\
*Wait* is the time on the clock until a command has ended; for `serve`, until `/readyz` answers with 200 and all workers
are there. Its targets are for a quiet machine. *CPU* is the CPU time, user and system, with everything that a command
starts. Seconds differ between machines, so it is also told as a multiple of the time that Python takes to import
SQLAlchemy on this one. All are medians. The lists of connections and jobs come from a running gateway with its sandbox.
`python -m bench startup` measures for some minutes and writes this page. `tests/cli/test_light_commands.py` names what
each command must not load."""
PROFILE = """\
`serve` is CPU-bound: of its time, modules take four fifths, reading and compiling the documents a tenth, and making the
application a sixteenth. What workers need is loaded once, in the process that they are forked from, while their
supervisor loads and checks its own needs. `config test` asks a vendor that is not there, and tries again later."""
PYTHON = str(served_from() / "python")
JOBGATE = str(served_from() / "jobgate")
READY = b"Ctrl+C"
ADDRESS = re.compile(r"API +(http://\S+)/v1")
KEY = "only-for-the-benchmark"
SETTINGS = f"""
api_key = "{KEY}"

[connections.contoso]
vendor = "azure-job-router"
endpoint = "http://127.0.0.1:1"
plain_http = true
authentication = {{ kind = "signature", scheme = "accessKey", secret = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=" }}
"""


@dataclass(frozen=True)
class Start:
    """A command with its target in seconds on the clock.

    `workers`: the command serves with so many until it is stopped. `asks`: it asks the gateway of JOBGATE_URL, and has
    to get an answer.
    """

    name: str
    command: tuple[str, ...]
    wait: float
    workers: int = 0
    asks: bool = False


YARDSTICK = Start("yardstick", (PYTHON, "-c", "import sqlalchemy"), 1)
STARTS = (
    Start("jobgate --help", (JOBGATE, "--help"), 0.5),
    Start("jobgate batches create --help", (JOBGATE, "batches", "create", "--help"), 0.5),
    Start("jobgate config check", (JOBGATE, "config", "check"), 1),
    Start("jobgate keys list", (JOBGATE, "keys", "list"), 1),
    Start("jobgate config test", (JOBGATE, "config", "test", "contoso"), 1),
    Start("jobgate connections list", (JOBGATE, "connections", "list"), 1, asks=True),
    Start("jobgate jobs list", (JOBGATE, "jobs", "list"), 1, asks=True),
    Start("jobgate serve --sandbox", (JOBGATE, "serve", "--sandbox", "--port", "0"), 2, workers=1),
    Start("jobgate serve --workers 2", (JOBGATE, "serve", "--workers", "2", "--port", "0"), 2, workers=2),
    Start("import gateway.client", (PYTHON, "-c", "import gateway.client"), 0.5),
)


@dataclass(frozen=True)
class Spent:
    """The seconds of CPU time of a command, and those on the clock."""

    cpu: float
    wait: float


@dataclass(frozen=True)
class Started:
    """A command with what it and the yardstick took in each round."""

    start: Start
    spent: tuple[Spent, ...]
    yardstick: tuple[Spent, ...]

    @property
    def ratio(self) -> float:
        """The median of the ratios of CPU time within each round."""
        return median(each.cpu / yard.cpu for each, yard in zip(self.spent, self.yardstick, strict=True))

    @property
    def wait(self) -> float:
        """The median of the seconds on the clock."""
        return median(each.wait for each in self.spent)


Tell = Callable[[str], None]


def measure(rounds: int, cores: Sequence[int], tell: Tell) -> tuple[Started, ...]:
    """Run each command `rounds` times, on these cores. Raises BenchError if one does not start."""
    with TemporaryDirectory(prefix="jobgate-bench-") as folder:
        environment = prepared(Path(folder))
        with sandbox(Path(folder), cores) as asked:
            made = [list(_round(cores, {**environment, **asked}, tell)) for _ in range(rounds + 1)]
    yardstick, *columns = zip(*made[1:], strict=True)  # the first round fills caches
    return tuple(Started(start, spent, yardstick) for start, spent in zip(STARTS, columns, strict=True))


def prepared(folder: Path) -> dict[str, str]:
    """The environment of the commands, with settings and a folder for the ledger."""
    settings = folder / "jobgate.toml"
    settings.touch(0o600)
    settings.write_text(SETTINGS, encoding="utf-8")
    return {**surroundings(), "JOBGATE_STATE_FOLDER": str(folder / "state"), "JOBGATE_CONFIG": str(settings)}


@contextmanager
def sandbox(folder: Path, cores: Sequence[int]) -> Iterator[dict[str, str]]:
    """Serve a gateway with its sandbox within the block. The environment leads commands to it."""
    port = free_port()
    serve = (JOBGATE, "serve", "--sandbox", "--port", str(port))
    with program(serve, folder / "sandbox.log", {"JOBGATE_API_KEY": KEY}, cores) as served:
        served.wait_until_it_listens(port)
        yield {"JOBGATE_URL": f"http://{HOST}:{port}", "JOBGATE_KEY": KEY}


def _round(cores: Sequence[int], environment: Mapping[str, str], tell: Tell) -> Iterator[Spent]:
    yield spent(YARDSTICK, cores, environment)
    for start in STARTS:
        tell(start.name)
        yield spent(_with_settings(start, environment), cores, environment)


def _with_settings(start: Start, environment: Mapping[str, str]) -> Start:
    takes_settings = start.command[1] in {"config", "keys"} or start.workers > 1
    options = ("--config", environment["JOBGATE_CONFIG"]) if takes_settings else ()
    return replace(start, command=(*start.command, *options))


def spent(start: Start, cores: Sequence[int], environment: Mapping[str, str]) -> Spent:
    """The seconds that a command takes. Raises BenchError if it does not start."""
    before, began = _of_children(), time.monotonic()
    with subprocess.Popen(
        [*pinned(cores), *start.command],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        said = _read(process, start)
        if start.workers and READY in said:
            program = Program(process, Path(os.devnull))
            _wait_until_ready(program, start.workers, said)
            wait = time.monotonic() - began
            # Read before the end, since nobody waits for all of them; killed, so that stopping is not measured.
            used = program.busy_seconds()
            os.killpg(process.pid, signal.SIGKILL)
            return Spent(used, wait)
    wait = time.monotonic() - began
    if b"Traceback" in said or start.workers or (start.asks and process.returncode):
        raise BenchError(f"{start.name} did not start:\n{said.decode('utf-8', 'replace')}")
    return Spent(_of_children() - before, wait)


def _read(process: subprocess.Popen[bytes], start: Start) -> bytes:
    said = b""
    for line in process.stdout or ():
        said += line
        if start.workers and READY in line:
            break
    return said


def _wait_until_ready(program: Program, workers: int, said: bytes) -> None:
    """Wait until a gateway is ready with all of its workers. Raises BenchError if it is not."""
    (url,) = ADDRESS.findall(said.decode())
    end = time.monotonic() + START_SECONDS
    while not _is_ready(url) or (workers > 1 and len(memory.sizes(program)) < workers):
        if time.monotonic() > end:
            raise BenchError(f"{url} does not become ready")
        time.sleep(0.01)


def _is_ready(url: str) -> bool:
    with suppress(OSError), urlopen(f"{url}/readyz", timeout=START_SECONDS) as answer:  # noqa: S310 - an address of ours
        return int(answer.status) == HTTPStatus.OK
    return False


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def page(measured: Sequence[Started], used: Memory, machine: Mapping[str, str]) -> str:
    """The page."""
    starts = table(("", "wait", "target", "", "CPU", "to the yardstick"), map(_row, measured), ":-::--")
    parts = [NOTICE, "# Starting, and memory", ABOUT, starts, PROFILE, memory.part(used), "## Where it was measured"]
    return "\n\n".join([*parts, table(("", ""), machine.items())]) + "\n"


def _row(each: Started) -> tuple[str, ...]:
    return (
        f"`{each.start.name}`",
        f"{each.wait:.2f} s",
        f"at most {each.start.wait:g} s",
        verdict(is_met=each.wait <= each.start.wait),
        f"{median(spent.cpu for spent in each.spent):.2f} s",
        f"{each.ratio:.1f} times",
    )
