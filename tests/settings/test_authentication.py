"""The parts of a connection's credential: each mistake names its part, and no part is shown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from adapters.azure_job_router import ADAPTER
from gateway.cli import application
from gateway.domain.errors import VendorDeniedAccess
from gateway.domain.model import HttpRequest
from gateway.security.api_key import api_key
from gateway.security.aws_signature import aws_signature
from gateway.security.basic import BASIC
from gateway.security.bearer import BEARER_TOKEN
from gateway.security.credentials import Signature
from gateway.security.redaction import REDACTED
from gateway.security.references import Reference
from gateway.security.schemes import Scheme, of_adapter
from gateway.settings import settings as config
from gateway.settings.settings import ConfigurationError, Settings, shown
from tests.support.canaries import leaked
from tests.support.clock import FakeClock
from tests.support.commands import write
from tests.support.vendors import PART

KINDS: Mapping[str, Mapping[str, str]] = {
    "basic": {"username": "desk", "password": PART},
    "bearer": {"token": PART},
    "api-key": {"key": PART},
    "aws-signature": {"access_key_id": "AKIDEXAMPLE", "secret_access_key": PART, "session_token": PART},
}
SCHEMES: Mapping[str, Scheme] = {
    "basic": BASIC,
    "bearer": BEARER_TOKEN,
    "api-key": api_key("X-Key"),
    "aws-signature": aws_signature("connect", "eu-central-1"),
}
NEEDED = [(kind, part) for kind, parts in KINDS.items() for part in parts if part != "session_token"]
SECRETS = [(kind, part) for kind, parts in KINDS.items() for part in parts if parts[part] == PART]
REQUEST = HttpRequest("GET", "https://vendor.test/jobs", {})
CLOCK = FakeClock(datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC))


def written(kind: str, parts: Mapping[str, str]) -> str:
    """Settings with one connection, whose scheme does not matter."""
    members = "".join(f", {name} = '{value}'" for name, value in parts.items())
    return f"""
        [connections.a]
        vendor = "azure-job-router"
        endpoint = "https://a.test"
        authentication = {{ kind = "{kind}", scheme = "accessKey"{members} }}
    """


def loaded(folder: Path, kind: str, parts: Mapping[str, str]) -> Settings:
    """The settings with these parts. Raises ConfigurationError."""
    return config.load(write(folder / "jobgate.toml", written(kind, parts)))


@pytest.mark.parametrize("kind", list(KINDS))
async def test_the_parts_make_the_credential(kind: str, tmp_path: Path) -> None:
    """Each kind of settings has the parts that its scheme signs with, and they can be references."""
    file = write(tmp_path / "secret", f" {PART}\n")
    referred = {name: f"file:{file}" if value == PART else value for name, value in KINDS[kind].items()}
    read = [loaded(tmp_path, kind, parts).connections["a"].authentication for parts in (KINDS[kind], referred)]
    made = [await Signature(SCHEMES[kind], each.parts, CLOCK).headers(REQUEST, 0.0) for each in read]
    assert made[0] == made[1] == SCHEMES[kind].sign(REQUEST, KINDS[kind], CLOCK.now())


@pytest.mark.parametrize("kind", list(KINDS))
async def test_no_secret_part_is_shown(kind: str, tmp_path: Path) -> None:
    """`config show`, a dry run and every text of an object are without the secret parts."""
    read = loaded(tmp_path, kind, KINDS[kind])
    signature = Signature(SCHEMES[kind], read.connections["a"].authentication.parts, CLOCK)
    redacted = signature.redacted(REQUEST)
    assert leaked(f"{shown(read)} {read!r} {signature!r} {redacted}") == []
    assert {name for name, value in redacted.items() if value != REDACTED} <= {"X-Amz-Date"}
    assert redacted.keys() == (await signature.headers(REQUEST, 0.0)).keys()
    assert len(read.secrets) == sum(value == PART for value in KINDS[kind].values())


@pytest.mark.parametrize(("kind", "part"), NEEDED)
def test_a_missing_part_is_named(kind: str, part: str, tmp_path: Path) -> None:
    """Each part that is missing is a mistake of its own, and the only one."""
    parts = {name: value for name, value in KINDS[kind].items() if name != part}
    with pytest.raises(ConfigurationError) as caught:
        loaded(tmp_path, kind, parts)
    assert str(caught.value).splitlines()[1:] == [f"  connections.a.authentication.{part}: is missing"]


def test_all_missing_parts_are_named_together(tmp_path: Path) -> None:
    """One run names every missing part."""
    with pytest.raises(ConfigurationError) as caught:
        loaded(tmp_path, "aws-signature", {})
    for part in ("access_key_id", "secret_access_key"):
        assert f"connections.a.authentication.{part}: is missing" in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "part", "value", "said"),
    [
        ("basic", "username", "a:b", "has a colon"),
        ("basic", "username", "", "must not be empty"),
        (
            "basic",
            "password",
            "env:JOBGATE_NO_SUCH_PART",
            "env:JOBGATE_NO_SUCH_PART: the environment has no such variable",
        ),
        ("api-key", "key", "two words", "has a blank, or a character that no header field can contain. Copy it again"),
        ("api-key", "key", "schlüssel", "has a blank, or a character that no header field can contain. Copy it again"),
        ("aws-signature", "access_key_id", "AKID/EXAMPLE", "is no access key id"),
        ("aws-signature", "secret_access_key", "two words", "has a blank"),
        ("aws-signature", "session_token", "two words", "has a blank"),
        (
            "aws-signature",
            "session_token",
            "env:JOBGATE_NO_SUCH_PART",
            "env:JOBGATE_NO_SUCH_PART: the environment has no such variable",
        ),
    ],
)
def test_a_malformed_part_is_named_with_the_remedy(kind: str, part: str, value: str, said: str, tmp_path: Path) -> None:
    """A part that the scheme cannot use is a mistake with its key and its remedy, without the value."""
    with pytest.raises(ConfigurationError) as caught:
        loaded(tmp_path, kind, {**KINDS[kind], part: value})
    (mistake,) = str(caught.value).splitlines()[1:]
    assert mistake.startswith(f"  connections.a.authentication.{part}: {said}")
    assert not value or value.startswith("env:") or value not in mistake


@pytest.mark.parametrize(("kind", "part"), SECRETS)
async def test_a_part_that_can_no_longer_be_read_is_named(
    kind: str, part: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """While the gateway runs, the problem names the part, the log has the reason, and nothing is sent."""
    gone: dict[str, Reference | str] = {**KINDS[kind], part: Reference(f"file:{tmp_path}/gone")}
    with pytest.raises(VendorDeniedAccess, match=f"The connection's {part} cannot be read or used") as caught:
        await Signature(SCHEMES[kind], gone, CLOCK).headers(REQUEST, 0.0)
    assert caught.value.explanation.outcome == "not_sent"
    assert f"a vendor's {part} cannot be read: file:{tmp_path}/gone" in caplog.text


async def test_a_part_that_became_malformed_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A rotated key that no header can hold is not sent: the problem names it, the log has the remedy."""
    file = write(tmp_path / "key", PART)
    signature = Signature(SCHEMES["api-key"], {"key": Reference(f"file:{file}")}, CLOCK)
    assert await signature.headers(REQUEST, 0.0) == {"X-Key": PART}
    write(file, f"{PART} {PART}")
    with pytest.raises(VendorDeniedAccess, match="The connection's key cannot be read or used"):
        await signature.headers(REQUEST, 0.0)
    assert "a vendor's key has a blank" in caplog.text
    assert leaked(caplog.text) == []


async def test_a_secret_that_signs_nothing_is_named(caplog: pytest.LogCaptureFixture) -> None:
    """A key that its scheme cannot sign with is a problem that names it, for a request and for a dry run alike."""
    signature = Signature(of_adapter(ADAPTER.signing["accessKey"], "authorization"), {"secret": "no Base64"}, CLOCK)
    with pytest.raises(VendorDeniedAccess, match="The connection's secret cannot be read or used"):
        await signature.headers(REQUEST, 0.0)
    with pytest.raises(VendorDeniedAccess, match="The connection's secret cannot be read or used"):
        signature.redacted(REQUEST)
    assert "a request could not be signed" in caplog.text


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_kind_must_fit_the_scheme(kind: str, tmp_path: Path) -> None:
    """`config check` names the kind that the scheme of the vendor's document needs."""
    file = write(tmp_path / "jobgate.toml", written(kind, KINDS[kind]))
    checked = CliRunner().invoke(application, ["config", "check", "--offline", "--config", str(file)])
    mistake = 'connections.a.authentication.kind: does not fit the scheme accessKey; use kind = "signature".'
    assert mistake in checked.output
    assert leaked(checked.output) == []


def test_a_missing_kind_is_named_with_all_kinds(tmp_path: Path) -> None:
    """Without a kind, the mistake lists every kind."""
    with pytest.raises(ConfigurationError) as caught:
        config.load(write(tmp_path / "jobgate.toml", written("basic", {}).replace('kind = "basic", ', "")))
    for kind in ("signature", "client-credentials", *KINDS):
        assert f'"{kind}"' in str(caught.value)
