"""Azure Communication Services Job Router: its request signature, and the assignment that an action is meant for."""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote_plus

from gateway.domain.adapter import Adapter, Signed, Signing
from gateway.domain.model import HttpRequest, JobAction, Json
from gateway.domain.times import http_date

CLOCK_SKEW = timedelta(minutes=5)
"""Allowed difference between clocks. Microsoft documents none for this service; five minutes is usual at Azure."""

_SIGNED_HEADERS = "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&"
"""Text before the signature, with the headers that Microsoft's page and its SDKs sign."""
_SIGNED = re.compile(re.escape(f"{_SIGNED_HEADERS}Signature="), re.IGNORECASE)
"""The same text in any case, since schemes, parameters and header names are case-insensitive (RFC 9110, 5.1 and 11)."""


def sign(request: HttpRequest, access_key: str, now: datetime) -> Mapping[str, str]:
    """The signature is Azure's own: the headers of its HMAC-SHA256 scheme ("Sign an HTTP request").

    `access_key` is the key in Base64 or the connection string, as the portal shows them. Raises ValueError if it is
    neither.
    """
    host, target = _address(request.url)
    date, digest = _http_date(now.replace(microsecond=0)), _digest(request.content)
    signature = _signature(access_key, _signed_text(request.method, target, date, host, digest))
    return {
        "x-ms-date": date,
        "x-ms-content-sha256": digest,
        "Authorization": f"{_SIGNED_HEADERS}Signature={signature}",
    }


def verify(request: HttpRequest, now: datetime, endpoint: str) -> Signed:
    """Azure's clients sign their requests: check it as the service does. Raises PermissionError with the reason.

    Two variants of Microsoft's SDKs are accepted too. The SDK for Python signs the whole endpoint of its connection
    string as the host, including a path (azure-communication-jobrouter 1.0.0, `HMACCredentialsPolicy.__init__`). Those
    for JavaScript sign the query form-encoded (@azure/communication-common 2.5.0, `URLSearchParams`).
    """
    sent = {name.lower(): value for name, value in request.headers.items()}
    date, digest = sent.get("x-ms-date", ""), _digest(request.content)
    if not _is_near(date, now):
        raise PermissionError("The request has no x-ms-date header, or one too far from the current time.")
    if sent.get("x-ms-content-sha256") != digest:
        raise PermissionError("Request 'x-ms-content-sha256' differs from generated content hash.")
    written = _SIGNED.match(sent.get("authorization", ""))
    if written is None:
        raise PermissionError(f"The Authorization header does not begin with {_SIGNED_HEADERS}Signature=.")
    signature = written.string[written.end() :]
    host, target = _address(request.url)
    hosts = dict.fromkeys((endpoint.partition("://")[2], host))
    targets = dict.fromkeys((target, _with_form(target)))
    texts = [_signed_text(request.method, path, date, each, digest) for each in hosts for path in targets]

    def signed(access_key: str) -> str | None:
        made = (_signature(access_key, text) for text in texts)
        return next((each for each in made if _same(each, signature)), None)

    return signed


def closable_assignments(job: Mapping[str, Json]) -> tuple[str, ...]:
    """Close Job names an assignment: the ids of those that can be closed, completed and not closed yet."""
    return tuple(
        str(identifier)
        for identifier, assignment in _assignments(job).items()
        if assignment.get("completedAt") and not assignment.get("closedAt")
    )


def open_assignments(job: Mapping[str, Json]) -> tuple[str, ...]:
    """Complete and Unassign Job name an assignment: the ids of those that are not completed yet."""
    return tuple(each for each, assignment in _assignments(job).items() if not assignment.get("completedAt"))


def assignment_is_completed(job: Mapping[str, Json], job_action: JobAction) -> bool | None:
    """Workers complete jobs too: True if the assignment of the action is completed; None if the job lacks it."""
    assignment = _assigned(job, job_action)
    return None if assignment is None else bool(assignment.get("completedAt"))


def assignment_is_returned(job: Mapping[str, Json], job_action: JobAction) -> bool | None:
    """The job may be with another worker: True if it is queued or lacks the assignment; None if it has others too.

    No document and no recording shows whether the service keeps the assignment in the job.
    """
    if job.get("status") == "queued" or _assigned(job, job_action) is None:
        return True
    return False if len(_assignments(job)) == 1 else None


def assignment_is_closed(job: Mapping[str, Json], job_action: JobAction) -> bool | None:
    """A job stays completed until its last assignment is closed: True if the action's is; None if it is not there."""
    assignment = _assigned(job, job_action)
    return None if assignment is None else bool(assignment.get("closedAt"))


def simulate(job: Mapping[str, Json], job_action: JobAction, now: datetime) -> Mapping[str, Json]:
    """Actions change more than the status: the job with its disposition, note and assignment after an action.

    The default dispositions and the form of the times are those of Microsoft's recordings.
    """
    at = f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}0+00:00"
    changed: dict[str, Json] = dict(job)
    if job_action.action in _DISPOSITIONS:
        default = _DISPOSITIONS[job_action.action]
        changed["dispositionCode"] = job_action.parameters.get("dispositionCode", default)
    if "note" in job_action.parameters:
        notes = job.get("notes")
        earlier = notes if isinstance(notes, list) else []
        changed["notes"] = [*earlier, {"message": job_action.parameters["note"], "addedAt": at}]
    if "assignmentId" in job_action.parameters:
        changed["assignments"] = _assignments_after(job, job_action, at)
    return changed


_DISPOSITIONS = {"cancel": "Cancelled", "close": "Closed"}
"""The disposition that the service gives a job if a request has none, for the actions that give one."""
_MARKS = {"complete": "completedAt", "close": "closedAt"}
"""The member of an assignment in which an action leaves its time; unassign removes the assignment."""


def _assignments_after(job: Mapping[str, Json], job_action: JobAction, at: str) -> Mapping[str, Json]:
    """The job's assignments after an action on one of them. Raises KeyError if the job does not have it."""
    identifier = str(job_action.parameters["assignmentId"])
    others = dict(_assignments(job))
    assignment = others.pop(identifier)
    mark = _MARKS.get(job_action.action)
    return others if mark is None else {**others, identifier: {**assignment, mark: at}}


def _assigned(job: Mapping[str, Json], job_action: JobAction) -> Mapping[str, Any] | None:
    """The assignment that an action names; None if the job does not have it."""
    return _assignments(job).get(str(job_action.parameters.get("assignmentId")))


def _assignments(job: Mapping[str, Json]) -> Mapping[str, Mapping[str, Any]]:
    found = job.get("assignments")
    assignments = found.items() if isinstance(found, Mapping) else ()
    return {name: each for name, each in assignments if isinstance(each, Mapping)}


def _address(url: str) -> tuple[str, str]:
    """The authority of a URL, and the path with the query."""
    authority, slash, target = url.partition("://")[2].partition("/")
    return authority, slash + target


def _with_form(target: str) -> str:
    """A path with its query form-encoded (URL Standard, application/x-www-form-urlencoded).

    Two queries give the same text only if they have the same names and values in the same order. So a signature over
    one of them proves as much as one over the other.
    """
    path, mark, query = target.partition("?")
    if not mark or not query.isascii():
        return target
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict")
    except ValueError:
        return target
    return f"{path}?{'&'.join(f'{_in_form(name)}={_in_form(value)}' for name, value in pairs)}"


def _in_form(text: str) -> str:
    return quote_plus(text, safe="*").replace("~", "%7E")


@lru_cache(maxsize=1_024)
def _keyed(access_key: str) -> hmac.HMAC:
    """The HMAC with its key, cached: it is the same for each request and takes most of the time."""
    return hmac.new(binascii.a2b_base64(_access_key(access_key), strict_mode=True), digestmod="sha256")


def _access_key(secret: str) -> str:
    """The access key in a secret, which can be a connection string: `endpoint=https://…/;accesskey=…`."""
    parts = dict(part.partition("=")[::2] for part in secret.split(";"))
    named = {name.strip().lower(): value for name, value in parts.items()}
    return named.get("accesskey", secret)


@lru_cache(maxsize=8)
def _http_date(second: datetime) -> str:
    return format_datetime(second.astimezone(UTC), usegmt=True)


def _is_near(date: str, now: datetime) -> bool:
    """True if the text is an HTTP date, and within the allowed difference of now."""
    at = http_date(date)
    return at is not None and abs(now - at) <= CLOCK_SKEW


def _digest(content: bytes) -> str:
    return _base64(hashlib.sha256(content).digest())


def _signed_text(method: str, target: str, date: str, host: str, digest: str) -> str:
    return f"{method}\n{target}\n{date};{host};{digest}"


def _signature(access_key: str, text: str) -> str:
    keyed = _keyed(access_key).copy()
    keyed.update(text.encode())
    return _base64(keyed.digest())


def _base64(content: bytes) -> str:
    return binascii.b2a_base64(content, newline=False).decode("ascii")


def _same(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "surrogateescape"))


ADAPTER = Adapter(
    Path(__file__).parents[1] / "specs/vendors/azure-job-router.yaml",
    signing={
        "accessKey": Signing(sign, verify, public=frozenset({"x-ms-date", "x-ms-content-sha256"}), lasts=2 * CLOCK_SKEW)
    },
    finders={"closable_assignments": closable_assignments, "open_assignments": open_assignments},
    evidence={
        "assignment_is_closed": assignment_is_closed,
        "assignment_is_completed": assignment_is_completed,
        "assignment_is_returned": assignment_is_returned,
    },
    simulate=simulate,
)
