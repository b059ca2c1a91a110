"""One set of rules for `serve` and `config check`, and both report all mistakes together."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.app import Catalogue
from gateway.cli import application
from gateway.settings import settings as config
from gateway.settings.settings import ConfigurationError
from gateway.startup import serve as serving
from gateway.startup.checks import SANDBOX_KEY, require_private_file
from tests.support.commands import KEY, write

GOOD = f"""
state_folder = "state"
api_key = "{KEY}"
[connections.a]
vendor = "azure-job-router"
endpoint = "https://a.test"
authentication = {{ kind = "signature", scheme = "accessKey", secret = "{KEY}" }}
"""
ANOTHER = 'vendor = "azure-job-router"\nendpoint = "https://b.test"\n'
SIGNED = f'authentication = {{ kind = "signature", scheme = "accessKey", secret = "{KEY}" }}\n'
NO_DATABASE = "postgresql://u@127.0.0.1:1/jobs"
WRONG = {
    "an unknown vendor": ("[connections.b]\n" + ANOTHER.replace("azure-job", "azure") + SIGNED, "b.vendor"),
    "an unknown scheme": ("[connections.b]\n" + ANOTHER + SIGNED.replace("accessKey", "acessKey"), "mean accessKey?"),
    "a secret that cannot sign": ("[connections.b]\n" + ANOTHER + SIGNED.replace(KEY, "zz"), "cannot sign requests"),
    "a scope that there is not": ('[callers.c]\nkey = "x"\nscopes = ["jobs:cancle"]', "mean jobs:cancel?"),
    "everybody's http": ('[server]\nhost = "0.0.0.0"', "server.host: 0.0.0.0 is not a loopback address"),
    "a host of nobody": ('[server]\nhost = "192.0.2.1"\nplain_http = true', "server.host: cannot listen on 192.0.2.1"),
    "no certificate": ('[server]\ntls_cert = "no.pem"\ntls_key = "no.pem"', "no.pem cannot be read"),
    "half a certificate": ('[server]\ntls_cert = "no.pem"', "server: tls_cert and tls_key belong together"),
    "the documentation's key": (
        f'[callers.c]\nkey = "{SANDBOX_KEY}"\nscopes = ["*"]',
        "is the key in the documentation",
    ),
    "a plain address": ("[connections.b]\n" + ANOTHER.replace("https", "http") + SIGNED, "set plain_http = true"),
    "a key that signs nothing": (f'[checkpoints]\nkey = "{KEY}"', "checkpoints.key: is not an Ed25519 private key"),
    "checkpoints nowhere": ('[checkpoints]\nfile = "jobgate.toml/x"', "checkpoints.file: jobgate.toml/x cannot be"),
    "records before their keys": ("[ledger]\nretention_days = 1", "retention_days must not be shorter"),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, in which nothing is ever listened on."""

    def never(*_: object) -> socket.socket:
        raise AssertionError("the gateway would start")

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JOBGATE_CONFIG")
    monkeypatch.setattr(serving, "listen", never)
    return tmp_path


def said_by(*command: str) -> str:
    """What a command says where it refuses the settings of this folder."""
    ended = CliRunner().invoke(application, command)
    assert ended.exit_code == 1, ended.output
    assert not ended.stdout
    return ended.stderr


@pytest.mark.parametrize(("more", "named"), list(WRONG.values()), ids=list(WRONG))
def test_what_serve_refuses_check_names(folder: Path, more: str, named: str) -> None:
    """`config check` reports each mistake in the same words as `serve`."""
    write(folder / "jobgate.toml", f"{GOOD}{more}")
    assert named in said_by("config", "check")
    assert said_by("serve") == said_by("config", "check")


def test_everything_is_named_at_once(folder: Path) -> None:
    """One run names the mistakes of the file itself and those that only documents, files and the ledger show."""
    others = (
        f"{text.replace('[connections.b]', f'[connections.b{number}]')}"
        for number, (text, _) in enumerate(each for each in WRONG.values() if each[0].startswith("[connections"))
    )
    text = "\n".join([GOOD, "[server]\nprot = 1\nhost = '0.0.0.0'", "[policy]\nattempts = 'x'", *others])
    write(folder / "jobgate.toml", text)
    said = said_by("config", "check")
    expected = ("server.prot", "server.host", "policy.attempts", "b0.vendor", "mean accessKey?", "cannot sign", "b3: ")
    assert [each for each in expected if each not in said] == []
    assert said_by("serve") == said


def test_a_connection_with_two_mistakes_names_both(folder: Path) -> None:
    """A misspelt key does not hide mistakes that the vendor's document shows."""
    text = ANOTHER + 'authentication = { kind = "signature", scheme = "magic", secret = "env:NOT_THERE" }\ncolor = 1'
    write(folder / "jobgate.toml", f"{GOOD}[connections.b]\n{text}")
    said = said_by("config", "check")
    for key in (
        "b.color",
        "b.authentication.secret: env:NOT_THERE",
        "b.authentication.scheme: azure-job-router has",
    ):
        assert f"connections.{key}" in said


def test_an_option_does_not_hide_a_mistake(folder: Path) -> None:
    """A wrong port in the file is a mistake even if `--port` replaces it."""
    write(folder / "jobgate.toml", f"{GOOD}[server]\nport = 'x'")
    assert "server.port: write a whole number" in said_by("serve", "--port", "0")


def test_nobody_who_could_call_is_a_mistake(folder: Path) -> None:
    """Without a key in the settings or in an existing ledger, the check names that mistake and makes no ledger."""
    write(folder / "jobgate.toml", GOOD.replace("api_key", "#"))
    assert "There is no API key" in said_by("config", "check")
    assert not (folder / "state").exists()
    assert CliRunner().invoke(application, ["keys", "create", "desk", "--scope", "*"]).exit_code == 0
    assert CliRunner().invoke(application, ["config", "check"]).exit_code == 0


def test_a_ledger_that_cannot_be_is_a_mistake(folder: Path) -> None:
    """An impossible state folder and an unknown kind of database are mistakes."""
    write(folder / "jobgate.toml", GOOD.replace('"state"', '"jobgate.toml/state"'))
    assert "cannot be made" in said_by("config", "check")
    write(folder / "jobgate.toml", f'database_url = "mysql://db.test/x"\n{GOOD}')
    assert "database_url" in said_by("config", "check")


@pytest.mark.parametrize("command", ["config check", "serve", "keys list", "audit verify"])
@pytest.mark.parametrize(
    ("database", "named"),
    [
        ("sqlite:///noise.db", "noise.db cannot be used: DatabaseError: file is not a database. It is not a SQLite"),
        (
            "postgresql://u:s3cret-part@127.0.0.1:1/x?connect_timeout=2",
            "ledger postgresql://u@127.0.0.1:1/x cannot",
        ),
    ],
)
def test_a_database_that_cannot_be_read_is_said_so(folder: Path, command: str, database: str, named: str) -> None:
    """A file of another kind, or a server that is not there: every command says what, where and how to mend it."""
    (folder / "noise.db").write_bytes(bytes(range(256)) * 32)
    write(folder / "jobgate.toml", f'database_url = "{database}"\n{GOOD}')
    ended = CliRunner().invoke(application, command.split())
    assert isinstance(ended.exception, SystemExit), ended.exception
    assert ended.exit_code in {1, 6}
    assert named in ended.stderr
    assert "s3cret-part" not in ended.stderr


def test_offline_leaves_the_ledger_out(folder: Path) -> None:
    """With `--offline` the check does not open the ledger, as on a build machine."""
    write(folder / "jobgate.toml", GOOD.replace("api_key", "#"))
    assert CliRunner().invoke(application, ["config", "check", "--offline"]).exit_code == 0


def test_what_is_probably_not_meant_is_a_warning(folder: Path) -> None:
    """Settings that work are good, and say where a caller can do nothing."""
    write(folder / "jobgate.toml", f'{GOOD}[callers.c]\nkey = "x"\nscopes = ["jobs:*", "connections:b"]')
    ended = CliRunner().invoke(application, ["config", "check"])
    assert (ended.exit_code, "warning: callers.c.scopes: connections:b matches no connection" in ended.stderr) == (
        0,
        True,
    )


SECRETS = {
    "postgresql://db.test/jobgate": False,
    "postgresql://jobgate@db.test/jobgate": False,
    "sqlite:////var/lib/jobgate/ledger.db": False,
    "postgresql://jobgate:word@db.test/jobgate": True,
    "postgresql://db.test/jobgate?user=u&password=word": True,
    "postgresql://db.test/jobgate?sslpassword=word": True,
    "postgresql://[::1/jobgate": True,
}


@pytest.mark.parametrize("command", [("config", "check"), ("serve",)], ids=" ".join)
def test_a_database_that_is_not_there_is_a_mistake(folder: Path, command: tuple[str, ...]) -> None:
    """It is named with the cause and how to mend it, as all mistakes are."""
    write(folder / "jobgate.toml", GOOD.replace("state_folder", "database_url").replace('"state"', f'"{NO_DATABASE}"'))
    said = said_by(*command)
    assert f"the ledger {NO_DATABASE} cannot be used: OperationalError: connection failed" in said
    assert "Check that the server is running" in said


@pytest.mark.parametrize(("url", "is_secret"), list(SECRETS.items()))
def test_only_a_password_makes_an_address_a_secret(folder: Path, url: str, is_secret: bool) -> None:
    """A file that everybody can read may name a database, and `config show` shows it; with a password neither."""
    file = write(folder / "jobgate.toml", f'database_url = "{url}"')
    settings = config.load(file)
    assert config.shown(settings)["database_url"] == ("[redacted]" if is_secret else url)
    file.chmod(0o644)
    if is_secret:
        with pytest.raises(ConfigurationError, match="chmod 600"):
            require_private_file(file, settings)
    else:
        require_private_file(file, settings)


def test_reload_holds_settings_against_the_same_rules(folder: Path) -> None:
    """New settings that `serve` would not start with do not take over."""
    source = serving.Source(write(folder / "jobgate.toml", f'{GOOD}[callers.c]\nkey = "{SANDBOX_KEY}"\nscopes = ["*"]'))
    with pytest.raises(ConfigurationError, match="is the key in the documentation"):
        source.checked_again(Catalogue.load())


def test_nothing_is_left_open(folder: Path) -> None:
    """The checks close every file and socket that they open."""
    write(folder / "jobgate.toml", GOOD)
    before = len(list(Path("/dev/fd").iterdir()))
    assert CliRunner().invoke(application, ["config", "check"]).exit_code == 0
    assert len(list(Path("/dev/fd").iterdir())) == before
