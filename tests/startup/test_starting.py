"""The banner at the start, and the place of the state if the system offers none."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy import text
from typer.testing import CliRunner

from gateway.app import Catalogue, Gateway
from gateway.cli import application
from gateway.domain.access import EVERYTHING, Caller
from gateway.ledger.database import Database
from gateway.ledger.keys import KeyStore
from gateway.ledger.memory import MemoryLedger
from gateway.security.keys import issued
from gateway.serving.listening import ServerOptions
from gateway.serving.temporary import temporary_folder
from gateway.serving.tls import self_signed
from gateway.settings import settings as config
from gateway.settings.settings import CheckpointSettings, ConfigurationError
from gateway.startup import serve as serving
from gateway.startup.banner import Banner, Used
from gateway.startup.serve import Source, prepare_database, running, serve, with_ledger
from tests.support.asgi import call
from tests.support.clock import NOW
from tests.support.commands import JOBGATE, KEY, write
from tests.support.vendors import settings

SETTINGS = f"""
state_folder = "state"
api_key = "{KEY}"
[connections.contoso-prod]
vendor = "azure-job-router"
endpoint = "https://contoso.communication.azure.com"
authentication = {{ kind = "signature", scheme = "accessKey", secret = "{KEY}" }}
"""


def test_the_banner_names_settings_and_connections(tmp_path: Path) -> None:
    """Without the sandbox too: the file, the ledger, and each connection with its vendor and address."""
    file = write(tmp_path / "jobgate.toml", SETTINGS)
    command = [JOBGATE, "serve", "--port", "0"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JOBGATE_")}
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "Ctrl+C" in line:
                break
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert f"  Settings        {file}\n" in said
    assert f"  Ledger          {tmp_path / 'state' / 'ledger.db'}\n" in said
    assert "contoso-prod        azure-job-router          https://contoso.communication.azure.com\n" in said
    assert KEY not in said + errors
    assert f"settings: {file}; ledger: {tmp_path / 'state' / 'ledger.db'}" in errors


def test_the_banner_without_connections(catalogue: Catalogue) -> None:
    """A gateway that has none yet says so."""
    gateway = Gateway(config.load(), catalogue, ledger=MemoryLedger())
    text = Banner("http://127.0.0.1:1", Used("the defaults", "a file"), gateway.directory).text()
    assert "The settings have no connection to a vendor yet." in text


@pytest.mark.parametrize("served", [True, False])
def test_the_banner_names_the_console(catalogue: Catalogue, served: bool) -> None:
    """The console's address stands beside that of the documentation, where it is served."""
    gateway = Gateway(config.load(), catalogue, ledger=MemoryLedger())
    used = Used("the defaults", "a file")
    text = Banner("http://127.0.0.1:1", used, gateway.directory, has_console=served).text()
    assert ("http://127.0.0.1:1/console\n" in text) is served


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No HOME, and no entry of the user in the passwd database, as in a container with an arbitrary user id."""
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.delenv("JOBGATE_CONFIG")
    monkeypatch.chdir(tmp_path)

    def unknown(_: int) -> None:
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", unknown)


@pytest.mark.usefixtures("homeless")
@pytest.mark.parametrize(
    "command",
    ["config check", "keys list", "keys create desk --scope *", "audit verify", "audit export", "serve"],
)
def test_no_home_is_a_mistake_in_the_settings(tmp_path: Path, command: str) -> None:
    """The message names `state_folder`; nothing is made in a folder called ~."""
    said = CliRunner().invoke(application, command.split())
    assert said.exit_code == 1
    assert "state_folder: this user has no home folder" in said.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("homeless")
def test_the_homeless_can_see_their_settings() -> None:
    """`config show` needs no ledger: it prints the settings, and warns."""
    said = CliRunner().invoke(application, ["config", "show"])
    assert (said.exit_code, "[server]" in said.stdout) == (0, True)
    assert "warning: state_folder: this user has no home folder" in said.stderr


@pytest.mark.usefixtures("homeless")
def test_a_state_folder_is_enough_for_the_homeless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `state_folder`, a user without a home folder can do everything."""
    monkeypatch.setenv("JOBGATE_STATE_FOLDER", str(tmp_path / "state"))
    assert CliRunner().invoke(application, ["keys", "create", "desk", "--scope", "*"]).exit_code == 0
    assert (tmp_path / "state" / "ledger.db").exists()


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In every path of the settings, `~` is the home folder, as in a shell."""
    monkeypatch.setenv("HOME", str(tmp_path))
    written = 'state_folder = "~/state"\n[server]\ntls_cert = "~/cert"\ntls_key = "~/key"\n[checkpoints]\nfile = "~/c"'
    read = config.load(write(tmp_path / "jobgate.toml", written))
    assert read.state_folder == tmp_path / "state"
    assert (read.server.tls_cert, read.server.tls_key) == (tmp_path / "cert", tmp_path / "key")
    assert read.checkpoints.file == tmp_path / "c"


@pytest.mark.usefixtures("homeless")
def test_a_tilde_without_a_home_is_a_mistake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The message names the setting; nothing is made in a folder called ~."""
    monkeypatch.setenv("JOBGATE_STATE_FOLDER", "~/state")
    said = CliRunner().invoke(application, ["config", "check"])
    assert (said.exit_code, "state_folder: there is no home folder for `~`" in said.stderr) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_no_temporary_folder_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox's ledger and a certificate for development need one: the message names TMPDIR."""

    def nowhere(*_: object, **__: object) -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "mkdtemp", nowhere)
    with pytest.raises(ConfigurationError, match="TMPDIR"), temporary_folder("a"):
        pass
    with pytest.raises(ConfigurationError, match="TMPDIR"), self_signed("127.0.0.1"):
        pass


def test_the_demonstration_cuts_no_id_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a pipe, the demonstration prints whole ids and names the settings that it uses."""
    widths: list[int] = []

    def noted(console: Console) -> int:
        widths.append(console.width)
        return 0

    monkeypatch.setattr("gateway.demo.demo.run", noted)
    monkeypatch.setenv("COLUMNS", "80")
    said = CliRunner().invoke(application, ["demo"])
    assert (said.exit_code, widths) == (0, [160])
    assert said.stderr.startswith("Settings: ")


def test_the_demonstration_keeps_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, catalogue: Catalogue) -> None:
    """Its ledger and the sandbox's are temporary, whatever ledger and checkpoints the environment names."""
    monkeypatch.setenv("JOBGATE_DATABASE_URL", f"sqlite:///{tmp_path / 'real.db'}")
    monkeypatch.setenv("JOBGATE_STATE_FOLDER", str(tmp_path / "state"))
    monkeypatch.setenv("JOBGATE_CHECKPOINTS__FILE", str(tmp_path / "checkpoints.txt"))
    with running(catalogue=catalogue) as started:
        assert asyncio.run(call(started.gateway.application, "GET", "/livez")).status == 200
    assert list(tmp_path.iterdir()) == []


def test_a_temporary_ledger_says_nothing_outside(tmp_path: Path) -> None:
    """Beside the sandbox nothing is added to the file of checkpoints of the real ledger, nor sent to its webhook."""
    wanted = {"file": tmp_path / "checkpoints.txt", "webhook": "https://hooks.example/a", "seconds": 7}
    with with_ledger(settings(checkpoints=wanted)) as kept:
        assert kept.state_folder is not None
        assert kept.checkpoints == CheckpointSettings(seconds=7)


@pytest.fixture
def banners(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The banners of gateways that end as soon as they are started."""
    banners: list[str] = []

    class Served:
        def run(self, sockets: Sequence[socket.socket]) -> None:
            for each in sockets:
                each.close()

    def noted(_: object, options: ServerOptions) -> Served:
        banners.append(options.banner)
        return Served()

    monkeypatch.setattr(serving, "server", noted)
    monkeypatch.setattr(serving, "settle_in", lambda: None)
    return banners


def test_warnings_know_the_sandbox(
    tmp_path: Path, banners: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With the sandbox, a pattern for all connections is no mistake, and one that matches none of the sandbox's is."""
    monkeypatch.delenv("JOBGATE_CONFIG", raising=False)
    callers = f'[callers.all]\nkey = "{KEY}"\nscopes = ["jobs:*", "connections:*", "connections:azur-*"]\n'
    write(tmp_path / "jobgate.toml", f"{callers}[server]\nport = 0\n")
    serve(Source(tmp_path / "jobgate.toml"), sandbox_port=0)
    assert len(banners) == 1
    assert "connections:azur-* matches no connection in the settings" in caplog.text
    assert "connections:* matches no connection" not in caplog.text


def test_the_banner_of_an_outdated_ledger(
    tmp_path: Path, catalogue: Catalogue, banners: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """It says that actions are refused, until the ledger is accepted, which the log says then."""
    write(tmp_path / "jobgate.toml", f'state_folder = "{tmp_path / "state"}"\napi_key = "{KEY}"\n[server]\nport = 0\n')
    database = Database.in_folder(tmp_path / "state")
    database.migrate()
    KeyStore(database).add(issued(Caller("desk", EVERYTHING), NOW, None, with_access_key=False).key)
    prepare_database(config.load(tmp_path / "jobgate.toml"))
    with database.writing.begin() as connection:
        for table in ("events", "segments", "api_keys"):
            connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - names of ours
    database.dispose()
    for accept in (False, True, False):
        serve(Source(tmp_path / "jobgate.toml"), sandbox_port=None, accept_restored_ledger=accept)
    assert ["actions are refused" in each for each in banners] == [True, False, False]
    assert "is used as it is, although it does not match its newest checkpoint: segment 1: " in caplog.text
