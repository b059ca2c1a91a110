"""Mistakes in settings: messages with the key, the expected value and a suggestion, and never the value."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import application
from gateway.domain.suggestions import closest, did_you_mean
from gateway.settings import settings as config
from gateway.settings.settings import ConfigurationError
from tests.support.commands import jobgate, write

CONNECTION = """
[connections.a]
vendor = "azure-job-router"
endpoint = "https://a.test"
authentication = { kind = "signature", scheme = "accessKey", secret = "c2VjcmV0" }
"""
FOREIGN = ("value error", "input should", "field required", "assertion", "pydantic", "valid integer", "extra inputs")
"""Words of pydantic's messages, which users do not see."""
CASES = {
    "server.port: write a whole number": "[server]\nport = 'my-secret'",
    "server.port: must be at most 65535": "[server]\nport = 70000",
    "vendor_seconds: must be more than 0": "vendor_seconds = -1",
    "vendor_seconds: must be at most 300": "vendor_seconds = 1e9",
    "server.access_log: write true or false": "[server]\naccess_log = 'my-secret'",
    "server.response_validation: did you mean refuse? Known: off, log, refuse.": "server.response_validation = 'refse'",
    "server.trusted_hosts: write a list": "[server]\ntrusted_hosts = 'my-secret'",
    "server.trusted_hosts.0: write a name or an IP address, without a port": "[server]\ntrusted_hosts = ['a:1']",
    "server: write a table, such as [server]": "server = 'my-secret'",
    "server.prot: there is no such setting; did you mean port?": "[server]\nprot = 1",
    "workers: there is no such setting; did you mean server.workers?": "workers = 2",
    "conections: there is no such setting; did you mean connections?": "[conections.a]\nvendor = 'x'",
    "colour: there is no such setting; docs/limits.md lists the settings": "colour = 1",
    'rate_limit: write { requests = 1000, seconds = 10 }, or "none"': "rate_limit = 'my-secret'",
    "rate_limit.requests: must be at least 1": "rate_limit = { requests = 0, seconds = 1 }",
    "connections.b.authentication: is missing": "[connections.b]\nvendor = 'x'",
    "connections.a.values: write a table": f"{CONNECTION}\nvalues = 1",
    "connections.a.values.region: write a string in quotes": f"{CONNECTION}\nvalues = {{ region = 1 }}",
    "connections.a.values.region: must not be empty": f"{CONNECTION}\nvalues = {{ region = '' }}",
    "connections.a.authentication.kind: did you mean signature?": CONNECTION.replace("signature", "signatur"),
    "connections.a.authentication.secrt: there is no such setting; did you mean secret?": CONNECTION.replace(
        "secret =", "secrt ="
    ),
    "connections.B: use lower-case letters": CONNECTION.replace("connections.a", "connections.B"),
    "connections.a.quota: write { requests = 1000": f"{CONNECTION}quota = 'my-secret'",
    "openid.algorithms.0: did you mean RS256?": "[openid]\nissuer='https://a.test'\naudience='b'\nalgorithms=['RS265']",
    "openid.issuer: write a URL without query": "[openid]\nissuer = 'a.test'\naudience = 'b'",
    "api_key: is empty": "api_key = ' '",
    "callers.desk.scopes.0: write a scope such as jobs:cancel": "[callers.desk]\nkey = 'a'\nscopes = ['my-secret']",
    "api_key: did you mean env:?": "api_key = 'evn:my-secret'",
    "api_key: did you mean file:?": "api_key = 'fil:/run/my-secret'",
    "callers.desk.scopes: must not be empty": "[callers.desk]\nkey = 'a'\nscopes = []",
}


@pytest.mark.parametrize(("said", "text"), list(CASES.items()))
def test_each_kind_of_mistake_has_its_words(tmp_path: Path, said: str, text: str) -> None:
    """A message has the key and then the remedy, without pydantic's words and without the value."""
    with pytest.raises(ConfigurationError) as caught:
        config.load(write(tmp_path / "jobgate.toml", text))
    message = str(caught.value)
    assert f"\n  {said}" in message
    assert [word for word in FOREIGN if word in message.lower()] == []
    assert "my-secret" not in message


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("JOBGATE_SERVRE__PORT", "1", "did you mean JOBGATE_SERVER__PORT?"),
        ("JOBGATE_WORKERS", "2", "did you mean JOBGATE_SERVER__WORKERS?"),
        ("JOBGATE_SERVER_PORT", "1", "did you mean JOBGATE_SERVER__PORT?"),
        ("JOBGATE_PORT", "8080", "did you mean JOBGATE_SERVER__PORT?"),
        ("JOBGATE_API_KEYS", "my-secret", "did you mean JOBGATE_API_KEY?"),
        ("JOBGATE_API_KEY__A", "my-secret", "did you mean JOBGATE_API_KEY?"),
        ("JOBGATE_COLOUR", "my-secret", "this environment variable is not a setting"),
        ("JOBGATE_", "my-secret", "this environment variable is not a setting"),
        ("JOBGATE_SERVER__PROT", "1", "server.prot: there is no such setting; did you mean port?"),
        ("JOBGATE_SERVER__PORT", "my-secret", "server.port: write a whole number (in JOBGATE_SERVER__PORT)"),
        ("JOBGATE_SERVER", "my-secret", "server: write a table, such as [server]"),
        ("JOBGATE_CONNECTIONS", "{", "connections: write a table, such as [server]"),
        ("JOBGATE_SERVER__TRUSTED_HOSTS", "a,b", 'server.trusted_hosts: write a list, such as ["a", "b"]'),
    ],
)
def test_variables_that_are_none_of_ours_are_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    """An unknown JOBGATE_ variable is refused like an unknown key in the file, without its value."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError) as caught:
        config.load()
    assert said in str(caught.value)
    assert "my-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("JOBGATE_SERVICE_HOST", "10.96.0.7"),
        ("JOBGATE_SERVICE_PORT", "8080"),
        ("JOBGATE_SERVICE_PORT_HTTP", "8080"),
        ("JOBGATE_PORT", "tcp://10.96.0.7:8080"),
        ("JOBGATE_PORT_8080_TCP", "tcp://10.96.0.7:8080"),
        ("JOBGATE_PORT_8080_TCP_PROTO", "tcp"),
        ("JOBGATE_PORT_8080_TCP_PORT", "8080"),
        ("JOBGATE_PORT_8080_TCP_ADDR", "10.96.0.7"),
        ("JOBGATE_SERVER_PORT", "tcp://10.96.0.7:8080"),
        ("JOBGATE_CANARY_SERVICE_HOST", "10.96.0.7"),
        ("JOBGATE_CONFIG", "jobgate.toml"),
    ],
)
def test_variables_of_kubernetes_stop_nobody(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    """The variables that a Service named jobgate or jobgate-canary sets in every pod change no setting."""
    without = config.load()
    monkeypatch.setenv(variable, value)
    assert config.load() == without


def test_variables_that_secrets_refer_to_are_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A secret may be kept in JOBGATE_DESK_KEY."""
    monkeypatch.setenv("JOBGATE_DESK_KEY", "a-key")
    file = write(tmp_path / "jobgate.toml", "[callers.desk]\nkey = 'env:JOBGATE_DESK_KEY'\nscopes = ['*']")
    assert config.load(file).callers["desk"].key.get_secret_value() == "a-key"
    with pytest.raises(ConfigurationError, match="JOBGATE_DESK_KEY: this environment variable is not a setting"):
        config.load()


def test_suggestions() -> None:
    """A suggestion is the nearest known name in any case, or none, followed by all known names."""
    assert closest("ACESSKEY", ["accessKey", "entraId"]) == "accessKey"
    assert closest("zzz", ["accessKey"]) is None
    assert did_you_mean("zzz", ["a", "b"]) == "known: a, b."
    assert did_you_mean("a", []) == "known: none."


def test_the_version_is_told(tmp_path: Path) -> None:
    """`--version` prints the name of the program and its version."""
    said = jobgate(tmp_path, "--version")
    assert (said.returncode, said.stdout, said.stderr) == (0, "jobgate 0.1.0\n", "")


COMMANDS = (
    [],
    ["serve"],
    ["sandbox"],
    ["demo"],
    ["docs"],
    *([group] for group in ("specs", "audit", "keys", "config", "connections")),
    *(["keys", name] for name in ("create", "list", "rotate", "revoke")),
    *(["config", name] for name in ("check", "show", "schema")),
    *(["audit", name] for name in ("verify", "export")),
    ["connections", "test"],
    ["specs", "check"],
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_its_help(command: list[str]) -> None:
    """Every command prints its help for `-h` and `--help`."""
    short = CliRunner().invoke(application, [*command, "-h"])
    assert (short.exit_code, "Usage" in short.stdout) == (0, True)
    assert short.stdout == CliRunner().invoke(application, [*command, "--help"]).stdout
