"""Commands that need the ledger alone work where no secret of a vendor is at hand, as for an auditor."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import application
from tests.support.commands import write
from tests.support.keys import PEM

SETTINGS = """
state_folder = "state"
api_key = "env:NOT_THERE"
[server]
tls_cert = "only.half"
[checkpoints]
key = "env:SIGNING_KEY"
webhook = "env:NOT_THERE"
[callers.desk]
key = "env:NOT_THERE"
scopes = ["*"]
[connections.a]
vendor = "azure-job-router"
endpoint = "https://a.test"
authentication = { kind = "signature", scheme = "accessKey", secret = "env:NOT_THERE" }
"""
PASSED_OVER = "mistakes in settings that are not needed here; `jobgate config check --config jobgate.toml` names all"


def run(*command: str) -> tuple[int, str, str]:
    """The exit code of a command, and what it said on standard output and standard error."""
    said = CliRunner().invoke(application, command)
    return said.exit_code, said.stdout, said.stderr


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with settings whose secrets are elsewhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JOBGATE_CONFIG")
    write(tmp_path / "jobgate.toml", SETTINGS)
    return tmp_path


def test_the_ledger_needs_no_secret_of_others(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are made, listed and ended, and the chain is read; standard error says that something was passed over."""
    code, key, said = run("keys", "create", "desk", "--scope", "*")
    assert (code, PASSED_OVER in said) == (0, True)
    assert run("keys", "list")[0] == 0
    assert run("keys", "revoke", key.split("_")[1])[0] == 0
    assert run("audit", "export", "--file", "events.json")[0] == 0
    assert run("audit", "verify")[:2] == (0, "whole: 2 events in 2 segments\n")
    assert run("audit", "checkpoint")[0] == 1
    assert not (folder / "state" / "checkpoint.key").exists()
    monkeypatch.setenv("SIGNING_KEY", PEM)
    assert run("audit", "checkpoint")[0] == 0
    verifier = run("audit", "key")[1].strip()
    monkeypatch.delenv("SIGNING_KEY")
    code, _, said = run("audit", "verify")
    assert (code, "Give the key with --key" in said) == (1, True)
    assert "matches 1 checkpoint" in run("audit", "verify", "--key", verifier)[1]
    assert run("audit", "key")[0] == 1


@pytest.mark.parametrize("mistake", ["stat_folder = 'x'", "database_url = 'env:NOT_THERE'", "[ledgr]"])
def test_what_may_mean_another_ledger_is_refused(folder: Path, mistake: str) -> None:
    """Nothing is said of a ledger that is perhaps not the one that was meant."""
    write(folder / "jobgate.toml", f"{mistake}\n{SETTINGS}" if "=" in mistake else f"{SETTINGS}\n{mistake}")
    for command in ("keys list", "audit verify", "audit export", "audit checkpoint"):
        code, _, said = run(*command.split())
        assert (code, mistake.strip("[]").split(" ")[0] in said) == (1, True)
