"""`jobgate config`: every mistake at once, the settings without their secrets, and a schema for editors."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from typer.testing import CliRunner

from gateway.cli import application

CANARY = "bm9ib2R5IG1heSBzZWUgdGhpcw=="
GOOD = f"""
api_key = "env:JOBGATE_TEST_KEY"
database_url = "postgresql://jobgate:{CANARY}@db.example/jobgate"

[server]
port = 9000

[callers.desk]
key = "{CANARY}"
scopes = ["jobs:*", "connections:contoso-*"]

[connections.contoso-prod]
vendor = "azure-job-router"
endpoint = "https://contoso.communication.azure.com"
authentication = {{ kind = "signature", scheme = "accessKey", secret = "{CANARY}" }}
"""
BAD = """
rate_limit = "often"

[server]
prot = 9000
tls_cert = "chain.pem"

[callers.Desk]
key = ""
scopes = ["jobs"]

[connections.a]
vendor = "azure-job-router"
endpoint = "contoso"
authentication = { kind = "magic" }

[connections.b]
vendor = "azure-job-router"
endpoint = "http://contoso.test"
authentication = { kind = "signature", scheme = "accessKey", secret = "env:JOBGATE_NO_SUCH" }
"""
WRONG_FOR_VENDORS = """
[connections.a]
vendor = "nobody"
endpoint = "https://a.test"
authentication = { kind = "signature", scheme = "accessKey", secret = "zz" }

[connections.b]
vendor = "azure-job-router"
endpoint = "https://b.test"
authentication = { kind = "signature", scheme = "magic", secret = "zz" }

[connections.c]
vendor = "azure-job-router"
endpoint = "https://c.test"
authentication = { kind = "signature", scheme = "accessKey", secret = "zz" }
"""


def run(folder: Path, command: str, text: str) -> Any:
    """`jobgate config …` with a file of this text."""
    file = folder / "jobgate.toml"
    file.write_text(text, encoding="utf-8")
    file.chmod(0o600)
    options = {"schema": [], "check": ["--offline", "--config", str(file)]}.get(command, ["--config", str(file)])
    return CliRunner().invoke(application, ["config", command, *options], env={"JOBGATE_TEST_KEY": CANARY})


def test_good_settings_are_called_so(tmp_path: Path) -> None:
    """The command says that good settings are good, and sums them up."""
    said = run(tmp_path, "check", GOOD)
    assert (said.exit_code, said.stdout) == (0, "good: 1 connection, 1 caller in the settings\n")


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    """Every mistake is named by its key with the expected value, and without a traceback."""
    said = run(tmp_path, "check", BAD)
    assert said.exit_code == 1
    for key in ("rate_limit", "server.prot", "callers.Desk", "connections.a.endpoint", "connections.a.authentication"):
        assert f"\n  {key}" in said.stderr, key
    assert "env:JOBGATE_NO_SUCH: the environment has no such variable" in said.stderr
    assert "Traceback" not in said.output


def test_mistakes_that_the_vendors_documents_show_are_told_too(tmp_path: Path) -> None:
    """An unknown vendor, an unknown scheme, a secret that cannot sign: all at once, before anything starts."""
    said = run(tmp_path, "check", WRONG_FOR_VENDORS)
    assert said.exit_code == 1
    for mistake in (
        "connections.a.vendor: nobody",
        "connections.b.authentication.scheme",
        "connections.c.authentication",
    ):
        assert mistake in said.stderr


def test_the_settings_are_shown_without_their_secrets(tmp_path: Path) -> None:
    """The settings are shown as TOML with their defaults; of secrets only the references are shown."""
    said = run(tmp_path, "show", GOOD)
    assert said.exit_code == 0
    assert CANARY not in said.output
    shown = tomllib.loads(said.stdout)
    assert shown["api_key"] == "env:JOBGATE_TEST_KEY"
    assert (shown["server"]["port"], shown["server"]["workers"]) == (9_000, 1)
    assert shown["callers"]["desk"] == {"key": "[redacted]", "scopes": ["jobs:*", "connections:contoso-*"]}
    assert shown["connections"]["contoso-prod"]["authentication"]["secret"] == "[redacted]"
    assert shown["database_url"] == "[redacted]"


def test_a_key_in_an_address_is_not_shown(tmp_path: Path) -> None:
    """The query of an address is not shown, because it may contain a key."""
    oauth = f"""
api_key = "env:JOBGATE_TEST_KEY"
[connections.a]
vendor = "vonage-contact-center"
endpoint = "https://a.test/base"
authentication = {{ kind = "client-credentials", scheme = "oauth", client_id = "a", client_secret = "b", \
token_url = "https://a.test/token?code={CANARY}" }}
"""
    said = run(tmp_path, "show", oauth)
    assert CANARY not in said.output
    shown = tomllib.loads(said.stdout)["connections"]["a"]
    assert (shown["endpoint"], shown["authentication"]["token_url"]) == (
        "https://a.test/base",
        "https://a.test/token?[redacted]",
    )


def test_the_environment_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The output contains the values of environment variables, because a gateway would use them."""
    monkeypatch.setenv("JOBGATE_SERVER__PORT", "9001")
    assert tomllib.loads(run(tmp_path, "show", GOOD).stdout)["server"]["port"] == 9_001


def test_the_schema_is_one(tmp_path: Path) -> None:
    """The schema accepts good settings, refuses bad ones, and is the published schema."""
    schema = json.loads(run(tmp_path, "schema", "").stdout)
    validator = jsonschema_rs.validator_for(schema)
    assert validator.is_valid(tomllib.loads(GOOD))
    assert not validator.is_valid(tomllib.loads(BAD))
    published = Path(__file__).parents[2] / "docs/settings.schema.json"
    assert json.loads(published.read_text("utf-8")) == schema


@pytest.mark.parametrize(
    "text",
    [
        "vendor_seconds = inf",
        "vendor_seconds = nan",
        "[limits]\nheader_seconds = inf",
        "[limits]\njson_digits = 5000",
        "[policy]\nbreaker_seconds = nan",
        "[ledger]\nretention_days = 1000000000000",
        "[ledger]\nconfirm_seconds = [inf]",
        "[ledger]\nconfirm_seconds = [1e300]",
        "[ledger]\ngive_up_seconds = inf",
        "[rate_limit]\nrequests = 1\nseconds = inf",
        f"[rate_limit]\nrequests = 1{'0' * 400}\nseconds = 1",
    ],
)
def test_a_number_out_of_range_is_a_mistake(tmp_path: Path, text: str) -> None:
    """Infinity, what is no number, and what no clock can count: named when the settings are read, and never later."""
    checked = run(tmp_path, "check", f'api_key = "key-of-somebody"\n{text}\n')
    assert checked.exit_code != 0
    assert "Traceback" not in checked.output
    assert text.rpartition("\n")[2].split(" = ")[0] in checked.output or "rate_limit" in checked.output
