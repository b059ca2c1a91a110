"""Settings of each simulated vendor, and the credentials that it accepts."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import ConfigDict, Field, with_config
from pydantic.alias_generators import to_camel

IN_JSON = ConfigDict(alias_generator=to_camel, extra="forbid", strict=True, allow_inf_nan=False)
"""JSON form of the sandbox's own values: member names in camelCase, unknown members refused."""


@with_config(IN_JSON)
@dataclass(frozen=True)
class VendorSettings:
    """Choices of one vendor that its document leaves open. None: the first choice in the document.

    `wrong_state_status` is the HTTP status of the answer to an action in the wrong status, `envelope` the name of the
    errors' envelope. Tokens are valid for `token_seconds`. With `clock_seconds`, a job that has been in a status for
    that long makes its next system transition; without, jobs move only through the control API.
    """

    wrong_state_status: Annotated[int | None, Field(alias="wrongState")] = None
    envelope: str | None = None
    token_seconds: Annotated[int, Field(ge=1, le=31_536_000)] = 7200
    clock_seconds: Annotated[float | None, Field(ge=0.01, le=31_536_000)] = None


def _access_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode("ascii")


def _client_id() -> str:
    return f"sandbox-{secrets.token_hex(4)}"


@with_config(IN_JSON)
@dataclass(frozen=True)
class Credentials:
    """The credentials that one simulated vendor accepts; those that are not given are generated.

    `client_id` and `client_secret` are OAuth 2.0 client credentials. `access_key` is the secret of every other scheme,
    32 bytes in Base64: the password of HTTP Basic, the bearer token, the API key, the secret access key. Its user name
    or access key id is the `client_id`.
    """

    access_key: str = field(default_factory=_access_key, repr=False)
    client_id: str = field(default_factory=_client_id)
    client_secret: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    def parts(self, kind: str) -> Mapping[str, str]:
        """The parts of a connection's `authentication` of this kind that these credentials are."""
        return {
            "signature": {"secret": self.access_key},
            "basic": {"username": self.client_id, "password": self.access_key},
            "bearer": {"token": self.access_key},
            "api-key": {"key": self.access_key},
            "aws-signature": {"access_key_id": self.client_id, "secret_access_key": self.access_key},
            "client-credentials": {"client_id": self.client_id, "client_secret": self.client_secret},
        }[kind]


@dataclass(frozen=True)
class SandboxSettings:
    """The settings and credentials of all vendors, by vendor name. A vendor without an entry has the defaults."""

    vendors: Mapping[str, VendorSettings] = field(default_factory=dict)
    credentials: Mapping[str, Credentials] = field(default_factory=dict)
