"""What the tests of the transport share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.caller import Caller


@pytest.fixture
async def send() -> AsyncIterator[Caller]:
    """A function that sends a request over the network; its connections are closed at the end."""
    caller = Caller()
    yield caller
    await caller.close()
