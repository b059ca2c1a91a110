"""Problems in one vendor's words, as that vendor's own clients understand them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from http.client import responses

from gateway.domain.encoding import dump
from gateway.domain.errors import (
    CallerError,
    JobChanged,
    JobgateError,
    MalformedRequest,
    UnknownJob,
    VendorRefused,
    VendorThrottled,
    WindowClosed,
    WrongState,
    keeps_its_status,
)
from gateway.domain.model import Outcome
from gateway.edge.exchange import RawReply, RequestContext
from gateway.edge.problems import problem_headers, sentence
from gateway.edge.validation import form_values
from gateway.security.grants import OAuthError, read_basic, read_grant
from gateway.specs.native import GRANT, NativeApi
from gateway.specs.operations import Operation
from gateway.specs.vendor import ErrorReply

VERBATIM = (UnknownJob, WrongState, JobChanged, VendorRefused, VendorThrottled)
"""Refusals that a vendor's own client gets in the vendor's own words."""

DOUBTFUL = HTTPStatus.FAILED_DEPENDENCY
"""Status for an action with an unknown outcome. Clients retry by themselves after 5xx, 408, 429 or a Retry-After
(azure-core, curl --retry, Vonage's samples); none of them retries after this one."""
DOUBTFUL_CODE = "OutcomeUnknown"

RENAMED: Mapping[int, str] = {413: "Content Too Large", 414: "URI Too Long", 422: "Unprocessable Content"}
"""Names of statuses in RFC 9110, which Python's library has since 3.13."""

JOB_ACTION = "jobgate-job-action"
"""Header field with the id of a job action's record."""


@dataclass(frozen=True)
class Refusals:
    """Renders problems as the vendor does."""

    native: NativeApi

    def __call__(self, error: JobgateError, context: RequestContext) -> RawReply:
        """Render a problem as a reply."""
        operation = self.native.operation_at(context.method, context.path)
        if operation is not None and operation.operation_id == GRANT:
            refusal = self._of_a_grant(error, context)
            headers = {"content-type": "application/json", **problem_headers(error), **refusal.headers}
            return RawReply(refusal.status, headers, dump(refusal.body))
        is_doubtful = self._is_action(operation) and (error.explanation.outcome or error.outcome) is Outcome.UNKNOWN
        reply = self._doubtful(error) if is_doubtful else self._error_reply(error)
        written = self.native.vendor.errors.write(
            reply, self._target(error, context), self.native.vendor.errors.envelopes
        )
        headers = {"content-type": self.native.vendor.error_media_type(operation, reply.status)}
        headers |= {name: str(value) for name, value in written["header"].items()}
        headers |= problem_headers(error, self.native.challenge)
        if is_doubtful or isinstance(error, WindowClosed):
            # Clients sleep as long as it says, which can be many hours here.
            headers.pop("retry-after", None)
        if error.explanation.job_action is not None:
            headers[JOB_ACTION] = error.explanation.job_action
        return RawReply(reply.status, headers, dump(written["body"]))

    def _error_reply(self, error: JobgateError) -> ErrorReply:
        said = error.explanation.vendor
        if isinstance(error, VERBATIM) and said and said.status and said.vendor == self.native.vendor.name:
            return ErrorReply(said.status, said.message or sentence(error.detail), said.code)
        documented = self._documented(error)
        message = self._said_of_a_place(error) or self._said_of_the_job(error) or sentence(error.detail)
        if not documented:
            return ErrorReply(error.status, message, code_of(error.status))
        # If the vendor's documents allow several replies, the one with the status of the problem fits best.
        chosen = next((each for each in documented if each.status == error.status), documented[0])
        return replace(chosen, message=message, status=error.status if keeps_its_status(type(error)) else chosen.status)

    def _documented(self, error: JobgateError) -> tuple[ErrorReply, ...]:
        """The error replies that the vendor's document has for a problem.

        A problem without a meaning keeps its own HTTP status. So a valid request that cannot be carried out, such as
        one for an action that another vendor does not have, is 422 and never an invalid request.
        """
        return () if error.meaning is None else self.native.vendor.errors.meanings.get(error.meaning, ())

    def _doubtful(self, error: JobgateError) -> ErrorReply:
        return ErrorReply(DOUBTFUL, sentence(f"{error.detail} Read the job before sending it again."), DOUBTFUL_CODE)

    def _said_of_a_place(self, error: JobgateError) -> str | None:
        """The vendor's documented message for the first invalid place."""
        wrong = [each.pointer.removeprefix("/").replace("/", ".") for each in error.explanation.errors]
        said = {str(place): text for place, text in self.native.vendor.errors.places.items()}
        return next((said[place] for place in wrong if place in said), None)

    def _said_of_the_job(self, error: JobgateError) -> str | None:
        """The reason why a job of another vendor does not allow an action, in this vendor's words."""
        job = error.explanation.job
        if not isinstance(error, WrongState) or job is None or job.status.vendor_status in self.native.vendor.statuses:
            return None
        word = self.native.vendor.word_for(job.status.status)
        return None if word is None else f"The job is {word}, which does not allow the action."

    def _is_action(self, operation: Operation | None) -> bool:
        return operation is not None and operation.operation_id in self.native.actions

    def _of_a_grant(self, error: JobgateError, context: RequestContext) -> OAuthError:
        """A problem of the token endpoint (RFC 6749, 5.2): the error in the form, if the form can be read."""
        authorization = context.fields.get(b"authorization", b"").decode("latin-1")
        try:
            if isinstance(error, MalformedRequest):
                read_grant(form_values(context.content)[0], read_basic(authorization), self.native.token_scopes)
        except (OAuthError, MalformedRequest) as refusal:
            if isinstance(refusal, OAuthError):
                return refusal
        return OAuthError("invalid_request", sentence(error.detail), error.status)

    def _target(self, error: JobgateError, context: RequestContext) -> str | None:
        """The path as the vendor knows it, without the connection's name; None if the caller is at fault."""
        if isinstance(error, CallerError):
            return None
        below = context.path.removeprefix(self.native.base_path).removeprefix("/")
        return f"/{below.partition('/')[2]}"


def code_of(status: int) -> str:
    """The code of an error that the document does not describe, in Azure's spelling: NotFound."""
    return "".join(RENAMED.get(status, responses.get(status, "Error")).split())
