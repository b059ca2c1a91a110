"""What all commands have in common: help, names, exit codes, completion, colours."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from gateway.cli import application
from gateway.cli.exit_codes import MEANINGS, ExitCode
from gateway.cli.operations import Member, operations
from gateway.cli.options import python_name
from tests.support.commands import JOBGATE
from tests.support.patience import PATIENCE


def commands(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, by its path."""
    command = command or typer.main.get_command(application)
    below = getattr(command, "commands", {})
    if not below:
        yield path, command
    for name, each in below.items():
        yield from commands(each, (*path, name))


ALL = dict(commands())


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_explains_itself(path: tuple[str, ...]) -> None:
    """Every command and every option has a text; `--output` has the same forms everywhere."""
    command = ALL[path]
    assert command.help
    options = [each for each in command.params if each.param_type_name == "option"]
    assert [each.name for each in options if not each.help and each.name != "help"] == []
    forms = [{*each.type_descriptor.annotation} for each in options if "--output" in each.opts]
    assert all(each <= {"table", "json", "ndjson", "csv"} for each in forms)


def test_every_operation_can_be_called() -> None:
    """Each operation of the document is used by a command, so that nothing needs curl."""
    source = "".join(each.read_text("utf-8") for each in Path(JOBGATE).parents[2].glob("gateway/cli/**/*.py"))
    named = {name for name, each in operations().items() if each.action is None}
    assert [name for name in named if f'"{name}"' not in source] == []


def test_every_exit_code_is_explained() -> None:
    """Each exit code has its meaning, which docs/cli.md shows."""
    assert set(MEANINGS) == set(ExitCode)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands(shell: str) -> None:
    """Completion knows the commands of the document in each shell."""
    typed = "jobgate jobs ter"
    words = {
        "bash": {"COMP_WORDS": typed, "COMP_CWORD": "2"},
        "zsh": {"_TYPER_COMPLETE_ARGS": typed},
        "fish": {"_TYPER_COMPLETE_ARGS": typed, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }
    environment = {**os.environ, **words[shell], "_JOBGATE_COMPLETE": f"complete_{shell}"}
    done = subprocess.run([JOBGATE], env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert "terminate" in done.stdout


def test_no_color_is_obeyed() -> None:
    """With `NO_COLOR` even a terminal gets no colour."""
    kept = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLORTERM"}}
    environment = {**kept, "FORCE_COLOR": "1", "TERM": "xterm-256color"}
    command = [JOBGATE, "jobs", "--help"]
    coloured, plain = (
        subprocess.run(command, env=environment | more, capture_output=True, text=True, timeout=PATIENCE, check=True)
        for more in ({}, {"NO_COLOR": "1"})
    )
    colour = re.compile(r"\x1b\[(\d+;)*3\d")
    assert colour.search(coloured.stdout)
    assert not colour.search(plain.stdout)


@pytest.mark.parametrize(
    ("name", "repeated", "python"),
    [
        ("olderThan", False, "older_than"),
        ("connections", True, "connection"),
        ("statuses", True, "status"),
        ("status", True, "status"),
        ("vendorStatuses", True, "vendor_status"),
    ],
)
def test_names_of_options(name: str, repeated: bool, python: str) -> None:
    """An option that can be repeated is in the singular."""
    assert python_name(name, Member("string", repeated=repeated)) == python
