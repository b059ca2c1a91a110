"""The models of the settings, validated as a whole before anything starts.

Values come from a TOML file and from environment variables, which win: `JOBGATE_SERVER__PORT` is `port` of `[server]`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
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

from gateway.domain.access import is_owner
from gateway.domain.batches import LARGEST_BATCH
from gateway.domain.recurrence import checked_cron, checked_zone
from gateway.domain.urls import Address, canonical_base, origin_of
from gateway.domain.windows import WindowKind
from gateway.edge.hosts import called_host, is_loopback
from gateway.edge.limits import Limits
from gateway.edge.response_validation import ResponseValidation
from gateway.resilience.policy import Policy
from gateway.security.keys import is_access_secret, is_credential
from gateway.security.redaction import REDACTED
from gateway.security.references import DatabaseUrl, PrivateKey, Reference, checked
from gateway.security.schemes import misfit


class ConfigurationError(Exception):
    """The settings cannot be used. The message lists every mistake, with its key and its remedy."""


_NO_ADDRESS = "write a URL without query and fragment, such as https://contoso.communication.azure.com"

Parsed = TypeVar("Parsed")
PartType = TypeVar("PartType", bound=str | Reference)


def _expanded(value: Path) -> Path:
    try:
        return value.expanduser()
    except RuntimeError:
        raise ValueError("there is no home folder for `~`; write the path in full") from None


UserPath = Annotated[Path, AfterValidator(_expanded)]
"""A path, in which `~` is the home folder of the user, as in a shell."""


def _issuer(value: str) -> str:
    """Check an issuer's URL, but keep its spelling, which its tokens repeat in `iss`. Raises ValueError."""
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
        return called_host(value).removeprefix("[").removesuffix("]")
    except ValueError:
        raise ValueError("write an IP address or a name, without a port, such as 127.0.0.1 or ::1") from None


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        raise ValueError("write an IP address or a network, such as 127.0.0.1, 10.0.0.0/8 or fd00::/8") from None


class Section(BaseModel):
    """A section of the settings: immutable, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, allow_inf_nan=False)


def _api_key(value: Reference) -> Reference:
    if not is_credential(value.get_secret_value()):
        raise ValueError(
            "has a character that an Authorization header cannot contain; use visible ASCII without spaces, or make a "
            "key with `jobgate keys create`"
        )
    return value


def _written(value: object) -> object:
    """The text of a secret that code passes in; any other value unchanged."""
    return value.get_secret_value() if isinstance(value, SecretStr) and not isinstance(value, Reference) else value


def _access_key(value: Reference) -> Reference:
    if not is_access_secret(value.get_secret_value()):
        raise ValueError("is not at least 16 bytes in Base64; make one with `openssl rand -base64 32`")
    return value


def _console_key(value: Reference) -> Reference:
    if len(value.get_secret_value()) < SHORTEST_CONSOLE_KEY:
        raise ValueError(f"has fewer than {SHORTEST_CONSOLE_KEY} characters; make one with `openssl rand -base64 32`")
    return value


def _part(name: str) -> Callable[[PartType], PartType]:
    """A check of a part of a credential. It raises ValueError with the remedy."""

    def check(part: PartType) -> PartType:
        if mend := misfit(name, part.get_secret_value() if isinstance(part, SecretStr) else part):
            raise ValueError(mend)
        return part

    return check


def _host_name(value: object) -> object:
    if not isinstance(value, str):
        return value
    form = re.fullmatch(HOST_NAME, value)
    try:
        return called_host("" if form is None else form[0])
    except ValueError:
        raise ValueError("write a name or an IP address, without a port, such as gateway.example or [::1]") from None


SHORTEST_CONSOLE_KEY = 32
"""Fewest characters of the secret that encrypts the console's sessions."""
HOST_NAME = r"^(\[[0-9A-Fa-f:.]+\]|[0-9A-Fa-f:.]+|[A-Za-z0-9._~-]+)$"
Secret = Annotated[Reference, BeforeValidator(_written), AfterValidator(checked)]
PemKey = Annotated[PrivateKey, BeforeValidator(_written), AfterValidator(checked)]
Database = Annotated[DatabaseUrl, BeforeValidator(_written), AfterValidator(checked)]
ApiKey = Annotated[Secret, AfterValidator(_api_key)]
AccessSecret = Annotated[Secret, AfterValidator(_access_key)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]
TokenUrl = Annotated[str, AfterValidator(_address)]
LONGEST_SECONDS = 2_678_400
"""Longest time that a setting can have, in seconds: 31 days."""
Seconds = Annotated[float, Field(gt=0, le=LONGEST_SECONDS)]
HostName = Annotated[str, BeforeValidator(_host_name), Field(pattern=HOST_NAME)]
ListeningHost = Annotated[str, AfterValidator(_listening_host)]
ProxyNetwork = Annotated[str, AfterValidator(_network)]
NAME = r"[a-z][a-z0-9-]{0,62}"
Name = Annotated[str, Field(pattern=f"^{NAME}$")]


class _Authentication(Section):
    """Authentication of the requests of a connection."""

    scheme: str = Field(description="The security scheme in the vendor's document, such as accessKey.")

    @property
    def parts(self) -> dict[str, str | Reference]:
        """The parts of the credential by name. Those that are not set are left out."""
        given = {name: getattr(self, name) for name in type(self).model_fields if name not in {"kind", "scheme"}}
        return {name: part for name, part in given.items() if part is not None}

    @property
    def secrets(self) -> tuple[Reference, ...]:
        """Those of its parts that are secrets."""
        return tuple(part for part in self.parts.values() if isinstance(part, Reference))


class SignedAuthentication(_Authentication):
    """Authentication by a signature, which the adapter makes for each request."""

    kind: Literal["signature"]
    secret: Secret


class BasicAuthentication(_Authentication):
    """Authentication by a user name and a password: HTTP Basic."""

    kind: Literal["basic"]
    username: Annotated[str, AfterValidator(_part("username"))] = Field(min_length=1)
    password: Secret


class BearerAuthentication(_Authentication):
    """Authentication by a bearer token that the vendor gives out once, and that lives until it is revoked."""

    kind: Literal["bearer"]
    token: Annotated[Secret, AfterValidator(_part("token"))]


class ApiKeyAuthentication(_Authentication):
    """Authentication by a key in the header that the vendor's document names."""

    kind: Literal["api-key"]
    key: Annotated[Secret, AfterValidator(_part("key"))]


class AwsSignatureAuthentication(_Authentication):
    """Authentication by AWS Signature Version 4, with the access key of an IAM user or role."""

    kind: Literal["aws-signature"]
    access_key_id: Annotated[str, AfterValidator(_part("access_key_id"))]
    secret_access_key: Annotated[Secret, AfterValidator(_part("secret_access_key"))]
    session_token: Annotated[Secret, AfterValidator(_part("session_token"))] | None = Field(
        None, description="The session token of temporary credentials."
    )


class ClientCredentialsAuthentication(_Authentication):
    """Authentication by a token, from the OAuth 2.0 client credentials grant."""

    kind: Literal["client-credentials"]
    client_id: str
    client_secret: Secret
    client_authentication: Literal["form", "basic"] = Field(
        "form",
        description="How the client id and secret are sent to the token endpoint: `form` (in the body) or `basic` "
        "(HTTP Basic).",
    )
    token_url: TokenUrl


Authentication = (
    SignedAuthentication
    | BasicAuthentication
    | BearerAuthentication
    | ApiKeyAuthentication
    | AwsSignatureAuthentication
    | ClientCredentialsAuthentication
)


class QuotaSettings(Section):
    """A number of requests in a number of seconds."""

    requests: int = Field(ge=1, le=1_000_000_000)
    seconds: Seconds


class ConnectionSettings(Section):
    """One account at a vendor."""

    vendor: Name
    endpoint: Endpoint | None = Field(
        None,
        description="The base URL of the account. It replaces the server in the vendor's document, and can be left out "
        "if all that the server's URL leaves open is among the `values`.",
    )
    values: dict[str, Annotated[str, Field(min_length=1, max_length=256)]] = Field(
        default_factory=dict,
        description="The values that the vendor's document declares for each account (`x-job-vendor.connection`), such "
        "as its workspace or region. They are no secrets.",
    )
    authentication: Authentication = Field(discriminator="kind")
    require_idempotency_key: bool = Field(
        default=False, description="Refuse actions on its jobs that have no `Idempotency-Key`."
    )
    plain_http: bool = Field(
        default=False,
        description="Allow `http://` for its `endpoint` and `token_url`. Anybody on the network path can then read the "
        "traffic.",
    )
    quota: QuotaSettings | Literal["none"] | None = Field(
        None,
        description="The vendor's rate limit, as in `{ requests = 1000, seconds = 10 }`, or `none` for no limit. "
        "Default: the limit in the vendor's document. The workers of a gateway share it.",
    )

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every URL in the settings that the gateway calls."""
        found = [self.endpoint]
        if isinstance(self.authentication, ClientCredentialsAuthentication):
            found.append(self.authentication.token_url)
        return tuple(each for each in found if each is not None)

    @model_validator(mode="after")
    def _is_private(self) -> Self:
        if not self.plain_http and any(not address.startswith("https://") for address in self.addresses):
            raise ValueError("a URL is not https://; if that is intended, set plain_http = true")
        return self


class ServerSettings(Section):
    """The server: address, workers, TLS, proxies."""

    host: ListeningHost = Field("127.0.0.1", description="The IP address or host name to listen on.")
    port: int = Field(8080, ge=0, le=65_535, description="The port to listen on; 0 chooses a free port.")
    workers: int = Field(1, ge=1, le=64, description="Worker processes that share the port.")
    start_seconds: float = Field(
        300, gt=0, description="Seconds in which a worker must be ready. A slower one is replaced."
    )
    health_seconds: float = Field(
        60, gt=1, description="Seconds without a sign of life from a worker, after which it is replaced."
    )
    access_log: bool = Field(default=True, description="Log each request.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least severe messages in the log: `debug`, `info`, `warning` or `error`."
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="The form of the log: `text`, or `json`, one object a line ([logs.md](logs.md))."
    )
    admin_host: ListeningHost = Field(
        "127.0.0.1", description="The IP address or host name on which `admin_port` listens. It asks for no key."
    )
    admin_port: int | None = Field(
        None,
        ge=0,
        le=65_535,
        description="The port for administration, with [/metrics](metrics.md); 0 chooses a free port. Default: none.",
    )
    metrics: bool = Field(
        default=False, description="Serve `/metrics` on `port` too, to callers with the scope `metrics:read`."
    )
    trusted_hosts: tuple[HostName, ...] | None = Field(
        None,
        description="The host names in requests that the gateway accepts, without port. A request with another name "
        "gets 421, except for /livez and /readyz. Default: on a loopback address, only loopback names; elsewhere, "
        "every name.",
    )
    trusted_proxies: tuple[ProxyNetwork, ...] = Field(
        (),
        description="IP addresses and networks of the proxies whose `X-Forwarded-For`, `-Host`, `-Proto` and `-Prefix` "
        "fields are trusted. From other senders these fields are ignored.",
    )
    tls_cert: UserPath | None = Field(
        None,
        description="The file of the TLS certificate and its chain, in PEM format. The gateway then serves HTTPS; it "
        "needs `tls_key` too.",
    )
    tls_key: UserPath | None = Field(None, description="The file of the private key of `tls_cert`, in PEM format.")
    tls_self_signed: bool = Field(
        default=False, description="Serve HTTPS with a self-signed certificate, for development."
    )
    plain_http: bool = Field(
        default=False,
        description="Allow HTTP on an address that is not loopback, for a gateway behind a proxy that terminates TLS.",
    )
    response_validation: ResponseValidation | None = Field(
        None,
        description="What to do with a response of Jobgate that does not match its own OpenAPI document: `off` (do not "
        "check), `log`, or `refuse` (log, and send 500). Default: `refuse` with the sandbox, else `off`.",
    )

    console: bool | None = Field(
        None,
        description="Serve the operator's console at `/console`. Default: only if the gateway listens on a loopback "
        "address. Elsewhere browsers keep nobody signed in unless they reach the gateway by HTTPS.",
    )
    console_key: Annotated[Secret, AfterValidator(_console_key)] | None = Field(
        None,
        description="A secret of at least 32 characters, which encrypts the console's sessions. Gateways behind one "
        "address should share it. Default: `console.key` in the state folder, made when first needed.",
    )

    @property
    def has_console(self) -> bool:
        """True if the console is served."""
        return is_loopback(self.host) if self.console is None else self.console

    @property
    def is_https(self) -> bool:
        """True if the gateway itself serves HTTPS."""
        return self.tls_self_signed or self.tls_cert is not None

    @model_validator(mode="after")
    def _certificate_has_its_key(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key belong together: set both or neither")
        if self.tls_cert is not None and self.tls_self_signed:
            raise ValueError("tls_self_signed and tls_cert exclude each other: set only one of them")
        return self


def is_scope(text: str) -> bool:
    """True if a text has the form of a scope or of a pattern of scopes."""
    return re.fullmatch(r"\*|[a-z]+:[A-Za-z0-9*-]+", text) is not None


def is_caller_name(text: str) -> bool:
    """True if a text can be the name of a caller."""
    return re.fullmatch(NAME, text) is not None


def _scope(value: str) -> str:
    if not is_scope(value):
        raise ValueError("write a scope such as jobs:cancel, connections:contoso-*, audit:read or *")
    return value


def _length(value: timedelta) -> timedelta:
    if not timedelta() < value <= timedelta(seconds=LONGEST_SECONDS):
        raise ValueError("write a duration of ISO 8601 of at most 31 days, such as PT8H or P1D")
    return value


def _owner(value: str) -> str:
    if not is_owner(value):
        raise ValueError("write a name of at most 255 printable characters, such as alice@contoso.example")
    return value


Scope = Annotated[str, AfterValidator(_scope)]
Length = Annotated[timedelta, AfterValidator(_length)]
Cron = Annotated[str, AfterValidator(checked_cron)]
TimeZone = Annotated[str, AfterValidator(checked_zone)]
Owner = Annotated[str, AfterValidator(_owner)]


class CallerSettings(Section):
    """A caller whose API key is in the settings."""

    key: ApiKey
    scopes: tuple[Scope, ...] = Field(min_length=1)
    access_key: AccessSecret | None = Field(
        None,
        description="The caller's access key, in Base64, for the vendors' own clients. Their client id is the name of "
        "the caller.",
    )
    owner: Owner | None = Field(
        None,
        description="The person behind the caller. All callers of one owner count as one person in approvals. Default: "
        "the name of the caller.",
    )


def _webhook(value: Reference) -> Reference:
    address = _address(value.get_secret_value())
    if address.startswith("http://") and not re.match(r"http://(127\.0\.0\.1|localhost|\[::1\])[:/]", f"{address}/"):
        raise ValueError("is neither https:// nor on a loopback address")
    return value


Patterns = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=256)], ...], Field(min_length=1, max_length=64)
]


class ApprovalSettings(Section):
    """A policy: batches that wait until other people have approved them. In its patterns, `*` is any characters."""

    actions: Patterns = Field(("*",), description="Patterns of the actions.")
    connections: Patterns = Field(("*",), description="Patterns of the connections.")
    callers: Patterns = Field(
        ("*",), description="Patterns of the callers whose batches need approval, such as those of agents."
    )
    items: int = Field(
        1,
        ge=1,
        le=100_000,
        description="Fewest jobs of these connections with which a batch needs approval. With 1, actions on single "
        "jobs are refused outside a batch.",
    )
    approvals: int = Field(1, ge=1, le=20, description="Number of different owners who have to approve.")
    approvers: Patterns = Field(
        description="Patterns of the owners or callers who can approve. The owner of a request never can."
    )
    decide_seconds: Seconds = Field(3_600.0, description="Seconds in which the approvals have to be given.")
    execute_seconds: Seconds = Field(
        900.0, description="Seconds after the last approval, or after `notBefore`, in which the batch has to begin."
    )


class BreakGlassSettings(Section):
    """Emergencies: small batches that begin without approval, and are reviewed afterwards."""

    items: int = Field(25, ge=1, le=1_000, description="Largest number of jobs.")
    seconds: Seconds = Field(900.0, description="Seconds in which the batch has to be carried out.")
    review_seconds: Seconds = Field(
        259_200.0,
        description="Seconds in which another owner has to review it. While a review is overdue, the owner cannot "
        "begin another emergency.",
    )
    webhook: Annotated[Secret, AfterValidator(_webhook)] | None = Field(
        None,
        description="A URL to which each emergency is sent at once, and again once its review is overdue (`POST`, "
        "`application/json`).",
    )


class WindowSettings(Section):
    """A window: times in which actions are allowed, or are not. In its patterns, `*` is any characters."""

    kind: WindowKind = Field(
        description="`deny`: while the window is open, its actions are refused. `allow`: they are refused unless an "
        "allow window for them is open. Deny wins."
    )
    connections: Patterns = Field(("*",), description="Patterns of the connections.")
    actions: Patterns = Field(("*",), description="Patterns of the actions.")
    cron: Cron = Field(
        description="The times at which it opens: minute, hour, day of the month, month, day of the week."
    )
    time_zone: TimeZone = Field(description="The time zone of `cron` in the IANA database, such as Europe/Amsterdam.")
    duration: Length = Field(
        description="For how long it is open each time, as a duration of ISO 8601, such as PT8H. At most 31 days."
    )


class OpenIdSettings(Section):
    """The OpenID Connect issuer whose tokens the gateway accepts."""

    issuer: Annotated[str, AfterValidator(_issuer)] = Field(
        description="The URL of the issuer, exactly as in the `iss` claim of its tokens."
    )
    audience: str = Field(min_length=1, description="The audience that the `aud` claim of a token must contain.")
    algorithms: tuple[Literal["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"], ...] = Field(
        ("RS256", "ES256"), min_length=1, description="The accepted signature algorithms."
    )
    caller_claim: str = Field("sub", description="The claim with the name of the caller.")
    scopes_claim: str = Field("scope", description="The claim with the scopes, as a string or a list.")
    owner_claim: str = Field(
        "sub",
        description="The claim that names the owner: the person behind the caller. It should have the same value as "
        "`owner` of this person's API keys.",
    )
    keys_origin: Endpoint | None = Field(
        None, description="The origin of the issuer's keys (`jwks_uri`), if it is not that of the issuer."
    )
    client_id: str | None = Field(
        None,
        min_length=1,
        description="The client id of the console, with which people sign in there. Default: none can.",
    )
    client_secret: Secret | None = Field(None, description="The secret of that client, if it has one.")
    sign_in_scopes: str = Field(
        "openid", description="The scopes that the console asks the issuer for, with spaces between them."
    )
    plain_http: bool = Field(
        default=False,
        description="Allow `http://` for the issuer. Anybody on the network path can then change its answers.",
    )

    @model_validator(mode="after")
    def _is_private(self) -> Self:
        addresses = (self.issuer, self.keys_origin or self.issuer)
        if not self.plain_http and any(not origin_of(address).startswith("https://") for address in addresses):
            raise ValueError("a URL is not https://; if that is intended, set plain_http = true")
        return self


class LedgerSettings(Section):
    """The ledger: how long it keeps records, and when it reads jobs to settle unknown outcomes."""

    idempotency_hours: float = Field(72.0, gt=0, le=8_760, description="Hours for which an idempotency key is kept.")
    retention_days: int | None = Field(
        None,
        ge=1,
        le=36_500,
        description="Days for which settled job actions are kept at least. Default: no limit. Unsettled job actions "
        "are never deleted.",
    )
    confirm_seconds: tuple[Seconds, ...] = Field(
        (0.5, 2.0, 5.0, 15.0),
        min_length=1,
        description="Times at which the job of an action with an unknown outcome is read, in seconds after the outcome "
        "became unknown. If the job still shows no change when the last of these times has passed since the action was "
        "sent, the action counts as not carried out.",
    )
    repeat_seconds: Seconds = Field(
        60.0, description="Seconds between further reads of the job, if it does not show the outcome."
    )
    give_up_seconds: Seconds = Field(
        3_600.0, description="Seconds after the outcome became unknown, after which the job is not read any more."
    )

    @model_validator(mode="after")
    def _keys_end_before_records(self) -> Self:
        if self.retention_days is not None and self.retention_days * 24 < self.idempotency_hours:
            raise ValueError(
                "retention_days must not be shorter than idempotency_hours: a key would outlive its record"
            )
        return self


class TraceSettings(Section):
    """Traces, which need the extra `jobgate[otel]`."""

    endpoint: Endpoint | None = Field(
        None,
        description="The collector to which traces are sent by OTLP over HTTP, such as `http://127.0.0.1:4318`. "
        "Default: `OTEL_EXPORTER_OTLP_ENDPOINT`; without it there are no traces.",
    )


class BatchSettings(Section):
    """The guard rails of batches. A request can ask for narrower ones."""

    max_items: int = Field(1_000, ge=1, le=LARGEST_BATCH, description="Most jobs on which a batch can act.")
    max_share: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Largest share of the connections' jobs, in the statuses of the filter, on which a batch acts "
        "unless its confirmation names the share.",
    )
    max_errors: float = Field(
        0.05,
        ge=0,
        le=LARGEST_BATCH,
        description="Most items that can fail before the batch stops. Below 1 it is a share, from the 20th item on, "
        "but at least 5 items; from 1 up it is a number.",
    )
    max_unknown: int = Field(
        3, ge=0, le=LARGEST_BATCH, description="Most items with an unknown outcome before the batch stops."
    )


class Environment(EnvSettingsSource):
    """The environment variables. Invalid JSON is reported like any other mistake."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """Return a table or a list; or the text unchanged if it is not JSON."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


class CheckpointSettings(Section):
    """Checkpoints: signed statements of the state of the ledger."""

    enabled: bool = Field(default=True, description="Write checkpoints.")
    file: UserPath | None = Field(
        None,
        description="The file to which checkpoints are appended. Default: `checkpoints.txt` in the state folder; with "
        "`database_url`, `checkpoints-<hash of its address>.txt`.",
    )
    key: PemKey | None = Field(
        None,
        description="The Ed25519 private key that signs checkpoints, as made by `openssl genpkey -algorithm ed25519`. "
        "Default: `checkpoint.key` in the state folder, made when first needed. Gateways that share a database should "
        "share the key.",
    )
    seconds: float = Field(
        3_600.0, gt=0, description="Seconds between checkpoints. None is written if nothing changed."
    )
    log: bool = Field(default=False, description="Log each checkpoint too.")
    webhook: Annotated[Secret, AfterValidator(_webhook)] | None = Field(
        None, description="A URL to which each checkpoint is sent (`POST`, `text/plain`)."
    )


class Settings(BaseSettings):
    """All settings."""

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
    traces: TraceSettings = TraceSettings()
    batches: BatchSettings = BatchSettings()
    state_folder: UserPath | None = Field(
        None,
        description="The folder of the ledger's SQLite database, if `database_url` is not set. Default: the state "
        "folder of the user (`~/.local/state/jobgate` on Linux; without a home folder it must be set); with the "
        "sandbox, a temporary folder.",
    )
    database_url: Database | None = Field(
        None,
        description="The database of the ledger, such as postgresql://user:password@host/jobgate. Several gateways can "
        "share it.",
    )
    api_key: ApiKey | None = Field(
        None,
        description="An API key with all scopes, if one caller is enough. `jobgate keys create` makes others.",
    )
    access_key: AccessSecret | None = Field(
        None,
        description="The access key that belongs to `api_key`, in Base64, for the vendors' own clients. Their client "
        "id is `default`.",
    )
    callers: dict[Name, CallerSettings] = Field(default_factory=dict)
    openid: OpenIdSettings | None = None
    approvals: dict[Name, ApprovalSettings] = Field(default_factory=dict, max_length=64)
    break_glass: BreakGlassSettings = BreakGlassSettings()
    windows: dict[Name, WindowSettings] = Field(default_factory=dict, max_length=64)
    rate_limit: QuotaSettings | Literal["none"] = Field(
        QuotaSettings(requests=10_000, seconds=10),
        description="The rate limit of each caller at each worker, as in `{ requests = 1000, seconds = 10 }`, or "
        "`none` for no limit.",
    )
    vendor_seconds: float = Field(
        10.0,
        gt=0,
        le=300,
        description="Seconds for all calls to a vendor that belong to one request. A client can ask for less with "
        "`Request-Timeout`.",
    )
    policy: Policy = Policy()
    connections: dict[Name, ConnectionSettings] = Field(default_factory=dict)

    @property
    def secrets(self) -> tuple[Reference, ...]:
        """Every secret in the settings. A database URL is one only if it can contain a password."""
        found = [self.api_key, self.access_key, self.database_url, self.checkpoints.key]
        found += [self.checkpoints.webhook, self.break_glass.webhook, self.server.console_key]
        found.append(None if self.openid is None else self.openid.client_secret)
        found += [secret for each in self.callers.values() for secret in (each.key, each.access_key)]
        found += [secret for each in self.connections.values() for secret in each.authentication.secrets]
        kept = (each for each in found if each is not None)
        return tuple(each for each in kept if not isinstance(each, DatabaseUrl) or each.is_secret)

    @property
    def has_ledger(self) -> bool:
        """True if the settings say where the ledger is kept."""
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
        """The sources by priority: arguments, environment, file."""
        return init_settings, Environment(settings_cls), TomlConfigSettingsSource(settings_cls, cls.file)


def load(file: Path | None = None, options: Mapping[str, object] | None = None) -> Settings:
    """Read the settings. `options` of a command replace members of `[server]`, except where they are None.

    Raises ConfigurationError, which lists every mistake.
    """
    from gateway.settings.reading import read  # noqa: PLC0415 - an import at the top would be circular

    return read(file, options or {}).good()


def shown(value: object) -> Any:
    """Settings without secrets: a secret is shown as its reference, or redacted. Unset values are left out."""
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
"""A URL with a query, which can contain a key."""


def with_server(settings: Settings, **given: object) -> Settings:
    """The settings with members of `[server]` replaced, except by None. Raises ConfigurationError."""
    from gateway.settings.reading import with_options  # noqa: PLC0415 - an import at the top would be circular

    changed, mistakes = with_options(settings, given)
    if mistakes:
        raise ConfigurationError("; ".join(map(str, mistakes)))
    return changed
