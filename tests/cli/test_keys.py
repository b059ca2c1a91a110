"""`jobgate keys`: lists that nothing is cut from, ids by how they begin, scopes that there are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli import application, output
from tests.support.commands import jobgate, write

LONG = [f"connections:{'a-long-name-' * 4}{number}" for number in range(4)]
ACTIONS = ("cancel", "close", "pause", "restart", "complete", "unassign", "discard")
DECLARED = ("jobs:read", *(f"jobs:{action}" for action in ACTIONS), "jobs:terminate", "keys:read", "audit:read")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the ledger."""
    monkeypatch.setenv("JOBGATE_STATE_FOLDER", str(tmp_path))
    return tmp_path


def run(*command: str) -> Any:
    """`jobgate keys …`."""
    return CliRunner().invoke(application, ["keys", *command])


def create(name: str = "desk", *scopes: str) -> str:
    """A new key; gives its id."""
    options = [option for scope in scopes or ("*",) for option in ("--scope", scope)]
    said = run("create", name, *options)
    assert said.exit_code == 0, said.output
    key_id: str = said.stdout.split("_")[1]
    return key_id


def test_nothing_is_cut_in_a_pipe(folder: Path) -> None:
    """Whatever COLUMNS says, a line has the whole id and all scopes."""
    key_id = create("desk", *LONG, "jobs:*")
    said = jobgate(folder, "keys", "list", environment={"JOBGATE_STATE_FOLDER": str(folder), "COLUMNS": "80"})
    header, line = said.stdout.splitlines()
    assert header.split()[:3] == ["id", "caller", "scopes"]
    assert line.split()[0] == key_id
    assert all(scope in line for scope in (*LONG, "jobs:*"))
    assert "\x1b" not in said.stdout


def test_nothing_is_cut_on_a_narrow_terminal(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a line has no room for a key, the key has lines of its own, and what is copied is whole."""
    key_id = create("desk", *LONG, "jobs:*")
    monkeypatch.setattr(output, "_is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    lines = run("list").stdout.splitlines()
    assert lines[0].split() == ["id", key_id]
    assert lines[2].split()[1:] == sorted([*LONG, "jobs:*"])


def test_the_list_is_json_too(folder: Path) -> None:
    """For programs: objects with the same names, times with their zone, no secret."""
    key_id = create("desk", "jobs:read", "connections:*")
    (key,) = json.loads(run("list", "--output", "json").stdout)
    assert (key["id"], key["caller"], key["scopes"]) == (key_id, "desk", ["connections:*", "jobs:read"])
    assert (key["access_key"], key["last_used"], key["state"]) == (False, None, "good")
    assert key["created"].endswith("+00:00")


def test_an_empty_list_is_json_too(folder: Path) -> None:
    """A program that reads it needs no exception for no keys."""
    assert json.loads(run("list", "--output", "json").stdout) == []


@pytest.mark.parametrize(("command", "states"), [("rotate", ["ends", "good"]), ("revoke", ["revoked"])])
def test_a_unique_beginning_of_an_id_is_enough(folder: Path, command: str, states: list[str]) -> None:
    """The first characters of an id name a key if no other id begins with them, as with commits in git."""
    key_id = create()
    assert run(command, key_id[:6]).exit_code == 0
    assert [key["state"].split()[0] for key in json.loads(run("list", "--output", "json").stdout)] == states


@pytest.mark.parametrize("command", ["rotate", "revoke"])
def test_too_short_a_beginning_is_refused(folder: Path, command: str) -> None:
    """A beginning of fewer than four characters is refused: an empty variable in a script must not revoke a key."""
    key_id = create()
    for written in ("", key_id[:3]):
        said = run(command, written)
        assert (said.exit_code, "at least 4 characters" in said.stderr) == (1, True)


def test_an_ambiguous_beginning_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ambiguous beginning is refused with a list of all ids that begin with it."""
    ids = iter(("abcd00000001", "abcd00000002"))
    monkeypatch.setattr("gateway.security.keys.secrets.token_hex", lambda _: next(ids))
    create()
    create()
    said = run("revoke", "abcd")
    assert said.exit_code == 1
    assert "abcd00000001, abcd00000002" in said.stderr


@pytest.mark.parametrize(
    ("scope", "meant"),
    [
        ("job:cancel", "jobs:cancel"),
        ("jobs:cancle", "jobs:cancel"),
        ("jobs:Cancel", "jobs:cancel"),
        ("jobs", "jobs:read"),
        ("audit:write", "audit:read"),
        ("connection:contoso", "connections:contoso"),
        ("connections:Contoso_Prod", "connections:contoso-prod"),
    ],
)
def test_a_scope_that_there_is_not_is_refused(folder: Path, scope: str, meant: str) -> None:
    """An unknown scope is refused with the nearest known one, and no key is made."""
    said = run("create", "desk", "--scope", scope)
    assert said.exit_code == 1
    assert f"{scope} is not a scope; did you mean {meant}?" in said.stderr
    assert not (folder / "ledger.db").exists()


@pytest.mark.parametrize("scope", [*DECLARED, "jobs:*", "jobs:c*", "audit:*", "connections:*", "connections:a-*", "*"])
def test_scopes_that_there_are_can_be_given(folder: Path, scope: str) -> None:
    """A key can have each scope of the document, patterns that fit some of them, and scopes of connections."""
    create("desk", scope)
    (key,) = json.loads(run("list", "--output", "json").stdout)
    assert key["scopes"] == [scope]


def test_every_wrong_scope_is_told_at_once(folder: Path) -> None:
    """All wrong scopes are reported in one run."""
    said = run("create", "desk", "--scope", "job:cancel", "--scope", "jobs:red")
    assert said.stderr.count("is not a scope") == 2


@pytest.mark.parametrize(
    ("scopes", "warning"),
    [
        (["jobs:cancel"], "no scope allows a connection"),
        (["connections:contoso"], "no scope allows anything on the connections"),
        (["jobs:*", "connections:contso"], "matches no connection in the settings; did you mean contoso?"),
        (["jobs:*", "connections:contoso"], None),
        (["jobs:*", "connections:con*"], None),
        (["audit:read"], None),
        (["*"], None),
    ],
)
def test_half_a_permission_is_warned_of(
    folder: Path, monkeypatch: pytest.MonkeyPatch, scopes: list[str], warning: str | None
) -> None:
    """A key needs an action and a connection; it is made all the same, since the other half may be meant."""
    contoso = {
        "vendor": "azure-job-router",
        "endpoint": "https://contoso.test",
        "authentication": {"kind": "signature", "scheme": "accessKey", "secret": "c2VjcmV0"},
    }
    monkeypatch.setenv("JOBGATE_CONNECTIONS", json.dumps({"contoso": contoso}))
    said = run("create", "desk", *(option for scope in scopes for option in ("--scope", scope)))
    assert said.exit_code == 0
    assert said.stdout.startswith("jobgate_")
    assert ("warning" in said.stderr) == (warning is not None)
    assert (warning or "") in said.stderr


def test_no_scope_at_all_is_refused(tmp_path: Path) -> None:
    """A key without scopes is refused as a mistake in the command line."""
    write(tmp_path / "jobgate.toml", "")
    assert jobgate(tmp_path, "keys", "create", "desk").returncode == 1
