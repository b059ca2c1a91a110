"""`jobgate config check` finds policies that cannot be met, by the callers of the settings and of the key store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli import application

CONNECTION = """
[connections.contoso-prod]
vendor = "azure-job-router"
endpoint = "https://contoso.communication.azure.com"
authentication = { kind = "signature", scheme = "accessKey", secret = "c2VjcmV0" }

[callers.desk]
key = "key-of-the-desk"
owner = "alice"
scopes = ["*"]
"""
POLICY = """
[approvals.many-jobs]
items = 20
approvers = ["bob"]
"""
ISSUER = '[openid]\nissuer = "https://issuer.example"\naudience = "jobgate"\n'


def run(folder: Path, text: str, *command: str) -> Any:
    """A command of `jobgate` with settings of this text, and its state in a folder."""
    file = folder / "jobgate.toml"
    file.write_text(text, encoding="utf-8")
    file.chmod(0o600)
    return CliRunner().invoke(
        application, [*command, "--config", str(file)], env={"JOBGATE_STATE_FOLDER": str(folder / "state")}
    )


def key_of(folder: Path, owner: str, scope: str = "approvals:*") -> None:
    """Make a key in the key store."""
    made = run(folder, CONNECTION, "keys", "create", "night-shift", "--scope", scope, "--owner", owner)
    assert made.exit_code == 0, made.output


def test_a_policy_without_an_approver_is_refused(tmp_path: Path) -> None:
    """The message says whose batch would wait in vain, and who is missing."""
    said = run(tmp_path, CONNECTION + POLICY, "config", "check")
    assert said.exit_code == 1
    assert (
        "approvals.many-jobs.approvers: a batch of alice needs 1 approval, and beside its owner nobody" in said.stderr
    )
    assert "No caller of bob has the scopes approvals:read and approvals:write" in said.stderr


def test_keys_of_the_store_count(tmp_path: Path) -> None:
    """A key of the approver with the scopes is enough; one of the requester, or without a scope, is not."""
    of_keys = (("alice", "approvals:*", 1), ("bob", "jobs:read", 1), ("bob", "approvals:write", 1))
    for owner, scope, code in (*of_keys, ("bob", "approvals:*", 0)):
        key_of(tmp_path, owner, scope)
        assert run(tmp_path, CONNECTION + POLICY, "config", "check").exit_code == code


@pytest.mark.parametrize(("more", "options"), [(ISSUER, []), ("", ["--offline"])])
def test_what_is_not_known_is_not_judged(tmp_path: Path, more: str, options: list[str]) -> None:
    """The owners behind tokens, and offline the keys of the store."""
    assert run(tmp_path, CONNECTION + POLICY + more, "config", "check", *options).exit_code == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('actions = ["cancle"]', "approvals.many-jobs.actions.0: cancle matches no action; did you mean cancel?"),
        ("items = 0", "approvals.many-jobs.items: must be at least 1"),
        ("approvals = 21", "approvals.many-jobs.approvals: must be at most 20"),
        ("approvers = []", "approvals.many-jobs.approvers: must not be empty"),
        ("aprovers = 1", "approvals.many-jobs.aprovers: there is no such setting; did you mean approvers?"),
    ],
)
def test_mistakes_in_policies(tmp_path: Path, text: str, said: str) -> None:
    """Each with its key and its remedy."""
    policy = POLICY.replace('approvers = ["bob"]', "") if text.startswith("approvers") else POLICY
    policy = policy.replace("items = 20", "") if text.startswith("items") else policy
    assert said in run(tmp_path, f"{CONNECTION}{policy}{text}\n", "config", "check", "--offline").stderr


def test_a_connection_that_no_pattern_matches_is_a_warning(tmp_path: Path) -> None:
    """It is probably misspelt."""
    said = run(tmp_path, f'{CONNECTION}{POLICY}connections = ["contso-*"]\n', "config", "check", "--offline")
    assert (said.exit_code, "contso-* matches no connection in the settings" in said.stderr) == (0, True)


def test_keys_show_their_owner(tmp_path: Path) -> None:
    """The list has it, and a rotated key keeps it."""
    key_of(tmp_path, "bob@contoso.example")
    listed = run(tmp_path, CONNECTION, "keys", "list", "--output", "json").stdout
    assert '"owner": "bob@contoso.example"' in listed
    key_id = listed.partition('"id": "')[2][:12]
    assert run(tmp_path, CONNECTION, "keys", "rotate", key_id).exit_code == 0
    assert run(tmp_path, CONNECTION, "keys", "list", "--output", "json").stdout.count("bob@contoso.example") == 2
    refused = run(tmp_path, CONNECTION, "keys", "create", "desk", "--scope", "*", "--owner", " bob")
    assert (refused.exit_code, "an owner is a name" in refused.stderr) == (1, True)
