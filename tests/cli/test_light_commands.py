"""Commands load what they need and nothing else: what serves takes longer to load than most commands take to run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import typer.main

from gateway import client
from gateway.cli import application
from tests.client.stub import Reply, Stub
from tests.serving.process import SECONDS

SERVING = ("connexion", "flask", "jinja2", "werkzeug", "jsonschema", "openapi_spec_validator", "httpx", "lark")
"""The packages that serve, and those that come with them. `lark` stands for the grammar of `rfc3987_syntax`."""
STORING = ("sqlalchemy", "psycopg")
MIGRATING = ("alembic", "mako")
SENDING = ("aiohappyeyeballs",)
CALLING = ("requests", "urllib3")
SETTINGS = ("pydantic_settings", "yaml", "msgspec", "gateway.settings.settings")
EVERYTHING = (*SERVING, *STORING, *MIGRATING, *SENDING, *CALLING, *SETTINGS, "uvicorn", "cryptography")

RUN = """
import sys
from gateway.cli import main
try:
    main()
except SystemExit as end:
    print("code", end.code)
print("loaded", *sorted(sys.modules))
"""
CONNECTION = """
[connections.contoso]
vendor = "azure-job-router"
endpoint = "https://contoso.test"
authentication = { kind = "client-credentials", scheme = "entraId", client_id = "a", client_secret = "b", token_url = \
"https://127.0.0.1:1/token" }
"""


def loaded(folder: Path, script: str, *arguments: str) -> tuple[str, frozenset[str]]:
    """The output of a program, and the modules that are loaded at its end."""
    settings = folder / "settings.toml"
    settings.touch(0o600)
    settings.write_text(CONNECTION, encoding="utf-8")
    environment = {**os.environ, "JOBGATE_STATE_FOLDER": str(folder / "state")}
    command = [sys.executable, "-c", script, *(each.format(settings=settings) for each in arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=folder, timeout=SECONDS, check=True
    )
    said, _, modules = done.stdout.rpartition("loaded ")
    return said + done.stderr, frozenset(modules.split())


LIGHT = {
    "--help": EVERYTHING,
    "serve --help": EVERYTHING,
    "keys --help": EVERYTHING,
    "config --help": EVERYTHING,
    "connections --help": EVERYTHING,
    "audit --help": EVERYTHING,
    "config show --config {settings}": (*SERVING, *STORING, *MIGRATING, *SENDING, *CALLING, "uvicorn"),
    "config check --config {settings}": (*SERVING, *MIGRATING, *CALLING),
    "keys list --config {settings}": (*SERVING, *MIGRATING, *SENDING, *CALLING, "uvicorn"),
    "audit verify --config {settings}": (*SERVING, *MIGRATING, *SENDING, *CALLING, "uvicorn"),
    "config test contoso --config {settings}": (*SERVING, *STORING, *MIGRATING, *CALLING, "uvicorn"),
}
"""The commands that people wait for, each with what it does not need."""
OVER_HTTP = {
    "vendors list": '{"items": []}',
    "jobs list": '{"items": [], "incomplete": []}',
    "batches show x": '{"id": "x", "state": "completed"}',
}
"""Commands that call a gateway, each with an answer to it."""


@pytest.mark.timeout(3 * SECONDS)
@pytest.mark.parametrize("command", LIGHT)
def test_a_command_loads_only_what_it_needs(tmp_path: Path, command: str) -> None:
    """A command loads no Connexion and no Flask, and no database or HTTP client unless it needs one."""
    if "list" in command or "audit" in command:
        loaded(tmp_path, RUN, "keys", "create", "desk", "--scope", "*")
    said, modules = loaded(tmp_path, RUN, *command.split())
    assert "Traceback" not in said
    assert "─ Error ─" not in said
    assert [each for each in LIGHT[command] if each in modules] == []


def every_help() -> Iterator[str]:
    """The help of every command and group."""

    def below(command: Any, path: str) -> Iterator[str]:
        yield f"{path}--help"
        for name, each in getattr(command, "commands", {}).items():
            yield from below(each, f"{path}{name} ")

    return below(typer.main.get_command(application), "")


HELP = """
import sys
from typer.testing import CliRunner
from gateway.cli import application
for command in sys.argv[1:]:
    assert CliRunner().invoke(application, command.split()).exit_code == 0, command
print("loaded", *sorted(sys.modules))
"""


def test_no_help_loads_anything_heavy(tmp_path: Path) -> None:
    """The help of every command comes from the table of operations: no HTTP client, no settings, no YAML."""
    _, modules = loaded(tmp_path, HELP, *every_help())
    assert [each for each in EVERYTHING if each in modules] == []


@pytest.mark.parametrize("command", OVER_HTTP)
def test_a_command_over_http_loads_the_client_alone(
    tmp_path: Path, stub: Stub, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """A command against a running gateway needs `requests`, and nothing that serves, stores or reads settings."""
    stub.answers(Reply(OVER_HTTP[command].encode()))
    monkeypatch.setenv("JOBGATE_URL", stub.url)
    monkeypatch.setenv("JOBGATE_KEY", "a-key")
    said, modules = loaded(tmp_path, RUN, *command.split())
    assert "code 0" in said
    assert [
        each for each in (*SERVING, *STORING, *MIGRATING, *SENDING, *SETTINGS, "rich.progress") if each in modules
    ] == []


def test_the_client_stands_alone(tmp_path: Path) -> None:
    """The client's folder works in any project: it loads `requests`, and no module of the gateway."""
    copytree(Path(client.__file__).parent, tmp_path / "copied")
    _, modules = loaded(tmp_path, "import sys; sys.path.insert(0, '.'); import copied; print('loaded', *sys.modules)")
    assert "copied.client" in modules
    assert [each for each in modules if each.startswith("gateway")] == []
    assert [each for each in (*SERVING, *STORING, *SENDING, *SETTINGS) if each in modules] == []


def test_serving_without_the_sandbox_loads_no_sandbox(tmp_path: Path) -> None:
    """The simulators are for development; and a supervisor, which only looks after workers, has no Connexion either."""
    _, modules = loaded(tmp_path, "import sys, gateway.startup.serve; print('loaded', *sys.modules)")
    assert [each for each in modules if each.startswith("gateway.sandbox")] == []
    assert [each for each in (*SERVING, *MIGRATING, *SENDING, *CALLING) if each in modules] == []


AHEAD = """
import sys
from gateway.startup import ahead
def preload(module):
    print("loaded", *sorted(sys.modules), flush=True)
    sys.exit()
ahead.preload = preload
sys.argv = ["jobgate", "serve", "--workers", "2"]
from gateway.cli import main
main()
"""


def test_workers_load_before_their_supervisor(tmp_path: Path) -> None:
    """Until it has begun to load what workers need, `serve` has loaded the settings, and none of its own needs."""
    _, modules = loaded(tmp_path, AHEAD)
    assert "gateway.settings.settings" in modules
    unneeded = (*SERVING, *STORING, *MIGRATING, *SENDING, *CALLING, "uvicorn", "cryptography", "gateway.app")
    assert [each for each in unneeded if each in modules] == []


WORKER = """
import sys
import gateway.startup.preloaded
before = set(sys.modules)
from gateway.settings.settings import load
from gateway.startup.serve import application
application(load(), None, None)
print("new", *sorted(set(sys.modules) - before))
print("loaded", "")
"""


def test_a_worker_loads_no_code(tmp_path: Path) -> None:
    """The process that workers are forked from has loaded all that a worker needs, and no simulator."""
    said, _ = loaded(tmp_path, WORKER)
    assert "new\n" in said
    _, modules = loaded(tmp_path, "import sys, gateway.startup.preloaded; print('loaded', *sys.modules)")
    # rich is loaded by httpx, which Connexion imports, for a command line of httpx's own.
    assert [
        each for each in modules if each.startswith(("gateway.sandbox", "gateway.kit", "gateway.cli", "typer"))
    ] == []


GRAMMAR = """
import sys
import gateway.app.surfaces
assert "lark" not in sys.modules, "the grammar was built"
from jsonschema import FormatChecker
checker = FormatChecker()
print(checker.conforms("https://a.test/%41", "iri"), checker.conforms("https://a.test/ b", "iri"))
import rfc3987_syntax
print(rfc3987_syntax.__name__, callable(rfc3987_syntax.is_valid_syntax))
print("loaded", *sys.modules)
"""


@pytest.mark.timeout(3 * SECONDS)
def test_the_grammar_of_addresses_is_built_when_it_is_used(tmp_path: Path) -> None:
    """Loading all that serves does not build it; whoever checks the format of an address has it as ever."""
    said, modules = loaded(tmp_path, GRAMMAR)
    assert "True False\nrfc3987_syntax True" in said
    assert "lark" in modules
