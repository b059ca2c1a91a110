"""One call to a vendor, and what its refusal means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from msgspec.structs import replace

from gateway.domain.errors import (
    Explanation,
    JobgateError,
    UnknownJob,
    VendorDeniedAccess,
    VendorError,
    VendorRefused,
    VendorReplyNotUnderstood,
    VendorThrottled,
    VendorTimedOut,
    VendorUnavailable,
    catalogue,
)
from gateway.domain.model import Effect, HttpReply, HttpRequest, VendorRequest, VendorResponse
from gateway.domain.ports import Clock
from gateway.domain.record import NOBODY, Origin
from gateway.domain.retry_after import retry_after
from gateway.domain.vocabulary import LONGEST_TEXT, Meaning, Source
from gateway.engine.connections import Connection
from gateway.engine.wire import VendorReply, check_contract, http_request
from gateway.resilience.pipeline import Announce, OutboundRequest, unannounced
from gateway.resilience.policy import AttemptResult, attempt_result
from gateway.specs.lens import Lens
from gateway.specs.operations import Operation

OF_MEANING: dict[Meaning, type[JobgateError]] = {meaning: kind for kind in catalogue() for meaning in kind.replies}
"""The problem that a meaning of a vendor's reply certainly is. The others depend on the job."""

STATUSES: dict[int, type[JobgateError]] = {
    401: VendorDeniedAccess,
    403: VendorDeniedAccess,
    404: UnknownJob,
    408: VendorTimedOut,
    429: VendorThrottled,
    503: VendorUnavailable,
}
"""What an HTTP status means where the vendor's document does not say."""


class CallContext(NamedTuple):
    """What a call is made for: until when, on the monotonic clock, it must have ended, and whose request it serves.

    `caller` is the name of who asked; calls of several callers take turns.
    """

    deadline: float
    origin: Origin
    caller: str = ""


class Call(NamedTuple):
    """A call of one documented operation, ready to be sent but for the credentials."""

    connection: Connection
    operation: Operation
    request: HttpRequest
    context: CallContext


@dataclass(frozen=True)
class Calls:
    """Makes calls to vendors. Every call of the gateway goes through here. None takes longer than `seconds`."""

    clock: Clock
    seconds: float

    def context(self, origin: Origin = NOBODY, seconds: float | None = None, caller: str = "") -> CallContext:
        """The context of a request that starts now, and may take `seconds` where that is less than is allowed."""
        allowed = self.seconds if seconds is None else min(seconds, self.seconds)
        return CallContext(self.clock.monotonic() + allowed, origin, caller)

    def prepare(
        self, connection: Connection, operation: Operation, lens: Lens, request: VendorRequest, context: CallContext
    ) -> Call:
        """A call with this request. Raises what `check_contract` raises."""
        check_contract(operation, lens, request)
        prepared = http_request(operation, request, connection.endpoint, context.origin)
        return Call(connection, operation, prepared, context)

    async def send(self, call: Call, effect: Effect = Effect.READ, announce: Announce = unannounced) -> VendorReply:
        """Send a call, as often as the policy has it for its effect, and give the last reply.

        Raises VendorFailed where there is none, and ConnectionSuspended or ConnectionBusy where it was not sent.
        `announce` is called, and waited for, before each sending.
        """
        replies: list[VendorReply] = []

        def observe(http: HttpReply) -> AttemptResult:
            replies.append(VendorReply.of(http))
            return self._observed(call, replies[-1])

        outbound = OutboundRequest(
            call.request,
            effect,
            call.context.deadline,
            call.connection.credentials,
            announce,
            observe,
            call.context.caller,
        )
        try:
            final = await call.connection.pipeline.send(outbound)
        except JobgateError as error:
            error.explain(vendor=error.explanation.vendor or VendorResponse(call.connection.vendor.name))
            raise
        # Its body is read already, as far as anybody wanted to know it.
        return replace(replies[-1], is_doubtful=True) if final.is_doubtful else replies[-1]

    def _observed(self, call: Call, reply: VendorReply) -> AttemptResult:
        """What a reply is an observation of; the vendor's document may say more of it than HTTP does."""
        call.connection.drift.look_at(call.operation, reply)
        if reply.is_success:
            return AttemptResult.ANSWER
        code = self.response(call.connection, reply).code
        meanings = call.connection.vendor.specification.errors.meanings_of(reply.status, code)
        return AttemptResult.TURNED_AWAY if meanings == {Meaning.THROTTLED} else attempt_result(reply.http)

    def response(self, connection: Connection, reply: VendorReply) -> VendorResponse:
        """What may be kept and shown of a reply."""
        specification = connection.vendor.specification
        request_id = _text(specification.reply.read(Source.REPLY_REQUEST_ID, reply.parts))
        if reply.is_success and not reply.body:
            return VendorResponse(specification.name, reply.status, request_id=request_id)
        error = specification.errors.read(reply.parts)
        code, message = _text(error.get(Source.ERROR_CODE)), _text(error.get(Source.ERROR_MESSAGE))
        return VendorResponse(specification.name, reply.status, code, message, request_id)

    def problem(self, connection: Connection, reply: VendorReply) -> JobgateError:
        """The problem that a reply other than success is, as far as the reply itself tells."""
        code = self.response(connection, reply).code
        meanings = connection.vendor.specification.errors.meanings_of(reply.status, code)
        certain = OF_MEANING.get(next(iter(meanings))) if len(meanings) == 1 else None
        return self.of_kind(certain or STATUSES.get(reply.status) or _by_class(reply.status), connection, reply)

    def of_kind(self, kind: type[JobgateError], connection: Connection, reply: VendorReply) -> JobgateError:
        """A reply as a problem of a kind that is known already."""
        response = self.response(connection, reply)
        explanation = Explanation(vendor=response, retry_after=retry_after(reply.http, self.clock.now()))
        return kind(_sentence(response), explanation)


def _by_class(status: int) -> type[JobgateError]:
    return {4: VendorRefused, 5: VendorError}.get(status // 100, VendorReplyNotUnderstood)


def _sentence(response: VendorResponse) -> str:
    """What the vendor answered, beside the title of a problem that says what it means."""
    said = f" and says: {response.message.rstrip()}" if response.message else ""
    told = f"{response.vendor} answered {response.status}{said}"[: LONGEST_TEXT - 1]
    return told if told.endswith((".", "!", "?")) else f"{told}."


def _text(value: object) -> str | None:
    """A vendor's word, as far as it can be passed on: header fields may hold any bytes."""
    return None if value is None else str(value)[:LONGEST_TEXT].encode("utf-8", "replace").decode()
