"""Both vendors as in their documents: one target per action, and the replies for scripts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from pydantic import SecretStr

from gateway.domain.model import HttpReply, HttpRequest, Json
from gateway.edge.response_validation import ResponseValidation
from gateway.resilience.policy import Policy
from gateway.settings.settings import (
    ClientCredentialsAuthentication,
    ConnectionSettings,
    ServerSettings,
    Settings,
    SignedAuthentication,
)
from tests.support.transport import reply

AZURE = "https://contoso.westus.communications.azure.com"
VONAGE = "https://emea.api.cc.vonage.com/interaction-content-export"
TOKEN_URL = "https://emea.cc.vonage.com/Auth/connect/token"
ACCESS_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
CLIENT_SECRET = "client-secret-that-nobody-may-see"
PART = "part-of-a-credential-that-nobody-may-see"
API_KEY = "jobgate_key-of-the-tests"

AZURE_JOB = "8780b28c-7079-4de1-9143-4d369289e958"
ASSIGNMENT = "1d5896f3-8b54-40be-82d3-910323f5e2af"
VONAGE_JOB = "fe4b9c24-d305-492e-90e2-ddbdd7a36555"


ONE_ATTEMPT = Policy(attempts=1, breaker_failures=1_000)
"""A policy without retries, for tests that count the requests to the vendor."""


def settings(**others: Any) -> Settings:
    """Two Azure accounts and one of Vonage."""
    return Settings(
        api_key=SecretStr(API_KEY),
        policy=others.pop("policy", ONE_ATTEMPT),
        rate_limit=others.pop("rate_limit", "none"),
        server=ServerSettings(trusted_hosts=("gateway.test",), response_validation=ResponseValidation.REFUSE),
        connections={
            "contoso-prod": azure_connection(AZURE),
            "contoso-test": azure_connection("https://contoso-test.communication.azure.com"),
            "vonage-emea": ConnectionSettings(
                vendor="vonage-contact-center",
                endpoint=VONAGE,
                authentication=ClientCredentialsAuthentication(
                    kind="client-credentials",
                    scheme="oauth",
                    client_id="client-1",
                    client_secret=SecretStr(CLIENT_SECRET),
                    token_url=TOKEN_URL,
                ),
            ),
        },
        **others,
    )


def azure_connection(endpoint: str) -> ConnectionSettings:
    """An Azure account whose requests are signed."""
    secret = SecretStr(ACCESS_KEY)
    authentication = SignedAuthentication(kind="signature", scheme="accessKey", secret=secret)
    return ConnectionSettings(vendor="azure-job-router", endpoint=endpoint, authentication=authentication, quota="none")


def token(value: str = "token-1", seconds: Any = 7200) -> HttpReply:
    """What Vonage's token endpoint answers."""
    return reply(200, {"access_token": value, "expires_in": seconds, "token_type": "Bearer"})


def azure_job(status: str, job_id: str = AZURE_JOB, **members: Json) -> dict[str, Json]:
    """A RouterJob, as short as the document allows."""
    return {"id": job_id, "etag": '"1"', "status": status, **members}


def assignment(**times: str) -> dict[str, Json]:
    """An assignment of a RouterJob."""
    return {"assignmentId": "named by its key", "assignedAt": "2026-01-05T09:31:00.7654321+00:00", **times}


def completed_job(*identifiers: str) -> dict[str, Json]:
    """A completed RouterJob whose assignments can all be closed."""
    done = assignment(completedAt="2026-01-05T09:40:00.1111111+00:00")
    return azure_job("completed", assignments=dict.fromkeys(identifiers, done))


def vonage_job(status: str, job_id: str = VONAGE_JOB, **members: Json) -> dict[str, Json]:
    """A job of the export API."""
    return {"jobId": job_id, "type": "export-batch", "status": status, **members}


def vonage_page(jobs: Sequence[Mapping[str, Json]], page: int = 1, count: int = 1) -> HttpReply:
    """A page of the export API's list, the `page`th of `count`."""
    paging = {"page": page, "count": count, "pageCount": len(jobs), "totalCount": 1_000}
    return reply(200, {"jobs": jobs, "paging": paging})


def azure_error(status: int, code: str, envelope: str = "communicationError", **headers: str) -> HttpReply:
    """A refusal by Azure, in one of its two envelopes."""
    return reply(status, {envelope: {"code": code, "message": f"{code}, said Azure."}}, headers)


def vonage_error(status: int, message: str, **headers: str) -> HttpReply:
    """A refusal by Vonage."""
    return reply(status, {"message": message}, headers)


def obedient(request: HttpRequest) -> HttpReply:
    """Vendors without a will of their own: every job exists, every action is carried out."""
    if request.url == TOKEN_URL:
        return token()
    if request.method == "POST":
        return reply(200, {}) if request.url.startswith(AZURE) else reply(204)
    if request.url.startswith(VONAGE):
        return vonage_page([vonage_job("Running")])
    listed = "/routing/jobs?" in request.url
    return reply(200, {"value": [azure_job("queued")]} if listed else completed_job(ASSIGNMENT))


@dataclass(frozen=True)
class Target:
    """An action on a job of the documents, the request that it must become, and what the vendor answers."""

    connection: str
    action: str
    job_id: str
    url: str
    applied: HttpReply
    status: str
    vendor_status: str
    refused_in: str
    allowed_in: str
    parameters: Mapping[str, Json] = field(default_factory=dict)
    body: Mapping[str, Json] | None = None

    def __str__(self) -> str:
        """Its name in the list of tests."""
        return f"{self.connection}-{self.action}"

    @property
    def is_azure(self) -> bool:
        """Whether it goes to Azure."""
        return self.connection.startswith("contoso")

    @property
    def content(self) -> bytes:
        """The body as it must go out."""
        return b"" if self.body is None else json.dumps(self.body, separators=(",", ":")).encode()

    def before(self) -> list[HttpReply]:
        """What is asked before the action: a token, where the vendor wants one."""
        return [] if self.is_azure else [token()]

    def job(self, vendor_status: str) -> HttpReply:
        """The answer to a read of the job."""
        if self.is_azure:
            return reply(200, azure_job(vendor_status))
        return vonage_page([vonage_job(vendor_status)])

    def carried_out(self) -> HttpReply:
        """The answer to a read of the job, once the action was carried out."""
        if self.action != "close":
            return self.job(self.vendor_status)
        closed = assignment(
            completedAt="2026-01-05T09:40:00.1111111+00:00", closedAt="2026-01-05T10:00:00.2222222+00:00"
        )
        return reply(200, azure_job(self.vendor_status, assignments={ASSIGNMENT: closed}))

    def no_job(self) -> HttpReply:
        """The answer to a read, where there is no such job."""
        return azure_error(404, "NotFound") if self.is_azure else vonage_page([])

    def refusal(self, status: int, **headers: str) -> HttpReply:
        """A refusal without a code that says more than its status."""
        if self.is_azure:
            codes = {400: "BadRequest", 404: "NotFound", 409: "Conflict"}
            return azure_error(status, codes.get(status, "Other"), **headers)
        return vonage_error(status, "No.", **headers)


def _azure(action: str, path: str, status: str, refused_in: str, allowed_in: str, **parameters: Json) -> Target:
    sent = {name: value for name, value in parameters.items() if name != "assignmentId"}
    return Target(
        connection="contoso-prod",
        action=action,
        job_id=AZURE_JOB,
        url=f"{AZURE}/routing/jobs/{quote(AZURE_JOB)}{path}?api-version=2023-11-01",
        applied=reply(200, {}, {"trace-id": "trace-1"}),
        status=status,
        vendor_status=status,
        refused_in=refused_in,
        allowed_in=allowed_in,
        parameters=parameters,
        body=sent or None,
    )


def _vonage(action: str, vendor_status: str, refused_in: str, allowed_in: str) -> Target:
    return Target(
        connection="vonage-emea",
        action=action,
        job_id=VONAGE_JOB,
        url=f"{VONAGE}/interactions/jobs/{VONAGE_JOB}/{action}",
        applied=reply(204),
        status=vendor_status.lower(),
        vendor_status=vendor_status,
        refused_in=refused_in,
        allowed_in=allowed_in,
    )


TARGETS = [
    _azure("cancel", ":cancel", "cancelled", "closed", "queued"),
    _azure(
        "close",
        f"/assignments/{ASSIGNMENT}:close",
        "closed",
        "queued",
        "completed",
        assignmentId=ASSIGNMENT,
        dispositionCode="JobCompleted.",
        note="Closing job",
    ),
    _vonage("cancel", "Cancelled", "Completed", "Running"),
    _vonage("restart", "Scheduled", "Running", "Failed"),
    _vonage("pause", "Paused", "Failed", "Running"),
]
"""Every action of every vendor, with the samples of the vendors' own documents."""
