"""How many requests a caller may send, and how it is told (draft-ietf-httpapi-ratelimit-headers-10)."""

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
"""Callers whose requests are counted. Of more, those who have not called for longest begin anew."""


class Rates:
    """The rate of each caller. None: there is no limit."""

    def __init__(self, clock: Clock, limit: Quota | None) -> None:
        """Nobody has called."""
        self._clock = clock
        self._limit = limit
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def admit(self, caller: Caller, context: RequestContext) -> None:
        """Count a request; its answer will say what is left. Raises TooManyRequests."""
        if self._limit is None:
            return
        bucket = self._bucket(caller.name, self._limit)
        wait = bucket.wait()
        if wait:
            context.answer_fields = self._fields(self._limit, bucket)
            detail = f"More than {self._limit.requests} requests in {self._limit.seconds:g} seconds."
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
