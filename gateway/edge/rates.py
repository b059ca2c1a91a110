"""Rate limits of callers, and their header fields (draft-ietf-httpapi-ratelimit-headers-10)."""

from __future__ import annotations

import math
from collections import OrderedDict

from gateway.domain.access import Caller
from gateway.domain.errors import Explanation, TooManyRequests
from gateway.domain.model import Quota
from gateway.domain.ports import Clock
from gateway.edge.exchange import RequestContext
from gateway.resilience.bucket import TokenBucket

MOST_CALLERS = 10_000
"""Most callers whose requests are counted. Beyond it, the least recent ones are forgotten."""


class Rates:
    """Applies the rate limit to each caller."""

    def __init__(self, clock: Clock, limit: Quota | None) -> None:
        """Start with full buckets. Without a limit, every request is admitted."""
        self._clock = clock
        self._limit = limit
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def admit(self, caller: Caller, context: RequestContext) -> None:
        """Count a request, and set the rate limit fields of its response. Raises TooManyRequests."""
        if self._limit is None:
            return
        bucket = self._bucket(caller.name, self._limit)
        wait = bucket.wait()
        if wait:
            context.answer_fields = self._fields(self._limit, bucket)
            detail = (
                f"The caller exceeded its limit of {self._limit.requests} requests in {self._limit.seconds:g} seconds."
            )
            raise TooManyRequests(detail, Explanation(retry_after=max(1, math.ceil(wait))))
        bucket.take()
        context.answer_fields = self._fields(self._limit, bucket)

    def _bucket(self, name: str, limit: Quota) -> TokenBucket:
        bucket = self._buckets.get(name)
        if bucket is None:
            rate = limit.requests / limit.seconds
            bucket = self._buckets[name] = TokenBucket(self._clock, rate=rate, capacity=limit.requests)
            if len(self._buckets) > MOST_CALLERS:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(name)
        return bucket

    def _fields(self, limit: Quota, bucket: TokenBucket) -> list[tuple[bytes, bytes]]:
        left = max(0, int(bucket.left))
        full = math.ceil((limit.requests - bucket.left) * limit.seconds / limit.requests)
        return [
            (b"ratelimit-policy", b'"caller";q=%d;w=%d' % (limit.requests, math.ceil(limit.seconds))),
            (b"ratelimit", b'"caller";r=%d;t=%d' % (left, full)),
        ]
