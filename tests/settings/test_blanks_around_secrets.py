"""Blanks around secrets: line breaks of `echo`, spaces from a mail, and byte order marks of editors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from gateway.app import Catalogue, Gateway
from gateway.domain.access import Caller
from gateway.domain.adapter import Signing
from gateway.ledger.memory import MemoryLedger
from gateway.settings import settings as config
from gateway.settings.settings import ConfigurationError, Settings
from tests.support.clock import NOW
from tests.support.vendors import ACCESS_KEY

KEY = "a-key-of-somebody"
DATABASE = "postgresql://jobgate:s3cret@db.example/jobgate"
PREFIX = "JOBGATE_CONNECTIONS__CONTOSO__"
AROUND = ["{}\n", "{}\r\n", " {}", "\t{} \n\n", "\n{}"]
WRITTEN = {
    "JOBGATE_API_KEY": KEY,
    "JOBGATE_ACCESS_KEY": ACCESS_KEY,
    "JOBGATE_DATABASE_URL": DATABASE,
    "JOBGATE_CALLERS__DESK__KEY": f"{KEY}-of-desk",
    "JOBGATE_CALLERS__DESK__ACCESS_KEY": ACCESS_KEY,
    "JOBGATE_CALLERS__DESK__SCOPES": '["jobs:read"]',
    "JOBGATE_OPENID__ISSUER": "https://issuer.example",
    "JOBGATE_OPENID__AUDIENCE": "jobgate",
    "JOBGATE_STATE_FOLDER": "somewhere",
    f"{PREFIX}VENDOR": "azure-job-router",
    f"{PREFIX}ENDPOINT": "https://contoso.test",
    f"{PREFIX}AUTHENTICATION__KIND": "signature",
    f"{PREFIX}AUTHENTICATION__SCHEME": "accessKey",
    f"{PREFIX}AUTHENTICATION__SECRET": ACCESS_KEY,
    "JOBGATE_CONNECTIONS__FABRIKAM__VENDOR": "vonage-contact-center",
    "JOBGATE_CONNECTIONS__FABRIKAM__ENDPOINT": "https://fabrikam.test",
    "JOBGATE_CONNECTIONS__FABRIKAM__AUTHENTICATION__KIND": "client-credentials",
    "JOBGATE_CONNECTIONS__FABRIKAM__AUTHENTICATION__SCHEME": "oauth",
    "JOBGATE_CONNECTIONS__FABRIKAM__AUTHENTICATION__CLIENT_ID": "client-1",
    "JOBGATE_CONNECTIONS__FABRIKAM__AUTHENTICATION__CLIENT_SECRET": "client-secret-1",
    "JOBGATE_CONNECTIONS__FABRIKAM__AUTHENTICATION__TOKEN_URL": "https://fabrikam.test/token",
}
DISCRIMINATORS = ("KIND", "SCOPES")
"""Keywords of the settings, which are compared exactly."""
SECRETS = [name for name in WRITTEN if name.endswith(("KEY", "SECRET", "DATABASE_URL"))]


def facts(settings: Settings, catalogue: Catalogue) -> list[object]:
    """All that counts of some settings."""
    gateway = Gateway(settings, catalogue, ledger=MemoryLedger())
    opens = [gateway.keyring.identify(text, NOW) for text in (KEY, f"{KEY}-of-desk")]
    secrets = [each.get_secret_value() for each in settings.secrets]
    return [config.shown(settings), opens, secrets]


@pytest.mark.parametrize("around", AROUND)
def test_blanks_around_a_value_of_the_environment_are_no_part_of_it(
    around: str, monkeypatch: pytest.MonkeyPatch, catalogue: Catalogue
) -> None:
    """Blanks around a secret, address or name in the environment are ignored."""
    for name, value in WRITTEN.items():
        monkeypatch.setenv(name, value)
    clean = facts(config.load(), catalogue)
    for name, value in WRITTEN.items():
        monkeypatch.setenv(name, value if name.endswith(DISCRIMINATORS) else around.format(value))
    assert facts(config.load(), catalogue) == clean
    assert clean[1] == [Caller("default", frozenset({"*"})), Caller("desk", frozenset({"jobs:read"}))]


@pytest.mark.parametrize("around", [*AROUND, "\ufeff{}\r\n"])
def test_nor_of_a_reference_or_what_it_leads_to(
    around: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, catalogue: Catalogue
) -> None:
    """Blanks and byte order marks in referenced variables and files are ignored."""
    for name, value in WRITTEN.items():
        monkeypatch.setenv(name, value)
    clean = facts(config.load(), catalogue)[1:]
    for name in SECRETS:
        file = tmp_path / name
        file.write_text(around.format(WRITTEN[name]), encoding="utf-8")
        file.chmod(0o600)
        monkeypatch.setenv(name, f"file:{file}\n")
    assert facts(config.load(), catalogue)[1:] == clean
    for name in SECRETS:
        monkeypatch.setenv(f"HELD_{name}", around.removeprefix("\ufeff").format(WRITTEN[name]))
        monkeypatch.setenv(name, f"env:HELD_{name}\n")
    assert facts(config.load(), catalogue)[1:] == clean


def test_nor_of_a_file_of_settings(tmp_path: Path) -> None:
    """Blanks around values in a settings file are ignored, because TOML's long strings often end in a line break."""
    file = tmp_path / "jobgate.toml"
    file.write_text(f'api_key = """\n{KEY}\n"""\n', encoding="utf-8")
    read = config.load(file)
    assert read.api_key is not None
    assert read.api_key.get_secret_value() == KEY


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("value", ["", " \n", "one\ntwo", "one\0two", "one\u2028two"])
def test_what_can_be_no_secret_is_refused_at_start(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An empty secret, or one with a line break or control character inside, is refused by the setting's name only."""
    for each, good in WRITTEN.items():
        monkeypatch.setenv(each, good)
    file = tmp_path / "secret"
    file.write_text(value, encoding="utf-8")
    file.chmod(0o600)
    monkeypatch.setenv(name, f"file:{file}")
    with pytest.raises(ConfigurationError) as caught:
        config.load()
    assert name.removeprefix("JOBGATE_").lower().replace("__", ".").rpartition(".")[2] in str(caught.value)
    assert "two" not in str(caught.value)


@pytest.mark.parametrize("value", ["two words", "schlüssel", "\u201cquoted\u201d", "a\u00a0b"])
@pytest.mark.parametrize("name", ["JOBGATE_API_KEY", "JOBGATE_CALLERS__DESK__KEY"])
def test_a_key_that_no_header_can_hold_is_refused_at_start(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that no header can carry is refused at the start, because no client could send it."""
    for each, good in WRITTEN.items():
        monkeypatch.setenv(each, good)
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        config.load()
    assert value not in str(caught.value)
    assert "character" in str(caught.value)


def test_a_vendors_secret_that_no_header_can_hold_is_refused_at_start(
    monkeypatch: pytest.MonkeyPatch, catalogue: Catalogue
) -> None:
    """A vendor's secret that goes into a header is refused at the start if no header can carry it."""
    for each, good in WRITTEN.items():
        monkeypatch.setenv(each, good)
    monkeypatch.setenv(f"{PREFIX}AUTHENTICATION__SECRET", "schlüssel")
    signings = cast("dict[str, Signing]", catalogue.vendors["azure-job-router"].adapter.signing)
    bare = replace(signings["accessKey"], sign=lambda _request, secret, _now: {"X-Key": secret})
    monkeypatch.setitem(signings, "accessKey", bare)
    with pytest.raises(ConfigurationError, match=r"connections\.contoso\.authentication\.secret: has a character"):
        Gateway(config.load(), catalogue, ledger=MemoryLedger())
