"""A pipeline whose vendor follows a script, on a clock that goes on only while somebody sleeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.domain.errors import VendorReplyNotUnderstood, VendorTimedOut, VendorUnreachable
from gateway.domain.model import Effect, HttpReply, HttpRequest, Quota
from gateway.resilience.pipeline import FinalReply, NoCredentials, OutboundRequest, Pipeline
from gateway.resilience.policy import AttemptResult, Policy, attempt_result
from tests.support.clock import FakeClock
from tests.support.transport import FakeTransport, Line, reply

REQUEST = HttpRequest("POST", "https://vendor.test/jobs/1:cancel", {})
SECONDS = 10.0
DONE = reply(200, {})

REFUSED = VendorUnreachable("refused")
LATE = VendorTimedOut("late")
BROKEN = VendorReplyNotUnderstood("broke off")


def throttled(seconds: str = "1") -> HttpReply:
    """A refusal that says when to come again."""
    return reply(429, None, {"retry-after": seconds})


def documented(answer: HttpReply) -> AttemptResult:
    """A classifier for a document in which 429 means that nothing was done."""
    return AttemptResult.TURNED_AWAY if answer.status == 429 else attempt_result(answer)


@dataclass
class Renewable(NoCredentials):
    """Credentials of which there are so many more."""

    more: int = 1
    given: list[str] = field(default_factory=list)

    async def headers(self, request: HttpRequest, deadline: float) -> Mapping[str, str]:
        """The next token."""
        self.given.append(f"Bearer token-number-{len(self.given)}")
        return {"Authorization": self.given[-1]}

    def renew(self, refused: Mapping[str, str]) -> bool:
        """Whether there is one more."""
        self.more -= 1
        return self.more >= 0


class ScriptedPipeline:
    """One pipeline, and the vendor at its end."""

    def __init__(
        self, *script: Line, otherwise: Line | None = None, quota: Quota | None = None, **policy: float
    ) -> None:
        """Have the vendor follow the script."""
        self.clock = FakeClock()
        self.transport = FakeTransport(script, otherwise)
        self.pipeline = Pipeline(self.clock, self.transport, Policy.model_validate(policy), quota)
        self.sendings = 0

    @property
    def asked(self) -> int:
        """How often the vendor was asked."""
        return len(self.transport.requests)

    def outbound(self, effect: Effect = Effect.READ, seconds: float = SECONDS) -> OutboundRequest:
        """A request that has to end in so many seconds."""
        return OutboundRequest(
            REQUEST, effect, self.clock.monotonic() + seconds, NoCredentials(), self._before_send, documented
        )

    async def send(self, effect: Effect = Effect.READ, seconds: float = SECONDS) -> FinalReply:
        """Send one."""
        return await self.pipeline.send(self.outbound(effect, seconds))

    async def _before_send(self) -> None:
        self.sendings += 1
