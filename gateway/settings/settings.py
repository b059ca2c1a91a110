"""The settings: one tree, validated as a whole before anything starts.

Values come from a TOML file, and from environment variables over it: `JOBGATE_SERVER__PORT` is `port` of `[server]`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from gateway.domain.urls import Address, canonical_base, origin_of
from gateway.edge.hosts import canonical_host
from gateway.edge.limits import Limits
from gateway.edge.response_validation import ResponseValidation
from gateway.resilience.policy import Policy
from gateway.security.keys import is_access_secret, is_credential
from gateway.security.redaction import REDACTED
from gateway.security.references import DatabaseUrl, Reference, checked


class ConfigurationError(Exception):
    """The settings cannot be used. The message lists every mistake with its key and how to mend it."""


_NO_ADDRESS = "write it with its scheme, and without query and fragment: https://contoso.communication.azure.com"

Parsed = TypeVar("Parsed")


def _issuer(value: str) -> str:
    """A name that is an address too; as a name it counts to the letter."""
    _address(value)
    return value


def _address(value: str) -> str:
    return str(_parsed(Address.of, value))


def _endpoint(value: str) -> str:
    return _parsed(canonical_base, value)


def _parsed(parse: Callable[[str], Parsed], value: str) -> Parsed:
    """An address, parsed. Raises ValueError, with how to mend it."""
    if "@" in value.partition("//")[2].partition("/")[0]:
        raise ValueError("leave out user and password: they are never sent, and an address may be shown")
    try:
        return parse(value)
    except ValueError:
        raise ValueError(_NO_ADDRESS) from None


def _listening_host(value: str) -> str:
    try:
        return canonical_host(value).removeprefix("[").removesuffix("]")
    except ValueError:
        raise ValueError("write an address or a name without port, such as 127.0.0.1 or ::1") from None


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        raise ValueError("write an address or a network, as in 127.0.0.1, 10.0.0.0/8 or fd00::/8") from None


class Section(BaseModel):
    """A part of the tree: fixed once read, and without room for misspelt keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, allow_inf_nan=False)


def _api_key(value: Reference) -> Reference:
    if not is_credential(value.get_secret_value()):
        raise ValueError(
            "has a character that no Authorization header can hold: only visible ASCII can, without blanks; "
            "`jobgate keys create` makes a good one"
        )
    return value


def _written(value: object) -> object:
    """A secret that a program gives, as it would be written."""
    return value.get_secret_value() if isinstance(value, SecretStr) and not isinstance(value, Reference) else value


def _access_key(value: Reference) -> Reference:
    if not is_access_secret(value.get_secret_value()):
        raise ValueError("is not at least 16 bytes in Base64; `openssl rand -base64 32` makes a good one")
    return value


def _host_name(value: object) -> object:
    if not isinstance(value, str):
        return value
    form = re.fullmatch(HOST_NAME, value)
    try:
        return canonical_host("" if form is None else form[0])
    except ValueError:
        raise ValueError("write a name or an address without port, such as gateway.example or [::1]") from None


HOST_NAME = r"^(\[[0-9A-Fa-f:.]+\]|[0-9A-Fa-f:.]+|[A-Za-z0-9._~-]+)$"
Secret = Annotated[Reference, BeforeValidator(_written), AfterValidator(checked)]
Database = Annotated[DatabaseUrl, BeforeValidator(_written), AfterValidator(checked)]
ApiKey = Annotated[Secret, AfterValidator(_api_key)]
AccessSecret = Annotated[Secret, AfterValidator(_access_key)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]
TokenUrl = Annotated[str, AfterValidator(_address)]
LONGEST_SECONDS = 2_678_400
"""A month, in seconds. Nothing is waited for longer."""
Seconds = Annotated[float, Field(gt=0, le=LONGEST_SECONDS)]
HostName = Annotated[str, BeforeValidator(_host_name), Field(pattern=HOST_NAME)]
ListeningHost = Annotated[str, AfterValidator(_listening_host)]
ProxyNetwork = Annotated[str, AfterValidator(_network)]
NAME = r"[a-z][a-z0-9-]{0,62}"
Name = Annotated[str, Field(pattern=f"^{NAME}$")]


class SignedAuthentication(Section):
    """A secret with which the adapter signs each request."""

    kind: Literal["signature"]
    scheme: str = Field(description="The security scheme of the vendor's document, such as accessKey.")
    secret: Secret


class ClientCredentialsAuthentication(Section):
    """OAuth 2.0 client credentials."""

    kind: Literal["client-credentials"]
    scheme: str = Field(description="The security scheme of the vendor's document, such as oauth.")
    client_id: str
    client_secret: Secret
    client_authentication: Literal["form", "basic"] = Field(
        "form", description="How id and secret are sent to the token endpoint: in the form, or as HTTP Basic."
    )
    token_url: TokenUrl


class QuotaSettings(Section):
    """How many requests a vendor takes."""

    requests: int = Field(ge=1, le=1_000_000_000)
    seconds: Seconds


class ConnectionSettings(Section):
    """One account at a vendor."""

    vendor: Name
    endpoint: Endpoint = Field(description="What takes the place of the server in the vendor's document.")
    authentication: SignedAuthentication | ClientCredentialsAuthentication = Field(discriminator="kind")
    require_idempotency_key: bool = Field(
        default=False, description="Whether actions on its jobs are refused without an idempotency key."
    )
    plain_http: bool = Field(
        default=False, description="Whether its addresses may be `http://`, which anybody on the way can read."
    )
    quota: QuotaSettings | Literal["none"] | None = Field(
        None,
        description="How many requests the vendor takes, as in `{ requests = 1000, seconds = 10 }`, or `none` for no "
        "limit. Where it is left out, what the vendor's document says. The workers of a gateway share it.",
    )

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every address that is called."""
        if isinstance(self.authentication, SignedAuthentication):
            return (self.endpoint,)
        return (self.endpoint, self.authentication.token_url)

    @model_validator(mode="after")
    def _is_private(self) -> Self:
        if not self.plain_http and any(not address.startswith("https://") for address in self.addresses):
            raise ValueError("an address is not https://; where that is meant, set plain_http = true")
        return self


class ServerSettings(Section):
    """How the gateway is served."""

    host: ListeningHost = Field("127.0.0.1", description="The address to listen on.")
    port: int = Field(8080, ge=0, le=65_535, description="The port to listen on; 0 takes a free one.")
    workers: int = Field(1, ge=1, le=64, description="Processes that share the port.")
    start_seconds: float = Field(
        300, gt=0, description="How long a worker may take to start, in seconds, before it is replaced."
    )
    health_seconds: float = Field(
        60, gt=1, description="How long a worker may give no sign of life, in seconds, before it is replaced."
    )
    access_log: bool = Field(default=True, description="Whether each request is logged.")
    trusted_hosts: tuple[HostName, ...] | None = Field(
        None,
        description="The names that requests may call the gateway by, without port; all others get 421, but for /livez "
        "and /readyz. Where it is "
        "left out, a gateway on a loopback address answers for loopback names only, any other for every name.",
    )
    trusted_proxies: tuple[ProxyNetwork, ...] = Field(
        (),
        description="Addresses and networks of proxies whose `X-Forwarded-For`, `-Host`, `-Proto` and `-Prefix` count; "
        "from anybody else, and as long as it is empty, they do not.",
    )
    tls_cert: Path | None = Field(
        None, description="A certificate in PEM form, with those that lead to its issuer: the gateway is then https."
    )
    tls_key: Path | None = Field(None, description="Its private key, in PEM form.")
    tls_self_signed: bool = Field(
        default=False, description="Whether to be https with a certificate that nobody vouches for, for development."
    )
    plain_http: bool = Field(
        default=False,
        description="Whether to be http on an address that is not this machine's own, as behind a proxy that is https.",
    )
    response_validation: ResponseValidation | None = Field(
        None,
        description="What becomes of an answer of Jobgate's own that departs from its document: `off`, `log` or "
        "`refuse` (500). Where it is left out, `refuse` beside the sandbox and `off` elsewhere.",
    )

    @property
    def is_https(self) -> bool:
        """Whether clients come by https."""
        return self.tls_self_signed or self.tls_cert is not None

    @model_validator(mode="after")
    def _certificate_has_its_key(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key belong together: set both, or neither")
        if self.tls_cert is not None and self.tls_self_signed:
            raise ValueError("tls_self_signed makes a certificate, and tls_cert names one: set only one of them")
        return self


def is_scope(text: str) -> bool:
    """Whether a text is a scope, or a pattern of scopes."""
    return re.fullmatch(r"\*|[a-z]+:[A-Za-z0-9*-]+", text) is not None


def is_caller_name(text: str) -> bool:
    """Whether callers can have this name."""
    return re.fullmatch(NAME, text) is not None


def _scope(value: str) -> str:
    if not is_scope(value):
        raise ValueError("write scopes as jobs:cancel, connections:contoso-*, audit:read or *")
    return value


Scope = Annotated[str, AfterValidator(_scope)]


class CallerSettings(Section):
    """Somebody who may call, with a key that is in the settings."""

    key: ApiKey
    scopes: tuple[Scope, ...] = Field(min_length=1)
    access_key: AccessSecret | None = Field(
        None, description="Its access key, in Base64, for clients of vendors; its name is then their client id."
    )


class OpenIdSettings(Section):
    """The OpenID Connect issuer whose tokens are taken."""

    issuer: Annotated[str, AfterValidator(_issuer)] = Field(
        description="The issuer, exactly as its tokens name it in `iss`."
    )
    audience: str = Field(min_length=1, description="What a token must name in `aud`.")
    algorithms: tuple[Literal["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"], ...] = Field(
        ("RS256", "ES256"), min_length=1, description="How tokens may be signed."
    )
    caller_claim: str = Field("sub", description="The claim that names the caller.")
    scopes_claim: str = Field("scope", description="The claim that holds the scopes, as a text or a list.")
    keys_origin: Endpoint | None = Field(
        None, description="Where the issuer keeps its keys, if that is not where it is itself."
    )
    plain_http: bool = Field(
        default=False, description="Whether it may be `http://`, which anybody on the way can change."
    )

    @model_validator(mode="after")
    def _is_private(self) -> Self:
        addresses = (self.issuer, self.keys_origin or self.issuer)
        if not self.plain_http and any(not origin_of(address).startswith("https://") for address in addresses):
            raise ValueError("an address is not https://; where that is meant, set plain_http = true")
        return self


class LedgerSettings(Section):
    """What the ledger keeps, and how it finds out what nobody told."""

    idempotency_hours: float = Field(72.0, gt=0, le=8_760, description="How long an idempotency key is kept, in hours.")
    retention_days: int | None = Field(
        None,
        ge=1,
        le=36_500,
        description="How long settled job actions are kept at least, in days; for ever where it is left out. "
        "What is unsettled is never deleted.",
    )
    confirm_seconds: tuple[Seconds, ...] = Field(
        (0.5, 2.0, 5.0, 15.0),
        min_length=1,
        description="When the job is read to learn what came of an action whose outcome is unknown, in seconds after "
        "that was noticed. What the job does not show so long after the action was sent as the last of them says was "
        "not carried out.",
    )
    repeat_seconds: Seconds = Field(
        60.0, description="How often the job is read afterwards where it does not tell, in seconds."
    )
    give_up_seconds: Seconds = Field(
        3_600.0, description="How long after the outcome became doubtful the job is read no more, in seconds."
    )

    @model_validator(mode="after")
    def _keys_end_before_records(self) -> Self:
        if self.retention_days is not None and self.retention_days * 24 < self.idempotency_hours:
            raise ValueError("retention_days is shorter than idempotency_hours: a key would outlive its record")
        return self


class Environment(EnvSettingsSource):
    """The variables of the environment. One that should be JSON and is not is a mistake like any other."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """A table or a list; the text as it is where it is no JSON."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


def _webhook(value: Reference) -> Reference:
    address = _address(value.get_secret_value())
    if address.startswith("http://") and not re.match(r"http://(127\.0\.0\.1|localhost|\[::1\])[:/]", f"{address}/"):
        raise ValueError("is not https://, and not on this machine")
    return value


class CheckpointSettings(Section):
    """The signed statements of where the ledger stands."""

    enabled: bool = Field(default=True, description="Whether checkpoints are written.")
    file: Path | None = Field(
        None,
        description="The file that they are added to. Where it is left out, `checkpoints.txt` in the state folder, or "
        "`checkpoints-<hash of its address>.txt` where there is a `database_url`.",
    )
    key: Secret | None = Field(
        None,
        description="The private key that signs them, as `openssl genpkey -algorithm ed25519` makes it. Where it is "
        "left out, `checkpoint.key` in the state folder, which is made when it is first needed. Gateways that share a "
        "database should share the key.",
    )
    seconds: float = Field(3_600.0, gt=0, description="How often one is written, in seconds, where anything changed.")
    log: bool = Field(default=False, description="Whether each is logged too.")
    webhook: Annotated[Secret, AfterValidator(_webhook)] | None = Field(
        None, description="An address that each is sent to (POST, text/plain)."
    )


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        env_prefix="JOBGATE_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        str_strip_whitespace=True,
        allow_inf_nan=False,
        nested_model_default_partial_update=True,
    )
    file: ClassVar[Path | None] = None

    server: ServerSettings = ServerSettings()
    limits: Limits = Limits()
    ledger: LedgerSettings = LedgerSettings()
    checkpoints: CheckpointSettings = CheckpointSettings()
    state_folder: Path | None = Field(
        None,
        description="Where the ledger is kept, in a SQLite database, unless there is a `database_url`. Where it is "
        "left out, a folder of the user's (`~/.local/state/jobgate` on Linux; a user without a home folder has to set "
        "it), or beside the sandbox a temporary one.",
    )
    database_url: Database | None = Field(
        None,
        description="A database to keep the ledger in, such as postgresql://user:password@host/jobgate. "
        "Several gateways may share one.",
    )
    api_key: ApiKey | None = Field(
        None,
        description="A key that may do everything, where one caller is enough. `jobgate keys create` makes others.",
    )
    access_key: AccessSecret | None = Field(
        None,
        description="The access key, in Base64, of whoever has `api_key`, for clients of vendors whose client id is "
        "then `default`.",
    )
    callers: dict[Name, CallerSettings] = Field(default_factory=dict)
    openid: OpenIdSettings | None = None
    rate_limit: QuotaSettings | Literal["none"] = Field(
        QuotaSettings(requests=10_000, seconds=10),
        description="How many requests one caller may send to one worker, as in `{ requests = 1000, seconds = 10 }`, "
        "or `none` for no limit.",
    )
    vendor_seconds: float = Field(
        10.0,
        gt=0,
        le=300,
        description="How long all calls to a vendor for one request may take, in seconds. A client can ask for less "
        "with `Request-Timeout`.",
    )
    policy: Policy = Policy()
    connections: dict[Name, ConnectionSettings] = Field(default_factory=dict)

    @property
    def secrets(self) -> tuple[Reference, ...]:
        """Every secret."""
        found = [self.api_key, self.access_key, self.database_url, self.checkpoints.key, self.checkpoints.webhook]
        found += [secret for each in self.callers.values() for secret in (each.key, each.access_key)]
        for connection in self.connections.values():
            known = connection.authentication
            found.append(known.secret if isinstance(known, SignedAuthentication) else known.client_secret)
        kept = (each for each in found if each is not None)
        return tuple(each for each in kept if not isinstance(each, DatabaseUrl) or each.is_secret)

    @property
    def has_ledger(self) -> bool:
        """Whether they say where the ledger is."""
        return self.database_url is not None or self.state_folder is not None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic-settings names it
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic-settings names it
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic-settings names it
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments before the environment before the file."""
        return init_settings, Environment(settings_cls), TomlConfigSettingsSource(settings_cls, cls.file)


def load(file: Path | None = None, options: Mapping[str, object] | None = None) -> Settings:
    """Read the settings; `options` of a command are members of `[server]` and win. None leaves one as it is.

    Raises ConfigurationError, which lists every mistake.
    """
    from gateway.settings.reading import read  # noqa: PLC0415 - it knows the models above

    return read(file, options or {}).good()


def shown(value: object) -> Any:
    """Settings as they may be shown: a secret as the reference to it, or not at all. What is not set is left out."""
    if isinstance(value, BaseModel):
        members = {name: shown(getattr(value, name)) for name in type(value).model_fields}
        return {name: each for name, each in members.items() if each is not None}
    if isinstance(value, Reference):
        return value.written or (REDACTED if value.is_secret else value.get_secret_value())
    if isinstance(value, dict):
        return {name: shown(each) for name, each in value.items()}
    if isinstance(value, tuple):
        return [shown(each) for each in value]
    if isinstance(value, str):
        return _QUERY.sub(rf"\1?{REDACTED}", value)
    return str(value) if isinstance(value, Path) else value


_QUERY = re.compile(r"\A(https?://[^?]*)\?.*", re.DOTALL)
"""An address with a query, in which a key may stand."""


def with_server(settings: Settings, **given: object) -> Settings:
    """The settings with some of `[server]` replaced; None leaves one as it is. Raises ConfigurationError."""
    from gateway.settings.reading import with_options  # noqa: PLC0415 - it knows the models above

    changed, mistakes = with_options(settings, given)
    if mistakes:
        raise ConfigurationError("; ".join(map(str, mistakes)))
    return changed
