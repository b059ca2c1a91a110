"""What can be set for each simulated vendor, and the credentials that it accepts."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import ConfigDict, Field, with_config
from pydantic.alias_generators import to_camel

IN_JSON = ConfigDict(alias_generator=to_camel, extra="forbid", strict=True, allow_inf_nan=False)
"""How the sandbox's own values read in JSON: the same names in camelCase, and no others."""


@with_config(IN_JSON)
@dataclass(frozen=True)
class VendorSettings:
    """How one vendor behaves where its documents leave it open. None: as its document has it first.

    `wrong_state_status` is the HTTP status that answers an action in the wrong status, `envelope`
    the name of the shape that errors come in. Tokens live for `token_seconds`. With
    `clock_seconds`, a job that has been in a status for that long makes its next system transition;
    without, jobs move by hand only.
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
    """What a client of one simulated vendor must present; generated where it is not given.

    `access_key` is the secret of every signing scheme: 32 bytes in Base64. The client's id and
    secret are those of OAuth 2.0 client credentials.
    """

    access_key: str = field(default_factory=_access_key, repr=False)
    client_id: str = field(default_factory=_client_id)
    client_secret: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)


@dataclass(frozen=True)
class SandboxSettings:
    """The settings and credentials of all vendors, by vendor name. A missing entry: the defaults."""

    vendors: Mapping[str, VendorSettings] = field(default_factory=dict)
    credentials: Mapping[str, Credentials] = field(default_factory=dict)
