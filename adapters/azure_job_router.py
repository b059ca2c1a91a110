"""Azure Communication Services Job Router: its request signature, and where an assignment to close is found."""

from __future__ import annotations

import binascii
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from gateway.domain.adapter import Adapter, Signing
from gateway.domain.model import HttpRequest, JobAction, Json

CLOCK_SKEW = timedelta(minutes=5)
"""How far apart the clocks may be. Microsoft documents no figure for this service; five minutes is usual at Azure."""


def sign(request: HttpRequest, access_key: str, now: datetime) -> Mapping[str, str]:
    """The headers of the HMAC-SHA256 scheme (Azure Communication Services, "Sign an HTTP request").

    `access_key` is the key in Base64 or the connection string, as the portal shows them. Raises ValueError where it is
    neither.
    """
    authority, target = _address(request.url)
    return _signed(request, access_key, now, authority, target)


def _signed(request: HttpRequest, access_key: str, now: datetime, host: str, target: str) -> Mapping[str, str]:
    date = _http_date(now.replace(microsecond=0))
    digest = _base64(hashlib.sha256(request.content).digest())
    text = f"{request.method}\n{target}\n{date};{host};{digest}"
    signature = _keyed(access_key).copy()
    signature.update(text.encode())
    signed = f"HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature={_base64(signature.digest())}"
    return {"x-ms-date": date, "x-ms-content-sha256": digest, "Authorization": signed}


def verify(request: HttpRequest, access_key: str, now: datetime, endpoint: str) -> None:
    """Check a request's signature as the service does. Raises PermissionError, with the reason.

    Microsoft's SDK for Python signs the whole endpoint of its connection string as the host, a path in it included
    (azure-communication-jobrouter 1.0.0, `HMACCredentialsPolicy.__init__`); so both are taken.
    """
    sent = {name.lower(): value for name, value in request.headers.items()}
    authority, target = _address(request.url)
    try:
        date = parsedate_to_datetime(sent["x-ms-date"])
        hosts = dict.fromkeys((endpoint.partition("://")[2], authority))
        expected = [_signed(request, access_key, date, host, target) for host in hosts]
    except (KeyError, ValueError, OverflowError) as error:
        raise PermissionError("The request has no valid x-ms-date header, or no valid address.") from error
    if date.tzinfo is None or abs(now - date) > CLOCK_SKEW:
        raise PermissionError("The x-ms-date header is too far from the present.")
    if not _same(expected[0]["x-ms-content-sha256"], sent.get("x-ms-content-sha256", "")):
        raise PermissionError("Request 'x-ms-content-sha256' differs from generated content hash.")
    if not any(_same(each["Authorization"], sent.get("authorization", "")) for each in expected):
        raise PermissionError("Denied by the resource provider.")


def closable_assignments(job: Mapping[str, Json]) -> tuple[str, ...]:
    """The assignments that can be closed: completed, and not closed yet."""
    return tuple(
        str(identifier)
        for identifier, assignment in _assignments(job).items()
        if assignment.get("completedAt") and not assignment.get("closedAt")
    )


def assignment_is_closed(job: Mapping[str, Json], job_action: JobAction) -> bool | None:
    """Whether the assignment of a close is closed; None where the job has no such assignment."""
    assignment = _assignments(job).get(str(job_action.parameters.get("assignmentId")))
    return None if assignment is None else bool(assignment.get("closedAt"))


def simulate(job: Mapping[str, Json], job_action: JobAction, now: datetime) -> Mapping[str, Json]:
    """The traces of an action in the job: note, disposition, assignment, entity tag.

    The default dispositions and the note's time are those of Microsoft's recordings.
    """
    at = f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}0+00:00"
    default = {"cancel": "Cancelled", "close": "Closed"}[job_action.action]
    changed: dict[str, Json] = {**job, "dispositionCode": job_action.parameters.get("dispositionCode", default)}
    if "note" in job_action.parameters:
        notes = job.get("notes")
        earlier = notes if isinstance(notes, list) else []
        changed["notes"] = [*earlier, {"message": job_action.parameters["note"], "addedAt": at}]
    if job_action.action == "close":
        assignments = _assignments(job)
        identifier = str(job_action.parameters["assignmentId"])
        changed["assignments"] = {**assignments, identifier: {**assignments[identifier], "closedAt": at}}
    return changed


def _assignments(job: Mapping[str, Json]) -> Mapping[str, Mapping[str, Any]]:
    assignments = job.get("assignments")
    return assignments if isinstance(assignments, Mapping) else {}  # type: ignore[return-value]


def _address(url: str) -> tuple[str, str]:
    """The authority of a URL, and the path with the query."""
    authority, slash, target = url.partition("://")[2].partition("/")
    return authority, slash + target


@lru_cache(maxsize=64)
def _keyed(access_key: str) -> hmac.HMAC:
    """The signature's beginning, which is the same for each request and costs most of it."""
    return hmac.new(binascii.a2b_base64(_access_key(access_key), strict_mode=True), digestmod="sha256")


def _access_key(secret: str) -> str:
    """The access key in a secret, which may be a connection string: `endpoint=https://…/;accesskey=…`."""
    parts = dict(part.partition("=")[::2] for part in secret.split(";"))
    named = {name.strip().lower(): value for name, value in parts.items()}
    return named.get("accesskey", secret)


@lru_cache(maxsize=8)
def _http_date(second: datetime) -> str:
    return format_datetime(second.astimezone(UTC), usegmt=True)


def _base64(content: bytes) -> str:
    return binascii.b2a_base64(content, newline=False).decode("ascii")


def _same(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "surrogateescape"))


ADAPTER = Adapter(
    Path(__file__).parents[1] / "specs/vendors/azure-job-router.yaml",
    signing={"accessKey": Signing(sign, verify, public=frozenset({"x-ms-date", "x-ms-content-sha256"}))},
    finders={"closable_assignments": closable_assignments},
    evidence={"assignment_is_closed": assignment_is_closed},
    simulate=simulate,
)
