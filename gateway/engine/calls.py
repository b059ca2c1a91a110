"""One call to a vendor, and the meaning of a refusal."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from msgspec import Struct
from msgspec.structs import replace

from gateway.domain.errors import (
    Explanation,
    JobChanged,
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
from gateway.resilience.pipeline import BeforeSend, OutboundRequest, do_nothing
from gateway.resilience.policy import AttemptResult, attempt_result
from gateway.specs.lens import Lens
from gateway.specs.operations import Operation

BY_MEANING: dict[Meaning, type[JobgateError]] = {meaning: kind for kind in catalogue() for meaning in kind.replies}
"""Problems by the meaning of a reply. Meanings that are not listed depend on the job."""

BY_STATUS: dict[int, type[JobgateError]] = {
    401: VendorDeniedAccess,
    403: VendorDeniedAccess,
    404: UnknownJob,
    408: VendorTimedOut,
    412: JobChanged,
    429: VendorThrottled,
    503: VendorUnavailable,
}
"""Problems by HTTP status, for replies to which the vendor's document does not give exactly one meaning."""


class CallContext(Struct, frozen=True):
    """The deadline of a call, on the monotonic clock, and the origin of the request that it serves.

    `caller` is the name of the caller. Calls for several callers take turns.
    """

    deadline: float
    origin: Origin
    caller: str = ""


class Call(Struct, frozen=True):
    """A call of one documented operation, ready to be sent except for the credentials."""

    connection: Connection
    operation: Operation
    request: HttpRequest
    context: CallContext


@dataclass(frozen=True)
class Calls:
    """Makes all calls of the gateway to vendors. None takes longer than `seconds`."""

    clock: Clock
    seconds: float

    def context(self, origin: Origin = NOBODY, seconds: float | None = None, caller: str = "") -> CallContext:
        """The context of a request that starts now. `seconds` can only shorten the time that is allowed."""
        allowed = self.seconds if seconds is None else min(seconds, self.seconds)
        return CallContext(self.clock.monotonic() + allowed, origin, caller)

    def prepare(
        self, connection: Connection, operation: Operation, lens: Lens, request: VendorRequest, context: CallContext
    ) -> Call:
        """Prepare a call with this request. Raises what `check_contract` raises."""
        check_contract(operation, lens, request)
        prepared = http_request(operation, request, connection.endpoint, context.origin)
        return Call(connection, operation, prepared, context)

    async def send(self, call: Call, effect: Effect = Effect.READ, before_send: BeforeSend = do_nothing) -> VendorReply:
        """Send a call, again if the policy says so for its effect, and return the last reply.

        `before_send` is awaited before each attempt. Raises VendorFailed if there is no reply, ConnectionSuspended or
        ConnectionBusy if the call was not sent, and what credentials and `before_send` raise.
        """
        replies: list[VendorReply] = []

        def classify(http: HttpReply) -> AttemptResult:
            reply = VendorReply.of(http)
            replies.append(reply)
            call.connection.drift.look_at(call.operation, reply)
            return AttemptResult.ANSWER if reply.is_success else self._classified(call, reply)

        outbound = OutboundRequest(
            call.request,
            effect,
            call.context.deadline,
            call.connection.credentials,
            before_send,
            classify,
            call.context.caller,
            call.operation.path,
        )
        try:
            final = await call.connection.pipeline.send(outbound)
        except JobgateError as error:
            error.explain(vendor=error.explanation.vendor or VendorResponse(call.connection.vendor.name))
            raise
        # `classify` has parsed the body already.
        return replace(replies[-1], is_doubtful=True) if final.is_doubtful else replies[-1]

    def _classified(self, call: Call, reply: VendorReply) -> AttemptResult:
        """The result of an attempt that was refused. The vendor's document may say more about it than HTTP does."""
        code = self.response(call.connection, reply).code
        meanings = call.connection.specification.errors.meanings_of(reply.status, code)
        if meanings == {Meaning.THROTTLED}:
            return AttemptResult.TURNED_AWAY
        result = attempt_result(reply.http)
        is_refusal = result is AttemptResult.TOO_MANY_REQUESTS and meanings and Meaning.THROTTLED not in meanings
        return AttemptResult.ANSWER if is_refusal else result

    def response(self, connection: Connection, reply: VendorReply) -> VendorResponse:
        """The parts of a reply that are recorded and shown."""
        specification = connection.specification
        found = specification.reply.read(Source.REPLY_REQUEST_ID, reply.parts)
        request_id = None if found is None else _text(found)
        if reply.is_success and not reply.body:
            return VendorResponse(specification.name, reply.status, request_id=request_id)
        error = specification.errors.read(reply.parts)
        code, message = _text(error.get(Source.ERROR_CODE)), _text(error.get(Source.ERROR_MESSAGE))
        return VendorResponse(specification.name, reply.status, code, message, request_id)

    def problem(self, connection: Connection, reply: VendorReply, *, is_conditional: bool = False) -> JobgateError:
        """The problem for a reply other than success, judged by the reply alone.

        `is_conditional`: the request named a version of the job. Only such a request can be told that the job changed.
        """
        code = self.response(connection, reply).code
        meanings = connection.specification.errors.meanings_of(reply.status, code)
        kind = _kind(reply.status, meanings)
        if kind is JobChanged and not is_conditional:
            kind = VendorRefused
        return self.of_kind(kind, connection, reply)

    def of_kind(self, kind: type[JobgateError], connection: Connection, reply: VendorReply) -> JobgateError:
        """A problem of the given kind for a reply."""
        response = self.response(connection, reply)
        explanation = Explanation(vendor=response, retry_after=retry_after(reply.http, self.clock.now()))
        return kind(_sentence(response), explanation)


def _kind(status: int, meanings: Collection[Meaning]) -> type[JobgateError]:
    """The problem that a reply means, or that its status stands for if the document leaves the meaning open."""
    if len(meanings) != 1:
        return BY_STATUS.get(status) or _by_class(status)
    (meaning,) = meanings
    return BY_MEANING.get(meaning) or _by_class(status)


def _by_class(status: int) -> type[JobgateError]:
    return {4: VendorRefused, 5: VendorError}.get(status // 100, VendorReplyNotUnderstood)


def _sentence(response: VendorResponse) -> str:
    """The vendor's answer as a sentence. It follows the problem's title, which says what the answer means."""
    said = f" and says: {response.message.rstrip()}" if response.message else ""
    told = f"{response.vendor} answered {response.status}{said}"[: LONGEST_TEXT - 1]
    return told if told.endswith((".", "!", "?")) else f"{told}."


def _text(value: object) -> str | None:
    """A vendor's text, shortened and valid in UTF-8: header fields can contain any bytes."""
    return None if value is None else str(value)[:LONGEST_TEXT].encode("utf-8", "replace").decode()
