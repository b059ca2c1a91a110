"""Which settings a command uses: the file that is named, else that of JOBGATE_CONFIG, else the one in this folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import application
from tests.support.commands import jobgate, write

STATE = 'state_folder = "{}"\napi_key = "a-key-of-nobody-else"\n'
COMMANDS = {
    "config check": 0,
    "config show": 0,
    "keys create desk --scope *": 0,
    "keys list": 0,
    "keys rotate 0000": 1,
    "keys revoke 0000": 1,
    "audit verify": 6,
    "audit export": 6,
}
"""Every command that uses a ledger, with its exit code where there is none yet."""


def run(command: str, *options: str) -> tuple[int, str]:
    """The exit code of a command in this process, and what it said on standard error."""
    said = CliRunner().invoke(application, [*command.split(), *options])
    return said.exit_code, said.stderr


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a jobgate.toml in it, and no other settings."""
    write(tmp_path / "jobgate.toml", STATE.format(tmp_path / "here"))
    write(tmp_path / "other" / "mine.toml", STATE.format(tmp_path / "there"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JOBGATE_CONFIG")
    return tmp_path


@pytest.mark.parametrize(("command", "code"), list(COMMANDS.items()))
def test_the_file_of_this_folder_is_used(folder: Path, command: str, code: int) -> None:
    """Every command uses ./jobgate.toml, and names the settings and the ledger on standard error."""
    ended, said = run(command)
    assert f"Settings: {folder / 'jobgate.toml'}; ledger {folder / 'here' / 'ledger.db'}" in said
    assert ended == code


@pytest.mark.parametrize(("command", "code"), list(COMMANDS.items()))
def test_the_variable_wins_over_the_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch, command: str, code: int
) -> None:
    """JOBGATE_CONFIG names the file for every command."""
    monkeypatch.setenv("JOBGATE_CONFIG", "other/mine.toml")
    ended, said = run(command)
    assert f"Settings: {folder / 'other/mine.toml'}; ledger {folder / 'there' / 'ledger.db'}" in said
    assert ended == code


@pytest.mark.parametrize(("command", "code"), list(COMMANDS.items()))
def test_the_option_wins_over_all(folder: Path, monkeypatch: pytest.MonkeyPatch, command: str, code: int) -> None:
    """`--config` wins over the variable and the file of the folder."""
    monkeypatch.setenv("JOBGATE_CONFIG", "jobgate.toml")
    ended, said = run(command, "--config", "other/mine.toml")
    assert f"ledger {folder / 'there' / 'ledger.db'}" in said
    assert ended == code


def test_variables_that_count_are_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment wins over the file, so its variables are said too, without their values."""
    monkeypatch.setenv("JOBGATE_API_KEY", "another-key-of-nobody")
    _, said = run("keys list")
    assert f"Settings: {folder / 'jobgate.toml'}, JOBGATE_API_KEY; ledger" in said
    assert "another-key" not in said


def test_a_connection_is_proved_with_the_file_of_this_folder(folder: Path) -> None:
    """`config test` needs no ledger, and says which settings it used."""
    code, said = run("config test contoso")
    assert f"Settings: {folder / 'jobgate.toml'}\n" in said
    assert (code, "the settings have no connection contoso" in said) == (1, True)


@pytest.mark.parametrize("command", ["config check", "keys list", "audit verify", "config test a", "serve"])
def test_a_file_that_is_not_there_is_said_so(folder: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """A named file that is missing is refused, not taken for empty settings."""
    monkeypatch.setenv("JOBGATE_CONFIG", "gone.toml")
    code, said = run(command)
    assert (code, "gone.toml: this file does not exist" in said) == (1, True)


def test_advice_names_the_same_file(folder: Path) -> None:
    """A command that a message suggests names the same settings file."""
    _, said = run("keys list", "--config", "other/mine.toml")
    assert "`jobgate keys create NAME --scope SCOPE --config other/mine.toml`" in said
    _, said = run("keys revoke 0000")
    assert "`jobgate keys list --config jobgate.toml`" in said


def test_reading_makes_nothing(folder: Path) -> None:
    """Commands that only read leave no empty ledger behind."""
    for command in ("config check", "config show", "keys list", "audit verify", "audit export"):
        run(command)
    assert not (folder / "here").exists()


def test_serve_uses_the_file_of_this_folder(tmp_path: Path) -> None:
    """`serve` finds it too: its mistakes are refused by the file's name."""
    write(tmp_path / "jobgate.toml", 'rate_limit = "often"')
    said = jobgate(tmp_path, "serve")
    assert said.returncode == 1
    assert re.search(r"the settings in jobgate.toml or the environment have mistakes:\n  rate_limit: ", said.stderr)
