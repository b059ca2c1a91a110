"""Where commands find a gateway and a key: in profiles that only their owner can read, or in the environment."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import application
from gateway.cli.exit_codes import ExitCode
from gateway.cli.remote import profiles
from tests.cli.fixtures import STUB_KEY, at_a_terminal, seen_until
from tests.client.stub import PROBLEM, Reply, Stub
from tests.support.patience import PATIENCE

NOTHING: dict[str, object] = {"items": [], "nextCursor": None}
REFUSED = Reply(
    {
        "type": "https://x.test/problems/unauthenticated",
        "title": "Not authenticated",
        "status": 401,
        "code": "unauthenticated",
        "retryable": False,
        "requestId": "r",
    },
    401,
    {"Content-Type": PROBLEM},
)


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of profiles, in a home of its own."""
    monkeypatch.setattr(profiles, "profiles_file", lambda: tmp_path / "config" / "profiles.toml")
    return tmp_path / "config" / "profiles.toml"


def run(*command: str, typed: str | None = None) -> Result:
    """Run a command."""
    return CliRunner().invoke(application, command, input=typed)


def login(stub: Stub, *options: str) -> Result:
    """Log in to a stub."""
    stub.answers(NOTHING)
    return run("login", stub.url, *options, typed=f"{STUB_KEY}\n")


def test_login_notes_a_key_that_works(stub: Stub, file: Path) -> None:
    """The key is tried and noted in a file of mode 600; the next command uses it. It is never shown."""
    said = login(stub)
    assert (said.exit_code, STUB_KEY in said.output) == (0, False)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    stub.answers(NOTHING)
    assert run("vendors", "list").exit_code == 0
    assert stub.received[-1].headers["authorization"] == f"Bearer {STUB_KEY}"


def test_login_asks_without_echo(stub: Stub, tmp_path: Path) -> None:
    """At a terminal the key is asked for, and what is typed does not appear."""
    stub.answers(NOTHING)
    with at_a_terminal("", "", tmp_path, "login", stub.url) as (process, master):
        seen_until(master, "API key: ")
        os.write(master, f"{STUB_KEY}\n".encode())
        assert STUB_KEY not in seen_until(master, "Noted as profile default")
        assert process.wait(PATIENCE) == ExitCode.DONE


def test_a_key_that_is_refused_is_not_noted(stub: Stub, file: Path) -> None:
    """A wrong key is an error, and leaves no profile."""
    stub.answers(REFUSED)
    said = run("login", stub.url, typed="wrong\n")
    assert (said.exit_code, "Not authenticated" in said.stderr, file.exists()) == (ExitCode.USAGE, True, False)


def test_profiles_are_chosen_by_name(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--profile` wins over the environment's address and key, and these over the environment's profile."""
    login(stub, "--profile", "test")
    stub.answers(NOTHING, NOTHING, NOTHING)
    monkeypatch.setenv("JOBGATE_PROFILE", "test")
    assert run("vendors", "list").exit_code == 0
    monkeypatch.setenv("JOBGATE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("JOBGATE_KEY", "another")
    assert run("vendors", "list").exit_code == ExitCode.UNREACHABLE
    assert run("vendors", "list", "--profile", "test").exit_code == 0


@pytest.mark.parametrize("alone", ["JOBGATE_URL", "JOBGATE_KEY"])
def test_a_key_goes_only_where_it_belongs(stub: Stub, monkeypatch: pytest.MonkeyPatch, alone: str) -> None:
    """An address without a key, or the reverse, is not completed from a profile."""
    login(stub)
    monkeypatch.setenv(alone, stub.url)
    said = run("vendors", "list")
    assert (said.exit_code, "set both JOBGATE_URL and JOBGATE_KEY" in said.stderr) == (ExitCode.USAGE, True)
    assert len(stub.received) == 1


def test_a_file_that_others_can_read_is_refused(stub: Stub, file: Path) -> None:
    """Keys that other users of the machine can read are not used; the message has the remedy."""
    login(stub)
    file.chmod(0o640)
    said = run("vendors", "list")
    assert (said.exit_code, "chmod 600" in said.stderr) == (ExitCode.USAGE, True)


def test_without_a_profile_it_says_what_to_do(file: Path) -> None:
    """Without a profile and without variables, a command names both ways."""
    said = run("vendors", "list", "--profile", "none")
    assert said.exit_code == ExitCode.USAGE
    assert "jobgate login --profile none" in said.stderr


@pytest.mark.parametrize("text", ["not toml", "[default]\nuser = 'x'\n", "default = 1\n"])
def test_a_broken_file_is_said_so(file: Path, text: str) -> None:
    """A file that is none of profiles is named, without a traceback."""
    file.parent.mkdir()
    file.write_text(text, encoding="utf-8")
    file.chmod(0o600)
    said = run("vendors", "list")
    assert (said.exit_code, "is not a file of profiles" in said.stderr) == (ExitCode.USAGE, True)
