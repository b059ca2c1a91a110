"""Vendors without HTTP: jobs that follow the documents' transitions, faults, and a log of all calls."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.app import Catalogue
from gateway.domain.errors import VendorReplyNotUnderstood, VendorTimedOut, VendorUnreachable
from gateway.domain.model import HttpReply, HttpRequest, Json
from tests.support.transport import reply
from tests.support.vendors import TOKEN_URL, VONAGE, token, vonage_error, vonage_page

ASSIGNMENT = "assignment-1"
_AZURE_ACTION = re.compile(r".*/routing/jobs/(?P<job>[^/:?]+)(?:/assignments/[^/:]+)?:(?P<action>\w+)\?.*")
_AZURE_JOB = re.compile(r".*/routing/jobs/(?P<job>[^/:?]+)\?.*")
_VONAGE_ACTION = re.compile(r".*/interactions/jobs/(?P<job>[^/]+)/(?P<action>\w+)")


class Fault(StrEnum):
    """What befalls the next request for an action."""

    UNREACHABLE = "unreachable"
    THROTTLED = "throttled"
    LOST_BEFORE = "lost before it was applied"
    LOST_AFTER = "lost after it was applied"
    ERROR_BEFORE = "an error, and not applied"
    ERROR_AFTER = "an error, and applied"
    NONSENSE_AFTER = "nonsense, and applied"


@dataclass(frozen=True)
class Call:
    """A request for an action that reached the vendor, by the number of the request that it came from."""

    number: int
    job_id: str
    action: str
    applied: bool


@dataclass
class Vendors:
    """Both vendors. `number` is that of the request that is being worked on, `fault` befalls its action."""

    catalogue: Catalogue
    jobs: dict[str, str] = field(default_factory=dict)
    log: list[Call] = field(default_factory=list)
    number: int = 0
    fault: Fault | None = None

    async def send(self, request: HttpRequest, _deadline: float) -> HttpReply:
        """Answer as the vendors do, or fail."""
        if request.url == TOKEN_URL:
            return token()
        asked = _AZURE_ACTION.fullmatch(request.url) or _VONAGE_ACTION.fullmatch(request.url)
        if request.method == "POST" and asked:
            return self._act(asked["job"], asked["action"])
        if request.url.startswith(VONAGE):
            return vonage_page(
                [{"jobId": job, "type": "export-batch", "status": at} for job, at in self._of("V").items()]
            )
        read = _AZURE_JOB.fullmatch(request.url)
        return reply(200, self._azure_job(read["job"])) if read else reply(404)

    def calls(self, number: int) -> list[Call]:
        """What reached the vendor of a request."""
        return [call for call in self.log if call.number == number]

    def _act(self, job_id: str, action: str) -> HttpReply:
        fault, self.fault = self.fault, None
        if fault is Fault.UNREACHABLE:
            raise VendorUnreachable("No connection to the vendor could be made.")
        is_lost = fault in {Fault.LOST_BEFORE, Fault.ERROR_BEFORE, Fault.THROTTLED}
        applied = not is_lost and self._apply(job_id, action)
        self.log.append(Call(self.number, job_id, action, applied))
        match fault:
            case Fault.THROTTLED:
                return reply(429)
            case Fault.LOST_BEFORE | Fault.LOST_AFTER:
                raise VendorTimedOut("The vendor did not answer in time.")
            case Fault.ERROR_BEFORE | Fault.ERROR_AFTER:
                return reply(503)
            case Fault.NONSENSE_AFTER:
                raise VendorReplyNotUnderstood("The vendor's reply broke off, or is not HTTP.")
        return (reply(200, {}) if job_id[0] == "A" else reply(204)) if applied else vonage_error(409, "No.")

    def _apply(self, job_id: str, action: str) -> bool:
        """Do it, where the document allows it in the job's status."""
        name = "azure-job-router" if job_id[0] == "A" else "vonage-contact-center"
        mapping = self.catalogue.vendors[name].specification.actions[action]
        if self.jobs[job_id] not in mapping.from_statuses:
            return False
        self.jobs[job_id] = mapping.to_status
        return True

    def _of(self, first: str) -> Mapping[str, str]:
        return {job_id: status for job_id, status in self.jobs.items() if job_id[0] == first}

    def _azure_job(self, job_id: str) -> dict[str, Json]:
        status, time = self.jobs[job_id], "2026-01-05T09:40:00.1111111+00:00"
        closed: dict[str, Json] = {"closedAt": time} if status == "closed" else {}
        done: dict[str, Json] = {"assignmentId": ASSIGNMENT, "assignedAt": time, "completedAt": time, **closed}
        has = {"assignments": {ASSIGNMENT: done}} if status in {"completed", "closed"} else {}
        return {"id": job_id, "etag": '"1"', "status": status, **has}
