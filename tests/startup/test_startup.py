"""A gateway that is insecure or cannot work does not start, and the message says why."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
import requests
from pydantic import SecretStr

from gateway.app import Catalogue, Gateway
from gateway.domain.access import EVERYTHING, Caller
from gateway.ledger.database import Database
from gateway.ledger.keys import KeyStore
from gateway.security.keys import ApiKey
from gateway.settings import settings as config
from gateway.settings.settings import ConfigurationError
from gateway.startup.checks import SANDBOX_ACCESS_KEY, SANDBOX_KEY, require_private_file, require_protected_access
from gateway.startup.serve import Running, prepare_database, sandbox_name
from tests.support.clock import NOW

KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
AZURE = """
[connections.contoso-prod]
vendor = "{vendor}"
endpoint = "https://contoso.communication.azure.com"
authentication = {{ kind = "{kind}", scheme = "{scheme}", secret = "{secret}" }}
"""


def settings(tmp_path: Path, text: str) -> config.Settings:
    """The settings in a file of this text."""
    file = tmp_path / "jobgate.toml"
    file.write_text(text, encoding="utf-8")
    return config.load(file)


@pytest.mark.parametrize("key", ["", "   ", "\t"])
def test_an_empty_key_is_refused(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty JOBGATE_API_KEY, as an unset variable leaves it, does not open the gateway to everybody."""
    monkeypatch.setenv("JOBGATE_API_KEY", key)
    with pytest.raises(ConfigurationError, match=r"api_key: .*empty"):
        config.load()


def test_no_key_is_refused(tmp_path: Path) -> None:
    """Without a key nobody could call, and the message says how to get one; with one in the store it starts."""
    read = config.load().model_copy(update={"api_key": None, "state_folder": tmp_path})
    with pytest.raises(ConfigurationError, match="jobgate keys create"):
        prepare_database(read)
    database = Database.in_folder(tmp_path)
    KeyStore(database).add(ApiKey("0" * 12, Caller("desk", EVERYTHING), b"1" * 32, NOW, NOW))
    with pytest.raises(ConfigurationError, match="jobgate keys create"):
        prepare_database(read)
    KeyStore(database).add(ApiKey("1" * 12, Caller("desk", EVERYTHING), b"1" * 32, NOW))
    database.dispose()
    prepare_database(read)


def test_the_key_of_the_documentation_is_refused() -> None:
    """The key of the documentation is refused outside the sandbox, because everybody knows it."""
    with pytest.raises(ConfigurationError, match="only-for-trying-out"):
        require_protected_access(config.load().model_copy(update={"api_key": SecretStr("only-for-trying-out")}))
    with pytest.raises(ConfigurationError, match=SANDBOX_ACCESS_KEY):
        require_protected_access(config.load().model_copy(update={"access_key": SecretStr(SANDBOX_ACCESS_KEY)}))
    assert base64.b64decode(SANDBOX_ACCESS_KEY) == SANDBOX_KEY.encode()


@pytest.mark.parametrize("scope", ["", "jobs", "jobs:", ":read", "jobs:re ad", "JOBS:read", "**"])
def test_a_scope_that_is_none_is_refused(tmp_path: Path, scope: str) -> None:
    """A misspelt scope would allow nothing, or not what was meant."""
    with pytest.raises(ConfigurationError, match=r"callers\.desk\.scopes\.0: .*jobs:cancel"):
        settings(tmp_path, f'[callers.desk]\nkey = "a"\nscopes = ["{scope}"]')


@pytest.mark.parametrize("authorization", ["Bearer", "Bearer ", "Bearer  \t", "bearer"])
def test_an_empty_bearer_is_nobody(authorization: str, stack: Running) -> None:
    """A request that sends the scheme and no key is not authenticated."""
    reply = requests.get(f"{stack.url}/v1/vendors", headers={"Authorization": authorization}, timeout=20)
    assert reply.status_code == 401


WRONG = {
    "no such vendor": ({"vendor": "nobody"}, r"connections\.contoso-prod\.vendor: nobody is not installed"),
    "no such scheme": ({"scheme": "magic"}, r"authentication\.scheme: azure-job-router has no magic"),
    "not a signature": ({"scheme": "entraId"}, r"authentication\.kind: .* entraId; use kind = \"client-credentials\""),
    "no usable secret": ({"secret": "zz"}, r"authentication\.secret: cannot sign"),
    "stray characters": ({"secret": f"{KEY[:8]}*{KEY[8:]}"}, r"authentication\.secret: cannot sign"),
}


@pytest.mark.parametrize(("change", "message"), list(WRONG.values()), ids=list(WRONG))
def test_a_connection_that_cannot_work_is_refused(
    change: dict[str, str], message: str, catalogue: Catalogue, tmp_path: Path
) -> None:
    """A mistake in a connection shows when the gateway starts, with its key, and never with the secret."""
    right = {"vendor": "azure-job-router", "kind": "signature", "scheme": "accessKey", "secret": KEY}
    Gateway(settings(tmp_path, AZURE.format(**right)), catalogue)
    with pytest.raises(ConfigurationError, match=message) as refused:
        Gateway(settings(tmp_path, AZURE.format(**(right | change))), catalogue)
    assert change.get("secret", KEY) not in str(refused.value)


@pytest.mark.parametrize("place", ["endpoint", "token_url", "issuer", "keys_origin"])
def test_an_address_with_a_password_is_refused(place: str, tmp_path: Path) -> None:
    """An address with user and password is refused without repeating them, because addresses are shown."""
    url = "https://user:s3cret@contoso.example/path"
    oauth = """
        [connections.a-b]
        vendor = "vonage-contact-center"
        endpoint = "{endpoint}"
        authentication = {{ kind = "client-credentials", scheme = "oauth", client_id = "a", client_secret = "b", \
            token_url = "{token_url}" }}
        [openid]
        issuer = "{issuer}"
        audience = "a"
        keys_origin = "{keys_origin}"
    """.replace("\\\n            ", "")
    names = dict.fromkeys(("endpoint", "token_url", "issuer", "keys_origin"), "https://contoso.example")
    settings(tmp_path, oauth.format(**names))
    with pytest.raises(ConfigurationError, match=f"{place}: .*leave out user and password") as refused:
        settings(tmp_path, oauth.format(**(names | {place: url})))
    assert "s3cret" not in str(refused.value)


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    """All mistakes of a file come in one message, by key, and without the values."""
    text = 'speling = 1\nvendor_seconds = -1\n[server]\nport = "secret-port"\n[connections.Bad_Name]\nvendor = "x"\n'
    with pytest.raises(ConfigurationError) as refused:
        settings(tmp_path, text)
    message = str(refused.value)
    for key in ("speling", "vendor_seconds", "server.port", "connections.Bad_Name"):
        assert key in message
    assert "secret-port" not in message


@pytest.mark.parametrize("content", [b"= not toml", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_refused(content: bytes, tmp_path: Path) -> None:
    """A file that is no TOML is refused with its name and without a traceback."""
    file = tmp_path / "jobgate.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"jobgate\.toml: cannot be read as TOML"):
        config.load(file)


def test_sandbox_names_do_not_collide() -> None:
    """Two vendors whose names begin alike keep their whole names."""
    assert sandbox_name("azure-job-router", ["azure-job-router", "vonage-video"]) == "azure-sandbox"
    assert sandbox_name("azure-job-router", ["azure-job-router", "azure-other"]) == "azure-job-router-sandbox"


def test_a_key_may_not_outlive_its_record(tmp_path: Path) -> None:
    """Records that are deleted before the keys that lead to them are refused as a setting."""
    with pytest.raises(ConfigurationError, match="retention_days must not be shorter than idempotency_hours"):
        settings(tmp_path, "[ledger]\nretention_days = 2\nidempotency_hours = 72")
    assert settings(tmp_path, "[ledger]\nretention_days = 3").ledger.retention_days == 3


PLAIN = """
[connections.contoso-prod]
vendor = "azure-job-router"
endpoint = "{endpoint}"
authentication = {{ kind = "signature", scheme = "accessKey", secret = "{secret}" }}
{more}
"""


def test_a_plain_address_has_to_be_meant(tmp_path: Path) -> None:
    """Credentials do not go over a connection that anybody can read, unless the settings say that they may."""
    text = PLAIN.format(endpoint="http://vendor.test", secret=KEY, more="")
    with pytest.raises(ConfigurationError, match=r"connections\.contoso-prod: .*https://.*plain_http = true"):
        settings(tmp_path, text)
    assert settings(tmp_path, f"{text}plain_http = true").connections["contoso-prod"].plain_http


QUOTAS = {
    "": None,
    'quota = "none"': "none",
    "quota = { requests = 5, seconds = 1 }": config.QuotaSettings(requests=5, seconds=1),
}


@pytest.mark.parametrize(("written", "quota"), list(QUOTAS.items()), ids=["left out", "none", "another"])
def test_a_quota_can_be_set(tmp_path: Path, catalogue: Catalogue, written: str, quota: object) -> None:
    """A setting takes the place of what the vendor's document says, and `none` of any limit."""
    read = settings(tmp_path, PLAIN.format(endpoint="https://vendor.test", secret=KEY, more=written))
    assert read.connections["contoso-prod"].quota == quota
    connection = Gateway(read, catalogue).directory.connection("contoso-prod")
    expected = {"": (1_000, 10), 'quota = "none"': None}.get(written, (5, 1))
    assert (connection.quota and (connection.quota.requests, connection.quota.seconds)) == expected


@pytest.mark.parametrize(
    ("mode", "secret", "is_refused"), [(0o644, KEY, True), (0o600, KEY, False), (0o644, "env:A_KEY", False)]
)
def test_a_file_with_secrets_is_its_owners(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mode: int,
    secret: str,
    is_refused: bool,
) -> None:
    """A settings file that everybody can read must not contain secrets; the message says how to mend it."""
    monkeypatch.setenv("A_KEY", KEY)
    read = settings(tmp_path, PLAIN.format(endpoint="https://vendor.test", secret=secret, more=""))
    file = tmp_path / "jobgate.toml"
    file.chmod(mode)
    if not is_refused:
        require_private_file(file, read)
        return
    with pytest.raises(ConfigurationError, match=r"chmod 600 .*env:NAME") as caught:
        require_private_file(file, read)
    assert KEY not in str(caught.value)


def test_the_sandbox_is_not_for_everybody_either() -> None:
    """The key of the documentation opens a sandbox, but not over plain http on an address that others can reach."""
    served = config.ServerSettings(host="0.0.0.0")  # noqa: S104 - to be refused
    read = config.load().model_copy(update={"api_key": SecretStr("only-for-trying-out"), "server": served})
    with pytest.raises(ConfigurationError, match=r"server\.host"):
        require_protected_access(read, is_sandbox=True)
    require_protected_access(read.model_copy(update={"server": config.ServerSettings()}), is_sandbox=True)
