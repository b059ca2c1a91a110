"""CPU time of commands until they have started; nearly all of it is for imports.

Seconds differ between machines, so each command is compared with a yardstick: importing SQLAlchemy.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench import memory
from bench.markdown import table
from bench.memory import Memory
from bench.processes import ROOT, BenchError, Program, pinned, served_from, surroundings

PAGE = "startup.md"
NOTICE = "<!-- Made by `python -m bench startup`; edit bench/startup.py. -->"
ABOUT = """\
The CPU time of commands, user and system, with everything that they start; for `serve`, until it says that it is ready.
A target is a ratio to the time that Python takes to import SQLAlchemy on the same machine. `python -m bench startup`
measures for some minutes and writes this page. `tests/cli/test_light_commands.py` names what each command must not
load."""
PYTHON = str(served_from() / "python")
YARDSTICK = (PYTHON, "-c", "import sqlalchemy")
JOBGATE = str(served_from() / "jobgate")
READY = b"Ctrl+C"
SETTINGS = """
api_key = "only-for-the-benchmark"

[connections.contoso]
vendor = "azure-job-router"
endpoint = "http://127.0.0.1:1"
plain_http = true
authentication = { kind = "signature", scheme = "accessKey", secret = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=" }
"""


@dataclass(frozen=True)
class Start:
    """A command, and its target as a multiple of the yardstick. `serves`: the command runs until it is stopped."""

    name: str
    command: tuple[str, ...]
    most: float
    serves: bool = False


STARTS = (
    Start("jobgate --help", (JOBGATE, "--help"), 1.2),
    Start("jobgate config check", (JOBGATE, "config", "check"), 4.5),
    Start("jobgate keys list", (JOBGATE, "keys", "list"), 3),
    Start("jobgate config test", (JOBGATE, "config", "test", "contoso"), 3),
    Start("jobgate serve --sandbox", (JOBGATE, "serve", "--sandbox", "--port", "0"), 7, serves=True),
    Start("jobgate serve --workers 2", (JOBGATE, "serve", "--workers", "2", "--port", "0"), 10, serves=True),
    Start("import gateway.client", (PYTHON, "-c", "import gateway.client"), 1),
)


@dataclass(frozen=True)
class Started:
    """The CPU seconds of a command and of the yardstick in each round."""

    start: Start
    seconds: tuple[float, ...]
    yardstick: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """The median of the ratios within each round."""
        return median(each / yard for each, yard in zip(self.seconds, self.yardstick, strict=True))

    @property
    def verdict(self) -> str:
        """`met` or `missed`."""
        return "met" if self.ratio <= self.start.most else "**missed**"


Tell = Callable[[str], None]


def measure(rounds: int, cores: Sequence[int], tell: Tell) -> tuple[Started, ...]:
    """Run each command `rounds` times, on these cores. Raises BenchError if one does not start."""
    with TemporaryDirectory(prefix="jobgate-bench-") as folder:
        environment = prepared(Path(folder))
        made = [list(_round(cores, environment, tell)) for _ in range(rounds + 1)]
    yardstick, *columns = zip(*made[1:], strict=True)  # the first round fills caches
    return tuple(Started(start, seconds, yardstick) for start, seconds in zip(STARTS, columns, strict=True))


def prepared(folder: Path) -> dict[str, str]:
    """The environment of the commands, with settings and a folder for the ledger."""
    settings = folder / "jobgate.toml"
    settings.touch(0o600)
    settings.write_text(SETTINGS, encoding="utf-8")
    return {**surroundings(), "JOBGATE_STATE_FOLDER": str(folder / "state"), "JOBGATE_CONFIG": str(settings)}


def _round(cores: Sequence[int], environment: Mapping[str, str], tell: Tell) -> Iterator[float]:
    yield cpu(Start("yardstick", YARDSTICK, 1), cores, environment)
    for start in STARTS:
        tell(start.name)
        yield cpu(_with_settings(start, environment), cores, environment)


def _with_settings(start: Start, environment: Mapping[str, str]) -> Start:
    takes_settings = start.command[1] in {"config", "keys", "connections"}
    options = ("--config", environment["JOBGATE_CONFIG"]) if takes_settings else ()
    return Start(start.name, (*start.command, *options), start.most, start.serves)


def cpu(start: Start, cores: Sequence[int], environment: Mapping[str, str]) -> float:
    """The CPU seconds of a command. Raises BenchError if it does not start."""
    before = _of_children()
    with subprocess.Popen(
        [*pinned(cores), *start.command],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        said = _read(process, start)
        # Read before the end, since nobody waits for all of them; killed, so that stopping is not measured.
        used = Program(process, Path(os.devnull)).busy_seconds() if start.serves else None
        if start.serves and process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    if b"Traceback" in said or (start.serves and READY not in said):
        raise BenchError(f"{start.name} did not start:\n{said.decode('utf-8', 'replace')}")
    return _of_children() - before if used is None else used


def _read(process: subprocess.Popen[bytes], start: Start) -> bytes:
    said = b""
    for line in process.stdout or ():
        said += line
        if start.serves and READY in line:
            break
    return said


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def page(measured: Sequence[Started], used: Memory, machine: Mapping[str, str]) -> str:
    """The page."""
    head = ("", "CPU", "to the yardstick", "target", "")
    starts = table(head, map(_row, measured), ":---:")
    return "\n\n".join([NOTICE, "# Starting, and memory", ABOUT, starts, memory.part(used)]) + (
        "\n\n## Where it was measured\n\n" + table(("", ""), machine.items()) + "\n"
    )


def _row(each: Started) -> tuple[str, ...]:
    ratio, most = f"{each.ratio:.1f} times", f"at most {each.start.most:g} times"
    return f"`{each.start.name}`", f"{median(each.seconds):.2f} s", ratio, most, each.verdict
