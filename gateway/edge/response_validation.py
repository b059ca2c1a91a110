"""Our own replies, held against the document. What departs is told by its place; no value reaches a log or a client."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from enum import StrEnum

from gateway.domain.errors import FieldError, GatewayError
from gateway.domain.model import Json
from gateway.specs.operations import Operation

log = logging.getLogger(__name__)


class ResponseValidation(StrEnum):
    """What becomes of a reply that departs from the document.

    `off`: nobody looks. `log`: it is logged, and sent as it is. `refuse`: it is logged, and 500 is sent instead.
    """

    OFF = "off"
    LOG = "log"
    REFUSE = "refuse"


def departures(operation: Operation, status: int, body: Json) -> tuple[FieldError, ...]:
    """Where a reply departs from the document."""
    response = operation.response(status)
    validator = next(iter(response.bodies.values()), None) if response else None
    return () if validator is None or validator.is_valid(body) else validator.errors(body)


def ignore(_operation: Operation, _status: int, _body: Json) -> None:
    """Look at nothing."""


def log_departures(operation: Operation, status: int, body: Json) -> bool:
    """Log where a reply departs from the document; gives whether it does."""
    found = departures(operation, status, body)
    for each in found:
        log.error("reply of %s departs from its document: %s %s", operation.operation_id, each.pointer, each.detail)
    return bool(found)


def refuse_departures(operation: Operation, status: int, body: Json) -> None:
    """Let no reply out that departs from the document. Raises GatewayError."""
    if log_departures(operation, status, body):
        raise GatewayError("Jobgate made a reply that its own document forbids.")


CHECKS: Mapping[ResponseValidation, Callable[[Operation, int, Json], object]] = {
    ResponseValidation.OFF: ignore,
    ResponseValidation.LOG: log_departures,
    ResponseValidation.REFUSE: refuse_departures,
}
"""What each setting does to a reply."""
