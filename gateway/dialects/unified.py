"""The unified API, specs/gateway.yaml: one handler for each operation."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode
from uuid import UUID

from gateway.dialects import rendering
from gateway.domain.encoding import decode_cursor, encode_cursor, unknown_cursor
from gateway.domain.errors import UnknownJobAction
from gateway.domain.model import JobAction, Json
from gateway.domain.ports import Ledger
from gateway.edge.surface import Handler, Reply, Request
from gateway.engine import actions
from gateway.engine.connections import Directory
from gateway.engine.jobs import Jobs
from gateway.specs.capabilities import ActionDefinition

BASE_PATH = "/v1"


class UnifiedApi:
    """The handlers of the unified API."""

    def __init__(self, directory: Directory, jobs: Jobs, performer: actions.Actions, ledger: Ledger) -> None:
        """Answer from `directory`, `jobs` and `ledger`; act through `performer`."""
        self._directory = directory
        self._jobs = jobs
        self._actions = performer
        self._ledger = ledger

    def handlers(self, definitions: Mapping[str, ActionDefinition]) -> dict[str, Handler]:
        """The handlers by operationId. All actions share one."""
        return {
            "listVendors": self.list_vendors,
            "getVendor": self.get_vendor,
            "listConnections": self.list_connections,
            "getConnection": self.get_connection,
            "listJobs": self.list_jobs,
            "getJob": self.get_job,
            "listJobActions": self.list_job_actions,
            "getJobAction": self.get_job_action,
        } | {definition.operation_id: self.act for definition in definitions.values()}

    async def list_vendors(self, _request: Request) -> Reply:
        """Every vendor, with its row of the capability matrix."""
        return Reply(rendering.whole_list(map(rendering.vendor, self._directory.vendors.values())))

    async def get_vendor(self, request: Request) -> Reply:
        """One vendor."""
        return Reply(rendering.vendor(self._directory.vendor(request.path["vendor"])))

    async def list_connections(self, _request: Request) -> Reply:
        """Every connection."""
        return Reply(rendering.whole_list(map(rendering.connection, self._directory.connections.values())))

    async def get_connection(self, request: Request) -> Reply:
        """One connection."""
        return Reply(rendering.connection(self._directory.connection(request.path["connection"])))

    async def list_jobs(self, request: Request) -> Reply:
        """A page of a connection's jobs."""
        connection = self._directory.connection(request.path["connection"])
        query = request.query
        page = await self._jobs.page(connection, query["limit"], query.get("cursor"), query.get("status"))
        with_vendor = query.get("include") == "vendor"
        items = [rendering.job(job, with_vendor=with_vendor) for job in page.items]
        headers = link_to_next(f"{BASE_PATH}/connections/{connection.name}/jobs", query, page.next_cursor)
        return Reply({"items": items, "nextCursor": page.next_cursor}, headers=headers)

    async def get_job(self, request: Request) -> Reply:
        """One job."""
        connection = self._directory.connection(request.path["connection"])
        job = await self._jobs.get(connection, request.path["jobId"])
        return Reply(rendering.job(job, with_vendor=request.query.get("include") == "vendor"))

    async def act(self, request: Request) -> Reply:
        """Perform the action that the operation stands for, or show what would be sent."""
        strict = "Prefer" in request.header and is_strict(request.header["Prefer"])
        question = actions.Question(
            connection=self._directory.connection(request.path["connection"]),
            job_action=decode(request),
            caller=request.caller,
            strict=strict,
        )
        applied = {"Preference-Applied": "handling=strict"} if strict else {}
        if request.query["dryRun"]:
            return Reply(rendering.dry_run(await self._actions.preview(question)), headers=applied)
        record = await self._actions.perform(question)
        location = {"Content-Location": f"{BASE_PATH}/job-actions/{record.id}"}
        return Reply(rendering.job_action(record), headers=applied | location)

    async def list_job_actions(self, request: Request) -> Reply:
        """A page of the caller's job actions."""
        before = record_at(request.query["cursor"]) if "cursor" in request.query else None
        page = await self._ledger.page(request.caller, request.query["limit"], before)
        cursor = cursor_of(page.next_cursor)
        items = [rendering.job_action(record) for record in page.items]
        headers = link_to_next(f"{BASE_PATH}/job-actions", request.query, cursor)
        return Reply({"items": items, "nextCursor": cursor}, headers=headers)

    async def get_job_action(self, request: Request) -> Reply:
        """One of the caller's job actions."""
        record = await self._ledger.get(request.path["id"], request.caller)
        if record is None:
            raise UnknownJobAction("There is no record of a job action with this id.")
        return Reply(rendering.job_action(record))


def decode(request: Request) -> JobAction:
    """The job action that a request of the unified API asks for."""
    return JobAction(request.operation.extensions["x-action"], request.path["jobId"], request.body or {})


def is_strict(prefer: str) -> bool:
    """Whether a Prefer header (RFC 7240) asks for strict handling."""
    preferences = (part.split(";")[0].strip().lower().replace(" ", "") for part in prefer.split(","))
    return any(preference in {"handling=strict", 'handling="strict"'} for preference in preferences)


def link_to_next(path: str, query: Mapping[str, Json], cursor: str | None) -> dict[str, str]:
    """The Link header (RFC 8288) of a page that is not the last."""
    if cursor is None:
        return {}
    following = urlencode({**query, "cursor": cursor})
    return {"Link": f'<{path}?{following}>; rel="next"'}


def cursor_of(record_id: str | None) -> str | None:
    """The id of a list's last record as a cursor; none where the list ends."""
    return None if record_id is None else encode_cursor(UUID(record_id).bytes)


def record_at(cursor: str) -> str:
    """The id in a cursor. Raises UnknownCursor where it is none of ours."""
    try:
        return str(UUID(bytes=decode_cursor(cursor)))
    except ValueError:
        raise unknown_cursor() from None
