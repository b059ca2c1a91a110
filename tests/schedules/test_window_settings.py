"""`jobgate config check` says what is wrong with a window."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import application

SETTINGS = """
[connections.contoso-prod]
vendor = "azure-job-router"
endpoint = "https://contoso.communication.azure.com"
authentication = { kind = "signature", scheme = "accessKey", secret = "c2VjcmV0" }

[callers.desk]
key = "key-of-the-desk"
scopes = ["*"]

[windows.night]
"""
RIGHT = {
    "kind": '"allow"',
    "connections": '["contoso-*"]',
    "actions": '["close"]',
    "cron": '"0 22 * * *"',
    "time_zone": '"Europe/Amsterdam"',
    "duration": '"PT8H"',
}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (None, "", None),
        ("kind", '"sometimes"', "windows.night.kind: "),
        ("connections", '["contso-*"]', "windows.night.connections.0: contso-* matches no connection"),
        ("actions", '["clsoe"]', "windows.night.actions.0: clsoe matches no action; did you mean close?"),
        ("cron", '"0 25 * * *"', "windows.night.cron: bad hour: write a number, a range, a list or *"),
        ("cron", '"0 22 * *"', "windows.night.cron: write five fields: minute, hour"),
        ("time_zone", '"Europe/Amsterdm"', "windows.night.time_zone: is no time zone of the IANA database"),
        ("duration", '"PT0S"', "windows.night.duration: write a duration of ISO 8601 of at most 31 days"),
        ("duration", '"P32D"', "windows.night.duration: write a duration of ISO 8601 of at most 31 days"),
        ("duration", '"eight hours"', "windows.night.duration: write a duration of ISO 8601"),
    ],
)
def test_a_wrong_window_is_refused(tmp_path: Path, name: str | None, value: str, said: str | None) -> None:
    """With its key, and how to mend it."""
    file = tmp_path / "jobgate.toml"
    window = RIGHT | ({} if name is None else {name: value})
    file.write_text(SETTINGS + "\n".join(f"{key} = {text}" for key, text in window.items()), encoding="utf-8")
    file.chmod(0o600)
    environment = {"JOBGATE_STATE_FOLDER": str(tmp_path / "state")}
    result = CliRunner().invoke(application, ["config", "check", "--config", str(file)], env=environment)
    written = " ".join(result.output.split())
    if said is None:
        assert (result.exit_code, "windows" in written) == (0, False), written
    else:
        assert said in written
