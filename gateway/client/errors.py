"""The errors of the client: each says what is known to have happened at the vendor."""

from __future__ import annotations

from dataclasses import dataclass

from .statuses import StatusPair, VendorResponse


@dataclass(frozen=True)
class FieldError:
    """One invalid place in a request. `pointer` is a JSON pointer into {path, query, header, body}."""

    pointer: str
    detail: str


@dataclass(frozen=True)
class JobState(StatusPair):
    """The job's status, which explains a problem, and the actions that the job allows."""

    allowed_actions: tuple[str, ...]


class ClientError(Exception):
    """A failed call. `detail` describes it; `outcome` is what is known to have happened, None for a reply without."""

    detail: str | None
    outcome: str | None

    def __post_init__(self) -> None:
        """Pass the values to Exception too; without them the error could not be unpickled."""
        super().__init__(*vars(self).values())

    def __str__(self) -> str:
        """The detail."""
        return str(self.detail)


@dataclass(eq=False)
class ProblemError(ClientError):
    """The gateway answered with a problem. Branch on `code`; the page at `type` says how to fix it.

    `retryable`: the same request can succeed later, after `retry_after` seconds if that is known. `job_action` is the
    id of the record, if there is one. `replayed`: this is the answer to an earlier request with the same key.
    """

    status: int
    code: str
    title: str
    type: str
    retryable: bool
    request_id: str
    detail: str | None = None
    outcome: str | None = None
    errors: tuple[FieldError, ...] = ()
    vendor: VendorResponse | None = None
    job: JobState | None = None
    supported: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()
    job_action: str | None = None
    retry_after: int | None = None
    replayed: bool = False

    def __str__(self) -> str:
        """The code and the detail."""
        return f"{self.code}: {self.detail or self.title}"


@dataclass(eq=False)
class UnexpectedReply(ClientError):
    """The answer is not one of the gateway's API, but of a proxy or another server. `status` is its HTTP status."""

    detail: str
    status: int
    outcome: str | None = "unknown"


@dataclass(eq=False)
class GatewayUnreachable(ClientError):
    """There was no answer. `outcome` is `not_sent` if no byte of the request was sent, otherwise `unknown`.

    For example, it is `not_sent` if the name was not found, the connection refused, or the certificate not trusted.
    """

    detail: str
    outcome: str | None
