"""How much of anything a request may have. The one place where these figures stand."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Limits(BaseModel):
    """The limits of one request. All are settings, below `limits`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target_bytes: int = Field(16_384, ge=256, description="Path and query together, in bytes.")
    header_count: int = Field(64, ge=8, description="Header fields.")
    header_bytes: int = Field(16_384, ge=1_024, description="All header fields together, in bytes.")
    body_bytes: int = Field(65_536, ge=256, description="The body, in bytes.")
    body_seconds: float = Field(5.0, gt=0, description="How long the body may take to arrive, in seconds.")
    json_depth: int = Field(32, ge=2, description="How deeply arrays and objects may nest.")
    json_digits: int = Field(20, ge=1, description="Digits of one number.")
