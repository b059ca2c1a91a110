"""Validation of our own responses. Mismatches are reported by their place; no value is logged or sent."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from enum import StrEnum

from gateway.domain.errors import FieldError, GatewayError
from gateway.domain.model import Json
from gateway.specs.operations import Operation

log = logging.getLogger(__name__)


class ResponseValidation(StrEnum):
    """The handling of a response that does not match its OpenAPI document.

    `off`: not checked. `log`: logged, and sent unchanged. `refuse`: logged, and replaced by a 500.
    """

    OFF = "off"
    LOG = "log"
    REFUSE = "refuse"


def departures(operation: Operation, status: int, body: Json) -> tuple[FieldError, ...]:
    """The places where a response does not match its document."""
    response = operation.response(status)
    validator = next(iter(response.bodies.values()), None) if response else None
    return () if validator is None or validator.is_valid(body) else validator.errors(body)


def ignore(_operation: Operation, _status: int, _body: Json) -> None:
    """Check nothing."""


def log_departures(operation: Operation, status: int, body: Json) -> bool:
    """Log where a response does not match its document. Return True if it does not."""
    found = departures(operation, status, body)
    for each in found:
        log.error(
            "response of %s does not match its document: %s %s", operation.operation_id, each.pointer, each.detail
        )
    return bool(found)


def refuse_departures(operation: Operation, status: int, body: Json) -> None:
    """Raise GatewayError if a response does not match its document."""
    if log_departures(operation, status, body):
        raise GatewayError("Jobgate made a response that does not match its own OpenAPI document.")


CHECKS: Mapping[ResponseValidation, Callable[[Operation, int, Json], object]] = {
    ResponseValidation.OFF: ignore,
    ResponseValidation.LOG: log_departures,
    ResponseValidation.REFUSE: refuse_departures,
}
"""The check for each value of the setting."""
