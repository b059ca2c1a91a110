"""The unified API, specs/gateway.yaml: one handler for each operation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from urllib.parse import urlencode
from uuid import UUID

from msgspec import Struct, convert
from msgspec.structs import replace

from gateway.dialects import rendering
from gateway.dialects.services import Services
from gateway.domain.encoding import decode_cursor, encode_cursor, unknown_cursor
from gateway.domain.entity_tags import is_entity_tag
from gateway.domain.errors import (
    Explanation,
    FieldError,
    IdempotencyKeyInUse,
    IdempotencyKeyMissing,
    JobgateError,
    LedgerUnavailable,
    PreconditionNotSupported,
    UnknownJobAction,
    no_such_connection,
)
from gateway.domain.fields import members, named, parts, unquoted
from gateway.domain.finding import JobFilter
from gateway.domain.model import JobAction, Json, Outcome, Page
from gateway.domain.numbers import up_to
from gateway.domain.record import JobActionRecord, JobActionStatus, Selection, problem_of
from gateway.domain.times import is_later, parse_date_time
from gateway.domain.vocabulary import DEFERRING, DISCARD, LABELS, MODE, TERMINATE, Mode
from gateway.edge.authentication import check_scopes
from gateway.edge.exchange import RawReply, RequestContext
from gateway.edge.problems import render
from gateway.edge.surface import Handler, Reply, Request
from gateway.engine.action import ActionRequest, ActionResult
from gateway.engine.calls import CallContext
from gateway.engine.wire import IF_MATCH
from gateway.schedules.deferral import Deferred, deferred, plan_of
from gateway.specs.capabilities import ActionDefinition
from gateway.specs.operations import Api

BASE_PATH = "/v1"
NO_RECORDS: Page[JobActionRecord] = Page(())
ACTING = frozenset({"x-action", "x-intent"})
"""The extensions of the operations that act on jobs."""
LOOK_AGAIN_SECONDS = 1
"""Seconds in Retry-After for an unsettled job action."""
MOST_WAIT_SECONDS = 60
"""Longest wait that `Prefer: wait` can ask for, in seconds. A longer one is shortened to this."""


@dataclass(frozen=True)
class UnifiedApi:
    """The handlers of the unified API."""

    services: Services

    def handlers(self, definitions: Mapping[str, ActionDefinition]) -> dict[str, Handler]:
        """The handlers by operationId. All actions share one."""
        return {
            "listVendors": self.list_vendors,
            "getVendor": self.get_vendor,
            "listConnections": self.list_connections,
            "getConnection": self.get_connection,
            "getConnectionHealth": self.get_connection_health,
            "listJobs": self.list_jobs,
            "findJobs": self.find_jobs,
            "countJobs": self.count_jobs,
            "getJob": self.get_job,
            "listJobActions": self.list_job_actions,
            "getJobAction": self.get_job_action,
            "terminateJob": self.terminate,
        } | {definition.operation_id: self.act for definition in definitions.values()}

    async def list_vendors(self, _request: Request) -> Reply:
        """Return every vendor, with its row of the capability matrix."""
        return Reply(rendering.whole_list(map(rendering.vendor, self.services.directory.vendors.values())))

    async def get_vendor(self, request: Request) -> Reply:
        """Return one vendor."""
        return Reply(rendering.vendor(self.services.directory.vendor(request.path["vendor"])))

    async def list_connections(self, request: Request) -> Reply:
        """Return every connection that the caller may use."""
        connections = self.services.directory.connections.values()
        own = (each for each in connections if request.caller.may_use(each.name))
        return Reply(rendering.whole_list(map(rendering.connection, own)))

    async def get_connection(self, request: Request) -> Reply:
        """Return one connection."""
        return Reply(rendering.connection(self.services.directory.connection(request.path["connection"])))

    async def list_jobs(self, request: Request) -> Reply:
        """Return a page of a connection's jobs."""
        connection = self.services.directory.connection(request.path["connection"])
        query = request.query
        context = self._context(request)
        page = await self.services.jobs.page(
            connection, query["limit"], query.get("cursor"), query.get("status"), context
        )
        with_vendor = query.get("include") == "vendor"
        items = [rendering.job(job, with_vendor=with_vendor) for job in page.items]
        headers = link_to_next(
            f"{request.address.prefix}{BASE_PATH}/connections/{connection.name}/jobs", query, page.next_cursor
        )
        headers |= rendering.left_out(page.left_out)
        return Reply({"items": items, "nextCursor": page.next_cursor}, headers=headers)

    async def find_jobs(self, request: Request) -> Reply:
        """Return a page of the jobs of several connections. Raises UnknownConnection."""
        query = request.query
        wanted = self._job_filter(request)
        found = await self.services.finder.page(wanted, self._context(request), query.get("cursor"), query["limit"])
        with_vendor = query.get("include") == "vendor"
        body = {
            "items": [rendering.job(job, with_vendor=with_vendor) for job in found.jobs],
            "nextCursor": found.next_cursor,
            "incomplete": rendering.incomplete(found.problems),
        }
        headers = link_to_next(f"{request.address.prefix}{BASE_PATH}/jobs", query, found.next_cursor)
        return Reply(body, headers=headers | rendering.left_out(found.left_out))

    async def count_jobs(self, request: Request) -> Reply:
        """Return the number of jobs of several connections. Raises UnknownConnection."""
        counted = await self.services.finder.count(self._job_filter(request), self._context(request))
        return Reply(rendering.job_count(counted))

    def _job_filter(self, request: Request) -> JobFilter:
        """The filter of a request, by default for all connections of the caller. Raises UnknownConnection."""
        query, may_use = request.query, request.caller.may_use
        connections = query.get("connection")
        if connections is None:
            connections = filter(may_use, self.services.directory.connections)
        elif not all(map(may_use, connections)):
            raise no_such_connection()
        older_than = query.get("olderThan")
        return JobFilter(
            connections=tuple(connections),
            statuses=tuple(query.get("status", ())),
            vendor_statuses=tuple(query.get("vendorStatus", ())),
            older_than=None if older_than is None else convert(older_than, timedelta),
            queue=query.get("queue"),
            type=query.get("type"),
        )

    async def get_job(self, request: Request) -> Reply:
        """Return one job."""
        connection = self.services.directory.connection(request.path["connection"])
        job = await self.services.jobs.get(connection, request.path["jobId"], self._context(request))
        tag = {} if job.version is None else {"ETag": job.version}
        return Reply(rendering.job(job, with_vendor=request.query.get("include") == "vendor"), headers=tag)

    async def act(self, request: Request) -> Reply:
        """Perform the operation's action, or return the request that would be sent. Raises as `_answer`."""
        preferences = preferences_of(request)
        asked = self._asked(request, decode(request), preferences)
        later = deferred(asked)
        if later is not None and later.at <= self.services.clock.now():
            asked, later = later.request, None
        if request.query["dryRun"]:
            preview = await self.services.actions.preview(asked if later is None else later.request)
            now, parameters = self.services.clock.now(), asked.job_action.parameters
            is_native = any(is_later(parameters.get(name), now) for name in DEFERRING)
            scheduled = "emulated" if later is not None else "native" if is_native else None
            return Reply(rendering.dry_run(preview, scheduled), headers=preferences.applied)
        if later is not None:
            return await self._schedule(request, asked, later, preferences)
        return await self._answer(request, asked, preferences, self.services.actions.perform)

    async def _schedule(
        self, request: Request, asked: ActionRequest, later: Deferred, preferences: Preferences
    ) -> Reply:
        """Do an action at a later time by a schedule, since the vendor cannot wait. Raises Forbidden."""
        schedules = self.services.schedules
        if schedules is None:
            raise LedgerUnavailable("This gateway keeps no schedules.", Explanation(outcome=Outcome.NOT_SENT))
        check_key(asked)
        plan = plan_of(later, schedules)
        schedule, is_replayed = await schedules.create(plan, request.caller, asked.key, asked.fingerprint)
        shown = rendering.schedule(schedule, self.services.clock.now())
        headers = {"Location": f"{request.address.prefix}{BASE_PATH}/schedules/{schedule.id}"}
        headers |= {"Idempotent-Replayed": "true"} if is_replayed else {}
        headers |= preferences.applied
        return Reply({"scheduled": "emulated", "schedule": shown}, HTTPStatus.ACCEPTED, headers)

    async def terminate(self, request: Request) -> Reply:
        """End a job by the steps that its status needs, or return these steps. Raises as `_answer`, and Forbidden."""
        preferences = preferences_of(request)
        asked = self._asked(request, termination(request), preferences)
        if asked.job_action.parameters[MODE] == Mode.FORCED:
            check_scopes(request.caller, asked.connection.vendor.capabilities[DISCARD].definition.scopes, None)
        if request.query["dryRun"]:
            plan = rendering.termination(await self.services.terminations.preview(asked))
            return Reply(plan, headers=preferences.applied)
        return await self._answer(request, asked, preferences, self.services.terminations.perform)

    def _asked(self, request: Request, job_action: JobAction, preferences: Preferences) -> ActionRequest:
        """The request for a job action."""
        return ActionRequest(
            connection=self.services.directory.connection(request.path["connection"]),
            job_action=job_action,
            caller=request.caller.name,
            strict=preferences.strict,
            key=key_of(request),
            origin=request.origin,
            seconds=shortest(timeout_of(request), preferences.wait or None),
            labels=(request.body or {}).get(LABELS, {}),
        )

    async def _answer(
        self,
        request: Request,
        asked: ActionRequest,
        preferences: Preferences,
        perform: Callable[[ActionRequest], Awaitable[ActionResult]],
    ) -> Reply:
        """Perform a job action, and answer from its record.

        Raises the problem if the action failed, IdempotencyKeyMissing or IdempotencyKeyInUse if it was not begun.
        """
        check_key(asked)
        end = self.services.clock.monotonic() + preferences.wait
        result = await perform(asked)
        if result.is_early:
            raise IdempotencyKeyInUse(
                "A request with this key is under way.",
                Explanation(outcome=Outcome.NOT_SENT, retry_after=1, job_action=result.record.id),
            )
        if preferences.wait and not result.record.is_settled:
            left = end - self.services.clock.monotonic()
            result = replace(result, record=await self.services.reconciler.wait(result.record, left))
        return reply_with(result, request.address.prefix, preferences.applied)

    def _context(self, request: Request) -> CallContext:
        """The deadline and the caller for the vendor calls of a request."""
        return self.services.calls.context(request.origin, timeout_of(request), request.caller.name)

    async def get_connection_health(self, request: Request) -> Reply:
        """Return the health of a connection, without calling the vendor."""
        connection = self.services.directory.connection(request.path["connection"])
        return Reply(rendering.health(connection))

    async def list_job_actions(self, request: Request) -> Reply:
        """Return a page of the caller's job actions; of everybody's for auditors."""
        query = request.query
        before = record_at(query["cursor"]) if "cursor" in query else None
        chosen = selection(request)
        if chosen is not None and "parent" in query:
            page = await self._steps(query["parent"], chosen, query["limit"], before)
        else:
            page = NO_RECORDS if chosen is None else await self._records(chosen, query["limit"], before)
        cursor = cursor_of(page.next_cursor)
        items = [rendering.job_action(record) for record in page.items]
        headers = link_to_next(f"{request.address.prefix}{BASE_PATH}/job-actions", query, cursor)
        return Reply({"items": items, "nextCursor": cursor}, headers=headers)

    async def _records(self, chosen: Selection, limit: int, before: str | None) -> Page[JobActionRecord]:
        """A page of records, whichever form of the job's id is used."""
        ids = self._ids_of(chosen.job_id, chosen.connection)
        pages = [await self.services.ledger.page(replace(chosen, job_id=each), limit, before) for each in ids]
        return merged(pages, limit)

    async def _steps(self, parent: str, chosen: Selection, limit: int, before: str | None) -> Page[JobActionRecord]:
        """A page of the steps of a termination. They are on its job, and began after it."""
        record = await self.services.ledger.get(parent, chosen.caller)
        if record is None:
            return NO_RECORDS
        asked = record.requested
        page = await self._records(
            replace(
                chosen,
                connection=chosen.connection or asked.connection,
                job_id=chosen.job_id or asked.job_action.job_id,
                since=max(filter(None, (chosen.since, asked.at))),
            ),
            limit,
            before,
        )
        return Page(tuple(each for each in page.items if each.requested.parent == parent), page.next_cursor)

    def _ids_of(self, job_id: str | None, connection: str | None) -> Iterable[str | None]:
        """The ids of the jobs that a text can name: in the form of each vendor, and unchanged.

        If no connection is named, one vendor may read the text as a UUID, and another as an id in which case matters.
        """
        if job_id is None:
            return (None,)
        named = [each for name, each in self.services.directory.connections.items() if connection in {None, name}]
        return dict.fromkeys([job_id, *(each.vendor.specification.job_id(job_id) for each in named)])

    async def get_job_action(self, request: Request) -> Reply:
        """Return one of the caller's job actions, or anybody's to an auditor. Raises UnknownJobAction."""
        preferences = preferences_of(request)
        caller = None if request.caller.audits else request.caller.name
        record = await self.services.ledger.get(request.path["id"], caller)
        if record is None:
            raise UnknownJobAction("No job action with this id is recorded.")
        if preferences.wait:
            record = await self.services.reconciler.wait(record, preferences.wait)
        return Reply(rendering.job_action(record), headers=preferences.applied | until_settled(record))


@dataclass(frozen=True)
class Problems:
    """Renders problems as the document of the unified API describes them."""

    api: Api

    def __call__(self, error: JobgateError, context: RequestContext) -> RawReply:
        """Render a problem as a reply. It has an outcome if the request was a job action, however early it failed."""
        operation = self.api.operation_at(context.method, context.path.removeprefix(BASE_PATH))
        is_action = operation is not None and not ACTING.isdisjoint(operation.extensions)
        outcome = (error.explanation.outcome or error.outcome) if is_action else None
        return render(error.explain(outcome=outcome), context)


def check_key(asked: ActionRequest) -> None:
    """Raise IdempotencyKeyMissing if the connection needs a key and the request has none."""
    if asked.key is None and asked.connection.needs_key:
        raise IdempotencyKeyMissing(f"Actions on jobs of {asked.connection.name} need an Idempotency-Key header.")


def timeout_of(request: Request) -> float | None:
    """Seconds that calls to the vendor may take for a request; None if the client does not say."""
    written: str | None = request.header.get("Request-Timeout")
    return None if written is None else float(written)


def shortest(*seconds: float | None) -> float | None:
    """The shortest of these times; None means no limit."""
    known = [each for each in seconds if each is not None]
    return min(known) if known else None


def reply_with(result: ActionResult, prefix: str, headers: Mapping[str, str]) -> Reply:
    """The answer to a job action, made from its record. Raises the problem if the action failed.

    `prefix` comes before every path of this gateway in the client's URLs.
    """
    record, status = result.record, result.record.status
    if status is JobActionStatus.FAILED:
        raise problem_of(record).explain(replayed=result.is_replayed)
    replayed = {"Idempotent-Replayed": "true"} if result.is_replayed else {}
    at = f"{prefix}{BASE_PATH}/job-actions/{record.id}"
    if status is JobActionStatus.SUCCEEDED:
        return Reply(rendering.job_action(record), headers={**headers, **replayed, "Content-Location": at})
    headers = {**headers, **replayed, "Location": at, **until_settled(record)}
    return Reply(rendering.job_action(record), HTTPStatus.ACCEPTED, headers)


def until_settled(record: JobActionRecord) -> dict[str, str]:
    """The Retry-After of a record that is not settled yet."""
    return {} if record.is_settled else {"Retry-After": str(LOOK_AGAIN_SECONDS)}


def selection(request: Request) -> Selection | None:
    """The job actions that a request selects; None if they are other callers', which only auditors may see."""
    query, own = request.query, request.caller.name
    caller = query.get("caller", None if request.caller.audits else own)
    if caller != own and not request.caller.audits:
        return None
    return Selection(
        caller=caller,
        connection=query.get("connection"),
        job_id=query.get("jobId"),
        action=query.get("action"),
        status=JobActionStatus(query["status"]) if "status" in query else None,
        outcome=Outcome(query["outcome"]) if "outcome" in query else None,
        since=parse_date_time(query["since"]) if "since" in query else None,
        until=parse_date_time(query["until"]) if "until" in query else None,
        label=label_of(query["label"]) if "label" in query else None,
    )


def label_of(written: str) -> tuple[str, str]:
    """The name and value of a label that is written as `name=value`."""
    name, _, value = written.partition("=")
    return name, value


def decode(request: Request) -> JobAction:
    """The job action of a request to the unified API."""
    action, job_id = request.operation.extensions["x-action"], request.path["jobId"]
    return JobAction(action, job_id, parameters_of(request), version_of(request))


def parameters_of(request: Request) -> dict[str, Json]:
    """The parameters of the action in the body of a request: all of it but the labels."""
    body: dict[str, Json] = request.body or {}
    return {name: value for name, value in body.items() if name != LABELS} if LABELS in body else body


def version_of(request: Request) -> str | None:
    """The version of the job that a request demands. Raises PreconditionNotSupported if it is not one entity tag."""
    written: str | None = request.header.get("If-Match")
    if written is None or is_entity_tag(written):
        return written
    raise PreconditionNotSupported(
        "If-Match takes one entity tag: send the ETag of the job, in its quotes. * and lists of tags are not accepted.",
        Explanation(errors=(FieldError(IF_MATCH, "is not one entity tag"),), outcome=Outcome.NOT_SENT),
    )


def termination(request: Request) -> JobAction:
    """The job action of a request to terminate a job."""
    given = parameters_of(request)
    parameters = {MODE: given.get(MODE, Mode.GRACEFUL.value), **given}
    return JobAction(TERMINATE, request.path["jobId"], parameters, version_of(request))


def key_of(request: Request) -> str | None:
    """The idempotency key of a request: a string of RFC 8941 (in quotes), or the same text without quotes."""
    written: str | None = request.header.get("Idempotency-Key")
    return None if written is None else unquoted(written)


class Preferences(Struct, frozen=True):
    """The supported preferences of a Prefer header (RFC 7240); `wait` is in seconds."""

    strict: bool = False
    wait: int = 0

    @property
    def applied(self) -> dict[str, str]:
        """The header field that lists the applied preferences."""
        if self is NO_PREFERENCES:
            return {}
        honoured = [*(["handling=strict"] if self.strict else []), *([f"wait={self.wait}"] if self.wait else [])]
        return {"Preference-Applied": ", ".join(honoured)} if honoured else {}


NO_PREFERENCES = Preferences()


def preferences_of(request: Request) -> Preferences:
    """The preferences of a request. Unknown ones are ignored, and so is `wait` without a number.

    If a name comes twice, the first counts (RFC 7240, 2).
    """
    if "Prefer" not in request.header:
        return NO_PREFERENCES
    found = [named(parts(each)[0]) for each in members(request.header["Prefer"]) if parts(each)]
    given = dict(reversed(found))
    seconds = up_to(MOST_WAIT_SECONDS, given.get("wait", ""))
    return Preferences(given.get("handling", "").lower() == "strict", seconds or 0)


def merged(pages: Sequence[Page[JobActionRecord]], limit: int) -> Page[JobActionRecord]:
    """Merge pages that begin at the same place into one, newest first. It ends where the first of them ends."""
    if len(pages) == 1:
        return pages[0]
    ends = max((page.next_cursor for page in pages if page.next_cursor is not None), default="")
    known = sorted((each for page in pages for each in page.items if each.id >= ends), key=lambda each: each.id)
    items = tuple(reversed(known))
    if len(items) > limit:
        return Page(items[:limit], items[limit - 1].id)
    return Page(items, ends or None)


def link_to_next(path: str, query: Mapping[str, Json], cursor: str | None) -> dict[str, str]:
    """The Link header (RFC 8288) of a page; none on the last page."""
    if cursor is None:
        return {}
    following = urlencode({**query, "cursor": cursor}, doseq=True)
    return {"Link": f'<{path}?{following}>; rel="next"'}


def cursor_of(record_id: str | None) -> str | None:
    """The cursor for the id of a page's last record; None on the last page."""
    return None if record_id is None else encode_cursor(UUID(record_id).bytes)


def record_at(cursor: str) -> str:
    """The record id in a cursor. Raises UnknownCursor if the cursor is not one of ours."""
    try:
        return str(UUID(bytes=decode_cursor(cursor)))
    except ValueError:
        raise unknown_cursor() from None
