"""`jobgate keys`: made, listed, rotated and revoked, and counted by a gateway that runs."""

from __future__ import annotations

import base64
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli import application
from gateway.domain.access import EVERYTHING, Caller
from gateway.domain.clock import SystemClock
from gateway.ledger.database import Database
from gateway.ledger.keys import KeyStore, KeyWatch
from gateway.ledger.ledger import SqlLedger
from gateway.security.keys import AccessKey, ApiKey, Keyring
from tests.support.clock import NOW


def run(folder: Path, *command: str) -> Any:
    """`jobgate keys …` with the state in a folder."""
    return CliRunner().invoke(application, ["keys", *command], env={"JOBGATE_STATE_FOLDER": str(folder)})


def new_key(folder: Path, *options: str) -> str:
    """A new key."""
    said = run(folder, "create", "desk", "--scope", "jobs:*", "--scope", "connections:contoso-*", *options)
    assert said.exit_code == 0, said.output
    text: str = said.stdout.strip()
    assert re.fullmatch(r"jobgate_[0-9a-f]{12}_[A-Za-z0-9_-]{43}", text)
    return text


def stored_keys(folder: Path) -> list[ApiKey]:
    """The keys in the store."""
    database = Database.in_folder(folder)
    found = KeyStore(database).all()
    database.dispose()
    return list(found)


def test_a_key_is_shown_once(tmp_path: Path) -> None:
    """A new key is printed alone, stored as a hash, and never shown again."""
    text = new_key(tmp_path)
    (key,) = stored_keys(tmp_path)
    assert key.caller == Caller("desk", frozenset({"jobs:*", "connections:contoso-*"}))
    assert Keyring({}, [key]).identify(text, key.created_at) == key.caller
    listed = run(tmp_path, "list").stdout
    assert key.id in listed
    secret = text.split("_", 2)[2]
    for file in tmp_path.iterdir():
        assert secret.encode() not in file.read_bytes()
    assert secret not in listed


def test_a_key_can_have_an_end(tmp_path: Path) -> None:
    """A key with an end is refused after that time."""
    new_key(tmp_path, "--expires", "90d")
    (key,) = stored_keys(tmp_path)
    assert key.expires_at == key.created_at + timedelta(days=90)
    assert "ends" in run(tmp_path, "list").stdout


def test_an_access_key_is_shown_once_too(tmp_path: Path) -> None:
    """On a line of its own, in the form of Azure's keys; the list says only that there is one."""
    said = run(tmp_path, "create", "desk", "--scope", "jobs:*", "--access-key")
    text, secret = said.stdout.split()
    (key,) = stored_keys(tmp_path)
    assert key.access_key == AccessKey(key.id, key.caller, secret)
    assert (len(base64.b64decode(secret)), key.id in said.stderr) == (32, True)
    assert Keyring({}, [key]).identify(text, key.created_at) == key.caller
    listed = run(tmp_path, "list").stdout
    assert ("yes" in listed, secret in listed) == (True, False)
    assert stored_keys(tmp_path)[0].access_key is not None


def test_no_access_key_is_made_unless_it_is_wanted(tmp_path: Path) -> None:
    """A key without an access key stores no secret that a client could sign with."""
    new_key(tmp_path)
    assert stored_keys(tmp_path)[0].access_secret is None


def test_rotation_makes_another_access_key(tmp_path: Path) -> None:
    """Rotating a key with an access key makes a new access key."""
    run(tmp_path, "create", "desk", "--scope", "jobs:*", "--access-key")
    (old,) = stored_keys(tmp_path)
    new_secret = run(tmp_path, "rotate", old.id).stdout.split()[1]
    secrets = {key.access_secret for key in stored_keys(tmp_path)}
    assert secrets == {old.access_secret, new_secret}
    assert len(secrets) == 2


def test_rotation_overlaps(tmp_path: Path) -> None:
    """After a rotation the new key works immediately, and the old one for a limited time."""
    old_text = new_key(tmp_path, "--expires", "90d")
    (old,) = stored_keys(tmp_path)
    said = run(tmp_path, "rotate", old.id, "--overlap", "2h")
    assert said.exit_code == 0, said.output
    before, after = sorted(stored_keys(tmp_path), key=lambda key: key.created_at)
    assert (before.id, before.caller, after.caller) == (old.id, old.caller, old.caller)
    assert before.expires_at == after.created_at + timedelta(hours=2)
    assert after.expires_at == after.created_at + timedelta(days=90)
    keyring = Keyring({}, [before, after])
    for seconds, opens in ((7_199, old.caller), (7_201, None)):
        assert keyring.identify(old_text, after.created_at + timedelta(seconds=seconds)) == opens
        assert keyring.identify(said.stdout.strip(), after.created_at + timedelta(seconds=seconds)) == old.caller


def test_a_revoked_key_opens_nothing(tmp_path: Path) -> None:
    """A revoked key is refused, and can be neither rotated nor revoked again."""
    text = new_key(tmp_path)
    key_id = text.split("_")[1]
    assert run(tmp_path, "revoke", key_id).exit_code == 0
    (key,) = stored_keys(tmp_path)
    assert Keyring({}, [key]).identify(text, key.created_at) is None
    assert "revoked" in run(tmp_path, "list").stdout
    for command in ("rotate", "revoke"):
        said = run(tmp_path, command, key_id)
        assert (said.exit_code, "there is no valid key" in said.stderr) == (1, True)


@pytest.mark.parametrize(
    ("command", "mend"),
    [
        (["create", "Desk", "--scope", "*"], "lower-case"),
        (["create", "desk", "--scope", "jobs"], "jobs:cancel"),
        (["create", "desk", "--scope", "*", "--expires", "soon"], "90d"),
        (["revoke", "000000000000"], "jobgate keys list"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, command: list[str], mend: str) -> None:
    """A mistake is reported with a remedy and without a traceback."""
    said = run(tmp_path, *command)
    assert said.exit_code == 1
    assert mend in re.sub(r"\s+", " ", said.stderr)
    assert "Traceback" not in said.output


async def test_a_gateway_that_runs_takes_over_what_changes(tmp_path: Path) -> None:
    """New keys open, revoked ones do not, within seconds; and when a key was used last is noted."""
    database = Database.in_folder(tmp_path)
    database.migrate()
    store, keyring, ledger = KeyStore(database), Keyring({}), SqlLedger(database, SystemClock())
    watch = KeyWatch(keyring, store, ledger.note_used)
    text = new_key(tmp_path)
    key_id = text.split("_")[1]
    await watch.refresh()
    assert keyring.identify(text, NOW) is not None
    await watch.refresh()
    assert store.all()[0].last_used_at == NOW
    store.revoke(key_id, NOW)
    await watch.refresh()
    assert keyring.identify(text, NOW) is None
    await ledger.close()


def test_scopes_survive(tmp_path: Path) -> None:
    """The scopes of a stored key are read back unchanged."""
    database = Database.in_folder(tmp_path)
    database.migrate()
    key = ApiKey("0" * 12, Caller("desk", EVERYTHING), b"1" * 32, NOW)
    KeyStore(database).add(key)
    assert KeyStore(database).all() == (key,)
    database.dispose()
