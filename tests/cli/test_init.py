"""`jobgate init` writes a settings file that explains itself, and that never ages."""

from __future__ import annotations

import re
import stat
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import application
from gateway.settings.commented import commented_settings
from gateway.settings.settings import Settings, load
from gateway.settings.tree import keys


def run(*command: str) -> Result:
    """Run a command."""
    return CliRunner().invoke(application, command)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a state folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JOBGATE_CONFIG")
    monkeypatch.setenv("JOBGATE_STATE_FOLDER", str(tmp_path / "state"))
    return tmp_path


def test_it_is_good(folder: Path) -> None:
    """The file sets nothing, only its owner can read it, and with a key `config check` finds nothing wrong."""
    assert run("init").exit_code == 0
    file = folder / "jobgate.toml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not any(tomllib.loads(file.read_text("utf-8")).values())
    assert run("keys", "create", "desk", "--scope", "*").exit_code == 0
    assert run("config", "check").exit_code == 0


def test_it_replaces_nothing(folder: Path) -> None:
    """A file that is there stays as it is."""
    (folder / "jobgate.toml").write_text("# mine\n", encoding="utf-8")
    said = run("init")
    assert (said.exit_code, "exists already" in said.stderr) == (1, True)
    assert (folder / "jobgate.toml").read_text("utf-8") == "# mine\n"


def test_every_setting_is_in_it() -> None:
    """Each setting of the model stands in the file, below its section."""
    text = commented_settings()
    names = {key.rpartition(".")[2] for key in keys()}
    assert [name for name in names if re.search(rf"([# .\[{{]){name}( =|[\].])", text) is None] == []


def test_its_values_are_the_defaults(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the `#` removed before each setting that has a default, nothing changes."""
    monkeypatch.delenv("JOBGATE_STATE_FOLDER")
    lines, is_example = [], False
    for line in commented_settings().splitlines():
        is_example = line.startswith("# [") or (is_example and not line.startswith("["))
        is_setting = re.match(r"# \w+ = ", line) is not None
        lines.append(line.removeprefix("# ") if is_setting and not is_example else line)
    file = folder / "all.toml"
    file.write_text("\n".join(lines), encoding="utf-8")
    assert sum(not line.startswith("#") and " = " in line for line in lines) >= 40
    assert load(file) == Settings()
