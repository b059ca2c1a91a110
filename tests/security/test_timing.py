"""The time to check a key tells nothing about it."""

from __future__ import annotations

import hmac
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from gateway.domain.access import EVERYTHING, Caller
from gateway.security.keys import ApiKey, Keyring, NewKey, digest_of
from tests.support.clock import NOW

KEY = NewKey("0123456789ab", f"jobgate_0123456789ab_{'k' * 43}")
CALLER = Caller("desk", EVERYTHING)
KEYRING = Keyring({}, [ApiKey(KEY.id, CALLER, digest_of(KEY.text), NOW)])
TraceFunction = Callable[[FrameType, str, Any], Any]
NEARLY, FAR = KEY.text[:-1] + "x", f"jobgate_0123456789ab_{'x' * 43}"


def work_on(text: str) -> tuple[list[int], list[tuple[int, int]]]:
    """What is done to look at a key: the lines that run, and the lengths of what is compared in constant time."""
    lines: list[int] = []
    compared: list[tuple[int, int]] = []
    compare = hmac.compare_digest

    def trace(frame: FrameType, event: str, _: object) -> TraceFunction:
        if event == "line":
            lines.append(frame.f_lineno)
        return trace

    def noted(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return compare(one, other)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hmac, "compare_digest", noted)
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            KEYRING.identify(text, NOW)
        finally:
            sys.settrace(before)
    return lines, compared


def test_a_key_that_is_nearly_right_takes_as_long() -> None:
    """Wrong in the last character or in all: the same lines run, and only digests are compared, in constant time.

    How many seconds that takes says no more, and depends on what else the machine does.
    """
    nearly, far = work_on(NEARLY), work_on(FAR)
    assert nearly == far
    assert nearly[1] == [(32, 32)]
    assert nearly[0] != work_on(KEY.text)[0], "the tracing sees a difference where there is one"
