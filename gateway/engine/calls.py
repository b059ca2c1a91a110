"""One call to a vendor, and what its refusal means."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus

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
)
from gateway.domain.model import HttpReply, HttpRequest, Outcome, VendorRequest, VendorResponse
from gateway.domain.ports import Clock, Transport
from gateway.engine.connections import Connection
from gateway.engine.wire import VendorReply, check_contract, http_request
from gateway.specs.lens import Lens
from gateway.specs.operations import Operation

LONGEST_VENDOR_TEXT = 1_024
"""Characters of a vendor's own message that are kept."""

REDACTED = "[redacted]"
LEAST_SECRET = 16
"""Characters. What proves who we are and is shorter is a name or a part of a date."""

MEANINGS: dict[str, type[JobgateError]] = {
    "unknown-job": UnknownJob,
    "unauthenticated": VendorDeniedAccess,
    "forbidden": VendorDeniedAccess,
    "throttled": VendorThrottled,
}
"""What a meaning of a vendor's `errors.meanings` is called here. The others depend on the job."""

STATUSES: dict[int, type[JobgateError]] = {
    401: VendorDeniedAccess,
    403: VendorDeniedAccess,
    404: UnknownJob,
    408: VendorTimedOut,
    429: VendorThrottled,
}
"""What an HTTP status means where the vendor's document does not say."""

Announce = Callable[[], Awaitable[None]]
"""What is done before a request is sent, such as to record it. The request is not sent where it fails."""


@dataclass(frozen=True)
class Calls:
    """Makes calls to vendors. Every call of the gateway goes through here."""

    transport: Transport
    clock: Clock
    seconds: float

    def deadline(self) -> float:
        """When, on the monotonic clock, a request that starts now must have ended."""
        return self.clock.monotonic() + self.seconds

    def prepare(self, connection: Connection, operation: Operation, lens: Lens, request: VendorRequest) -> HttpRequest:
        """The request as it will be sent, but for the credentials. Raises what `check_contract` raises."""
        check_contract(operation, lens, request)
        return http_request(operation, request, connection.endpoint)

    async def sign(self, connection: Connection, prepared: HttpRequest, deadline: float) -> HttpRequest:
        """The request with the headers that prove who we are. Raises what getting a token raises."""
        try:
            credentials = await connection.credentials.headers(prepared, deadline)
        except JobgateError as error:
            raise naming(connection, error) from error
        headers = {**prepared.headers, **credentials}
        return HttpRequest(prepared.method, prepared.url, headers, prepared.content)

    async def transmit(
        self, connection: Connection, prepared: HttpRequest, signed: HttpRequest, deadline: float, announce: Announce
    ) -> VendorReply:
        """Send a signed request, once. Raises VendorFailed where there is no reply.

        A request that the vendor turned away because its token had ended was not acted on; it is sent with a new one.
        `announce` is called, and waited for, before each sending.
        """
        await announce()
        reply = await self._exchange(connection, prepared, signed, deadline)
        if reply.status != HTTPStatus.UNAUTHORIZED or not connection.credentials.renew():
            return reply
        try:
            renewed = await self.sign(connection, prepared, deadline)
            await announce()
        except JobgateError as error:
            raise error.explain(outcome=Outcome.REJECTED) from error
        return await self._exchange(connection, prepared, renewed, deadline)

    async def _exchange(
        self, connection: Connection, prepared: HttpRequest, signed: HttpRequest, deadline: float
    ) -> VendorReply:
        """One request and its reply, without our credentials: a vendor may repeat them in what it says of an error."""
        try:
            reply = await self.transport.send(signed, deadline)
        except JobgateError as error:
            raise naming(connection, error) from error
        content, headers = reply.content, reply.headers
        for name, value in signed.headers.items():
            secret = value.rpartition(" ")[2]
            if name not in prepared.headers and len(secret) >= LEAST_SECRET:
                content = content.replace(secret.encode(), REDACTED.encode())
                headers = {field: text.replace(secret, REDACTED) for field, text in headers.items()}
        return VendorReply(HttpReply(reply.status, headers, content))

    async def read(self, connection: Connection, prepared: HttpRequest, deadline: float) -> VendorReply:
        """Sign and send a request that changes nothing."""
        signed = await self.sign(connection, prepared, deadline)
        return await self.transmit(connection, prepared, signed, deadline, _unannounced)

    def response(self, connection: Connection, reply: VendorReply) -> VendorResponse:
        """What may be kept and shown of a reply."""
        specification = connection.vendor.specification
        request_id = _text(specification.reply.read("reply.requestId", reply.parts))
        if reply.is_success and not reply.body:
            return VendorResponse(specification.name, reply.status, request_id=request_id)
        error = specification.errors.read(reply.parts)
        code, message = _text(error.get("error.code")), _text(error.get("error.message"))
        return VendorResponse(specification.name, reply.status, code, message, request_id)

    def problem(self, connection: Connection, reply: VendorReply) -> JobgateError:
        """The problem that a reply other than success is, as far as the reply itself tells."""
        code = self.response(connection, reply).code
        meanings = connection.vendor.specification.errors.meanings_of(reply.status, code)
        certain = MEANINGS.get(next(iter(meanings))) if len(meanings) == 1 else None
        return self.of_kind(certain or STATUSES.get(reply.status) or _by_class(reply.status), connection, reply)

    def of_kind(self, kind: type[JobgateError], connection: Connection, reply: VendorReply) -> JobgateError:
        """A reply as a problem of a kind that is known already."""
        response = self.response(connection, reply)
        explanation = Explanation(vendor=response, retry_after=reply.retry_after(self.clock.now()))
        return kind(_sentence(kind, response), explanation)


async def _unannounced() -> None:
    """Reads are sent without anybody being told."""


def naming(connection: Connection, error: JobgateError) -> JobgateError:
    """The error, with the vendor that it is about."""
    return error.explain(vendor=error.explanation.vendor or VendorResponse(connection.vendor.name))


def _by_class(status: int) -> type[JobgateError]:
    return {4: VendorRefused, 5: VendorError}.get(status // 100, VendorReplyNotUnderstood)


def _sentence(kind: type[JobgateError], response: VendorResponse) -> str:
    said = f" and says: {response.message}" if response.message else ""
    return f"{kind.title}: {response.vendor} answered {response.status}{said}"[:LONGEST_VENDOR_TEXT]


def _text(value: object) -> str | None:
    """A vendor's word, as far as it can be passed on: header fields may hold any bytes."""
    return None if value is None else str(value)[:LONGEST_VENDOR_TEXT].encode("utf-8", "replace").decode()
