"""Jobgate's objects as JSON of the unified API: camelCase, without members that have no value."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import to_builtins

from gateway.domain.approvals import Approval, ApprovalState
from gateway.domain.batches import Batch, BatchPlan, BatchState, ItemOutcome, Manifest, Progress, end_of
from gateway.domain.errors import JobgateError
from gateway.domain.model import (
    ActionWarning,
    DryRun,
    Job,
    Result,
    StatusPair,
    VendorResponse,
)
from gateway.domain.record import STATUSES, Concluded, JobActionRecord, Origin, Read, Sent, Step, Tally
from gateway.domain.schedules import Schedule, SchedulePlan
from gateway.domain.times import is_later, iso_duration, millisecond_of
from gateway.domain.vocabulary import DEFERRING, Mode
from gateway.domain.windows import Phase, Window
from gateway.engine.connections import Connection, Vendor
from gateway.engine.drift import Departure
from gateway.engine.endings import way_to_end
from gateway.engine.finding import Counted
from gateway.engine.termination import PlannedStep, TerminationPlan
from gateway.resilience.breaker import BreakerState
from gateway.specs.capabilities import Capability, reads
from gateway.specs.vendor import VendorSpecification

LEFT_OUT = "Jobgate-Left-Out"
"""Header field of a list with the number of jobs whose status is not known, or for which the vendor has no words."""

Members = dict[str, Any]
_MILLISECONDS = len("2026-01-01T00:00:00.000")


def left_out(jobs: int) -> dict[str, str]:
    """The header field with the number of jobs that are not in a list although they may be wanted; none for 0."""
    return {LEFT_OUT: str(jobs)} if jobs else {}


def whole_list(items: Iterable[Members]) -> Members:
    """A list with a single page."""
    return {"items": list(items), "nextCursor": None}


def vendor(known: Vendor) -> Members:
    """A vendor, with its row of the capability matrix."""
    specification = known.specification
    info = specification.api.info
    return present(
        name=known.name,
        title=info["title"],
        apiVersion=info["version"],
        documentation=info.get("contact", {}).get("url"),
        statuses=[{**status_pair(each.pair), "final": each.final} for each in specification.statuses.values()],
        actions=[capability(specification, each) for each in known.capabilities.values()],
        reads=[{"read": name, "support": support} for name, support in reads(specification).items()],
        terminate=[ways_to_end(known, status) for status in specification.statuses],
    )


def ways_to_end(known: Vendor, status: str) -> Members:
    """The steps that end a job in a status, for each mode that has a way."""
    ways = {mode.value: way_to_end(known, status, mode) for mode in Mode}
    return {"vendorStatus": status, **{mode: list(way) for mode, way in ways.items() if way is not None}}


def capability(specification: VendorSpecification, known: Capability) -> Members:
    """A vendor's support for one action."""
    parameters = [{"name": name, "support": support} for name, support in known.parameters.items()]
    if known.mapping is None:
        return {"action": known.definition.name, "support": "unsupported", "parameters": parameters}
    return {
        "action": known.definition.name,
        "support": "native",
        "effect": known.mapping.effect,
        "from": [status_pair(specification.status(status).pair) for status in known.mapping.from_statuses],
        "to": status_pair(specification.status(known.mapping.to_status).pair),
        **({"deletesJob": True} if known.mapping.result is Result.GONE else {}),
        "parameters": parameters,
    }


def connection(known: Connection) -> Members:
    """A connection, without its credentials."""
    return {
        "name": known.name,
        "vendor": known.vendor.name,
        "endpoint": known.endpoint,
        "authentication": known.authentication,
        **({"values": dict(known.values)} if known.values else {}),
        "contractDrift": known.drift.count,
    }


def health(known: Connection) -> Members:
    """The health of a connection, as far as this process knows."""
    pipeline, breaker = known.pipeline, known.pipeline.breaker
    return present(
        connection=known.name,
        breaker=present(
            state=breaker.state,
            failures=breaker.failures,
            retryAfter=math.ceil(breaker.seconds_left) or None,
        ),
        concurrency={
            "limit": pipeline.slots.at_once,
            "inUse": pipeline.slots.in_use,
            "waiting": pipeline.slots.waiting,
        },
        quota=quota(known),
        retriesLeft=pipeline.retries_left,
        lastSuccessAt=timestamp(pipeline.last_success) if pipeline.last_success else None,
        contractDrift={"count": known.drift.count, "kinds": list(map(departure, known.drift.kinds.items()))},
    )


def undecided(waiting: Sequence[Approval], now: datetime) -> Members:
    """The numbers of approvals and reviews that wait."""
    reviews = [each for each in waiting if each.state is ApprovalState.REVIEW_DUE]
    return {
        "pending": len(waiting) - len(reviews),
        "reviewsDue": len(reviews),
        "reviewsOverdue": sum(each.is_overdue(now) for each in reviews),
    }


def overview(tally: Tally, known: Iterable[Connection], approvals: Members | None, *, all_callers: bool) -> Members:
    """Everything that needs attention now."""
    oldest = (
        None if tally.oldest is None else timestamp(datetime.fromtimestamp(millisecond_of(tally.oldest) / 1_000, UTC))
    )
    return present(
        allCallers=all_callers,
        unknown=present(count=tally.unknown, oldestAt=oldest),
        batches=dict(tally.batches),
        approvals=approvals,
        connections=list(map(connection_state, known)),
    )


def connection_state(known: Connection) -> Members:
    """The state of a connection in an overview, as far as this process knows."""
    pipeline = known.pipeline
    return present(
        connection=known.name,
        vendor=known.vendor.name,
        breaker=pipeline.breaker.state,
        failures=pipeline.breaker.failures,
        inUse=pipeline.slots.in_use,
        waiting=pipeline.slots.waiting,
        lastSuccessAt=timestamp(pipeline.last_success) if pipeline.last_success else None,
        contractDrift=known.drift.count,
    )


def connections(known: Iterable[Connection]) -> Members:
    """The health of all connections together, without names: no credentials are needed to see it."""
    every = list(known)
    states = Counter(each.pipeline.breaker.state for each in every)
    successes = [each.pipeline.last_success for each in every if each.pipeline.last_success]
    left = [each.pipeline.quota_left for each in every if each.pipeline.quota_left is not None]
    return present(
        breakers={state: states[state] for state in BreakerState},
        leastQuotaLeft=min(left, default=None),
        lastSuccessAt=timestamp(max(successes)) if successes else None,
        contractDrift=sum(each.drift.count for each in every),
    )


def quota(known: Connection) -> Members | None:
    """A connection's quota, and how much of it is left at this moment."""
    if known.quota is None:
        return None
    return {"requests": known.quota.requests, "seconds": known.quota.seconds, "left": known.pipeline.quota_left}


def departure(counted: tuple[Departure, int]) -> Members:
    """A kind of departure from the vendor's document, and the number of such departures."""
    kind, count = counted
    return {
        "operation": kind.operation_id,
        "status": kind.status,
        "place": kind.place,
        "detail": kind.detail,
        "count": count,
    }


def job(known: Job, *, with_vendor: bool) -> Members:
    """A job, with the vendor's own object if wanted."""
    return present(
        id=known.id,
        connection=known.connection,
        vendor=known.vendor,
        **status_pair(known.status),
        final=known.final,
        queue=known.queue,
        type=known.type,
        version=known.version,
        allowedActions=list(known.allowed_actions),
        blockedActions=[{"action": each.action, "reason": each.reason} for each in known.blocked_actions],
        timestamps=dict(known.timestamps),
        vendorObject=known.vendor_object if with_vendor else None,
    )


def incomplete(problems: Mapping[str, JobgateError]) -> list[Members]:
    """The connections that could not be read, with their problems."""
    return [
        {"connection": name, "problem": problem.code, "detail": problem.detail} for name, problem in problems.items()
    ]


def job_count(counted: Sequence[Counted]) -> Members:
    """The numbers of jobs of several connections."""
    problems = {each.connection: each.problem for each in counted if each.problem is not None}
    left = sum(each.left_out for each in counted)
    connections = [
        {
            "connection": each.connection,
            "count": sum(each.statuses.values()),
            "statuses": dict(each.statuses),
            "leftOut": each.left_out,
        }
        for each in counted
    ]
    return {
        "count": sum(each["count"] for each in connections),
        "isComplete": not problems and not left,
        "leftOut": left,
        "connections": connections,
        "incomplete": incomplete(problems),
    }


def job_action(record: JobActionRecord) -> Members:
    """A job action's record."""
    asked, action = record.requested, record.requested.job_action
    parameters, attempts, readings = dict(action.parameters), [], []
    for event in record.later:
        if isinstance(event, Sent):
            attempts.append({"sentAt": timestamp(event.at)})
            parameters |= event.found
        elif isinstance(event, Read):
            readings.append(reading(event))
    members: Members = {
        "id": record.id,
        "caller": asked.caller,
        "connection": asked.connection,
        "vendor": asked.vendor,
        "jobId": action.job_id,
        "action": action.action,
        "parameters": parameters,
    }
    if action.version is not None:
        members["version"] = action.version
    if asked.idempotency_key is not None:
        members["idempotencyKey"] = asked.idempotency_key
    members["origin"] = origin(asked.origin)
    conclusion = record.conclusion
    add_conclusion(members, conclusion)
    if is_deferred(record):
        members["scheduled"] = "native"
    members["warnings"] = list(map(warning, asked.warnings))
    members["requestedAt"] = timestamp(asked.at)
    members["attempts"], members["readings"] = attempts, readings
    if asked.labels:
        members["labels"] = dict(asked.labels)
    if asked.parent is not None:
        members["parent"] = asked.parent
    if asked.is_termination and conclusion is not None:
        members |= {"steps": list(map(step, conclusion.steps)), "alreadySo": conclusion.already_so}
    return members


def add_conclusion(members: Members, conclusion: Concluded | None) -> None:
    """Add to a record its status, and what its last conclusion says."""
    if conclusion is None:
        members["status"] = STATUSES[None]
        return
    members["status"], members["outcome"] = STATUSES[conclusion.outcome], conclusion.outcome
    after, answer, problem = conclusion.job_afterwards, conclusion.answer, conclusion.problem
    if after is not None:
        members["job"] = status_pair(after)
    if conclusion.settled_by is not None:
        members["settledBy"], members["completedAt"] = conclusion.settled_by, timestamp(conclusion.at)
    if answer is not None:
        members["vendorResponse"] = vendor_response(answer)
    if problem is not None:
        members["problem"] = {"code": problem.code, "detail": problem.detail}


def step(known: Step) -> Members:
    """A step of a termination."""
    return present(id=known.id, action=known.action, outcome=known.outcome)


def origin(known: Origin) -> Members:
    """The origin of a request."""
    members: Members = {}
    if known.address is not None:
        members["address"] = known.address
    if known.request_id is not None:
        members["requestId"] = known.request_id
    if known.trace_parent is not None:
        members["traceId"] = known.trace_id
    return members


def reading(event: Read) -> Members:
    """A read of the job, made to learn the outcome of an action."""
    return present(at=timestamp(event.at), job=status_pair(event.job) if event.job else None, problem=event.problem)


def is_deferred(record: JobActionRecord) -> bool:
    """True if the vendor was asked to wait until a time after the request."""
    asked, parameters = record.requested, record.requested.job_action.parameters
    if parameters.keys().isdisjoint(DEFERRING):
        return False
    return any(is_later(parameters.get(name), asked.at) for name in DEFERRING)


def dry_run(preview: DryRun, scheduled: str | None = None) -> Members:
    """The request that an action would send; `scheduled` says who waits until its time."""
    request = preview.request
    return {
        "dryRun": True,
        **present(scheduled=scheduled),
        "vendorRequest": present(
            method=request.method,
            url=request.url,
            headers=dict(request.headers),
            body=request.content.decode() if request.content else None,
        ),
        "warnings": [warning(each) for each in preview.warnings],
    }


def termination(plan: TerminationPlan) -> Members:
    """The steps that would end a job."""
    return present(
        dryRun=True,
        job=status_pair(plan.job) if plan.job else None,
        alreadySo=not plan.steps,
        steps=[planned_step(each) for each in plan.steps],
    )


def planned_step(known: PlannedStep) -> Members:
    """A step that would be taken, with its request if that is known already."""
    shown = {} if known.dry_run is None else dry_run(known.dry_run)
    request, warnings = shown.get("vendorRequest"), shown.get("warnings", [])
    return present(action=known.action, to=status_pair(known.to), vendorRequest=request, warnings=warnings)


def warning(known: ActionWarning) -> Members:
    """A warning for the caller."""
    return {"code": known.code, "parameter": known.parameter, "detail": known.detail}


def vendor_response(response: VendorResponse) -> Members:
    """The vendor's answer."""
    members: Members = {"status": response.status}
    if response.code is not None:
        members["code"] = response.code
    if response.request_id is not None:
        members["requestId"] = response.request_id
    return members


def status_pair(pair: StatusPair) -> Members:
    """A status in common words and in the vendor's own."""
    return {"status": pair.status, "vendorStatus": pair.vendor_status}


def timestamp(at: datetime) -> str:
    """A time as RFC 3339 in UTC, to the millisecond."""
    text: str = to_builtins(at if at.tzinfo is UTC else at.astimezone(UTC))
    return f"{text[:_MILLISECONDS]}Z" if len(text) > _MILLISECONDS else f"{text[:-1]}.000Z"


def present(**members: Any) -> Members:
    """The members that have a value."""
    return {name: value for name, value in members.items() if value is not None}


def batch(known: Batch) -> Members:
    """A batch."""
    plan, progress = known.plan, known.progress
    return present(
        id=known.id,
        caller=known.caller,
        state=known.state,
        outcome=end_of(progress) if known.is_ended else None,
        action=plan.action,
        parameters=dict(plan.parameters),
        reason=plan.reason,
        labels=dict(plan.labels),
        select=selected(plan),
        limits=limits(plan),
        priority=plan.priority,
        notBefore=optional_time(plan.not_before),
        deadline=optional_time(plan.deadline),
        createdAt=timestamp(known.created_at),
        changedAt=timestamp(known.changed_at),
        confirmUntil=optional_time(known.confirm_until if known.state is BatchState.AWAITING_CONFIRMATION else None),
        manifest=None if known.manifest is None else manifest(known.manifest),
        progress=batch_progress(progress),
        confirmedBy=known.confirmed_by,
        confirmedAt=optional_time(known.confirmed_at),
        approval=known.approval,
        why=None if known.why is None else present(**to_builtins(known.why)),
        redriveOf=plan.redrive_of,
        schedule=plan.schedule,
        report=None if known.report is None else {"sha256": known.report.ndjson, "items": known.report.items},
    )


def selected(plan: BatchPlan) -> Members:
    """The way in which the jobs of a batch were selected."""
    if plan.filter is not None:
        return {"kind": "filter", "filter": dict(plan.filter)}
    return {"kind": "pages" if plan.is_paged else "jobs"}


def limits(plan: BatchPlan) -> Members:
    """The limits that a batch's request has."""
    asked = plan.limits
    return present(
        maxItems=asked.max_items,
        maxShare=asked.max_share,
        maxErrors=asked.max_errors,
        maxUnknown=asked.max_unknown,
        ratePerSecond=asked.rate_per_second,
    )


def manifest(known: Manifest) -> Members:
    """The manifest of a batch."""
    members = present(digest=known.digest, count=known.count, verdicts=dict(known.verdicts), share=known.share)
    return {**members, **({"leftOut": known.left_out} if known.left_out else {})}


def batch_progress(known: Progress) -> Members:
    """The counters of a batch, with its rate and the time that it still needs at this rate."""
    rate, left = known.rate, known.count(ItemOutcome.PENDING)
    return present(
        items=known.items,
        outcomes=dict(known.outcomes),
        activeSeconds=round(known.active_seconds, 3),
        ratePerSecond=None if rate is None else round(rate, 3),
        etaSeconds=None if not rate or not left else round(left / rate, 1),
    )


def optional_time(at: datetime | None) -> str | None:
    """A time, None if there is none."""
    return None if at is None else timestamp(at)


def schedule(known: Schedule, now: datetime) -> Members:
    """A schedule."""
    plan, skipped = known.plan, known.last_skipped
    recurrence = plan.recurrence
    return present(
        id=known.id,
        name=plan.name,
        caller=known.caller,
        state=known.state,
        runAt=optional_time(plan.run_at),
        cron=None if recurrence is None else recurrence.cron,
        timeZone=None if recurrence is None else recurrence.time_zone,
        catchUp=plan.catch_up,
        startWithin=iso_duration(plan.start_within),
        expectAtMost=plan.expect_at_most,
        batch=scheduled_batch(plan),
        createdAt=timestamp(known.created_at),
        nextOccurrences=list(map(timestamp, known.coming(now))),
        lastBatch=known.last_batches[0] if known.last_batches else None,
        skipped=known.skipped,
        lastSkipped=None if skipped is None else {"at": timestamp(skipped.at), "reason": skipped.reason},
        why=None if known.why is None else present(detail=known.why.detail, by=known.why.by),
    )


def scheduled_batch(plan: SchedulePlan) -> Members:
    """The batch that a schedule makes."""
    asked = plan.batch
    named = [{"connection": each.connection, "jobId": each.job_id} for each in plan.jobs]
    return {
        "action": asked.action,
        "parameters": dict(asked.parameters),
        "reason": asked.reason,
        "labels": dict(asked.labels),
        "select": {"jobs": named} if asked.filter is None else {"filter": dict(asked.filter)},
        "limits": limits(asked),
        "priority": asked.priority,
    }


def window(known: Window, phase: Phase) -> Members:
    """A window, and whether it is open."""
    return present(
        name=known.name,
        kind=known.kind,
        connections=list(known.connections),
        actions=list(known.actions),
        cron=known.recurrence.cron,
        timeZone=known.recurrence.time_zone,
        duration=iso_duration(known.duration),
        open=phase.is_open,
        changesAt=optional_time(phase.changes_at),
    )
