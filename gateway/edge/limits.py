"""The limits of a request. All of them are defined here."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from gateway.domain.errors import (
    HeaderFieldsTooLarge,
    JobgateError,
    MalformedRequest,
    RequestTooLarge,
    RequestTooSlow,
    TargetTooLong,
)


def _beyond(problem: type[JobgateError]) -> JsonDict:
    """The problem for a request beyond the limit, for the generated pages."""
    return {"problem": problem.code}


class Limits(BaseModel):
    """The limits of one request. All are settings, below `limits`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    target_bytes: int = Field(
        16_384,
        ge=256,
        description="Longest path and query together, in bytes.",
        json_schema_extra=_beyond(TargetTooLong),
    )
    header_count: int = Field(
        64, ge=8, description="Most header fields.", json_schema_extra=_beyond(HeaderFieldsTooLarge)
    )
    header_bytes: int = Field(
        16_384,
        ge=1_024,
        description="Largest size of all header fields together, in bytes.",
        json_schema_extra=_beyond(HeaderFieldsTooLarge),
    )
    header_seconds: float = Field(
        5.0,
        gt=0,
        description="Seconds in which the header fields must arrive.",
        json_schema_extra=_beyond(RequestTooSlow),
    )
    body_bytes: int = Field(
        65_536, ge=256, description="Largest body, in bytes.", json_schema_extra=_beyond(RequestTooLarge)
    )
    body_seconds: float = Field(
        5.0,
        gt=0,
        description="Seconds in which the body must arrive.",
        json_schema_extra=_beyond(RequestTooSlow),
    )
    reply_seconds: float = Field(
        20.0, gt=0, description="Seconds for which a client can leave its response unread before it is disconnected."
    )
    json_depth: int = Field(
        32, ge=2, description="Deepest nesting of JSON arrays and objects.", json_schema_extra=_beyond(MalformedRequest)
    )
    json_digits: int = Field(
        20, ge=1, le=1_000, description="Most digits of a JSON number.", json_schema_extra=_beyond(MalformedRequest)
    )
