"""Schedules and windows in the unified API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from msgspec import convert

from gateway.dialects import rendering
from gateway.dialects.batches import BatchApi, fingerprint_of, reason_in, time_in
from gateway.dialects.services import Services
from gateway.dialects.unified import BASE_PATH, cursor_of, key_of, link_to_next, record_at, timeout_of
from gateway.domain.errors import Explanation, FieldError, InvalidSchedule, LedgerUnavailable
from gateway.domain.model import Outcome
from gateway.domain.recurrence import Recurrence, checked_cron, checked_zone
from gateway.domain.schedules import SHOWN, CatchUp, Schedule, SchedulePlan
from gateway.domain.times import iso_duration
from gateway.edge.surface import Handler, Reply, Request
from gateway.schedules.schedules import Schedules, connections_in

LONGEST_START = timedelta(days=31)
"""The largest `startWithin`."""


@dataclass(frozen=True)
class SchedulesApi:
    """The handlers of the operations on schedules and windows. `batches` reads the batch in a schedule."""

    services: Services
    batches: BatchApi

    def handlers(self) -> dict[str, Handler]:
        """The handlers by operationId."""
        return {
            "createSchedule": self.create,
            "listSchedules": self.list_schedules,
            "getSchedule": self.get,
            "deleteSchedule": self.delete,
            "pauseSchedule": self.pause,
            "resumeSchedule": self.resume,
            "listWindows": self.list_windows,
        }

    @property
    def schedules(self) -> Schedules:
        """The schedules. Raises LedgerUnavailable if the gateway has no database."""
        if self.services.schedules is None:
            raise LedgerUnavailable("This gateway keeps no schedules.", Explanation(outcome=Outcome.NOT_SENT))
        return self.services.schedules

    async def create(self, request: Request) -> Reply:
        """Create a schedule, or show what it would do. Raises InvalidSchedule, Forbidden, and as `BatchApi.check`."""
        plan = self._plan_of(request.body)
        self.batches.check(request, plan.batch, connections_in(plan))
        if request.query["dryRun"]:
            return await self._preview(request, plan)
        fingerprint = fingerprint_of(["schedule", request.body])
        schedule, is_replayed = await self.schedules.create(plan, request.caller, key_of(request), fingerprint)
        headers = {"Location": f"{request.address.prefix}{BASE_PATH}/schedules/{schedule.id}"}
        headers |= {"Idempotent-Replayed": "true"} if is_replayed else {}
        return Reply(self._shown(schedule), 201, headers)

    async def _preview(self, request: Request, plan: SchedulePlan) -> Reply:
        """The next occurrences of a schedule, and what it would find now."""
        timeout, caller = timeout_of(request), request.caller.name
        context = self.services.calls.context(request.origin, timeout, caller)
        found = await self.schedules.found(plan, lambda: context)
        coming = [each for each, _ in zip(plan.after(self.services.clock.now()), range(SHOWN), strict=False)]
        body = rendering.present(
            dryRun=True,
            startWithin=iso_duration(plan.start_within),
            nextOccurrences=list(map(rendering.timestamp, coming)),
            found=found,
        )
        return Reply(body)

    async def list_schedules(self, request: Request) -> Reply:
        """Return a page of schedules."""
        query = request.query
        before = record_at(query["cursor"]) if "cursor" in query else None
        caller = None if request.caller.audits else request.caller.name
        page = await self.schedules.store.page(caller, query["limit"], before)
        cursor = cursor_of(page.next_cursor)
        headers = link_to_next(f"{request.address.prefix}{BASE_PATH}/schedules", query, cursor)
        return Reply({"items": list(map(self._shown, page.items)), "nextCursor": cursor}, headers=headers)

    async def get(self, request: Request) -> Reply:
        """Return one of the caller's schedules, or anybody's to an auditor. Raises UnknownSchedule."""
        caller = None if request.caller.audits else request.caller.name
        return Reply(self._shown(await self.schedules.get(request.path["scheduleId"], caller)))

    async def delete(self, request: Request) -> Reply:
        """Delete a schedule. Raises UnknownSchedule."""
        return Reply(self._shown(await self.schedules.delete(request.path["scheduleId"], request.caller.name)))

    async def pause(self, request: Request) -> Reply:
        """Pause a schedule. Raises UnknownSchedule and WrongScheduleState."""
        schedule_id, reason = request.path["scheduleId"], reason_in(request)
        return Reply(self._shown(await self.schedules.pause(schedule_id, request.caller.name, reason)))

    async def resume(self, request: Request) -> Reply:
        """Resume a schedule. Raises Forbidden, UnknownSchedule and WrongScheduleState."""
        schedule = await self.schedules.get(request.path["scheduleId"], request.caller.name)
        self.batches.check(request, schedule.plan.batch, connections_in(schedule.plan))
        resumed = await self.schedules.resume(schedule.id, request.caller.name, reason_in(request))
        return Reply(self._shown(resumed))

    async def list_windows(self, _request: Request) -> Reply:
        """Return every window, and whether it is open."""
        windows, now = self.services.actions.windows, self.services.clock.now()
        shown = (rendering.window(each, windows.phase(each, now)) for each in windows.all)
        return Reply(rendering.whole_list(shown))

    def _shown(self, schedule: Schedule) -> rendering.Members:
        return rendering.schedule(schedule, self.services.clock.now())

    def _plan_of(self, body: Mapping[str, Any]) -> SchedulePlan:
        """The plan of a request's body. Raises MalformedRequest and InvalidSchedule."""
        batch, jobs = self.batches.plan_of(body["batch"], "/body/batch")
        given = body.get("startWithin")
        usual = self.schedules.start_within(batch.action)
        plan = SchedulePlan(
            name=body["name"],
            batch=batch,
            start_within=usual if given is None else length_of(given),
            jobs=tuple(jobs),
            run_at=time_in(body, "runAt"),
            recurrence=recurrence_in(body),
            catch_up=CatchUp(body.get("catchUp", CatchUp.SKIP)),
            expect_at_most=body.get("expectAtMost", 1_000),
        )
        if plan.run_at is not None and next(plan.after(self.services.clock.now()), None) is None:
            raise impossible("/body/runAt", "is not in the future")
        return plan


def recurrence_in(body: Mapping[str, Any]) -> Recurrence | None:
    """The recurrence in a request's body. Raises InvalidSchedule."""
    if "cron" not in body or "runAt" in body:
        for name in ("cron", "timeZone"):
            if name in body:
                raise impossible(f"/body/{name}", "cannot stand beside runAt")
        return None
    try:
        cron = checked_cron(body["cron"])
    except ValueError as error:
        raise impossible("/body/cron", f"is not valid: {error}") from None
    try:
        return Recurrence(cron, checked_zone(body["timeZone"]))
    except ValueError as error:
        raise impossible("/body/timeZone", str(error)) from None


def length_of(text: str) -> timedelta:
    """A duration of ISO 8601. Raises InvalidSchedule if it is not one, or too long."""
    try:
        length = convert(text, timedelta)
    except ValueError:
        raise impossible("/body/startWithin", "is not a duration of ISO 8601") from None
    if length > LONGEST_START:
        raise impossible("/body/startWithin", f"is longer than {iso_duration(LONGEST_START)}")
    return length


def impossible(pointer: str, detail: str) -> InvalidSchedule:
    """The problem with one place of a schedule."""
    return InvalidSchedule(
        f"The schedule is not possible: {pointer} {detail}.", Explanation(errors=(FieldError(pointer, detail),))
    )
