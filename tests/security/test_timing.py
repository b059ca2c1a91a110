"""How long a key is looked at tells nothing about it."""

from __future__ import annotations

import random
import statistics
import time

from gateway.domain.access import EVERYTHING, Caller
from gateway.security.keys import ApiKey, Keyring, NewKey, digest_of
from tests.support.clock import NOW

KEY = NewKey("0123456789ab", f"jobgate_0123456789ab_{'k' * 43}")
CALLER = Caller("desk", EVERYTHING)
KEYRING = Keyring({}, [ApiKey(KEY.id, CALLER, digest_of(KEY.text), NOW)])
NEARLY, FAR = KEY.text[:-1] + "x", f"jobgate_0123456789ab_{'x' * 43}"
ROUNDS, AT_ONCE = 400, 20
LARGEST = 0.1
"""The largest part by which the two medians may differ."""


def seconds(text: str) -> float:
    """How long some looks at a key take."""
    begun = time.perf_counter()
    for _ in range(AT_ONCE):
        KEYRING.identify(text, NOW)
    return time.perf_counter() - begun


def test_a_key_that_is_nearly_right_takes_as_long() -> None:
    """Wrong in the last character or in all: the same work is done, whatever the noise of the machine."""
    times: dict[str, list[float]] = {NEARLY: [], FAR: []}
    for _ in range(ROUNDS):
        for text in random.sample([NEARLY, FAR], 2):
            times[text].append(seconds(text))
    nearly, far = (statistics.median(each) for each in times.values())
    assert abs(nearly - far) / far < LARGEST
