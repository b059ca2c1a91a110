"""How much of anything a request may have. The one place where these figures stand."""

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
    """What a request beyond the limit is refused with, for the docs."""
    return {"problem": problem.code}


class Limits(BaseModel):
    """The limits of one request. All are settings, below `limits`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    target_bytes: int = Field(
        16_384, ge=256, description="Path and query together, in bytes.", json_schema_extra=_beyond(TargetTooLong)
    )
    header_count: int = Field(64, ge=8, description="Header fields.", json_schema_extra=_beyond(HeaderFieldsTooLarge))
    header_bytes: int = Field(
        16_384,
        ge=1_024,
        description="All header fields together, in bytes.",
        json_schema_extra=_beyond(HeaderFieldsTooLarge),
    )
    header_seconds: float = Field(
        5.0,
        gt=0,
        description="How long the header fields may take to arrive, in seconds.",
        json_schema_extra=_beyond(RequestTooSlow),
    )
    body_bytes: int = Field(
        65_536, ge=256, description="The body, in bytes.", json_schema_extra=_beyond(RequestTooLarge)
    )
    body_seconds: float = Field(
        5.0,
        gt=0,
        description="How long the body may take to arrive, in seconds.",
        json_schema_extra=_beyond(RequestTooSlow),
    )
    reply_seconds: float = Field(
        20.0, gt=0, description="How long a client may leave its reply unread before it is disconnected, in seconds."
    )
    json_depth: int = Field(
        32, ge=2, description="How deeply arrays and objects may nest.", json_schema_extra=_beyond(MalformedRequest)
    )
    json_digits: int = Field(
        20, ge=1, le=1_000, description="Digits of one number.", json_schema_extra=_beyond(MalformedRequest)
    )
