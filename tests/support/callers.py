"""Callers for tests in which the caller does not matter."""

from __future__ import annotations

from gateway.domain.access import EVERYTHING, Caller
from gateway.domain.clock import SystemClock
from gateway.security.callers import Callers
from gateway.security.keys import Keyring


def somebody(key: str) -> Callers:
    """One caller with this key, who may do everything."""
    return Callers(Keyring({key: Caller("somebody", EVERYTHING)}), SystemClock())
