"""The metrics and the span of each job action, and of each reconciliation."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, TypeVar

from gateway.domain.record import JobActionRecord
from gateway.engine.action import ActionRequest, ActionResult
from gateway.telemetry.current import CURRENT
from gateway.telemetry.metrics import JOB_ACTIONS, RECONCILED
from gateway.telemetry.tracing import is_recording, spans

Service = TypeVar("Service")
RECONCILIATION = "jobgate.reconciliation"
"""The name of the span of a reconciliation."""


def observed(
    perform: Callable[[Service, ActionRequest], Coroutine[Any, Any, ActionResult]],
) -> Callable[[Service, ActionRequest], Coroutine[Any, Any, ActionResult]]:
    """Count what `perform` performs, by its outcome, in a span of its own."""

    @wraps(perform)
    async def performed(service: Service, request: ActionRequest) -> ActionResult:
        if not is_recording():
            return counted(request, await perform(service, request))
        asked, connection = request.job_action, request.connection
        with spans().action(asked.action, connection.name, connection.vendor.name) as span:
            result = counted(request, await perform(service, request))
            outcome = str(result.record.outcome or "")
            span.tell({"jobgate.outcome": outcome, "jobgate.job_action.id": result.record.id})
            return result

    return performed


def counted(request: ActionRequest, result: ActionResult) -> ActionResult:
    """Count what was performed, by its outcome, and return it. The log's line of the request names both, too."""
    action, connection, conclusion = request.job_action.action, request.connection, result.record.conclusion
    outcome = "" if conclusion is None else str(conclusion.outcome)
    if not result.is_replayed:
        JOB_ACTIONS.add(connection.name, connection.vendor.name, action, outcome)
    current = CURRENT.get()
    if current is not None:
        current.action, current.outcome = action, outcome
    return result


def reconciled(
    reconcile: Callable[[Service, JobActionRecord], Coroutine[Any, Any, JobActionRecord]],
) -> Callable[[Service, JobActionRecord], Coroutine[Any, Any, JobActionRecord]]:
    """Count what `reconcile` settles, by its outcome, in a new trace that is linked to the first request."""

    @wraps(reconcile)
    async def looked_at(service: Service, record: JobActionRecord) -> JobActionRecord:
        first = record.requested.origin.trace_parent
        with spans().linked(RECONCILIATION, () if first is None else (first,)) as span:
            known = await reconcile(service, record)
            outcome = str(known.outcome or "")
            if known.is_settled and not record.is_settled:
                asked = known.requested
                RECONCILED.add(asked.connection, asked.vendor, known.job_action.action, outcome)
            span.tell({"jobgate.outcome": outcome, "jobgate.job_action.id": known.id})
            return known

    return looked_at
