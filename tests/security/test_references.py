"""Secrets by reference: read from where they are kept, read again when they change, and shown nowhere."""

from __future__ import annotations

import json
import logging
import pickle
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from pydantic import SecretStr

from gateway.app import Catalogue, Gateway
from gateway.domain.errors import VendorDeniedAccess
from gateway.domain.model import HttpRequest
from gateway.security import references
from gateway.security.credentials import ClientCredentials, basic
from gateway.security.references import Reference
from gateway.settings import settings as config
from gateway.settings.settings import ConfigurationError
from tests.support.clock import FakeClock
from tests.support.documents import installed
from tests.support.signatures import signature
from tests.support.transport import FakeTransport
from tests.support.vendors import ACCESS_KEY, TOKEN_URL, token

CANARY = "canary-that-nobody-may-see"
REQUEST = HttpRequest("POST", "https://contoso.communication.azure.com/routing/jobs/1:cancel", {})


def secret_file(folder: Path, text: str = CANARY, mode: int = 0o600) -> Path:
    """A file with a secret."""
    file = folder / "secret"
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)
    return file


def test_a_secret_can_be_written_out() -> None:
    """A text without a known prefix is the secret itself."""
    for text in (CANARY, "a:b", "https://x", "env", ":", "envx:y"):
        assert Reference(text).get_secret_value() == text
        assert Reference(text).written is None


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """`env:NAME` is that variable, as it is now."""
    reference = Reference("env:JOBGATE_TEST_SECRET")
    monkeypatch.setenv("JOBGATE_TEST_SECRET", CANARY)
    assert (reference.get_secret_value(), reference.written) == (CANARY, "env:JOBGATE_TEST_SECRET")
    monkeypatch.setenv("JOBGATE_TEST_SECRET", "another")
    assert reference.get_secret_value() == "another"


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_file(tmp_path: Path, end: str) -> None:
    """`file:` is the text of a file, without the line break that editors add, and as it is now."""
    file = secret_file(tmp_path, f"{CANARY}{end}")
    reference = Reference(f"file:{file}")
    assert reference.get_secret_value() == CANARY
    file.write_text("another and longer", encoding="utf-8")
    assert reference.get_secret_value() == "another and longer"


def test_a_package_can_add_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry point follows references that begin with its name; it cannot take the place of ours."""
    made = [EntryPoint(name, f"{__name__}:from_vault", references.GROUP) for name in ("vault", "env")]
    monkeypatch.setattr(references, "entry_points", lambda group: made if group == references.GROUP else [])
    references.places.cache_clear()
    monkeypatch.setenv("kv", CANARY)
    try:
        assert Reference("vault:kv/contoso").get_secret_value() == "from the vault: kv/contoso"
        assert Reference("env:kv").get_secret_value() == CANARY
    finally:
        references.places.cache_clear()


def from_vault(name: str) -> str:
    """What a package for a vault would bring."""
    return f"from the vault: {name}"


WRONG = {
    "env:JOBGATE_NO_SUCH": "the environment has no such variable",
    "file:/no/such/file": "the file cannot be read: No such file or directory",
    "file:/": "the file cannot be read: Is a directory",
}


@pytest.mark.parametrize(("written", "reason"), list(WRONG.items()))
def test_a_reference_that_leads_nowhere_is_refused(tmp_path: Path, written: str, reason: str) -> None:
    """A reference that leads nowhere stops the start, and the message names it with the reason."""
    file = tmp_path / "jobgate.toml"
    file.write_text(f'api_key = "{written}"', encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        config.load(file)
    assert f"api_key: {written}: {reason}" in str(caught.value)


@pytest.mark.parametrize(("text", "mode", "reason"), [("", 0o600, "is empty"), (CANARY, 0o644, "chmod 600")])
def test_a_file_that_is_no_place_for_a_secret_is_refused(tmp_path: Path, text: str, mode: int, reason: str) -> None:
    """A file that everybody can read, or that is empty, is refused without showing its text."""
    reference = Reference(f"file:{secret_file(tmp_path, text, mode)}")
    with pytest.raises(LookupError, match=reason) as caught:
        reference.get_secret_value()
    assert CANARY not in str(caught.value)


def test_a_place_that_is_gone_later_harms_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """If a secret's place is gone, its last value stays in use, and the log names the place."""
    file = secret_file(tmp_path)
    reference = Reference(f"file:{file}")
    reference.get_secret_value()
    file.unlink()
    assert reference.get_secret_value() == CANARY
    assert f"file:{file}" in caplog.text
    assert CANARY not in caplog.text


def test_nothing_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """No text or dump of the settings shows a secret, and pickled settings still contain it."""
    monkeypatch.setenv("JOBGATE_TEST_SECRET", CANARY)
    monkeypatch.setenv("JOBGATE_API_KEY", "env:JOBGATE_TEST_SECRET")
    read = config.load()
    read.api_key.get_secret_value() if read.api_key else None
    shown = (
        repr(read),
        str(read),
        read.model_dump_json(),
        json.dumps(read.model_dump(mode="json")),
        repr(read.api_key),
    )
    assert all(CANARY not in each for each in shown)
    travelled = pickle.loads(pickle.dumps(read))  # noqa: S301 - it is our own
    assert travelled.api_key.get_secret_value() == CANARY


async def test_a_vendors_secret_that_changes_counts(tmp_path: Path) -> None:
    """A changed vendor secret signs the next request, without a restart."""
    file = secret_file(tmp_path, ACCESS_KEY)
    signing = installed().vendors["azure-job-router"].adapter.signing["accessKey"]
    made = signature(signing, Reference(f"file:{file}"), FakeClock())
    before = await made.headers(REQUEST, 0)
    file.write_text("b3RoZXIga2V5IG9mIGF6dXJl", encoding="utf-8")
    assert (await made.headers(REQUEST, 0))["Authorization"] != before["Authorization"]


async def test_a_secret_that_is_none_any_more(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A secret that became invalid is not used: the problem names the connection and shows no secret."""
    file = secret_file(tmp_path, ACCESS_KEY)
    signing = installed().vendors["azure-job-router"].adapter.signing["accessKey"]
    made = signature(signing, Reference(f"file:{file}"), FakeClock())
    file.write_text(CANARY, encoding="utf-8")
    with caplog.at_level(logging.DEBUG), pytest.raises(VendorDeniedAccess) as caught:
        await made.headers(REQUEST, 0)
    assert CANARY not in caplog.text + str(caught.value) + repr(caught.value.__cause__)
    assert caught.value.explanation.outcome == "not_sent"


async def test_a_connection_string_is_as_good_as_a_key() -> None:
    """A connection string and a key give the same signature, because Azure's portal offers both."""
    signing = installed().vendors["azure-job-router"].adapter.signing["accessKey"]
    whole = f"endpoint=https://contoso.communication.azure.com/;accesskey={ACCESS_KEY}"
    with_key, with_string = (signature(signing, SecretStr(each), FakeClock()) for each in (ACCESS_KEY, whole))
    assert await with_key.headers(REQUEST, 0) == await with_string.headers(REQUEST, 0)


@pytest.mark.parametrize("is_basic", [False, True])
async def test_a_client_is_known_by_form_or_by_header(is_basic: bool) -> None:
    """RFC 6749, 2.3.1: id and secret stand in the form, or in a header, and never in both."""
    transport = FakeTransport([token()])
    credentials = ClientCredentials(
        client_id="client 1",
        client_secret=SecretStr("s:e+c"),
        token_url=TOKEN_URL,
        scopes=("read",),
        transport=transport,
        clock=FakeClock(),
        basic=is_basic,
    )
    await credentials.headers(REQUEST, 2_000)
    (sent,) = transport.requests
    if is_basic:
        assert sent.headers["Authorization"] == basic("client 1", "s:e+c") == "Basic Y2xpZW50KzE6cyUzQWUlMkJj"
        assert sent.content == b"grant_type=client_credentials&scope=read"
    else:
        assert "Authorization" not in sent.headers
        assert b"client_id=client+1" in sent.content
        assert b"client_secret=s%3Ae%2Bc" in sent.content


def test_settings_choose_the_form_or_the_header(catalogue: Catalogue, tmp_path: Path) -> None:
    """`client_authentication = "basic"` is what older regions of Vonage want."""
    file = tmp_path / "jobgate.toml"
    file.write_text(
        '[connections.emea]\nvendor = "vonage-contact-center"\nendpoint = "https://vendor.test"\n'
        '[connections.emea.authentication]\nkind = "client-credentials"\nscheme = "oauth"\nclient_id = "a"\n'
        f'client_secret = "b"\ntoken_url = "{TOKEN_URL}"\nclient_authentication = "basic"\n',
        encoding="utf-8",
    )
    credentials = Gateway(config.load(file), catalogue).directory.connection("emea").credentials
    assert vars(credentials)["_basic"] is True
